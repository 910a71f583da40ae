"""tlslite-ng: says over TLS what no client of good manners says."""

import ssl

from harness.rogue import (
    ALERT, CHANGE_CIPHER, CLOSE_NOTIFY, DATA, HANDSHAKE, KEY_UPDATE, TLS12, TLS13, Rogue,
    client_hello, connect, told,
)

NEEDS = []
NEEDS_TLS = True
UNEXPECTED, BAD_MAC, OVERFLOW, ILLEGAL, DECODE, VERSION = 10, 20, 22, 47, 50, 70
NOOP = b"a NOOP\r\n"
# The first record without data in a row that is not taken.
MANY = 33


def plain(content, data):
    """A record that is not sealed."""
    return bytes([content, 3, 3]) + len(data).to_bytes(2, "big") + data


def update(*last):
    """A KeyUpdate with this behind its header."""
    return bytes([KEY_UPDATE, 0, 0, 1, *last])


# What is odd but allowed: the session goes on.
def in_single_bytes(rogue):
    """A command, a byte a record, and all records in one piece."""
    rogue.wire.sendall(b"".join(rogue.sealed(DATA, bytes([byte])) for byte in NOOP))
    rogue.wait_for(b"a OK")


def in_slow_bytes(rogue):
    """A record, a byte a segment."""
    for byte in rogue.sealed(DATA, NOOP):
        rogue.wire.sendall(bytes([byte]))
    rogue.wait_for(b"a OK")


def in_one_record(rogue):
    """Many commands in one record."""
    rogue.send(DATA, b"".join(b"%d NOOP\r\n" % number for number in range(50)))
    rogue.wait_for(b"49 OK")


def with_empty_records(rogue):
    """Some empty records before each byte of data."""
    for byte in NOOP:
        for _ in range(5):
            rogue.send(DATA, b"")
        rogue.send(DATA, bytes([byte]))
    rogue.wait_for(b"a OK")


def after_a_warning(rogue):
    """user_canceled alone ends nothing."""
    rogue.send(ALERT, [1, 90])
    rogue.command()


def with_new_keys(rogue):
    """Keys are renewed, ours too if that is asked for."""
    rogue.update(0)
    rogue.command("b")
    rogue.update(1)
    rogue.command("c")
    assert rogue.updates == 1, f"{rogue.updates} KeyUpdates were answered"
    for _ in range(5):
        rogue.update(1)
    rogue.command("d")
    assert rogue.updates >= 2


def with_a_key_update_in_pieces(rogue):
    """A KeyUpdate of five records."""
    for byte in update(1):
        rogue.send(HANDSHAKE, [byte])
    rogue.renew()
    rogue.command()


def with_a_second_hello(rogue):
    """TLS 1.2: there is no second handshake, but the first session goes on."""
    hello = client_hello(TLS12)
    rogue.send(HANDSHAKE, hello[5:])
    rogue.wait_for(b"no renegotiation")
    rogue.command()


ALLOWED = [in_single_bytes, in_slow_bytes, in_one_record, with_empty_records, after_a_warning]
ALLOWED_13 = [*ALLOWED, with_new_keys, with_a_key_update_in_pieces]
ALLOWED_12 = [*ALLOWED, with_a_second_hello]


def flood(content, data, renews=False):
    """The same again and again."""
    def send(rogue):
        all_of_them = b""
        for _ in range(MANY):
            all_of_them += rogue.sealed(content, data)
            if renews:
                rogue.renew()
        rogue.wire.sendall(all_of_them)
    return send


def records(*all_of_them):
    """Sealed records, in one piece."""
    def send(rogue):
        rogue.wire.sendall(b"".join(rogue.sealed(*one) for one in all_of_them))
    return send


def raw(data):
    """Bytes that are not sealed."""
    return lambda rogue: rogue.wire.sendall(data)


# What ends the session, and the alert that says why. `cut` is an end without one.
ENDS = {
    "too many empty records": (flood(DATA, b""), UNEXPECTED),
    "too many warnings": (flood(ALERT, [1, 90]), UNEXPECTED),
    "more inside than allowed": (records((DATA, bytes((1 << 14) + 1))), OVERFLOW),
    "longer than allowed": (raw(plain(DATA, bytes(1 << 15))[:5]), OVERFLOW),
    "plain text": (raw(b"a LOGIN fred fred\r\n"), UNEXPECTED),
    "a change of ciphers": (raw(plain(CHANGE_CIPHER, b"\1")), UNEXPECTED),
    "an unknown record": (records((99, b"what")), UNEXPECTED),
    "an alert of one byte": (records((ALERT, [1])), DECODE),
    "an alert of three bytes": (records((ALERT, [1, 0, 0])), DECODE),
    "an empty handshake message": (records((HANDSHAKE, b"")), UNEXPECTED),
    "a Finished": (records((HANDSHAKE, [20, 0, 0, 1, 0])), UNEXPECTED),
    "a fatal alert": (records((ALERT, [2, 42])), "cut"),
    "close_notify": (records((ALERT, [1, CLOSE_NOTIFY])), CLOSE_NOTIFY),
    "data behind close_notify": (records((ALERT, [1, 0]), (DATA, NOOP)), CLOSE_NOTIFY),
    "a record that is too short": (raw(plain(DATA, b"short")), BAD_MAC),
}
ENDS_13 = ENDS | {
    "a flood of KeyUpdates": (flood(HANDSHAKE, update(0), renews=True), UNEXPECTED),
    "a flood of questions": (flood(HANDSHAKE, update(1), renews=True), UNEXPECTED),
    "data behind a KeyUpdate": (records((HANDSHAKE, update(0) + NOOP)), UNEXPECTED),
    "two KeyUpdates in a record": (records((HANDSHAKE, update(0) * 2)), UNEXPECTED),
    "data within a KeyUpdate": (records((HANDSHAKE, update()), (DATA, NOOP)), UNEXPECTED),
    "an odd KeyUpdate": (records((HANDSHAKE, update(2))), ILLEGAL),
    "a long KeyUpdate": (records((HANDSHAKE, [KEY_UPDATE, 0, 0, 2, 0, 0])), DECODE),
    "the old key after a KeyUpdate": (records((HANDSHAKE, update(0)), (DATA, NOOP)), BAD_MAC),
    "an alert in plain text": (raw(plain(ALERT, b"\1\0")), UNEXPECTED),
    "a second hello": (lambda rogue: rogue.send(HANDSHAKE, client_hello(TLS13)[5:]), UNEXPECTED),
    "padding and nothing else": (records((0, bytes(20))), UNEXPECTED),
}
ENDS_12 = ENDS | {
    "a KeyUpdate": (records((HANDSHAKE, update(0))), UNEXPECTED),
    "half a hello": (lambda rogue: rogue.send(HANDSHAKE, client_hello(TLS12)[5:60]), UNEXPECTED),
    "an alert in plain text": (raw(plain(ALERT, b"\1\0")), BAD_MAC),
}


