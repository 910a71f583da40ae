"""msmtp --protocol=lmtp: delivers what it reads from a pipe."""

import subprocess
import time

from harness.stage import DOMAIN

NEEDS = ["msmtp"]


def drive(stage):
    """One message, from standard input, while a session idles."""
    watcher = stage.watcher()
    watcher.idle()
    begun = time.monotonic()
    subprocess.run(
        ["msmtp", "--file=/dev/null", "--protocol=lmtp", f"--host={stage.lmtp[0]}",
         f"--port={stage.lmtp[1]}", "--auth=off", "--tls=off", "--domain=localhost",
         f"--from=sender@{DOMAIN}", stage.address],
        input=stage.message(stage.subject).replace("\r\n", "\n"), text=True, check=True,
        env=stage.environment(), timeout=30,
    )
    heard = watcher.hear_exists(1)
    watcher.done()
    assert watcher.subjects() == [stage.subject], "the message is not there once"
    return f"its message was announced {heard - begun:.3f} s after its start"
