"""The stage one driver stands on: where the server is, its user, its HOME, its transcript."""

import contextlib
import os
import secrets
import smtplib
import socket
import subprocess
import time
from pathlib import Path

from harness.process import Process
from harness.tap import Tap
from harness.transcript import Transcript
from harness.watcher import Watcher

DOMAIN = "ensign.test"


class Stage:
    """Everything that a driver opens through its stage is closed when the stage is."""

    def __init__(self, name, ports, password, home, log):
        self.user = name
        self.imap, self.imaps, self.lmtp = ports
        self.password = password
        self.home = Path(home)
        self.address = f"{name}@{DOMAIN}"
        self.subject = f"{name}-{secrets.token_hex(4)}"
        self.transcript = Transcript(log)
        self._open = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self._open.close()

    def tap(self):
        """A recording proxy in front of the server's IMAP port."""
        return self._open.enter_context(contextlib.closing(Tap(self.imap, self.transcript)))

    def watcher(self):
        """A bare IMAP session that has selected INBOX."""
        return self._open.enter_context(contextlib.closing(Watcher(self)))

    def spawn(self, argv, name="out", **env):
        """Starts a child with a HOME of its own."""
        child = Process(argv, self.environment(**env), self.home, self.transcript, name)
        return self._open.enter_context(contextlib.closing(child))

    def run(self, argv, timeout=30.0, **env):
        """Runs a child to its end; fails unless it succeeds; returns what it printed."""
        self.transcript.note("run", " ".join(map(str, argv)))
        ended = subprocess.run(
            argv, env=self.environment(**env), cwd=self.home, timeout=timeout,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for line in ended.stdout.splitlines():
            self.transcript.note("ran", line)
        if ended.returncode != 0:
            raise AssertionError(f"{argv[0]} ended with status {ended.returncode}")
        return ended.stdout

    def at_end(self, action, *arguments):
        """Has `action` called when the stage is closed."""
        self._open.callback(action, *arguments)

    def environment(self, **more):
        """The environment of children: nothing of the caller's but PATH."""
        return {
            "HOME": str(self.home), "USER": "root", "LOGNAME": "root", "PATH": os.environ["PATH"],
            "TERM": "xterm", "LANG": "C.UTF-8", "TMPDIR": str(self.home),
            **{name: str(value) for name, value in more.items()},
        }

    def write(self, name, text, mode=0o600):
        """Writes a file below HOME and returns its path."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def message(self, subject):
        """A small message to this driver's user."""
        return (
            f"From: Sender <sender@{DOMAIN}>\r\nTo: <{self.address}>\r\nSubject: {subject}\r\n"
            f"Message-ID: <{secrets.token_hex(8)}@{DOMAIN}>\r\n"
            "Date: Mon, 7 Feb 2006 21:52:25 -0800\r\n"
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
            f"This is {subject}.\r\n"
        )

    def deliver(self, subject=None):
        """Delivers one message over LMTP; returns when its 250 had come."""
        message = self.message(subject or self.subject)
        with smtplib.LMTP(*self.lmtp, local_hostname="localhost") as lmtp:
            lmtp.ehlo()
            lmtp.mail(f"sender@{DOMAIN}")
            code, text = lmtp.rcpt(self.address)
            if code != 250:
                raise AssertionError(f"RCPT was answered {code} {text}")
            code, text = lmtp.data(message.encode())
            accepted = time.monotonic()
        if code != 250:
            raise AssertionError(f"DATA was answered {code} {text}")
        self.transcript.note("lmtp", f"{code} {text!r}")
        return accepted


def free_port():
    """A port on loopback that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
