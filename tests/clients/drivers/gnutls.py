"""gnutls-cli: both versions, each suite, keys renewed, a session resumed, STARTTLS, ALPN."""

NEEDS = ["gnutls-cli"]
NEEDS_TLS = True
TLS13 = ["AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305"]
TLS12 = ["ECDHE-ECDSA:+AES-128-GCM", "ECDHE-ECDSA:+AES-256-GCM", "ECDHE-ECDSA:+CHACHA20-POLY1305"]


def gnutls(stage, address, *options):
    """A client that does what is typed at it."""
    host, port = address
    return stage.spawn(
        ["gnutls-cli", "--insecure", "--inline-commands", "--port", str(port), *options,
         host], name="-".join(options))


def log_out(client, tag="z"):
    """The session is served to its end."""
    client.type(f"{tag} logout\n")
    client.wait_for(r"^\* BYE")
    client.wait_for(f"^{tag} OK")
    assert client.wait() == 0, "gnutls-cli is not content with the end"


def drive(stage):
    """What GnuTLS can say over TLS is answered as it wants it."""
    version = "NONE:+VERS-TLS1.%d:+COMP-NULL:+SIGN-ALL:+GROUP-ALL:+CTYPE-ALL:+AEAD"
    for suite in TLS13:
        client = gnutls(stage, stage.imaps, "--priority", f"{version % 3}:+{suite}")
        client.wait_for(r"^\* OK \[CAPABILITY ")
        client.type("a noop\n")
        client.wait_for("^a OK")
        for tag, rekey in (("b", "^rekey^"), ("c", "^rekey1^")):
            client.type(f"{rekey}\n")
            client.wait_for("Rekey was completed")
            client.type(f"{tag} noop\n")
            client.wait_for(f"^{tag} OK")
        log_out(client)
    for suite in TLS12:
        client = gnutls(stage, stage.imaps, "--priority", f"{version % 2}:+{suite}")
        client.wait_for(r"^\* OK \[CAPABILITY ")
        log_out(client)
    for number in (2, 3):
        client = gnutls(stage, stage.imaps, "--resume", "--priority",
                        f"NORMAL:-VERS-ALL:+VERS-TLS1.{number}")
        client.wait_for("This is a resumed session")
        log_out(client)
    client = gnutls(stage, stage.imap, "--starttls-proto=imap")
    client.wait_for("Handshake was completed")
    client.type("a capability\n")
    line = client.wait_for(r"^\* CAPABILITY").text
    assert "STARTTLS" not in line and "AUTH=PLAIN" in line, line
    log_out(client)
    client = gnutls(stage, stage.imaps, "--alpn=imap")
    client.wait_for("Application protocol: imap")
    log_out(client)
    client = gnutls(stage, stage.imaps, "--alpn=http/1.1")
    client.wait_for("No supported application protocol")
    return "took every suite, renewed keys, resumed, and began by STARTTLS"
