"""Python's smtplib.LMTP: refusals, and several messages over one connection."""

import time
from smtplib import LMTP

from harness.stage import DOMAIN

NEEDS = []
MESSAGES = 20


def drive(stage):
    """An unknown user is refused, a known one gets every message once and in order."""
    watcher = stage.watcher()
    watcher.idle()
    subjects = [f"{stage.subject}-{n}" for n in range(MESSAGES)]
    waits = []
    with LMTP(*stage.lmtp, local_hostname="localhost") as lmtp:
        lmtp.ehlo()
        assert lmtp.has_extn("pipelining") and lmtp.has_extn("8bitmime"), "not offered"
        for n, subject in enumerate(subjects):
            refused = lmtp.sendmail(
                f"sender@{DOMAIN}", [stage.address], stage.message(subject).encode()
            )
            accepted = time.monotonic()
            assert not refused, f"refused {refused}"
            waits.append(watcher.hear_exists(n + 1) - accepted)
    watcher.done()
    assert watcher.subjects() == subjects, "the messages are not there once and in order"
    return f"{MESSAGES} messages, the slowest announced {max(waits):.3f} s after its 250"
