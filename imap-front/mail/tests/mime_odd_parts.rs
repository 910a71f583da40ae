//! Part headers as mailers really write them: parameters, continued and encoded ones (RFC 2231),
//! comments, stray semicolons.

use mail::mime::{Content, Part, Structure, TEXT_BYTES_MAX};

fn part(header: &str) -> Part {
    Structure::parse(format!("{header}\r\n\r\nbody\r\n").as_bytes()).root
}

fn pairs(list: &[(Vec<u8>, Vec<u8>)]) -> Vec<String> {
    list.iter()
        .map(|(name, value)| {
            let text = |bytes| String::from_utf8_lossy(bytes);
            format!("{}={}", text(name), text(value))
        })
        .collect()
}

/// The parameters have the same meaning in Content-Type and in Content-Disposition.
#[track_caller]
fn check(parameters: &str, expected: &[&str]) {
    let part = part(&format!(
        "Content-Type: image/png{parameters}\r\nContent-Disposition: attachment{parameters}"
    ));
    assert_eq!(
        pairs(&part.parameters),
        expected,
        "Content-Type{parameters}"
    );
    let (kind, list) = part.disposition.expect("a disposition");
    assert_eq!(kind, b"attachment");
    assert_eq!(pairs(&list), expected, "Content-Disposition{parameters}");
}

#[test]
fn parameters_as_they_are_written() {
    check("; name=a.png", &["name=a.png"]);
    check(
        " ;\r\n\tNAME = \"a b.png\" ; x=y;",
        &["NAME=a b.png", "x=y"],
    );
    check(";; name=a;;", &["name=a"]);
    check("; name=\"a;b\\\"c\\\\d\"", &["name=a;b\"c\\d"]);
    check("; name=my file (1).png", &["name=my file (1).png"]);
    check(
        "; filename=report(final).pdf; x=1",
        &["filename=report(final).pdf", "x=1"],
    );
    check(
        "; x=a (a (nested) comment); (c) y (d) = (e) b",
        &["x=a", "y=b"],
    );
    check("; x=a(comment)", &["x=a"]);
    check("; name=\"a.png; x=y", &["name=a.png", "x=y"]);
    check("; name==?utf-8?Q?a=3Db?=", &["name==?utf-8?Q?a=3Db?="]);
    check("; name=\"=?utf-8?Q?a=3Db?=\"", &["name==?utf-8?Q?a=3Db?="]);
    check("; name=", &["name="]);
    check("; name=\"\"; x", &["name="]);
    check("; filename=C:\\Temp\\a.png", &["filename=C:\\Temp\\a.png"]);
    check("; name=\"größe.png\"", &["name=größe.png"]);
}

#[test]
fn continued_parameters() {
    check("; name*0=ab; name*1=cd", &["name=abcd"]);
    check(
        "; name*0=\"a b\"; x=y; NAME*1=\"; c\"",
        &["name=a b; c", "x=y"],
    );
    check("; name*1=cd; name*0=ab", &["name=abcd"]);
    check("; name*0=ab", &["name=ab"]);
    // What has no beginning, or a hole, is not put together.
    check("; name*1=cd", &["name*1=cd"]);
    check("; name*0=ab; name*2=ef", &["name=ab", "name*2=ef"]);
    check("; name*x=ab; *0=a; *=b", &["name*x=ab", "*0=a", "*=b"]);
    check("; a*0=1; b*0=2; a*1=3; b*1=4", &["a=13", "b=24"]);
    check("; a*0=1; a*0=2", &["a=1", "a=2"]);
}

#[test]
fn encoded_parameters() {
    check(
        "; filename*=UTF-8''na%C3%AFve.txt",
        &["filename*=UTF-8''na%C3%AFve.txt"],
    );
    check(
        "; filename=\"naive.txt\"; filename*=utf-8'en'na%C3%AFve.txt",
        &["filename=naive.txt", "filename*=utf-8'en'na%C3%AFve.txt"],
    );
    // RFC 2231 §4.1: what is encoded and what is not, mixed.
    check(
        ";\r\n title*0*=us-ascii'en'This%20is%20even%20more%20;\r\n \
         title*1*=%2A%2A%2Afun%2A%2A%2A%20;\r\n title*2=\"isn't it!\"",
        &["title*=us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!"],
    );
    check("; t*0=\"50% \"; t*1*=%41", &["t*=''50%25%20%41"]);
}

