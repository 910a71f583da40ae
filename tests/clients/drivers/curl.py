"""curl: reads mail by URL, searches, and appends."""

import time

NEEDS = ["curl"]


def drive(stage):
    """A delivered message is read back byte by byte; one that curl appends is found."""
    who = f"{stage.user}:{stage.password}"
    inbox = "imap://%s:%d/INBOX" % stage.imap
    curl = ["curl", "--silent", "--show-error", "--max-time", "30", "--user", who]
    sent = stage.deliver()
    read = stage.run([*curl, f"{inbox};UID=1"])
    seen = time.monotonic()
    assert f"Subject: {stage.subject}" in read, "the message has no such subject"
    assert f"This is {stage.subject}." in read, "the message has no such body"

    own = f"{stage.subject}-own"
    message = stage.write("message", stage.message(own))
    stage.run([*curl, "--upload-file", str(message), inbox])
    found = stage.run([*curl, "--request", f"UID SEARCH SUBJECT {own}", inbox])
    assert found.split()[:2] == ["*", "SEARCH"] and len(found.split()) == 3, f"found {found}"
    appended = stage.run([*curl, f"{inbox};UID={found.split()[2]}"])
    assert appended.splitlines() == message.read_text().splitlines(), "not what was appended"
    listed = stage.run([*curl, "imap://%s:%d/" % stage.imap])
    assert "INBOX" in listed, f"listed {listed}"
    if stage.imaps:
        over_tls(stage, [*curl, "--insecure"])
    return f"printed the message after {seen - sent:.3f} s"


def over_tls(stage, curl):
    """The same message over TLS of both versions, and after STARTTLS."""
    ways = ["imaps://%s:%d/INBOX;UID=1" % stage.imaps, "imap://%s:%d/INBOX;UID=1" % stage.imap]
    for way in ways:
        for version in ("1.2", "1.3"):
            tls = ["--ssl-reqd", f"--tlsv{version}", "--tls-max", version]
            read = stage.run([*curl, *tls, way])
            assert f"This is {stage.subject}." in read, f"not read by {way}, TLS {version}"
