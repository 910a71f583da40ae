"""neomutt in a tmux of its own: the index on the screen must show the new subject.

It goes by QRESYNC, and comes back once to a mailbox of which it has a cache.
"""

import contextlib
import os
import subprocess
import time

NEEDS = ["neomutt", "tmux"]

CONFIGURATION = """
set imap_user = "{user}"
set imap_pass = "{password}"
set folder = "imap://{host}:{port}/"
set spoolfile = "imap://{host}:{port}/INBOX"
set imap_idle = yes
set imap_condstore = yes
set imap_qresync = yes
set imap_authenticators = "login"
set ssl_starttls = no
set ssl_force_tls = no
set timeout = 1
set header_cache = "{cache}"
set index_format = "%4C %Z %s"
"""


def drive(stage):
    """One message before it starts, one while it idles, then one is deleted in it; and one comes
    while it is away."""
    tap = stage.tap()
    before = f"{stage.subject}-before"
    stage.deliver(before)
    (stage.home / "cache").mkdir()
    rc = stage.write("muttrc", CONFIGURATION.format(
        host=tap.host, port=tap.port, user=stage.user, password=stage.password,
        cache=stage.home / "cache"
    ))
    screen = Screen(stage, f"neomutt -n -F {rc}")
    screen.wait_for(before)
    tap.wait_idle()
    sent = stage.deliver()
    seen = screen.wait_for(stage.subject + "\n")
    screen.keys("=", "d", "$", "y")
    _, behind = tap.wait_client(r"EXPUNGE$")
    tap.wait_server(r"^\* VANISHED \d+$", behind)
    screen.keys("q")
    screen.wait_ended()
    later = f"{stage.subject}-later"
    stage.deliver(later)
    screen.run(f"neomutt -n -F {rc}")
    tap.wait_client(r"UID FETCH 1:\d+ \(FLAGS\) \(CHANGEDSINCE \d+ VANISHED\)$", behind)
    screen.wait_for(later)
    screen.keys("q")
    return f"showed the subject after {seen - sent:.3f} s"


class Screen:
    """A program on the screen of a tmux server that is only its own."""

    def __init__(self, stage, command):
        self._stage = stage
        self._tmux = ["tmux", "-S", str(stage.home / "tmux"), "-f", "/dev/null"]
        fifo = stage.home / "screen"
        os.mkfifo(fifo)
        self._changes = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        stage.at_end(os.close, self._changes)
        stage.run([*self._tmux, "new-session", "-d", "-x", "100", "-y", "30", "/bin/cat"])
        stage.run([*self._tmux, "set-option", "-g", "remain-on-exit", "on"])
        stage.at_end(self._end)
        stage.run([*self._tmux, "pipe-pane", f"cat > {fifo}"])
        self.run(command)

    def run(self, command):
        """Runs another program in the place of the last."""
        self._stage.run([*self._tmux, "respawn-pane", "-k", command])

    def wait_for(self, text, timeout=30.0):
        """Looks at the screen whenever it changes, until it shows `text`; returns when."""
        import select

        deadline = time.monotonic() + timeout
        while True:
            shown = self._capture()
            if text in shown:
                self._stage.transcript.note("screen", shown)
                return time.monotonic()
            left = deadline - time.monotonic()
            if left <= 0:
                self._stage.transcript.note("screen", shown)
                raise AssertionError(f"the screen does not show {text.strip()!r}")
            ready, _, _ = select.select([self._changes], [], [], min(left, 1.0))
            if ready:
                os.read(self._changes, 65536)

    def wait_ended(self, timeout=30.0):
        """Waits until the program has ended."""
        deadline = time.monotonic() + timeout
        asked = [*self._tmux, "display-message", "-p", "#{pane_dead}"]
        while subprocess.run(asked, stdout=subprocess.PIPE, check=True).stdout.strip() != b"1":
            assert time.monotonic() < deadline, "the program does not end"
            time.sleep(0.05)

    def keys(self, *keys):
        """Presses keys."""
        self._stage.run([*self._tmux, "send-keys", *keys])

    def _capture(self):
        return subprocess.run(
            [*self._tmux, "capture-pane", "-p"], stdout=subprocess.PIPE, text=True,
            env=self._stage.environment(), check=True,
        ).stdout

    def _end(self):
        with contextlib.suppress(AssertionError):
            self._stage.run([*self._tmux, "kill-server"])
