"""aioimaplib (PyPI): asyncio, idle_start and wait_server_push."""

import asyncio
import time

NEEDS = []


def drive(stage):
    """One message while it idles, then its header."""
    return asyncio.run(session(stage))


async def session(stage):
    """The client's whole session."""
    import aioimaplib

    tap = stage.tap()
    client = aioimaplib.IMAP4(tap.host, tap.port, timeout=30)
    await client.wait_hello_from_server()
    await expect(client.login(stage.user, stage.password))
    await expect(client.select("INBOX"))
    idle = await client.idle_start(timeout=60)
    sent = await asyncio.to_thread(stage.deliver)
    while b"1 EXISTS" not in (heard := await client.wait_server_push(timeout=30)):
        stage.transcript.note("out", repr(heard))
    seen = time.monotonic()
    client.idle_done()
    await asyncio.wait_for(idle, 30)
    lines = await expect(client.fetch("1", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
    assert any(stage.subject.encode() in line for line in lines), f"fetched {lines}"
    await expect(client.logout())
    return f"heard EXISTS after {seen - sent:.3f} s"


async def expect(command):
    """Waits for a command and fails unless it was answered OK."""
    result, lines = await command
    assert result == "OK", f"answered {result} {lines}"
    return lines
