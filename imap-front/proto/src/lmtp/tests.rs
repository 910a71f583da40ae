use std::sync::Arc;

use bytes::BytesMut;
use mail::Refusal;
use mail::reply::Appended;
use proptest::prelude::*;

use super::*;

/// A host that knows some users and keeps what it is given.
#[derive(Default)]
struct Host {
    said: Vec<u8>,
    delivered: Vec<(Vec<String>, Vec<u8>)>,
    kept: Vec<u8>,
    discards: usize,
    closed: bool,
    refusals: Vec<(&'static str, Refusal)>,
}

impl Host {
    fn run(&mut self, session: &mut Session) {
        while let Some(action) = session.poll_action() {
            match action {
                Action::Send(bytes) => self.said.extend_from_slice(&bytes),
                Action::Lookup(recipient) => session.handle_lookup(lookup(&recipient)),
                Action::Begin => session.handle_begin(Ok(Stamp {
                    id: "1a".into(),
                    date: "Mon, 23 Nov 2026 21:00:00 +0000".into(),
                })),
                Action::Chunk(bytes) => self.kept.extend_from_slice(&bytes),
                Action::Discard => {
                    self.kept.clear();
                    self.discards += 1;
                }
                Action::Deliver(delivery) => self.deliver(session, &delivery),
                Action::Close => self.closed = true,
            }
        }
        assert!(session.wants_input() || self.closed);
    }

    fn deliver(&mut self, session: &mut Session, delivery: &Delivery) {
        let mut message = std::mem::take(&mut self.kept);
        message.extend_from_slice(&delivery.last);
        assert_eq!(message.len() as u64, delivery.size);
        let name = |target: &mail::request::Target| format!("{}:{}", target.user, target.folder);
        let results: Vec<Result<Appended, Refusal>> = delivery
            .targets
            .iter()
            .map(|target| {
                match self
                    .refusals
                    .iter()
                    .find(|(user, _)| **user == *target.user)
                {
                    Some((_, refusal)) => Err(refusal.clone()),
                    None => Ok(appended()),
                }
            })
            .collect();
        self.delivered
            .push((delivery.targets.iter().map(name).collect(), message));
        session.handle_delivered(&results);
    }
}

fn appended() -> Appended {
    Appended {
        mailbox: mail::MailboxId(1),
        uid_validity: mail::UidValidity(1),
        uid: mail::Uid(1),
        modseq: mail::ModSeq(1),
    }
}

fn lookup(recipient: &Recipient) -> Lookup {
    match (&*recipient.user, recipient.domain.as_deref()) {
        (_, Some("elsewhere.example")) => Lookup::NotHere,
        ("jones", _) | ("nobody", _) => Lookup::Unknown,
        ("full", _) => Lookup::OverQuota,
        ("broken", _) => Lookup::Unavailable,
        (user, _) => Lookup::Found(user.to_lowercase().into()),
    }
}

fn config() -> Arc<SessionConfig> {
    Arc::new(SessionConfig {
        hostname: "foo.edu".into(),
        message_bytes_max: 200_000,
        recipients_max: 3,
        over_quota: OverQuota::Permanent,
    })
}

fn session() -> Session {
    Session::new(config(), Some("127.0.0.1".into()))
}

/// Plays a transcript whole and byte by byte; both must say the same. Lines of `S:` are what the
/// server says, or how they begin if they end with `…`.
fn check(transcript: &str) -> Host {
    check_with(transcript, Host::default)
}

fn check_with(transcript: &str, host: impl Fn() -> Host) -> Host {
    let sent: Vec<&str> = transcript
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("C: "))
        .collect();
    let sent = sent
        .iter()
        .map(|line| format!("{line}\r\n"))
        .collect::<String>();
    let expected: Vec<&str> = transcript
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("S: "))
        .collect();
    let (mut whole, mut session_whole) = (host(), session());
    whole.run(&mut session_whole);
    session_whole.handle_input(sent.as_bytes());
    whole.run(&mut session_whole);
    let (mut bytewise, mut session_bytewise) = (host(), session());
    bytewise.run(&mut session_bytewise);
    for byte in sent.as_bytes() {
        session_bytewise.handle_input(&[*byte]);
        bytewise.run(&mut session_bytewise);
    }
    let said = String::from_utf8(whole.said.clone()).unwrap();
    assert_eq!(said, String::from_utf8_lossy(&bytewise.said));
    assert_eq!(whole.delivered, bytewise.delivered);
    let lines: Vec<&str> = said.lines().collect();
    for (line, expected) in lines.iter().zip(&expected) {
        match expected.strip_suffix('…') {
            Some(start) => assert!(line.starts_with(start), "{line}\nexpected {expected}"),
            None => assert_eq!(line, expected),
        }
    }
    assert_eq!(lines.len(), expected.len(), "{said}");
    truncated(sent.as_bytes(), &host);
    whole
}

