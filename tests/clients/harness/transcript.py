"""Lines that arrived from somewhere, each with its time, and a way to wait for one of them."""

import re
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One line: when it arrived (monotonic seconds), who said it, and what."""

    at: float
    who: str
    text: str


class Expired(Exception):
    """What was waited for did not come in time."""


class Transcript:
    """A growing list of lines that threads add to and drivers wait on; it also goes to a log."""

    def __init__(self, log):
        self._lines = []
        self._partial = {}
        self._grown = threading.Condition()
        self._log = log

    def feed(self, who, chunk):
        """Takes bytes as they come and cuts them into lines."""
        at = time.monotonic()
        with self._grown:
            *whole, rest = (self._partial.get(who, b"") + chunk).split(b"\n")
            self._partial[who] = rest
            for raw in whole:
                self._add(Line(at, who, raw.rstrip(b"\r").decode("utf-8", "replace")))
            self._grown.notify_all()

    def note(self, who, text):
        """Adds one whole line of our own."""
        with self._grown:
            self._add(Line(time.monotonic(), who, text))
            self._grown.notify_all()

    def wait_for(self, pattern, who=None, after=0, timeout=30.0):
        """The first line from index `after` on that matches, and the index behind it."""
        wanted = re.compile(pattern)
        deadline = time.monotonic() + timeout
        with self._grown:
            while True:
                for index in range(after, len(self._lines)):
                    line = self._lines[index]
                    if who in (None, line.who) and wanted.search(line.text):
                        return line, index + 1
                after = len(self._lines)
                left = deadline - time.monotonic()
                if left <= 0 or not self._grown.wait(left):
                    raise Expired(f"no line like {pattern!r} from {who or 'anyone'}")

    def __len__(self):
        with self._grown:
            return len(self._lines)

    def _add(self, line):
        self._lines.append(line)
        self._log.write(f"{line.at:.6f} {line.who}: {line.text}\n")
        self._log.flush()
