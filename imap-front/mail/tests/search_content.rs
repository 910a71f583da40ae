//! Searches that look into messages: decoded text, and as few reads as can be.

use std::cell::Cell;

use bytes::Bytes;
use mail::search::{Candidate, DateField, Day, Key, Program, matches};
use mail::{EmailId, Flags, InternalDate, ModSeq, SequenceSet, SystemFlag, Uid};

fn found(message: &'static str, key: Key) -> (bool, u32) {
    let reads = Cell::new(0);
    let mut flags = Flags::default();
    flags.insert(SystemFlag::Seen);
    let candidate = Candidate {
        uid: Uid(7),
        modseq: ModSeq(9),
        flags: &flags,
        date: InternalDate::default(),
        saved: None,
        email: EmailId(1),
        thread: &|| None,
        size: message.len() as u64,
        now_s: 1_000_000_000,
        recent: false,
        header: &|_, _| None,
        bytes: &|| {
            reads.set(reads.get() + 1);
            Bytes::from_static(message.as_bytes())
        },
    };
    (matches(&Program { key }, &candidate), reads.get())
}

fn check(message: &'static str, key: Key, expected: bool) {
    assert_eq!(found(message, key.clone()).0, expected, "{key:?}");
}

fn header(name: &str, text: &str) -> Key {
    Key::Header(name.into(), text.into())
}

fn body(text: &str) -> Key {
    Key::Body(text.into())
}

fn text(text: &str) -> Key {
    Key::Text(text.into())
}

const MIXED: &str = "From: \"Doe, Jöhn\" <john@example.org>\r\n\
    To: Friends: ann@a.test, \"Bob B.\" <bob@b.test>;\r\n\
    Received: by one\r\nReceived: by two\r\n\
    Subject: =?utf-8?q?caf=C3=A9_?=\r\n =?iso-8859-1?b?Z3L832Vu?= and\r\n\tfolded\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n\
    in the preamble\r\n\
    --b\r\nContent-Type: text/plain; charset=iso-8859-15\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\n\
    Preis: 10=A4 und eine lange =\r\nZeile\r\n\
    --b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
    <p>Guten <b>Morgen</b></p>\r\n\
    --b\r\nContent-Type: message/rfc822\r\n\r\n\
    Subject: =?utf-8?q?inner_=C3=BCber?=\r\n\r\nnested text\r\n\
    --b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n\
    c2VjcmV0\r\n\
    --b--\r\n";

#[test]
fn header_fields_are_decoded() {
    check(MIXED, header("Subject", "café grüßen"), true);
    check(MIXED, header("SUBJECT", "GRÜßEN AND"), true);
    check(MIXED, header("subject", "inner"), false);
    check(MIXED, header("To", "bob b."), true);
    check(MIXED, header("To", "ann@a.test"), true);
    check(MIXED, header("Received", "two"), true);
    check(MIXED, header("Received", "three"), false);
    check(MIXED, header("Cc", ""), false);
    check(MIXED, header("content-type", "multipart/mixed"), true);
    check(MIXED, header("From", "john@example.org"), true);
}

#[test]
fn bodies_are_decoded() {
    check(MIXED, body("10€ und eine lange zeile"), true);
    check(MIXED, body("morgen"), true);
    check(MIXED, body("inner über"), true);
    check(MIXED, body("nested text"), true);
    check(MIXED, body("café"), false);
    check(MIXED, text("café"), true);
    check(MIXED, text("nested"), true);
    check(MIXED, text("secret"), false);
    check(MIXED, text("Received: by one"), true);
    check("Subject: x\r\n\r\nplain\r\n", body("PLAIN"), true);
    check("", text("x"), false);
}

#[test]
fn sent_dates() {
    let dated = "Date: Sat, 29 Feb 2020 23:30:00 -0800 (PST)\r\n\r\n";
    let day = Day(18_321);
    check(dated, Key::On(DateField::Sent, day), true);
    check(dated, Key::Since(DateField::Sent, day), true);
    check(dated, Key::Before(DateField::Sent, day), false);
    check(dated, Key::Before(DateField::Sent, Day(day.0 + 1)), true);
    for undated in ["Subject: x\r\n\r\n", "Date: yesterday\r\n\r\n"] {
        for key in [
            Key::On(DateField::Sent, day),
            Key::Since(DateField::Sent, Day(i32::MIN)),
            Key::Before(DateField::Sent, Day(i32::MAX)),
        ] {
            check(undated, key, false);
        }
    }
}

#[test]
fn messages_are_read_only_if_that_decides() {
    let reads = |key: Key| found(MIXED, key).1;
    let seen = || Key::Flag(SystemFlag::Seen);
    let not = |key: Key| Key::Not(Box::new(key));
    let or = |one: Key, other: Key| Key::Or(Box::new(one), Box::new(other));
    assert_eq!(reads(Key::And(vec![body("x"), not(seen())])), 0);
    assert_eq!(reads(or(body("x"), seen())), 0);
    assert_eq!(reads(or(seen(), body("x"))), 0);
    assert_eq!(reads(Key::And(vec![seen(), Key::Larger(5)])), 0);
    assert_eq!(reads(Key::And(vec![seen(), text("x"), body("y")])), 1);
    assert_eq!(
        reads(or(text("x"), Key::And(vec![body("y"), header("a", "")]))),
        1
    );
}