def tampered_13(at):
    """Only the first byte is looked at before the record is opened."""
    return UNEXPECTED if at == 0 else BAD_MAC


def tampered_12(at):
    """The version is looked at, too; a handshake's record in the place of data opens as little."""
    return VERSION if at in (1, 2) else BAD_MAC


def tampered(rogue, at):
    """A record with one bit changed, and what it says it is long if that was the bit."""
    record = bytearray(rogue.sealed(DATA, NOOP))
    record[at] ^= 1
    length = 5 + int.from_bytes(record[3:5], "big")
    rogue.wire.sendall(record[:length] + bytes(max(0, length - len(record))))
    return len(record)


def before_the_handshake():
    """What comes instead of a handshake, or in it, and the alert."""
    hello = {version: client_hello(version) for version in (TLS12, TLS13)}
    for version, first in hello.items():
        yield f"close_notify behind {version}'s hello", [first, plain(ALERT, b"\1\0")], None
        yield f"{version}'s hello, plain data", [first, plain(DATA, NOOP)], None
        yield f"{version}'s hello twice", [first, first], None
    message = hello[TLS13][5:]
    yield "empty pieces", [plain(HANDSHAKE, b"")] * MANY, None
    yield "a hello without end", [plain(HANDSHAKE, b"\1\xff\xff\xff" + bytes(16000))] * 5, None
    yield "a KeyUpdate", [plain(HANDSHAKE, update(0))], UNEXPECTED
    yield "a Finished", [plain(HANDSHAKE, b"\x14\0\0\x0c" + bytes(12))], UNEXPECTED
    yield "data", [plain(DATA, NOOP)], None
    yield "an alert", [plain(ALERT, b"\2\x28")], "cut"
    yield "a request", [b"GET / HTTP/1.0\r\n\r\n"], None
    yield "a command", [b"a LOGIN fred fred\r\n"], None
    yield "SSL 2", [b"\x80\x2e\1\0\2\0\x15\0\0\0\x10" + bytes(37)], None
    yield "a hello within a hello", [plain(HANDSHAKE, message[:50] + message)], None


class Other:
    """A client of good manners that is there all the time."""

    def __init__(self, address, user, password):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._lines = context.wrap_socket(connect(address)).makefile("rwb", 0)
        self._lines.readline()
        self._lines.write(f"l LOGIN {user} {password}\r\n".encode())
        answer = self._lines.readline()
        assert answer.startswith(b"l OK"), f"the login was answered {answer!r}"

    def still_served(self):
        """Has a command answered."""
        self._lines.write(NOOP)
        answer = self._lines.readline()
        assert answer.startswith(b"a OK"), f"another client was answered {answer!r}"


def drive(stage):
    """Every oddity is allowed or ended as the RFCs want it, and another client is served."""
    address, wrong = stage.imaps, []
    for version, allowed in ((TLS13, ALLOWED_13), (TLS12, ALLOWED_12)):
        for act in allowed:
            with Rogue(address, version) as rogue:
                act(rogue)
        for piece in (1, 7, 100):
            with Rogue(address, version, piece) as rogue:
                rogue.command()
    other, tried = Other(address, stage.user, stage.password), 0

    def judge(name, heard, expected):
        nonlocal tried
        tried += 1
        other.still_served()
        stage.transcript.note("rogue", f"{name}: {heard}")
        if heard == "no end" or expected is not None and heard != expected:
            wrong.append(f"{name}: {heard}, not {expected}")

    for version, ends in ((TLS13, ENDS_13), (TLS12, ENDS_12)):
        for name, (act, expected) in ends.items():
            with Rogue(address, version) as rogue:
                act(rogue)
                judge(f"{version} {name}", rogue.end(), expected)
    for version, expected in ((TLS13, tampered_13), (TLS12, tampered_12)):
        at, length = 0, 1
        while at < length:
            with Rogue(address, version) as rogue:
                length = tampered(rogue, at)
                judge(f"{version} byte {at}", rogue.end(), expected(at))
            at += 1
    for name, pieces, expected in before_the_handshake():
        judge(name, told(address, pieces), expected)
    assert not wrong, "; ".join(wrong)
    return f"was cut off for {tried} oddities as the RFCs want it"
