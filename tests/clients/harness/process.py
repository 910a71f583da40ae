"""A child process on a terminal of its own, its output read as it comes."""

import contextlib
import os
import pty
import signal
import subprocess
import threading


class Process:
    """Runs `argv` in its own process group; everything it prints goes to a transcript."""

    def __init__(self, argv, env, cwd, transcript, name="out"):
        self._transcript = transcript
        self._name = name
        self._master, slave = pty.openpty()
        self._child = subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern, after=0, timeout=30.0):
        """Waits for a line that the child prints."""
        line, _ = self._transcript.wait_for(pattern, self._name, after, timeout)
        return line

    def type(self, text):
        """Types `text` on the child's terminal."""
        os.write(self._master, text.encode())

    def wait(self, timeout=30.0):
        """Waits for the end of the child and of its output; returns its exit status."""
        status = self._child.wait(timeout)
        self._reader.join(timeout)
        return status

    def close(self):
        """Ends the child and whatever it started in its process group."""
        for end in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, end)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(2.0)
                break
        self._reader.join(2.0)
        with contextlib.suppress(OSError):
            os.close(self._master)

    def _read(self):
        with contextlib.suppress(OSError):
            while chunk := os.read(self._master, 65536):
                self._transcript.feed(self._name, chunk)
