use super::*;

const NESTED: &str = "From: \"A. B\" <a@example.org>, c@d.example (Cee)\r\n\
    To: Friends: x@y, z@w;\r\n\
    Subject: a\r\n folded\r\n\
    Content-Type: multipart/mixed; boundary=\"out\"; x=(c) y\r\n\
    \r\n\
    preamble\r\n\
    --out\r\n\
    \r\n\
    one\r\n\
    --out\r\n\
    Content-Type: message/rfc822\r\n\
    \r\n\
    Subject: inner\r\n\
    Content-Type: multipart/alternative; boundary=in\r\n\
    \r\n\
    --in\r\n\
    Content-Type: text/html\r\n\
    \r\n\
    <p>\r\n\
    --in--\r\n\
    --out--\r\n";

fn text(structure: &Structure, message: &str, path: &[u32], what: What) -> Option<String> {
    let range = structure.resolve(path, what)?;
    Some(message[range.start as usize..range.end as usize].to_owned())
}

#[test]
fn sections_of_a_nested_message() {
    let structure = Structure::parse(NESTED.as_bytes());
    let check = |path: &[u32], what, expected: Option<&str>| {
        assert_eq!(
            text(&structure, NESTED, path, what).as_deref(),
            expected,
            "{path:?} {what:?}"
        );
    };
    check(&[], What::Whole, Some(NESTED));
    check(&[1], What::Whole, Some("one"));
    check(&[1], What::Mime, Some("\r\n"));
    check(
        &[2],
        What::Mime,
        Some("Content-Type: message/rfc822\r\n\r\n"),
    );
    check(
        &[2],
        What::Header,
        Some("Subject: inner\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n"),
    );
    check(&[2, 1], What::Whole, Some("<p>"));
    check(&[2, 1], What::Mime, Some("Content-Type: text/html\r\n\r\n"));
    check(&[3], What::Whole, None);
    check(&[1, 1], What::Whole, None);
    check(&[1], What::Header, None);
    check(&[0], What::Whole, None);
}

#[test]
fn a_plain_message_is_its_own_part_1() {
    let message = "Subject: x\r\n\r\nline\r\nline\r\n";
    let structure = Structure::parse(message.as_bytes());
    assert_eq!(
        text(&structure, message, &[1], What::Whole).as_deref(),
        Some("line\r\nline\r\n")
    );
    assert_eq!(structure.root.lines, 2);
    assert_eq!(
        structure.root.parameters,
        [(b"CHARSET".to_vec(), b"US-ASCII".to_vec())]
    );
}

#[test]
fn envelopes() {
    let envelope = Structure::parse(NESTED.as_bytes()).envelope;
    assert_eq!(envelope.subject.as_deref(), Some(&b"a folded"[..]));
    let address = |name: Option<&str>, mailbox: &str, host: &str| Address {
        name: name.map(|name| name.as_bytes().to_vec()),
        route: None,
        mailbox: Some(mailbox.as_bytes().to_vec()),
        host: Some(host.as_bytes().to_vec()),
    };
    let from = [
        address(Some("A. B"), "a", "example.org"),
        address(Some("Cee"), "c", "d.example"),
    ];
    assert_eq!(envelope.from, from);
    assert_eq!(envelope.sender, envelope.from);
    let group = Address {
        mailbox: Some(b"Friends".to_vec()),
        ..Address::default()
    };
    let to = [
        group,
        address(None, "x", "y"),
        address(None, "z", "w"),
        Address::default(),
    ];
    assert_eq!(envelope.to, to);
}

#[test]
fn header_fields_are_filtered() {
    let header = b"A: 1\r\nB: 2\r\n folded\r\nC: 3\r\n\r\n";
    assert_eq!(
        header::filter(header, &["b", "C"], true),
        b"B: 2\r\n folded\r\nC: 3\r\n\r\n"
    );
    assert_eq!(header::filter(header, &["b", "C"], false), b"A: 1\r\n\r\n");
    assert_eq!(header::filter(header, &["X"], true), b"\r\n");
}

#[test]
fn malformed_messages_are_plain_text() {
    for message in [
        "",
        "\r\n",
        "no colon",
        "Content-Type: multipart/mixed\r\n\r\nx",
        ":\r\n:",
    ] {
        let structure = Structure::parse(message.as_bytes());
        assert_eq!(structure.root.media_type, b"TEXT", "{message:?}");
        assert_eq!(structure.body.end, message.len() as u64);
    }
}
