use std::sync::Arc;

use mail::Refusal;
use mail::reply::Appended;

use super::*;

mod starttls;
mod text;

/// A host that knows some users and keeps what it is given.
#[derive(Default)]
struct Host {
    said: Vec<u8>,
    delivered: Vec<(Vec<String>, Vec<u8>)>,
    kept: Vec<u8>,
    discards: usize,
    handshakes: usize,
    closed: bool,
    refusals: Vec<(&'static str, Refusal)>,
    /// Messages that were refused as they came.
    refused: Vec<Undelivered>,
    /// Those that were by their announced size.
    too_big: usize,
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
                Action::StartTls => self.handshakes += 1,
                Action::Undelivered(message) => self.refused.push(message),
                Action::TooBig => self.too_big += 1,
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
fn a_browser_that_was_led_here_says_nothing_more() {
    let long = format!("GET /{} HTTP/1.1\r\nLHLO here\r\n", "x".repeat(100_000));
    for request in ["POST / HTTP/1.1\r\nHost: a\r\n\r\nLHLO here\r\n", &long] {
        for piece in [1, 999, request.len()] {
            let (mut session, mut host) = (session(), Host::default());
            host.run(&mut session);
            host.said.clear();
            for piece in request.as_bytes().chunks(piece) {
                session.handle_input(piece);
                host.run(&mut session);
            }
            let said = String::from_utf8(std::mem::take(&mut host.said)).unwrap();
            assert_eq!(said, format!("{}\r\n", reply::NO_WEB_SERVER));
            assert!(host.closed);
            assert_eq!(session.ending(), Some(Ending::Http));
        }
    }
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
    assert_eq!(session.ending(), Some(Ending::Errors));
}

/// What recipients take is what counts, not how many there are.
#[test]
fn recipients_are_counted_in_bytes() {
    let mut session = session();
    let mut host = Host::default();
    host.run(&mut session);
    session.handle_input(b"LHLO x\r\nMAIL FROM:<>\r\n");
    host.run(&mut session);
    let before = session.held_bytes();
    for number in 0..3 {
        let folder = format!("{number:0>200}");
        session.handle_input(format!("RCPT TO:<fred+{folder}@x.example>\r\n").as_bytes());
        host.run(&mut session);
    }
    // The address and the folder.
    let more = session.held_bytes() - before;
    assert!(more >= 3 * 400, "{more}");
}
