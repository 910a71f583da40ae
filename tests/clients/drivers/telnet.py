"""telnet: the administration guide's own check, typed by hand."""

NEEDS = ["telnet"]


def drive(stage):
    """The greeting names IDLE; a typed session idles and sees EXISTS on its screen."""
    tap = stage.tap()
    client = stage.spawn(["telnet", tap.host, str(tap.port)])
    client.wait_for(r"^\* OK \[CAPABILITY IMAP4 IMAP4rev1 .*\bIDLE\b")
    client.type(f"a login {stage.user} {stage.password}\n")
    client.wait_for("^a OK")
    client.type("b select inbox\n")
    client.wait_for("^b OK")
    client.type("c idle\n")
    client.wait_for(r"^\+ ")
    sent = stage.deliver()
    seen = client.wait_for(r"^\* 1 EXISTS")
    client.type("done\n")
    client.wait_for("^c OK")
    client.type("d logout\n")
    client.wait_for(r"^\* BYE")
    client.wait_for("^d OK")
    return f"showed EXISTS after {seen.at - sent:.3f} s"
