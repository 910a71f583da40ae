"""swaks: delivers over LMTP while a session idles."""

import time

from harness.stage import DOMAIN

NEEDS = ["swaks"]


def drive(stage):
    """One message to the user, and one to a user that does not exist."""
    watcher = stage.watcher()
    watcher.idle()
    begun = time.monotonic()
    swaks = [
        "swaks", "--protocol", "LMTP", "--server", "%s:%d" % stage.lmtp,
        "--helo", "localhost", "--from", f"sender@{DOMAIN}", "--to", stage.address,
        "--header", f"Subject: {stage.subject}", "--body", f"This is {stage.subject}.",
    ]
    said = stage.run(swaks)
    heard = watcher.hear_exists(1)
    assert "<-  250" in said, "swaks saw no 250"
    watcher.done()
    assert watcher.subjects() == [stage.subject], "the message is not there once"
    return f"its message was announced {heard - begun:.3f} s after its start"
