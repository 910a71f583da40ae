"""mbsync (isync): no IDLE; a two-way sync of INBOX and a folder it makes."""

import time

NEEDS = ["mbsync"]

CONFIGURATION = """
IMAPStore far
Host {host}
Port {port}
User {user}
Pass {password}
SSLType None
AuthMechs LOGIN

MaildirStore near
Path {home}/mail/
Inbox {home}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Sync All
SyncState *
"""


def drive(stage):
    """Pull; push back a flag, a message and a folder; then a removal each way."""
    (stage.home / "mail").mkdir()
    rc = stage.write("mbsyncrc", CONFIGURATION.format(
        host=stage.imap[0], port=stage.imap[1], user=stage.user, password=stage.password,
        home=stage.home,
    ))
    sync = ["mbsync", "-c", str(rc), "-V", "all"]
    sent = stage.deliver()
    stage.run(sync)
    done = time.monotonic()
    pulled, = inbox(stage, "new")
    assert f"This is {stage.subject}." in pulled.read_text(), "the pulled message is not whole"

    flag(pulled, "FS")
    own = f"{stage.subject}-own"
    stage.write(f"mail/INBOX/cur/1.own.{stage.user}:2,S", plain(stage, own))
    for each in ("cur", "new", "tmp"):
        (stage.home / "mail/Drafts" / each).mkdir(parents=True)
    stage.write(f"mail/Drafts/cur/2.own.{stage.user}:2,DS", plain(stage, f"{own}-draft"))
    stage.run(sync)

    watcher = stage.watcher()
    assert sorted(watcher.subjects()) == sorted([stage.subject, own]), "the push is not there"
    first, = watcher.command(f"UID SEARCH FLAGGED SEEN SUBJECT {stage.subject} NOT SUBJECT own")
    assert len(first.split()) == 3, f"the flags were not pushed: {first}"
    watcher.command("SELECT Drafts")
    assert watcher.subjects() == [f"{own}-draft"], "the new folder was not pushed"
    watcher.command("SELECT INBOX")
    watcher.command(f"UID STORE {first.split()[2]} +FLAGS.SILENT (\\Deleted)")
    watcher.command("EXPUNGE")
    stage.run(sync)
    assert len(inbox(stage, "cur")) == 1, "the removal was not pulled"
    flag(inbox(stage, "cur")[0], "ST")
    stage.run(sync)
    watcher.command("NOOP")
    assert watcher.command("UID SEARCH ALL")[-1].split() == ["*", "SEARCH"], "still there"
    return f"synced both ways, the pull done {done - sent:.3f} s after the delivery"


def inbox(stage, part):
    """The messages in a part of the local INBOX."""
    return sorted((stage.home / "mail/INBOX" / part).iterdir())


def flag(message, flags):
    """Gives a Maildir message its flags."""
    base = message.name.partition(":")[0]
    message.rename(message.parent.parent / "cur" / f"{base}:2,{flags}")


def plain(stage, subject):
    """A message as a Maildir keeps it, with bare line feeds."""
    return stage.message(subject).replace("\r\n", "\n")
