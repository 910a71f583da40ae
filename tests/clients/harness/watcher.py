"""A bare IMAP session over a socket: logs in, selects INBOX, idles, and tells what it hears."""

import re
import socket
import time


class Watcher:
    """One session on INBOX, speaking the protocol with nothing in between."""

    def __init__(self, stage):
        self._socket = socket.create_connection(stage.imap, timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._stage = stage
        self._tags = 0
        self.exists = 0
        self.greeting = self._line()
        self.command(f"LOGIN {stage.user} {stage.password}")
        self.command("SELECT INBOX")

    def command(self, text):
        """Sends one command and returns its untagged lines; fails on anything but OK."""
        tag = self._send(text)
        untagged = []
        while not (line := self._line()).startswith(tag + " "):
            untagged.append(line)
        if not line.startswith(f"{tag} OK"):
            raise AssertionError(f"{text!r} was answered {line!r}")
        return untagged

    def idle(self):
        """Sends IDLE and waits for the server's agreement."""
        self._idle_tag = self._send("IDLE")
        while not self._line().startswith("+"):
            pass

    def hear_exists(self, count):
        """Reads until the mailbox has `count` messages; returns when that was heard."""
        while self.exists < count:
            self._line()
        return time.monotonic()

    def done(self):
        """Ends IDLE."""
        self._socket.sendall(b"DONE\r\n")
        while not (line := self._line()).startswith(self._idle_tag + " "):
            pass
        if not line.startswith(f"{self._idle_tag} OK"):
            raise AssertionError(f"DONE was answered {line!r}")

    def subjects(self):
        """The subjects of all messages, in order."""
        lines = self.command("UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]")
        return [line[9:] for line in lines if line.lower().startswith("subject: ")]

    def close(self):
        """Logs out and closes."""
        try:
            self.command("LOGOUT")
        finally:
            self._file.close()
            self._socket.close()

    def _send(self, text):
        self._tags += 1
        tag = f"w{self._tags}"
        self._socket.sendall(f"{tag} {text}\r\n".encode())
        return tag

    def _line(self):
        raw = self._file.readline()
        if not raw:
            raise AssertionError("the server closed the connection")
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        self._stage.transcript.note("watcher", line)
        if found := re.match(r"^\* (\d+) EXISTS$", line):
            self.exists = int(found[1])
        return line