/// A client that goes away at any byte gets nothing delivered that was not complete.
fn truncated(sent: &[u8], host: &impl Fn() -> Host) {
    for length in 0..sent.len() {
        let (mut host, mut session) = (host(), session());
        session.handle_input(&sent[..length]);
        host.run(&mut session);
        let complete = sent[..length]
            .windows(5)
            .filter(|w| w == b"\r\n.\r\n")
            .count();
        assert!(host.delivered.len() <= complete, "at {length}");
    }
}

const LHLO: &str = "S: 220 foo.edu LMTP Ensign ready
    C: LHLO client.example
    S: 250-foo.edu
    S: 250-PIPELINING
    S: 250-8BITMIME
    S: 250-SMTPUTF8
    S: 250-ENHANCEDSTATUSCODES
    S: 250 SIZE 200000
";

#[test]
fn example_of_rfc_2033() {
    let refusals = || Host {
        refusals: vec![("green", Refusal::OverQuota)],
        ..Host::default()
    };
    let host = check_with(
        &format!(
            "{LHLO}
        C: MAIL FROM:<chris@bar.com>
        S: 250 2.1.0 Sender OK
        C: RCPT TO:<pat@foo.edu>
        S: 250 2.1.5 Recipient OK
        C: RCPT TO:<jones@foo.edu>
        S: 550 5.1.1 No such user here
        C: RCPT TO:<green@foo.edu>
        S: 250 2.1.5 Recipient OK
        C: DATA
        S: 354 …
        C: Blah blah blah...
        C: ...etc. etc. etc.
        C: .
        S: 250 2.0.0 <pat@foo.edu> delivered
        S: 552 5.2.2 …
        C: QUIT
        S: 221 2.0.0 Bye"
        ),
        refusals,
    );
    assert!(host.closed);
    let (targets, message) = &host.delivered[0];
    assert_eq!(targets, &["pat:INBOX", "green:INBOX"]);
    let text = std::str::from_utf8(message).unwrap();
    assert_eq!(
        text,
        "Return-Path: <chris@bar.com>\r\n\
         Received: from client.example ([127.0.0.1])\r\n\tby foo.edu with LMTP id 1a;\r\n\
         \tMon, 23 Nov 2026 21:00:00 +0000\r\n\
         Blah blah blah...\r\n..etc. etc. etc.\r\n"
    );
}

#[test]
fn recipients_and_folders() {
    let host = check(&format!(
        "{LHLO}
        C: MAIL FROM:<>
        S: 250 …
        C: RCPT TO:<Ann+Lists/Rust@foo.edu>
        S: 250 …
        C: rcpt to: <\"ann+My \\\"Mail\\\"\"@foo.edu>
        S: 250 …
        C: RCPT TO:<@a.example,@b.example:ann+inbox>
        S: 250 …
        C: RCPT TO:<bob>
        S: 452 4.5.3 …
        C: DATA
        S: 354 …
        C: .
        S: 250 2.0.0 <Ann+Lists/Rust@foo.edu> delivered
        S: 250 2.0.0 <\"ann+My \\\"Mail\\\"\"@foo.edu> delivered
        S: 250 2.0.0 <ann+inbox> delivered"
    ));
    let (targets, message) = &host.delivered[0];
    assert_eq!(targets, &["ann:Lists/Rust", "ann:My \"Mail\"", "ann:INBOX"]);
    assert!(message.starts_with(b"Return-Path: <>\r\n"));
}

