"""imapflow (npm): a Node program beside this file opens INBOX, idles, fetches on 'exists'; all of
it compressed (RFC 4978)."""

from pathlib import Path

NEEDS = ["node"]


def drive(stage):
    """One message while it idles; the program prints the envelope's subject."""
    import os

    tap = stage.tap()
    program = Path(__file__).with_name("imapflow.cjs")
    client = stage.spawn(
        ["node", program], CLIENT_HOST=tap.host, CLIENT_PORT=tap.port, CLIENT_USER=stage.user,
        CLIENT_PASSWORD=stage.password, NODE_PATH=os.environ.get("NODE_PATH", ""),
    )
    _, behind = tap.wait_client(r"^\S+ COMPRESS DEFLATE$")
    _, behind = tap.wait_server(r"^\S+ OK ", behind)
    tap.wait_idle(behind)
    sent = stage.deliver()
    seen = client.wait_for(f"^fetched {stage.subject}$")
    client.wait_for("^logged out$")
    assert client.wait() == 0, "the program failed"
    return f"printed the subject after {seen.at - sent:.3f} s"
