"""getmail6: idles on INBOX and writes new mail to a Maildir, as nobody (it refuses to be root)."""

import shutil

NEEDS = ["getmail"]

CONFIGURATION = """
[retriever]
type = SimpleIMAPRetriever
server = {host}
port = {port}
username = {user}
password = {password}
mailboxes = ("INBOX",)

[destination]
type = Maildir
path = {maildir}/
user = nobody

[options]
verbose = 2
read_all = false
"""


def drive(stage):
    """One message while it idles; it must stand whole in the Maildir."""
    tap = stage.tap()
    maildir = stage.home / "Maildir"
    for each in ("", "cur", "new", "tmp"):
        (maildir / each).mkdir()
        shutil.chown(maildir / each, "nobody", "nogroup")
    stage.write("getmail/getmailrc", CONFIGURATION.format(
        host=tap.host, port=tap.port, user=stage.user, password=stage.password, maildir=maildir
    ))
    client = stage.spawn(
        ["getmail", "--getmaildir", stage.home / "getmail", "--idle", "INBOX"]
    )
    tap.wait_idle()
    sent = stage.deliver()
    done = client.wait_for(r"delivered")
    [message] = (maildir / "new").iterdir()
    text = message.read_text()
    assert f"Subject: {stage.subject}" in text, "the Maildir has no such subject"
    assert f"This is {stage.subject}." in text, "the Maildir has no such body"
    return f"wrote it to its Maildir after {done.at - sent:.3f} s"