#[test]
fn same_mailbox_twice_gets_one_message_and_two_replies() {
    let host = check(&format!(
        "{LHLO}
        C: MAIL FROM:<a@b.example>
        S: 250 …
        C: RCPT TO:<ann>
        S: 250 …
        C: RCPT TO:<ANN>
        S: 250 …
        C: DATA
        S: 354 …
        C: x
        C: .
        S: 250 2.0.0 <ann> delivered
        S: 250 2.0.0 <ANN> delivered"
    ));
    assert_eq!(host.delivered[0].0, ["ann:INBOX"]);
}

#[test]
fn only_those_that_failed_are_refused() {
    let host = || Host {
        refusals: vec![
            ("down", Refusal::Unavailable("x".into())),
            ("disk", Refusal::DiskFull),
        ],
        ..Host::default()
    };
    check_with(
        &format!(
            "{LHLO}
        C: MAIL FROM:<a@b.example>
        S: 250 …
        C: RCPT TO:<down>
        S: 250 …
        C: RCPT TO:<ann>
        S: 250 …
        C: RCPT TO:<disk>
        S: 250 …
        C: DATA
        S: 354 …
        C: x
        C: .
        S: 451 4.3.0 …
        S: 250 2.0.0 …
        S: 452 4.3.1 …
        C: MAIL FROM:<a@b.example>
        S: 250 …"
        ),
        host,
    );
}

#[test]
fn order_of_commands() {
    check(
        "S: 220 …
        C: MAIL FROM:<a@b.example>
        S: 503 5.5.1 …
        C: RCPT TO:<ann>
        S: 503 5.5.1 Say LHLO first
        C: DATA
        S: 503 5.5.1 Say LHLO first
        C: NOOP anything
        S: 250 2.0.0 OK
        C: LHLO x
        S: 250-…
        S: 250-…
        S: 250-…
        S: 250-…
        S: 250-…
        S: 250 SIZE 200000
        C: RCPT TO:<ann>
        S: 503 5.5.1 Say MAIL first
        C: MAIL FROM:<a@b.example>
        S: 250 …
        C: MAIL FROM:<a@b.example>
        S: 503 5.5.1 …
        C: DATA
        S: 503 5.5.1 No valid recipients
        C: RCPT TO:<nobody>
        S: 550 5.1.1 …
        C: DATA
        S: 503 5.5.1 No valid recipients
        C: RSET
        S: 250 2.0.0 OK
        C: DATA
        S: 503 5.5.1 Say MAIL first
        C: VRFY ann
        S: 252 2.5.0 …",
    );
}

#[test]
fn refused_commands() {
    check(&format!(
        "{LHLO}
        C: EHLO x
        S: 500 5.5.1 …
        C: HELO x
        S: 500 5.5.1 …
        C: BDAT 10 LAST
        S: 502 5.5.1 …
        C: FOO
        S: 500 5.5.1 …
        C: LHLO
        S: 501 5.5.2 …
        C: MAIL TO:<x>
        S: 501 5.5.2 …
        C: MAIL FROM:x@y.example
        S: 501 5.5.2 …
        C: MAIL FROM:<x@y.example> FOO=1
        S: 555 5.5.4 …
        C: MAIL FROM:<x@y.example> SIZE=1 SIZE=2
        S: 501 5.5.4 …
        C: MAIL FROM:<x@y.example> SIZE=-1
        S: 501 5.5.4 …
        C: MAIL FROM:<x@y.example> BODY=BINARYMIME
        S: 501 5.5.4 …
        C: MAIL FROM:<x@y.example> SIZE=200001
        S: 552 5.3.4 …
        C: MAIL FROM:<ä@y.example>
        S: 553 5.6.7 …
        C: MAIL FROM:<x@y.example> SIZE=200000 BODY=8bitmime
        S: 250 …
        C: RCPT TO:<>
        S: 501 5.5.2 …
        C: RCPT TO:<a b@x.example>
        S: 501 5.5.2 …
        C: RCPT TO:<+x@x.example>
        S: 501 5.5.2 …
        C: RCPT TO:<a@>
        S: 501 5.5.2 …
        C: RCPT TO:<ann> NOTIFY=NEVER
        S: 555 5.5.4 …
        C: RCPT TO:<ä>
        S: 553 5.6.7 …"
    ));
}

