"""A proxy on loopback that passes bytes on at once and keeps a transcript of both sides, of what
they say below COMPRESS (RFC 4978) too."""

import contextlib
import re
import socket
import threading
import time
import zlib
from pathlib import Path

from harness.transcript import Expired


class Tap:
    """Stands between a client and the server; `host` and `port` are where the client goes."""

    def __init__(self, upstream, transcript):
        self._upstream = upstream
        self._transcript = transcript
        self._sockets = []
        self._counting = threading.Lock()
        self._written_down = self._passed_on = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def wait_idle(self, after=0, timeout=30.0):
        """Waits until a client sent IDLE and the server agreed; returns the index behind that."""
        _, behind = self._transcript.wait_for(r"^\S+ IDLE$", "C", after, timeout)
        _, behind = self._transcript.wait_for(r"^\+", "S", behind, timeout)
        return behind

    def wait_read(self, timeout=30.0):
        """Waits until the clients have read all that was passed on to them."""
        end = time.monotonic() + timeout
        while self._written_down > self._passed_on or unread(self.port):
            if time.monotonic() > end:
                raise Expired("a client does not read")
            time.sleep(0.01)

    def wait_client(self, pattern, after=0, timeout=30.0):
        """Waits for a line of the client; returns it and the index behind it."""
        return self._transcript.wait_for(pattern, "C", after, timeout)

    def wait_server(self, pattern, after=0, timeout=30.0):
        """Waits for a line of the server; returns it and the index behind it."""
        return self._transcript.wait_for(pattern, "S", after, timeout)

    def close(self):
        """Closes the listener and every connection."""
        for each in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._upstream)
            except OSError:
                return
            self._sockets += [client, server]
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            below = Below()
            for who, source, sink in (("C", client, server), ("S", server, client)):
                threading.Thread(
                    target=self._pass_on, args=(who, source, sink, below), daemon=True
                ).start()

    def _pass_on(self, who, source, sink, below):
        # ValueError: the driver has ended, and its log with it.
        with contextlib.suppress(OSError, ValueError):
            while chunk := source.recv(65536):
                # Written down first: an answer must never stand above what it answers.
                with self._counting:
                    self._written_down += 1
                self._transcript.feed(who, below.read(who, chunk))
                sink.sendall(chunk)
                with self._counting:
                    self._passed_on += 1
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


class Below:
    """What both sides of a connection say below its compression, once it is compressed."""

    ASKS = re.compile(rb"^(\S+) COMPRESS DEFLATE\r\n", re.MULTILINE | re.IGNORECASE)

    def __init__(self):
        self._begins = self._streams = None

    def read(self, who, chunk):
        """Takes what one side sent; gives what it said by that."""
        if self._streams is not None:
            return self._streams[who].decompress(chunk)
        if who == "C":
            if asks := self.ASKS.search(chunk):
                answer = rb"^" + re.escape(asks[1]) + rb" OK[^\r]*\r\n"
                self._begins = re.compile(answer, re.MULTILINE)
            return chunk
        begins = self._begins and self._begins.search(chunk)
        if not begins:
            return chunk
        # The client compresses once it has read this.
        self._streams = {side: zlib.decompressobj(-zlib.MAX_WBITS) for side in "CS"}
        end = begins.end()
        return chunk[:end] + self.read(who, chunk[end:])


def unread(port):
    """Bytes that wait in the receive buffers of those who are connected to `port` of loopback."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    # Columns (proc_net_tcp): 2 the remote address, 4 "tx_queue:rx_queue", all in hexadecimal.
    return sum(
        int(line[4].split(":")[1], 16) for line in lines if line[2].endswith(f":{port:04X}")
    )
