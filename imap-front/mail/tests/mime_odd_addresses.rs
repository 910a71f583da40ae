//! Address fields as mailers and people really write them, and the envelope that each must give.

use mail::mime::{Address, Envelope, Structure, TEXT_BYTES_MAX};

fn envelope(header: &str) -> Envelope {
    Structure::parse(format!("{header}\r\n\r\n").as_bytes()).envelope
}

/// `name|route|mailbox|host` each, `-` for NIL.
fn shown(list: &[Address]) -> Vec<String> {
    let field = |field: &Option<Vec<u8>>| match field {
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        None => "-".to_owned(),
    };
    list.iter()
        .map(|address| {
            let Address {
                name,
                route,
                mailbox,
                host,
            } = address;
            [name, route, mailbox, host].map(field).join("|")
        })
        .collect()
}

/// The value has the same meaning in each address field.
#[track_caller]
fn check(value: &str, expected: &[&str]) {
    for name in ["From", "Sender", "Reply-To", "To", "Cc", "Bcc"] {
        let envelope = envelope(&format!("{name}: {value}"));
        let list = match name {
            "From" => envelope.from,
            "Sender" => envelope.sender,
            "Reply-To" => envelope.reply_to,
            "To" => envelope.to,
            "Cc" => envelope.cc,
            _ => envelope.bcc,
        };
        assert_eq!(shown(&list), expected, "{name}: {value}");
    }
}

#[test]
fn names_have_blanks_only_where_there_were_some() {
    check("Amazon.com <o@x.example>", &["Amazon.com|-|o|x.example"]);
    check(
        "J.R.R. Tolkien <j@x.example>",
        &["J.R.R. Tolkien|-|j|x.example"],
    );
    check("J. R.  R.\tTolkien <j@x>", &["J. R. R. Tolkien|-|j|x"]);
    check(
        "=?UTF-8?Q?Foo_GmbH_&_Co._KG?= <f@x.example>",
        &["=?UTF-8?Q?Foo_GmbH_&_Co._KG?=|-|f|x.example"],
    );
    check(
        "=?utf-8?Q?Doe,_J=C3=B6hn_(IT);?= <d@x>, b@x",
        &["=?utf-8?Q?Doe,_J=C3=B6hn_(IT);?=|-|d|x", "-|-|b|x"],
    );
    check(
        "=?utf-8?B?SsO8?=\r\n =?utf-8?B?cmdlbg==?= (Sales) Dept <d@x>",
        &["=?utf-8?B?SsO8?= =?utf-8?B?cmdlbg==?= Dept|-|d|x"],
    );
    check("=?utf-8?B?SsO8?=<d@x>", &["=?utf-8?B?SsO8?=|-|d|x"]);
    check("\"Foo\"Bar <d@x>", &["FooBar|-|d|x"]);
    check("\"=?utf-8?q?a?=\" <d@x>", &["=?utf-8?q?a?=|-|d|x"]);
    check(
        "[SPAM] Foo@Home: <d@x>",
        &["-|-|[SPAM] Foo@Home|-", "-|-|d|x", "-|-|-|-"],
    );
    check("[SPAM] Foo <d@x>", &["[SPAM] Foo|-|d|x"]);
    check("d@x.example <d@x.example>", &["d@x.example|-|d|x.example"]);
    check("\"D\\\"E\\\\F\" <d@x>", &["D\"E\\F|-|d|x"]);
    check("O'Neil & Sons <d@x>", &["O'Neil & Sons|-|d|x"]);
    check("Jörg Müller <d@x>", &["Jörg Müller|-|d|x"]);
    check("Foo Bar<d@x>", &["Foo Bar|-|d|x"]);
    check("Foo(bar)Baz <d@x>", &["Foo Baz|-|d|x"]);
}