#[test]
fn lookups_that_fail() {
    check(&format!(
        "{LHLO}
        C: MAIL FROM:<a@b.example>
        S: 250 …
        C: RCPT TO:<full>
        S: 552 5.2.2 …
        C: RCPT TO:<broken>
        S: 451 4.3.0 …
        C: RCPT TO:<ann@elsewhere.example>
        S: 550 5.1.2 …"
    ));
}

#[test]
fn smtputf8() {
    let host = check(&format!(
        "{LHLO}
        C: MAIL FROM:<jürgen@bücher.example> SMTPUTF8 BODY=8BITMIME
        S: 250 …
        C: RCPT TO:<änn+Entwürfe@bücher.example>
        S: 250 …
        C: DATA
        S: 354 …
        C: Subject: größe
        C: .
        S: 250 2.0.0 …"
    ));
    let (targets, message) = &host.delivered[0];
    assert_eq!(targets, &["änn:Entwürfe"]);
    let text = std::str::from_utf8(message).unwrap();
    assert!(
        text.contains("with UTF8LMTP id 1a\r\n\tfor <änn+Entwürfe@bücher.example>;"),
        "{text}"
    );
}

#[test]
fn sense_runs_out() {
    let mut host = Host::default();
    let mut session = session();
    session.handle_input("FOO\r\n".repeat(ERRORS_MAX as usize + 5).as_bytes());
    host.run(&mut session);
    assert!(host.closed);
    let said = String::from_utf8(host.said).unwrap();
    assert_eq!(said.lines().count(), ERRORS_MAX as usize + 2);
    assert!(said.ends_with("421 4.7.0 Too many errors, closing\r\n"));
}

fn in_data() -> (Host, Session) {
    let (mut host, mut session) = (Host::default(), session());
    session.handle_input(b"LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n");
    host.run(&mut session);
    host.said.clear();
    (host, session)
}

#[test]
fn a_message_too_big_is_swallowed_without_memory() {
    let (mut host, mut session) = in_data();
    let line = format!("{}\r\n", "x".repeat(998));
    for _ in 0..1000 {
        session.handle_input(line.as_bytes());
        host.run(&mut session);
        assert!(host.kept.len() <= 300_000);
    }
    assert!(host.kept.is_empty());
    assert_eq!(host.discards, 1);
    session.handle_input(b".\r\nNOOP\r\n");
    host.run(&mut session);
    assert_eq!(
        host.said,
        b"552 5.3.4 The message is too big\r\n250 2.0.0 OK\r\n"
    );
    assert!(host.delivered.is_empty());
}

#[test]
fn large_messages_come_in_pieces() {
    let (mut host, mut session) = in_data();
    let text = format!("{}\r\n", "y".repeat(98)).repeat(1900);
    session.handle_input(text.as_bytes());
    host.run(&mut session);
    assert!(host.kept.len() >= 2 * CHUNK_BYTES);
    session.handle_input(b".\r\n");
    host.run(&mut session);
    assert!(host.delivered[0].1.ends_with(text.as_bytes()));
}

#[test]
fn a_piece_that_can_not_be_kept_refuses_the_message() {
    let (mut host, mut session) = in_data();
    session.handle_input(&b"z\r\n".repeat(CHUNK_BYTES / 2));
    let mut failed = false;
    while let Some(action) = session.poll_action() {
        if matches!(action, Action::Chunk(_)) {
            session.handle_chunk_failed(Refusal::DiskFull);
            failed = true;
        }
    }
    assert!(failed);
    session.handle_input(b"z\r\n.\r\n");
    host.run(&mut session);
    assert_eq!(
        host.said,
        b"452 4.3.1 The disk is full, try again later\r\n"
    );
    assert!(host.delivered.is_empty());
}

#[test]
fn only_crlf_dot_crlf_ends_a_message() {
    for text in [
        "a\n.\nb",
        "a\r.\rb",
        "a\n.\r\nb",
        "a\r\n.\nb",
        "a\r\n.\rb",
        "\n.\r\n",
    ] {
        let (mut host, mut session) = in_data();
        session.handle_input(text.as_bytes());
        session.handle_input(b"\r\nMAIL FROM:<evil@x>\r\n");
        host.run(&mut session);
        assert!(host.said.is_empty(), "{text:?}");
        session.handle_input(b".\r\n");
        host.run(&mut session);
        assert_eq!(host.delivered.len(), 1, "{text:?}");
        assert!(host.said.starts_with(b"250 "), "{text:?}");
    }
}

