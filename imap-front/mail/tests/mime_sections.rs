//! Part numbers and ranges: the example of RFC 3501 §6.4.5 and the corners of RFC 2046.

use mail::mime::{Content, Structure, What};

fn lines(text: &[&str]) -> String {
    text.iter().map(|line| format!("{line}\r\n")).collect()
}

fn section<'a>(message: &'a str, path: &[u32], what: What) -> Option<&'a str> {
    let range = Structure::parse(message.as_bytes()).resolve(path, what)?;
    Some(&message[range.start as usize..range.end as usize])
}

/// The message that RFC 3501 §6.4.5 numbers: text, data, a message with two parts, and a multipart
/// with an image and a message with a nested alternative.
fn numbered() -> String {
    lines(&[
        "Content-Type: MULTIPART/MIXED; boundary=a",
        "",
        "--a",
        "Content-Type: TEXT/PLAIN",
        "",
        "1",
        "--a",
        "Content-Type: APPLICATION/OCTET-STREAM",
        "",
        "2",
        "--a",
        "Content-Type: MESSAGE/RFC822",
        "",
        "Subject: 3",
        "Content-Type: MULTIPART/MIXED; boundary=c",
        "",
        "--c",
        "",
        "3.1",
        "--c",
        "Content-Type: APPLICATION/OCTET-STREAM",
        "",
        "3.2",
        "--c--",
        "--a",
        "Content-Type: MULTIPART/MIXED; boundary=d",
        "",
        "--d",
        "Content-Type: IMAGE/GIF",
        "",
        "4.1",
        "--d",
        "Content-Type: MESSAGE/RFC822",
        "",
        "Subject: 4.2",
        "Content-Type: MULTIPART/MIXED; boundary=e",
        "",
        "--e",
        "Content-Type: TEXT/PLAIN",
        "",
        "4.2.1",
        "--e",
        "Content-Type: MULTIPART/ALTERNATIVE; boundary=f",
        "",
        "--f",
        "Content-Type: TEXT/PLAIN",
        "",
        "4.2.2.1",
        "--f",
        "Content-Type: TEXT/RICHTEXT",
        "",
        "4.2.2.2",
        "--f--",
        "--e--",
        "--d--",
        "--a--",
    ])
}

#[test]
fn the_numbering_of_the_rfc() {
    let message = numbered();
    for path in ["1", "2", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2"] {
        let numbers: Vec<u32> = path
            .split('.')
            .map(|n| n.parse().expect("a number"))
            .collect();
        assert_eq!(section(&message, &numbers, What::Whole), Some(path));
        assert_eq!(
            section(&message, &numbers, What::Text),
            None,
            "{path} is no message"
        );
        let mime = section(&message, &numbers, What::Mime).expect("a part has a MIME header");
        assert!(mime.ends_with("\r\n"), "{path}: {mime:?}");
    }
    for (path, subject) in [(&[3][..], "Subject: 3\r\n"), (&[4, 2], "Subject: 4.2\r\n")] {
        let header = section(&message, path, What::Header).expect("a message has a header");
        assert!(header.starts_with(subject) && header.ends_with("\r\n\r\n"));
        let text = section(&message, path, What::Text).expect("a message has a text");
        let whole = section(&message, path, What::Whole).expect("a part has a content");
        assert_eq!(whole, format!("{header}{text}"));
    }
    for path in [
        &[0][..],
        &[5],
        &[1, 1],
        &[1, 2],
        &[3, 3],
        &[4, 3],
        &[4, 2, 2, 3],
    ] {
        assert_eq!(section(&message, path, What::Whole), None, "{path:?}");
    }
    assert_eq!(section(&message, &[4], What::Header), None);
    assert_eq!(section(&message, &[], What::Mime), None);
}

#[test]
fn a_nested_plain_message_is_its_own_part_1() {
    let message = "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n";
    assert_eq!(
        section(message, &[1], What::Whole),
        Some("Subject: in\r\n\r\nbody\r\n")
    );
    assert_eq!(section(message, &[1], What::Text), Some("body\r\n"));
    assert_eq!(section(message, &[1, 1], What::Whole), Some("body\r\n"));
    assert_eq!(
        section(message, &[1, 1], What::Mime),
        Some("Subject: in\r\n\r\n")
    );
    assert_eq!(section(message, &[1, 1, 1], What::Whole), None);
}

