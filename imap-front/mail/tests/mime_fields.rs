//! Envelopes and the fields of parts (RFC 3501 §7.4.2).

use mail::mime::{Address, Structure, header};

fn envelope_to(value: &str) -> Vec<String> {
    let message = format!("To: {value}\r\n\r\n");
    let structure = Structure::parse(message.as_bytes());
    structure.envelope.to.iter().map(shown).collect()
}

/// `name|route|mailbox|host`, `-` for NIL.
fn shown(address: &Address) -> String {
    let field = |field: &Option<Vec<u8>>| match field {
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        None => "-".to_owned(),
    };
    let Address {
        name,
        route,
        mailbox,
        host,
    } = address;
    [name, route, mailbox, host].map(field).join("|")
}

#[test]
fn addresses() {
    let check = |value: &str, expected: &[&str]| {
        assert_eq!(envelope_to(value), expected, "{value}");
    };
    check("a@b", &["-|-|a|b"]);
    check(
        "Terry Gray <gray@cac.washington.edu>",
        &["Terry Gray|-|gray|cac.washington.edu"],
    );
    check(
        "\"Joe Q. Public\" <john.q.public@example.com>",
        &["Joe Q. Public|-|john.q.public|example.com"],
    );
    check(
        "\"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
        &["Giant; \"Big\" Box|-|sysservices|example.net"],
    );
    check(
        "gray@cac.washington.edu (Terry (T) Gray)",
        &["Terry (T) Gray|-|gray|cac.washington.edu"],
    );
    check(
        "<@a.test,@b.test:joe@c.test>, x@y",
        &["-|@a.test,@b.test|joe|c.test", "-|-|x|y"],
    );
    check("joe@[127.0.0.1]", &["-|-|joe|[127.0.0.1]"]);
    // Groups of RFC 5322 §A.1.3.
    check(
        "A Group:Ed Jones <joe@where.test>,john@where.test;",
        &[
            "-|-|A Group|-",
            "Ed Jones|-|joe|where.test",
            "-|-|john|where.test",
            "-|-|-|-",
        ],
    );
    check(
        "Undisclosed recipients:;, a@b",
        &["-|-|Undisclosed recipients|-", "-|-|-|-", "-|-|a|b"],
    );
    check("Open: a@b", &["-|-|Open|-", "-|-|a|b", "-|-|-|-"]);
    // Encoded words stay as they are.
    check("=?utf-8?q?J=C3=BC?= <j@k>", &["=?utf-8?q?J=C3=BC?=|-|j|k"]);
    check("", &[]);
    check(",,", &[]);
}

#[test]
fn sender_and_reply_to_default_to_from() {
    let check = |header: &str, sender: &str, reply_to: &str| {
        let envelope = Structure::parse(header.as_bytes()).envelope;
        assert_eq!(shown(&envelope.sender[0]), sender, "{header}");
        assert_eq!(shown(&envelope.reply_to[0]), reply_to, "{header}");
    };
    check("From: a@b\r\n\r\n", "-|-|a|b", "-|-|a|b");
    check(
        "from: a@b\r\nSENDER: c@d\r\nReply-To:\r\n\r\n",
        "-|-|c|d",
        "-|-|a|b",
    );
}

#[test]
fn fields_are_unfolded_and_missing_ones_are_not_empty_ones() {
    let header = "Subject:  =?utf-8?q?a?=\r\n\t=?utf-8?q?b?= \r\nIn-Reply-To:\r\n\
        Message-ID: <1@x>\r\n\r\n";
    let envelope = Structure::parse(header.as_bytes()).envelope;
    assert_eq!(
        envelope.subject.as_deref(),
        Some(&b"=?utf-8?q?a?=\t=?utf-8?q?b?="[..])
    );
    assert_eq!(envelope.in_reply_to.as_deref(), Some(&b""[..]));
    assert_eq!(envelope.message_id.as_deref(), Some(&b"<1@x>"[..]));
    assert_eq!(envelope.date, None);
}

#[test]
fn content_fields() {
    let message = "Content-Type: Text/HTML (a (nested) comment); charset=\"utf-8\" ; x=y; z\r\n\
        Content-Disposition: attachment;\r\n filename=\"a;\\\"b\\\".txt\"\r\n\
        Content-Transfer-Encoding: Quoted-Printable\r\n\
        Content-Language: de , en\r\nContent-ID: <i@d>\r\nContent-Description: what\r\n\
        Content-MD5: Q2hlY2s=\r\nContent-Location: http://x.test/\r\n\r\none\ntwo";
    let part = Structure::parse(message.as_bytes()).root;
    let pair = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    assert_eq!(
        (&part.media_type[..], &part.subtype[..]),
        (&b"Text"[..], &b"HTML"[..])
    );
    assert_eq!(part.parameters, [pair("charset", "utf-8"), pair("x", "y")]);
    let disposition = (
        b"attachment".to_vec(),
        vec![pair("filename", "a;\"b\".txt")],
    );
    assert_eq!(part.disposition, Some(disposition));
    assert_eq!(part.encoding, b"Quoted-Printable");
    assert_eq!(part.language, [b"de", b"en"]);
    assert_eq!(part.id.as_deref(), Some(&b"<i@d>"[..]));
    assert_eq!(part.description.as_deref(), Some(&b"what"[..]));
    assert_eq!(part.md5.as_deref(), Some(&b"Q2hlY2s="[..]));
    assert_eq!(part.location.as_deref(), Some(&b"http://x.test/"[..]));
    assert_eq!((part.lines, part.body.end - part.body.start), (2, 7));
}

#[test]
fn types_that_are_not_understood_are_plain_text() {
    for value in ["", "text", "/", ";", "garbage in; x=y", "/plain", "text/"] {
        let message = format!("Content-Type: {value}\r\n\r\nx");
        let part = Structure::parse(message.as_bytes()).root;
        assert_eq!(
            (&part.media_type[..], &part.subtype[..]),
            (&b"TEXT"[..], &b"PLAIN"[..])
        );
    }
}

#[test]
fn header_fields_are_picked_whole() {
    let header = b"Received: a\r\n\tb\r\nX-A: 1\r\nreceived: c\r\nnot a field\r\nX-B : 2\r\n\r\n";
    let picked = header::filter(header, &["RECEIVED", "x-b"], true);
    assert_eq!(
        picked,
        b"Received: a\r\n\tb\r\nreceived: c\r\nX-B : 2\r\n\r\n"
    );
    assert_eq!(
        header::filter(header, &["Received", "X-B"], false),
        b"X-A: 1\r\n\r\n"
    );
    // A message that ends within its header.
    assert_eq!(
        header::filter(b"A: 1\r\nB: 2", &["b"], true),
        b"B: 2\r\n\r\n"
    );
    let names: &[&str] = &[];
    assert_eq!(header::filter(header, names, true), b"\r\n");
}

#[test]
fn a_header_ends_at_its_first_blank_line() {
    assert_eq!(header::length(b"A: 1\r\n\r\nbody\r\n\r\n"), 8);
    assert_eq!(header::length(b"A: 1\n\nbody"), 6);
    assert_eq!(header::length(b"\r\nbody"), 2);
    assert_eq!(header::length(b"A: 1"), 4);
    assert_eq!(header::length(b""), 0);
}