#[test]
fn a_comment_belongs_to_its_own_address() {
    check(
        "a@x.example (Alice), b@x.example",
        &["Alice|-|a|x.example", "-|-|b|x.example"],
    );
    check(
        "a@x, b@x (Bob), (Carol) c@x",
        &["-|-|a|x", "Bob|-|b|x", "Carol|-|c|x"],
    );
    check("Alice <a@x> (work), b@x", &["Alice|-|a|x", "-|-|b|x"]);
    check("<a@x> (Alice), b@x ()", &["Alice|-|a|x", "-|-|b|x"]);
    check("a@x (one) (two)", &["two|-|a|x"]);
    check("a@x (Al \\) (the (great)))", &["Al ) (the (great))|-|a|x"]);
    check("(nobody), a@x", &["-|-|a|x"]);
    check("(recipient list suppressed)", &[]);
    check("a (x) . b (y) @ (z) c (w) . d", &["w|-|a.b|c.d"]);
}

#[test]
fn fields_that_occur_several_times_are_joined() {
    for name in ["To", "Cc", "Bcc", "From", "Reply-To"] {
        let envelope = envelope(&format!(
            "{name}: \"a <a@x>\r\n{}: b@x,\r\nX: y\r\n{name}: c@x",
            name.to_lowercase()
        ));
        let list = match name {
            "To" => envelope.to,
            "Cc" => envelope.cc,
            "Bcc" => envelope.bcc,
            "From" => envelope.from,
            _ => envelope.reply_to,
        };
        assert_eq!(shown(&list), ["\"a|-|a|x", "-|-|b|x", "-|-|c|x"], "{name}");
    }
    // Those that hold no list are told once.
    let envelope =
        envelope("Subject: one\r\nSubject: two\r\nMessage-ID: <1@x>\r\nMessage-ID: <2@x>");
    assert_eq!(envelope.subject.as_deref(), Some(&b"one"[..]));
    assert_eq!(envelope.message_id.as_deref(), Some(&b"<1@x>"[..]));
}

#[test]
fn names_without_addresses() {
    check("Mary Smith", &["Mary Smith|-||"]);
    check("\"Mary Smith\"", &["Mary Smith|-||"]);
    check("=?utf-8?q?M=C3=A4ry?=", &["=?utf-8?q?M=C3=A4ry?=|-||"]);
    check("Mary Smith, Bob <b@x>", &["Mary Smith|-||", "Bob|-|b|x"]);
    check("Mary Smith <>", &["Mary Smith|-||"]);
    check("<>", &["-|-||"]);
    check("root", &["-|-|root|"]);
    check("root (Cron Daemon)", &["Cron Daemon|-|root|"]);
    check("<root>", &["-|-|root|"]);
    check("john.doe", &["-|-|john.doe|"]);
    // The brackets were forgotten.
    check(
        "Mary Smith mary@x.example",
        &["Mary Smith|-|mary|x.example"],
    );
    check(
        "mary@x.example Mary Smith",
        &["Mary Smith|-|mary|x.example"],
    );
    check("a@x b@y c@z", &["-|-|a|x", "-|-|b|y", "-|-|c|z"]);
    check("<a@x> Mary Smith", &["Mary Smith|-|a|x"]);
}

#[test]
fn obsolete_and_quoted_addresses() {
    check("mary . smith @ x . example", &["-|-|mary.smith|x.example"]);
    check(
        "<mary . smith@ x\r\n .example>",
        &["-|-|mary.smith|x.example"],
    );
    check(
        "<user-from (comment)@ (comment) domain.example>",
        &["-|-|user-from|domain.example"],
    );
    check(
        "<@a.example,@b.example:joe@c.example>, d@x",
        &["-|@a.example,@b.example|joe|c.example", "-|-|d|x"],
    );
    check("Joe <@a.example : joe@c>", &["Joe|@a.example|joe|c"]);
    check("\"john smith\"@x.example", &["-|-|john smith|x.example"]);
    check("\"a@b\"@x.example", &["-|-|a@b|x.example"]);
    check("<\"a\\\"b\"@x>", &["-|-|a\"b|x"]);
    check("a@b@x.example", &["-|-|a@b|x.example"]);
    check("joe@[IPv6:2001:db8::1]", &["-|-|joe|[IPv6:2001:db8::1]"]);
    check("<mary smith@x>", &["-|-|mary smith|x"]);
    check("jöe@exämple.org", &["-|-|jöe|exämple.org"]);
}

