"""fetchmail: idles and hands new mail to a delivery agent."""

NEEDS = ["fetchmail"]

CONFIGURATION = """
poll {host} service {port} protocol IMAP auth password
  user "{user}" password "{password}" sslproto "" folder INBOX idle keep no rewrite
  mda "/bin/cat >> {inbox}"
"""


def drive(stage):
    """One message while it idles; it must stand whole in the agent's file."""
    tap = stage.tap()
    inbox = stage.home / "inbox"
    rc = stage.write("fetchmailrc", CONFIGURATION.format(
        host=tap.host, port=tap.port, user=stage.user, password=stage.password, inbox=inbox
    ))
    client = stage.spawn(
        ["fetchmail", "--nodetach", "-v", "-v", "-f", rc, "--pidfile", stage.home / "pid"]
    )
    tap.wait_idle()
    sent = stage.deliver()
    done = client.wait_for(r"not flushed")
    text = inbox.read_text()
    assert f"Subject: {stage.subject}" in text, "the agent's file has no such subject"
    assert f"This is {stage.subject}." in text, "the agent's file has no such body"
    return f"handed it to its agent after {done.at - sent:.3f} s"