#[test]
fn long_lines_are_skipped() {
    for before in ["", "NOOP\r\n"] {
        let (mut host, mut session) = (Host::default(), session());
        session.handle_input(before.as_bytes());
        session.handle_input(&vec![b'x'; 3 * LINE_BYTES_MAX]);
        host.run(&mut session);
        session.handle_input(b"x\r\nNOOP\r\n");
        host.run(&mut session);
        let said = String::from_utf8(host.said).unwrap();
        assert!(
            said.ends_with("500 5.5.2 The line is too long\r\n250 2.0.0 OK\r\n"),
            "{said}"
        );
    }
}

#[test]
fn timeout_and_stop() {
    let (mut host, mut session) = in_data();
    session.handle_timeout();
    host.run(&mut session);
    assert!(host.closed && host.said.starts_with(b"421 4.4.2"));
    let (mut host, mut session) = in_data();
    session.handle_input(b"x\r\n.\r\n");
    let mut actions = Vec::new();
    while let Some(action) = session.poll_action() {
        actions.push(action);
    }
    assert!(matches!(actions.last(), Some(Action::Deliver(_))) && session.is_delivering());
    session.handle_stop();
    assert!(
        session.poll_action().is_none(),
        "the delivery is answered first"
    );
    session.handle_delivered(&[Ok(appended())]);
    host.run(&mut session);
    let said = String::from_utf8(host.said).unwrap();
    assert!(
        said.starts_with("250 2.0.0 <ann> delivered\r\n421 4.3.2"),
        "{said}"
    );
    assert!(host.closed && !session.wants_input());
}

fn stuffed(text: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut start = true;
    for (at, byte) in text.iter().enumerate() {
        if start && *byte == b'.' {
            wire.push(b'.');
        }
        wire.push(*byte);
        start = *byte == b'\n' && at > 0 && text[at - 1] == b'\r';
    }
    wire.extend_from_slice(if start { b".\r\n" } else { b"\r\n.\r\n" });
    wire
}

proptest! {
    #[test]
    fn unstuffing_undoes_stuffing(
        text in proptest::collection::vec(prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), Just(b'a')], 0..60),
        cuts in proptest::collection::vec(1_usize..7, 1..20),
    ) {
        let mut wire = &stuffed(&text)[..];
        let (mut unstuffer, mut output) = (data::Unstuffer::default(), BytesMut::new());
        let mut ended = false;
        let mut cuts = cuts.iter().cycle();
        while !wire.is_empty() {
            prop_assert!(!ended);
            let (piece, rest) = wire.split_at((*cuts.next().unwrap()).min(wire.len()));
            wire = rest;
            let mut input = BytesMut::from(piece);
            ended = unstuffer.run(&mut input, &mut output, usize::MAX);
            prop_assert!(input.is_empty());
        }
        prop_assert!(ended);
        let expected = if text.is_empty() || text.ends_with(b"\r\n") {
            text
        } else {
            [&text[..], b"\r\n"].concat()
        };
        prop_assert_eq!(&output[..], &expected[..]);
    }

    #[test]
    fn any_input_is_answered(
        words in proptest::collection::vec(prop_oneof![
            Just("LHLO x\r\n".to_owned()), Just("MAIL FROM:<a@b>\r\n".to_owned()),
            Just("RCPT TO:<ann>\r\n".to_owned()), Just("DATA\r\n".to_owned()),
            Just("\r\n.\r\n".to_owned()), Just("RSET\r\n".to_owned()), ".{0,20}", "[A-Z <>:@\"\\\\.+]{0,20}\r\n",
        ], 0..30),
    ) {
        let (mut host, mut session) = (Host::default(), session());
        for word in words {
            session.handle_input(word.as_bytes());
            host.run(&mut session);
        }
    }

    #[test]
    fn any_line_is_read_or_refused(line in proptest::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(command::Command::Rcpt(argument)) = command::parse(&line) {
            let _ = command::recipient(&argument, true);
        }
    }
}
