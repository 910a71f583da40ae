"""Postfix: an instance of its own, with its own configuration, queue and ports, relays by LMTP."""

import shutil
import time
from smtplib import SMTP

from harness.stage import DOMAIN, free_port

NEEDS = ["postfix"]
BURST = 20

MAIN = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
myhostname = mx.{domain}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
disable_dns_lookups = yes
smtputf8_enable = no
alias_maps =
alias_database =
local_recipient_maps =
{delivery}
smtpd_relay_restrictions = permit_mynetworks, reject
maillog_file_prefixes = {home}
maillog_file = {home}/maillog
"""

DELIVERY = """
virtual_mailbox_domains = {domain}
virtual_transport = lmtp:inet:{host}:{port}
"""

MASTER = """
127.0.0.1:{smtp} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
lmtp unix - - n - - lmtp
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


def drive(stage):
    """One message, then a burst: each is announced, and each is there once."""
    port = launch(stage, DELIVERY.format(domain=DOMAIN, host=stage.lmtp[0], port=stage.lmtp[1]))
    watcher = stage.watcher()
    watcher.idle()
    subjects = [stage.subject] + [f"{stage.subject}-{n}" for n in range(BURST)]
    with SMTP("127.0.0.1", port, local_hostname="localhost", timeout=30) as smtp:
        begun = time.monotonic()
        smtp.sendmail(f"sender@{DOMAIN}", [stage.address], stage.message(subjects[0]))
        heard = watcher.hear_exists(1)
        for subject in subjects[1:]:
            smtp.sendmail(f"sender@{DOMAIN}", [stage.address], stage.message(subject))
    watcher.hear_exists(len(subjects))
    watcher.done()
    assert sorted(watcher.subjects()) == sorted(subjects), "not each message is there once"
    return f"its message was announced {heard - begun:.3f} s after it was sent"


def launch(stage, delivery):
    """Lays out an instance that delivers so, starts it, and returns the port of its SMTP server."""
    conf, port = stage.home / "postfix", free_port()
    for each in (conf, stage.home / "queue", stage.home / "data"):
        each.mkdir(mode=0o755)
    shutil.chown(stage.home / "data", "postfix")
    stage.write("postfix/main.cf", MAIN.format(
        home=stage.home, domain=DOMAIN, delivery=delivery
    ), 0o644)
    stage.write("postfix/master.cf", MASTER.format(smtp=port), 0o644)
    postfix = ["postfix", "-c", str(conf)]
    path = "/usr/sbin:/sbin:/usr/bin:/bin"
    stage.run([*postfix, "start"], PATH=path)
    stage.at_end(stop, stage, [*postfix, "stop"], path)
    return port


def stop(stage, command, path):
    """Stops the instance and keeps what it logged."""
    stage.run(command, PATH=path)
    for line in (stage.home / "maillog").read_text().splitlines():
        stage.transcript.note("maillog", line)