fn boundary(parameters: &str) -> usize {
    let message = format!(
        "Content-Type: multipart/mixed{parameters}\r\n\r\n\
         --abcd\r\n\r\none\r\n--abcd\r\n\r\ntwo\r\n--abcd--\r\n"
    );
    match Structure::parse(message.as_bytes()).root.content {
        Content::Multipart(parts) => parts.len(),
        _ => 0,
    }
}

#[test]
fn boundaries_in_every_form() {
    for parameters in [
        "; boundary=abcd",
        "; boundary=\"abcd\"",
        "; boundary = abcd (as usual)",
        "; (c) boundary=(c) abcd",
        ";boundary=abcd;charset=utf-8",
        "; boundary=\"abcd",
        " boundary=abcd",
        "; boundary*0=ab; boundary*1=cd",
        "; boundary*1=\"cd\"; boundary*0=ab",
        "; boundary*=us-ascii''ab%63d",
        "; boundary*0*=us-ascii'en'ab; boundary*1*=%63d",
        "; boundary*0=ab; boundary*1*=%63d",
        " (a (nested) comment); type=\"multipart/alternative\"; boundary=\"abcd\"",
        ";; boundary=abcd;",
    ] {
        assert_eq!(boundary(parameters), 2, "multipart/mixed{parameters}");
    }
}

#[test]
fn encodings_and_other_tokens() {
    for (value, expected) in [
        ("base64 (as usual)", "base64"),
        ("(as usual) base64", "base64"),
        ("base64;", "base64"),
        (";base64", "base64"),
        ("base64; x=y", "base64"),
        ("\"base64\"", "base64"),
        ("  Quoted-Printable\r\n ", "Quoted-Printable"),
        ("", "7BIT"),
        (";", "7BIT"),
        ("(none)", "7BIT"),
    ] {
        let part = part(&format!("Content-Transfer-Encoding: {value}"));
        assert_eq!(String::from_utf8_lossy(&part.encoding), expected, "{value}");
    }
    for (value, expected) in [
        ("text / html", ("text", "html")),
        ("text/html (c)", ("text", "html")),
        ("(c) text (d) / (e) html; x=y", ("text", "html")),
        ("text/html;", ("text", "html")),
        ("text/ html charset=utf-8", ("text", "html")),
    ] {
        let part = part(&format!("Content-Type: {value}"));
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let have = (text(&part.media_type), text(&part.subtype));
        assert_eq!((&*have.0, &*have.1), expected, "{value}");
    }
    let languages = part("Content-Language: de (German), en-GB ,, (c) ;").language;
    assert_eq!(languages, [b"de".to_vec(), b"en-GB".to_vec()]);
}

#[test]
fn dispositions_that_lack_something() {
    for (value, kind, list) in [
        ("inline", "inline", &[][..]),
        ("inline (c);", "inline", &[]),
        ("; filename=a", "attachment", &["filename=a"]),
        (
            "filename=a; size=3",
            "attachment",
            &["filename=a", "size=3"],
        ),
    ] {
        let part = part(&format!("Content-Disposition: {value}"));
        let (have, parameters) = part.disposition.expect(value);
        assert_eq!(String::from_utf8_lossy(&have), kind, "{value}");
        assert_eq!(pairs(&parameters), list, "{value}");
    }
    assert_eq!(part("Content-Disposition: ;").disposition, None);
    assert_eq!(part("Content-Disposition:").disposition, None);
}

#[test]
fn parameters_are_bounded() {
    let long = "%C3%BC".repeat(20_000);
    let part = part(&format!(
        "Content-Type: text/plain; charset=utf-8;\r\n name*=utf-8''{long}\r\nContent-ID: <{long}>"
    ));
    let (name, value) = part.parameters.last().expect("parameters");
    assert_eq!(name, b"name*");
    assert!(value.len() <= TEXT_BYTES_MAX && value.len() > TEXT_BYTES_MAX - 6);
    assert!(value.ends_with(b"%BC"));
    assert_eq!(part.id.map(|id| id.len()), Some(TEXT_BYTES_MAX));
    // Openings that never close cost one look each.
    for open in ["(", "\"", "[", "<", "=?", "=?a?q?", "\\", "\"\\\"", "(("] {
        let open = open.repeat(1 << 20);
        let header = format!("To: {open}\r\nContent-Type: {open}; {open}\r\nSubject: {open}\r\n");
        assert!(
            Structure::parse(header.as_bytes())
                .envelope
                .subject
                .is_some()
        );
    }
}
