"""Two hosts of mail, and the documents' configurations, with addresses and ports of this machine."""

import contextlib
import re
import smtplib
import socket
import ssl
import time
from pathlib import Path

from harness.stage import free_port

DOMAIN = "example.org"
FRED, MARY = f"fred@{DOMAIN}", f"mary@{DOMAIN}"
HOSTS = ["127.0.0.11", "127.0.0.12"]
# Where the hosts expect headers of the PROXY protocol from.
PROXY = "127.0.0.2"
# Connections that an address may have on a host.
AT_ONCE = 6
# Longer than a proxy takes to notice anything, and much shorter than its timeouts.
QUIET_SECONDS = 1.5
# How much sooner or later those are done who have begun at the same time.
ABOUT_SECONDS = 20
PAGE = Path(__file__).resolve().parents[3] / "docs/proxies.md"


class Site:
    """What the proxies' tests share."""

    def __init__(self, stage, options):
        self.stage = stage
        self.password = options.password
        self.bases = options.base
        self.imaps, self.lmtp = options.imaps, options.lmtp
        self.is_long = options.idle_minutes is not None
        self.quiet = 60 * options.idle_minutes if self.is_long else QUIET_SECONDS
        self.address = own_address()
        self.front, self.second = free_port(), free_port()
        self.guide, self.ways = free_port(), [free_port(), free_port()]
        # The hosts have the same certificate, which has signed itself; so has the proxy.
        tls = self.bases[0] / "config/tls"
        pair = [(tls / f"default.{name}").read_text() for name in ("pem", "key")]
        stage.write("hosts.pem", pair[0], 0o644)
        stage.write("mail.key", pair[1])
        stage.write("mail.pem", "".join(pair))

    def configuration(self, language):
        """The configuration in that language of the page, as it is for this machine."""
        found = re.search(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
        text = found[1]
        for then, now in [
            ("source 192.0.2.10", f"source {PROXY}"),
            ("proxy_bind 192.0.2.10", f"proxy_bind {PROXY}"),
            ("192.0.2.10:993", f"{self.address}:{self.front}"),
            ("192.0.2.10:1993", f"{self.address}:{self.second}"),
            ("192.0.2.10", self.address),
            ("port = 993", f"port = {self.front}"),
            ("port=993", f"port={self.imaps}"),
            ("192.0.2.11:993", f"{HOSTS[0]}:{self.imaps}"),
            ("192.0.2.12:993", f"{HOSTS[1]}:{self.imaps}"),
            ("192.0.2.11:24", f"{HOSTS[0]}:{self.lmtp}"),
            ("127.0.0.1:10011", f"127.0.0.1:{self.ways[0]}"),
            ("127.0.0.1:10012", f"127.0.0.1:{self.ways[1]}"),
            ("127.0.0.1:9143", f"127.0.0.1:{self.guide}"),
            ("100000", "1000"),
        ]:
            text = text.replace(then, now)
        return re.sub(r"/etc/(haproxy|nginx|dovecot|postfix)/", f"{self.stage.home}/", text)

    def map(self, **users):
        """Writes the map: for each user (without domain) an address, or `moving`."""
        lines = [f"{name}@{DOMAIN} {place}\n" for name, place in users.items()]
        beside = self.stage.write("map.new", "".join(lines))
        return beside.rename(self.stage.home / "map")

    def tool(self, host, *command):
        """Runs an administrator's command of a host; returns what it printed."""
        return self.stage.run([self.bases[host] / "sbin" / command[0], *command[1:]])

    def serve_authhost(self):
        """Starts authhost with the map, and ways to the hosts as in the page."""
        ways = [f"--way={host}=127.0.0.1:{way}" for host, way in zip(HOSTS, self.ways)]
        argv = [self.bases[0] / "sbin/authhost", "--listen", f"127.0.0.1:{self.guide}", *ways]
        process = self.stage.spawn([*argv, "--map", self.stage.home / "map"], "authhost")
        process.wait_for("authhost listening on")

    def client(self, port, user, address=None):
        """A client (imapclient) over TLS that has logged in."""
        from imapclient import IMAPClient

        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = IMAPClient(address or self.address, port=port, ssl_context=context, timeout=20)
        try:
            client.login(user, self.password)
        except Exception:
            with contextlib.suppress(Exception):
                client.shutdown()
            raise
        return client

    def idle_through(self, *ways):
        """Clients (port, user, host) that are led to these hosts, are quiet, and hear of a message;
        after how many seconds each."""
        with contextlib.ExitStack() as all_of_them:
            clients = [all_of_them.enter_context(self.client(port, user)) for port, user, _ in ways]
            for client, (_, user, host) in zip(clients, ways):
                self.logged(host, f'event=login result=ok ip={self.address} .*user="{user}"')
                client.select_folder("INBOX")
                client.idle()
            until = time.monotonic() + self.quiet
            for client in clients:
                self.hears_nothing(client, until)
            took = []
            for user, host in dict.fromkeys(way[1:] for way in ways):
                sent = self.deliver(host, user)
                of_user = [client for client, way in zip(clients, ways) if way[1:] == (user, host)]
                took += [self.hears(client, sent) for client in of_user]
            return took

    def hears_nothing(self, client, until):
        """A client that idles gets nothing but words that it is still there."""
        while (left := until - time.monotonic()) > 0:
            for heard in client.idle_check(timeout=left):
                # By another proxy the same user may be done a little sooner.
                left = until - time.monotonic()
                is_mail = heard[1:] in ((b"EXISTS",), (b"RECENT",))
                is_of_others = self.is_long and is_mail and left < ABOUT_SECONDS
                assert heard[0] == b"OK" or is_of_others, f"heard {heard} {left:.1f} s too early"

    def hears(self, client, sent):
        """It hears of a message that was sent then, and gets it; after how many seconds."""
        heard = client.idle_check(timeout=20)
        took = time.monotonic() - sent
        assert any(what[1:] == (b"EXISTS",) for what in heard), f"heard {heard}"
        client.idle_done()
        found = client.fetch(client.search(), ["ENVELOPE"]).values()
        subjects = [message[b"ENVELOPE"].subject.decode() for message in found]
        assert self.stage.subject in subjects, f"fetched {subjects}"
        return took

    def limited(self, port, user, host):
        """One address may have so many connections, however it comes."""
        if self.is_long:
            return
        line = f"event=refusal result=maxperaddress ip={self.address} "
        with contextlib.ExitStack() as all_of_them:
            for number in range(AT_ONCE + 1):
                try:
                    client = self.client(port, user)
                except Exception as refused:
                    self.stage.transcript.note("refused", repr(refused))
                    assert number == AT_ONCE, f"connection {number} was refused: {refused}"
                    break
                all_of_them.callback(client.shutdown)
            else:
                raise AssertionError(f"{AT_ONCE + 1} connections were let in")
            self.logged(host, line)

    def logged(self, host, pattern):
        """Waits for a line of a host's log."""
        until = time.monotonic() + 10
        log = self.bases[host] / "log/imap"
        while not re.search(pattern, log.read_text()):
            assert time.monotonic() < until, f"no line like {pattern!r} in {log}"
            time.sleep(0.05)

    def deliver(self, host, user):
        """Delivers one message at a host; returns when its 250 had come."""
        with smtplib.LMTP(HOSTS[host], self.lmtp, local_hostname="localhost") as lmtp:
            lmtp.sendmail(f"sender@{DOMAIN}", [user], self.stage.message(self.stage.subject))
        return time.monotonic()

    def opened(self, port, address=None):
        """Waits until somebody listens."""
        until = time.monotonic() + 10
        while True:
            try:
                return socket.create_connection((address or self.address, port), timeout=1).close()
            except OSError:
                assert time.monotonic() < until, f"nobody listens on port {port}"
                time.sleep(0.02)


def own_address():
    """An address of this host that is not loopback: what comes from there is from elsewhere."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Sends nothing: it only looks for the way.
        probe.connect(("198.51.100.1", 9))
        address = probe.getsockname()[0]
    assert not address.startswith("127."), "this host has no address but loopback"
    return address