/// RFC 6532 §3.7, RFC 9051 §7.5.2.
#[test]
fn a_global_message_is_looked_into_unless_it_is_encoded() {
    let encodings = [
        ("8bit", true),
        ("7BIT", true),
        ("binary", true),
        ("Base64", false),
        ("quoted-printable", false),
    ];
    for (encoding, is_message) in encodings {
        let message = format!(
            "Content-Type: Message/Global\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n\
             Subject: in\r\n\r\nbody\r\n"
        );
        let text = section(&message, &[1], What::Text);
        assert_eq!(text, is_message.then_some("body\r\n"), "{encoding}");
        let whole = section(&message, &[1], What::Whole);
        assert_eq!(whole, Some("Subject: in\r\n\r\nbody\r\n"));
    }
}

#[test]
fn boundaries() {
    let parts = |message: &str| -> Vec<String> {
        let structure = Structure::parse(message.as_bytes());
        let Content::Multipart(parts) = structure.root.content else {
            return Vec::new();
        };
        let text = |range: std::ops::Range<u64>| &message[range.start as usize..range.end as usize];
        parts
            .iter()
            .map(|part| text(part.body.clone()).to_owned())
            .collect()
    };
    let head = "Content-Type: multipart/mixed; boundary=\"b b\"\n\n";
    let check = |body: &str, expected: &[&str]| {
        assert_eq!(parts(&format!("{head}{body}")), expected, "{body:?}");
    };
    // RFC 2046 §5.1.1: blanks may follow a boundary; the line end before it belongs to it.
    check(
        "--b b \t\n\none\n\n--b b\n\ntwo\n--b b--",
        &["one\n", "two"],
    );
    // A longer line is no boundary; nothing is a part after the closing one.
    check("--b b\n\n--b bb\n--b b--\n--b b\n\nepilogue", &["--b bb"]);
    // Cut short.
    check("--b b\n\none\n--b b\n\ntw", &["one", "tw"]);
    check("--b b\n\none\n--b b\n", &["one", ""]);
    // A boundary that follows at once: an empty part.
    check("--b b\n--b b\n\n--b b--\n", &["", ""]);
    check("no boundary\n", &[]);
}

#[test]
fn an_outer_boundary_ends_inner_parts() {
    let message = lines(&[
        "Content-Type: multipart/mixed; boundary=out",
        "",
        "--out",
        "Content-Type: multipart/mixed; boundary=in",
        "",
        "--in",
        "",
        "never closed",
        "--out",
        "",
        "next",
        "--out--",
    ]);
    assert_eq!(
        section(&message, &[1, 1], What::Whole),
        Some("never closed")
    );
    assert_eq!(section(&message, &[2], What::Whole), Some("next"));
}

#[test]
fn a_digest_holds_messages() {
    // RFC 2046 §5.1.5
    let message = lines(&[
        "Content-Type: multipart/digest; boundary=b",
        "",
        "--b",
        "",
        "Subject: one",
        "",
        "text",
        "--b",
        "Content-Type: text/plain",
        "",
        "plain",
        "--b--",
    ]);
    assert_eq!(
        section(&message, &[1], What::Header),
        Some("Subject: one\r\n\r\n")
    );
    assert_eq!(section(&message, &[1, 1], What::Whole), Some("text"));
    assert_eq!(section(&message, &[2], What::Header), None);
}

#[test]
fn what_a_message_may_cost_is_bounded() {
    let head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    let many = format!("{head}{}", "--b\r\n".repeat(30_000));
    let Content::Multipart(parts) = Structure::parse(many.as_bytes()).root.content else {
        panic!("not a multipart");
    };
    assert_eq!(parts.len(), 10_000);
    let deep = "Content-Type: message/rfc822\r\n\r\n".repeat(10_000);
    let (mut depth, mut part) = (0, Structure::parse(deep.as_bytes()).root);
    while let Content::Message(message) = part.content {
        (depth, part) = (depth + 1, message.root);
    }
    assert_eq!(depth, 48);
    // An angle bracket that is never closed, and one list in each of many messages.
    let open = format!("To: <{}\r\n\r\n", ",".repeat(1_000_000));
    assert!(Structure::parse(open.as_bytes()).envelope.to.len() <= 1);
    let list = format!("To: {}\r\n\r\n", "a,".repeat(100_000));
    assert_eq!(Structure::parse(list.as_bytes()).envelope.to.len(), 50_000);
}
