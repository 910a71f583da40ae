"""Moving a user from one host to the other, by the steps of the page."""

import time
from imaplib import IMAP4
from smtplib import SMTP, SMTPRecipientsRefused

from proxies.postfix import reload, send, start, table
from proxies.site import DOMAIN, FRED, HOSTS, MARY


def lead(site):
    """Messages come before, while and after the user moves: all are there, with their UIDs."""
    table(site, fred=HOSTS[0], mary=HOSTS[1])
    port = start(site)
    with site.client(site.imaps, FRED, HOSTS[0]) as before:
        known = settled(before, 0)
        for _ in range(2):
            known = send_and_wait(site, port, before, known)

        with begun(site, port) as smtp:
            table(site, fred="moving", mary=HOSTS[1])
            reload(site)
            # One that Postfix has taken already waits; others are refused for now.
            code, text = smtp.data(site.stage.message(site.stage.subject).encode())
            assert code == 250, f"DATA was answered {code} {text}"
        try:
            send(site, port, FRED)
        except SMTPRecipientsRefused as later:
            assert later.recipients[FRED][0] == 450, f"refused with {later}"
        else:
            raise AssertionError("a message was taken while its user moves")
        until = time.monotonic() + 10
        while "status=deferred (This mailbox is being moved" not in maillog(site):
            assert time.monotonic() < until, "the message is not put off"
            time.sleep(0.05)
        assert settled(before, 0) == known, "it was delivered to the old host"

        site.tool(0, "msguser", "lock", FRED)
        with_bye(before)
    backup, line = site.stage.home / "fred", site.stage.home / "fred.line"
    site.tool(0, "imsbackup", "-u", FRED, backup)
    users = (site.bases[0] / "config/users").read_text().splitlines()
    line.write_text("".join(f"{user}\n" for user in users if user.startswith(f"{FRED}:")))
    site.tool(1, "msguser", "import", line)
    site.tool(1, "msguser", "unlock", FRED)
    site.tool(1, "imsrestore", "-u", FRED, backup)

    table(site, fred=HOSTS[1], mary=HOSTS[1])
    reload(site)
    site.stage.run(["/usr/sbin/postqueue", "-c", site.stage.home / "postfix", "-f"])
    with site.client(site.imaps, FRED, HOSTS[1]) as after:
        now = settled(after, 1 + len(known[1]))
        assert now[0] == known[0], f"UIDVALIDITY was {known[0]} and is {now[0]}"
        assert now[1][: len(known[1])] == known[1], f"UIDs were {known[1]} and are {now[1]}"
        now = send_and_wait(site, port, after, now)
    assert MARY in site.tool(1, "msguser", "list")
    site.tool(0, "msguser", "delete", FRED)
    return f"{len(now[1])} messages are there, with their UIDs"


def begun(site, port):
    """A message for fred whose recipient was accepted."""
    smtp = SMTP("127.0.0.1", port, local_hostname="localhost", timeout=30)
    smtp.ehlo()
    smtp.mail(f"sender@{DOMAIN}")
    code, text = smtp.rcpt(FRED)
    assert code == 250, f"RCPT was answered {code} {text}"
    return smtp


def maillog(site):
    """What Postfix has logged so far."""
    return (site.stage.home / "maillog").read_text()


def settled(client, count):
    """UIDVALIDITY and UIDs of INBOX, once it has so many messages."""
    until = time.monotonic() + 20
    while (found := client.select_folder("INBOX"))[b"EXISTS"] < count:
        assert time.monotonic() < until, f"{found[b'EXISTS']} messages instead of {count}"
        time.sleep(0.05)
    return found[b"UIDVALIDITY"], client.search("ALL")


def send_and_wait(site, port, client, known):
    """One more message comes through Postfix."""
    send(site, port, FRED)
    now = settled(client, 1 + len(known[1]))
    assert now[0] == known[0] and now[1][:-1] == known[1], f"{known} became {now}"
    return now


def with_bye(client):
    """The session ends within seconds."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            client.noop()
        except (IMAP4.abort, OSError):
            return
        time.sleep(0.1)
    raise AssertionError("the session goes on")
