"""A TLS client without manners: what it sends is its caller's affair, record by record."""

import socket

from tlslite.api import HandshakeSettings, TLSConnection
from tlslite.errors import TLSAbruptCloseError
from tlslite.messages import Message

TLS12, TLS13 = (3, 3), (3, 4)
CHANGE_CIPHER, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
CLOSE_NOTIFY, NO_RENEGOTIATION = 0, 100
KEY_UPDATE = 24


class Wire:
    """The socket below TLS. What is sent leaves, unless it is being kept."""

    def __init__(self, below):
        self._below = below
        self.kept = None

    def send(self, data):
        """Sends, or keeps, all of it."""
        if self.kept is None:
            self._below.sendall(data)
        else:
            self.kept += data
        return len(data)

    sendall = send

    def __getattr__(self, name):
        return getattr(self._below, name)


class Rogue:
    """A session over TLS that has been greeted."""

    def __init__(self, address, version, piece=None):
        self.wire = Wire(connect(address))
        self._tls = TLSConnection(self.wire)
        self._layer = self._tls._recordLayer
        if piece:
            self._tls.recordSize = piece
        settings = HandshakeSettings()
        settings.minVersion = settings.maxVersion = version
        settings.cipherNames = ["aes128gcm"]
        self._tls.handshakeClientCert(settings=settings)
        self._tls.recordSize = 1 << 14
        self.updates = 0
        self._said = b""
        self.wait_for(b"* OK ")

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.wire.close()

    def sealed(self, content, data):
        """A record as it would be sent."""
        self.wire.kept = b""
        for _ in self._layer.sendRecord(Message(content, bytearray(data))):
            pass
        record, self.wire.kept = self.wire.kept, None
        return record

    def send(self, content, data):
        """Sends a record."""
        self.wire.sendall(self.sealed(content, data))

    def renew(self):
        """Seals under the next key from now on."""
        self._secrets(self._layer.calcTLS1_3KeyUpdate_reciever)

    def update(self, asks):
        """A KeyUpdate, and the next key."""
        self.send(HANDSHAKE, [KEY_UPDATE, 0, 0, 1, asks])
        self.renew()

    def wait_for(self, text):
        """Reads until that was said."""
        while text not in self._said:
            end = self._record()
            if end is not None:
                raise AssertionError(f"waiting for {text!r}: {end}; it said {self._said!r}")
        self._said = self._said.partition(text)[2]

    def command(self, tag="a"):
        """A command that is answered."""
        self.send(DATA, f"{tag} NOOP\r\n".encode())
        self.wait_for(f"{tag} OK".encode())

    def end(self):
        """Reads to the end: the last alert, `cut` if there was none."""
        while (end := self._record()) is None:
            pass
        return end

    def _secrets(self, renew):
        session = self._tls.session
        secrets = renew(session.cipherSuite, session.cl_app_secret, session.sr_app_secret)
        session.cl_app_secret, session.sr_app_secret = secrets

    def _record(self):
        """Takes a record; tells how the connection ended, if it did."""
        try:
            for result in self._layer.recvRecord():
                if result not in (0, 1):
                    break
        except (TLSAbruptCloseError, ConnectionError):
            return "cut"
        header, parser = result
        data = bytes(parser.bytes)
        if header.type == DATA:
            self._said += data
        elif header.type == ALERT and data[1] != NO_RENEGOTIATION:
            return data[1]
        elif header.type == ALERT:
            self._said += b"no renegotiation"
        elif header.type == HANDSHAKE and data[0] == KEY_UPDATE:
            self.updates += 1
            self._secrets(self._layer.calcTLS1_3KeyUpdate_sender)
        return None


def connect(address):
    """A connection with a limit on how long it waits."""
    sock = socket.create_connection(address, timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def client_hello(version):
    """The first record of a handshake."""
    ours, theirs = socket.socketpair()
    wire = Wire(ours)
    wire.kept = b""
    ours.settimeout(0)
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = version
    steps = TLSConnection(wire).handshakeClientCert(settings=settings, async_=True)
    while not wire.kept:
        next(steps)
    for end in (ours, theirs):
        end.close()
    return bytes(wire.kept)


def told(address, pieces):
    """Sends pieces in plain text and reads to the end: the alert in plain text that came, `cut` if
    none did."""
    heard = b""
    with connect(address) as sock:
        try:
            for piece in pieces:
                sock.sendall(piece)
            while more := sock.recv(65536):
                heard += more
        except TimeoutError:
            return "no end"
        except ConnectionError:
            pass
    alert = "cut"
    while len(heard) >= 5:
        length = 5 + int.from_bytes(heard[3:5], "big")
        if heard[0] == ALERT and length == 7:
            alert = heard[6]
        heard = heard[length:]
    return alert