#[test]
fn needs_content_says_whether_messages_are_read() {
    let needs = |key: Key| Program { key }.needs_content();
    assert!(needs(Key::Not(Box::new(Key::And(vec![
        Key::All,
        body("x")
    ])))));
    assert!(needs(Key::On(DateField::Sent, Day(0))));
    assert!(!needs(Key::On(DateField::Internal, Day(0))));
    assert!(!needs(Key::Or(
        Box::new(Key::Recent),
        Box::new(Key::Uids(SequenceSet(vec![])))
    )));
}

#[test]
fn nesting_without_end_is_searched_as_deep_as_structures_go() {
    let deep = "Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
    check(Box::leak(deep.into_boxed_str()), text("zebra"), false);
    let near = format!(
        "{}Subject: zebra\r\n\r\n",
        "Content-Type: message/rfc822\r\n\r\n".repeat(9)
    );
    check(Box::leak(near.into_boxed_str()), body("zebra"), true);
}

#[test]
fn what_can_not_be_decoded_is_searched_as_it_stands() {
    let broken = "Content-Transfer-Encoding: base64\r\n\r\nnot, base64: r\u{e4}tsel\r\n";
    check(broken, body("RÄTSEL"), true);
    let unknown =
        "Subject: =?x-none?q?a?=\r\nContent-Type: text/plain; charset=x-none\r\n\r\nplain\r\n";
    check(unknown, body("plain"), true);
    check(unknown, header("subject", "x-none?q"), true);
}

const ATTACHED: &str = "From: a@x.example\r\nSubject: report\r\n\
    Content-Type: multipart/mixed; boundary*0=b; boundary*1=c\r\n\r\n\
    --bc\r\nContent-Type: application/pdf; name=\"QuarterlyReport.pdf\"\r\n\
    Content-Description: =?utf-8?q?f=C3=BCr_alle?=\r\n\
    Content-Transfer-Encoding: base64 (as usual)\r\n\r\nYWJj\r\n\
    --bc\r\nContent-Disposition: attachment;\r\n filename*0*=UTF-8''na%C3%AFve%20;\r\n \
    filename*1=plan.txt\r\nContent-Transfer-Encoding: base64 (as usual)\r\n\r\nYXBwbGVz\r\n\
    --bc\r\nContent-Type: message/rfc822\r\n\r\n\
    From: (c) \"Quirky\" <quirky . name@inner.example>\r\nSubject: inner\r\n\
    Content-Type: image/png; name==?utf-8?q?Gr=C3=BC=C3=9Fe.png?=\r\n\r\nnone\r\n\
    --bc--\r\n";

#[test]
fn part_headers_belong_to_the_text() {
    for found in [
        "quarterlyreport.pdf",
        "content-type: application/pdf",
        "für alle",
        "naïve plan.txt",
        "grüße.png",
        "apples",
        "subject: inner",
        "quirky.name@inner.example",
    ] {
        check(ATTACHED, text(found), true);
    }
    check(ATTACHED, text("pear"), false);
    // Of part headers the body has what a reader sees.
    for (searched, expected) in [
        ("quarterlyreport.pdf", true),
        ("für alle", true),
        ("naïve plan.txt", true),
        ("grüße.png", true),
        ("inner", true),
        ("apples", true),
        ("application/pdf", false),
        ("report\r\n", false),
    ] {
        check(ATTACHED, body(searched), expected);
    }
    // A message that is but a file.
    let file = "Content-Type: image/png\r\n\
        Content-Disposition: inline; filename*=iso-8859-1''%FCber.png\r\n\r\nx";
    check(file, text("über.png"), true);
    check(file, body("über.png"), false);
}

#[test]
fn address_fields_are_searched_as_the_envelope_has_them() {
    let message = "From: <user-from (comment)@ (comment) domain.example>\r\n\
        To: =?utf-8?q?J=C3=BCrgen?=<j . k@x.example>, \"a b\"@x\r\n\
        Cc: one@x (=?utf-8?q?=C3=84nne?=)\r\nCC: <@r.example:two@x>\r\nBcc: \"D\\\"E\" <d@x>\r\n\
        Sender: s @ x\r\nReply-To: r @ x\r\nResent-To: t @ x\r\nX-To: u @ x\r\n\r\n";
    for (name, found) in [
        ("From", "user-from@domain.example"),
        ("From", "(comment)"),
        ("To", "jürgen <j.k@x.example>"),
        ("To", "a b@x"),
        ("To", "\"a b\"@x"),
        ("Cc", "änne"),
        ("Cc", "two@x"),
        ("Bcc", "d\"e <d@x>"),
        ("Sender", "s@x"),
        ("Reply-To", "r@x"),
        ("Resent-To", "t@x"),
    ] {
        check(message, header(name, found), true);
        check(message, text(found), true);
    }
    check(message, header("X-To", "u@x"), false);
    check(message, header("From", "two@x"), false);
}