#[test]
fn lists_and_groups() {
    check("a@x; b@x;", &["-|-|a|x", "-|-|b|x"]);
    check("a@x,,\r\n\t,b@x,", &["-|-|a|x", "-|-|b|x"]);
    check("Foo <a@x> Bar <b@x>", &["Foo|-|a|x", "Bar|-|b|x"]);
    check("<a@x>\r\n <b@x>", &["-|-|a|x", "-|-|b|x"]);
    check("<<a@x>>", &["-|-|a|x"]);
    check("Foo <a@x, Bar <b@x>", &["Foo|-|a|x", "Bar|-|b|x"]);
    check("<mailto:a@x>", &["-|-|a|x"]);
    check(
        "undisclosed-recipients:;",
        &["-|-|undisclosed-recipients|-", "-|-|-|-"],
    );
    check(
        "Undisclosed recipients: ;",
        &["-|-|Undisclosed recipients|-", "-|-|-|-"],
    );
    check(
        "<undisclosed-recipients:;>",
        &["-|-|undisclosed-recipients|"],
    );
    check(
        "\"A: B\" (c) : a@x (Al), Bob <b@x>;, c@x",
        &["-|-|A: B|-", "Al|-|a|x", "Bob|-|b|x", "-|-|-|-", "-|-|c|x"],
    );
    check(
        "One: a@x; Two: b@x;",
        &[
            "-|-|One|-",
            "-|-|a|x",
            "-|-|-|-",
            "-|-|Two|-",
            "-|-|b|x",
            "-|-|-|-",
        ],
    );
}

#[test]
fn what_opens_without_closing_opens_nothing() {
    check("\"Foo <a@x>, b@x", &["\"Foo|-|a|x", "-|-|b|x"]);
    check("Foo (bar <a@x>, b@x", &["Foo (bar|-|a|x", "-|-|b|x"]);
    check("[Foo <a@x>", &["[Foo|-|a|x"]);
    check("Foo <a@x", &["Foo|-|a|x"]);
    check("Foo a@x>", &["Foo|-|a|x"]);
}

#[test]
fn texts_are_bounded() {
    let long = "a".repeat(4 << 20);
    let envelope = envelope(&format!(
        "Subject: {long}\r\nFrom: {long} <a@x>\r\nTo: \"{long}\" <a@x>, b@y\r\n\
         Message-ID: <{long}>\r\nIn-Reply-To: <{long}>\r\nDate: {long}"
    ));
    let Envelope {
        date,
        subject,
        in_reply_to,
        message_id,
        to,
        ..
    } = &envelope;
    for text in [date, subject, in_reply_to, message_id] {
        assert_eq!(text.as_ref().map(Vec::len), Some(TEXT_BYTES_MAX));
    }
    // A field is looked at as far as 1 MiB; what stands across its end is no address.
    assert_eq!(shown(to), [""; 0]);
    let words = "=?utf-8?q?=C3=BC?= ".repeat(4_000);
    let subject = self::envelope(&format!("Subject: {words}")).subject;
    let subject = String::from_utf8(subject.expect("a subject")).expect("ASCII");
    assert!(subject.len() <= TEXT_BYTES_MAX && subject.len() > TEXT_BYTES_MAX - 20);
    assert!(subject.trim_end().ends_with("?="), "{subject}");
    let many = "\"a name\" <an.address@host.example>, ".repeat(100_000);
    let envelope = self::envelope(&format!("From: {many}\r\nTo: {many}\r\nCc: {many}"));
    let texts = |list: &[Address]| -> usize { shown(list).iter().map(String::len).sum() };
    assert!(texts(&envelope.from) < 64 << 10);
    assert!(texts(&envelope.to) + texts(&envelope.cc) < 1 << 20);
    assert!(envelope.to.len() > 10_000);
}
