"""Postfix: a table that authhost writes says where users are."""

from smtplib import SMTP

from drivers.postfix import launch
from proxies.site import DOMAIN, FRED, HOSTS, MARY


def lead(site):
    """A message for each user, to the host where the user idles."""
    table(site, fred=HOSTS[0], mary=HOSTS[1])
    port = start(site)
    for host, user in enumerate((FRED, MARY)):
        with site.client(site.imaps, user, HOSTS[host]) as client:
            before = client.select_folder("INBOX")[b"EXISTS"]
            client.idle()
            send(site, port, user)
            heard = client.idle_check(timeout=20)
            assert (before + 1, b"EXISTS") in heard, f"heard {heard}"
            client.idle_done()
    return "a message for each user came to its host"


def table(site, **users):
    """Writes map and table, and has Postfix take the table."""
    text = site.tool(0, "authhost", "--map", site.map(**users), "--postfix", DOMAIN,
                     "--lmtp-port", str(site.lmtp))
    site.stage.write("hosts", text, 0o644)
    conf = site.stage.write("empty/main.cf", "compatibility_level = 3.6\n", 0o644)
    site.stage.run(["/usr/sbin/postmap", "-c", conf.parent, f"hash:{site.stage.home}/hosts"])


def start(site):
    """Starts an instance; returns the port of its SMTP server."""
    return launch(site.stage, site.configuration("postfix"))


def reload(site):
    """Has a running instance look at its tables again."""
    site.stage.run(["/usr/sbin/postfix", "-c", site.stage.home / "postfix", "reload"])


def send(site, port, user):
    """Gives it one message."""
    with SMTP("127.0.0.1", port, local_hostname="localhost", timeout=30) as smtp:
        smtp.sendmail(f"sender@{DOMAIN}", [user], site.stage.message(site.stage.subject))
