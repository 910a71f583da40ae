//! Before login: how long a line of a SASL exchange may be, and how many commands there may be.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;

use proto::imap::action::Action;
use proto::imap::{Session, SessionConfig};

/// What is said to some input; `(asks)` stands for a request.
fn said(session: &mut Session, input: &[u8]) -> String {
    session.handle_input(input);
    let mut all = String::new();
    while let Some(action) = session.poll_action() {
        match action {
            Action::Send(bytes) => all.push_str(std::str::from_utf8(&bytes).unwrap()),
            Action::Request(_) => all.push_str("(asks)"),
            _ => {}
        }
        session.handle_drained();
    }
    all
}

/// A line is refused, or worked on, as soon as the session takes no more of it: none hangs between
/// what it may be and what is kept of a client's input.
#[test]
fn a_sasl_line_of_any_length_is_answered() {
    let config = Arc::new(SessionConfig::default());
    for length in (7..15).map(|kib| kib << 10) {
        let mut session = Session::new(config.clone(), true);
        said(&mut session, b"");
        assert_eq!(said(&mut session, b"a AUTHENTICATE PLAIN\r\n"), "+ \r\n");
        // As a host does: no more is read while the session wants none.
        let line = [b"A".repeat(length), b"\r\n".to_vec()].concat();
        let mut answer = String::new();
        for piece in line.chunks(512) {
            assert!(
                session.wants_input(),
                "nothing more is read of a line of {length} bytes, and nothing is said: {answer:?}"
            );
            answer += &said(&mut session, piece);
        }
        let fits = length <= config.login_bytes_max;
        let expected = if fits {
            "expected authorization"
        } else {
            "too long"
        };
        assert!(answer.starts_with("a BAD "), "{length}: {answer:?}");
        assert!(answer.contains(expected), "{length}: {answer:?}");
        assert!(said(&mut session, b"b NOOP\r\n").starts_with("b OK"));
    }
}

#[test]
fn too_many_commands_before_login_end_the_session() {
    let config = Arc::new(SessionConfig {
        prelogin_commands_max: 3,
        ..SessionConfig::default()
    });
    let mut session = Session::new(config.clone(), true);
    said(&mut session, b"");
    // Of whatever kind; an empty line is none, nor is what belongs to one.
    assert!(said(&mut session, b"a NOOP\r\n\r\n\r\n").starts_with("a OK"));
    assert!(said(&mut session, b"nonsense\r\n").contains("BAD"));
    assert!(said(&mut session, b"c LOGIN {4}\r\n").starts_with("+ "));
    assert!(said(&mut session, b"fred x\r\n").ends_with("(asks)"));
    session.handle_reply(mail::Reply::Refused(mail::Refusal::Credentials));
    assert!(said(&mut session, b"").starts_with("c NO [AUTH"));
    assert!(!session.exceeds_commands());
    let end = said(&mut session, b"d NOOP\r\ne NOOP\r\n");
    assert_eq!(end, "* BYE [LIMIT] Too many commands before login\r\n");
    assert!(session.exceeds_commands());
    // After login there may be any number.
    let mut session = Session::new(config, true);
    said(&mut session, b"a LOGIN fred x\r\n");
    session.handle_reply(mail::Reply::Authenticated(mail::UserId(1)));
    for _ in 0..10 {
        assert!(said(&mut session, b"b CAPABILITY\r\n").ends_with("b OK CAPABILITY completed\r\n"));
    }
}

/// What a login under way keeps counts as what the session keeps.
#[test]
fn an_exchange_is_counted_in_bytes() {
    let config = Arc::new(SessionConfig {
        scram: Arc::new(true.into()),
        ..SessionConfig::default()
    });
    let mut session = Session::new(config, true);
    said(&mut session, b"");
    let before = session.held_bytes();
    let first = format!("n,,n={},r={}", "u".repeat(200), "n".repeat(200));
    let first = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, first);
    let line = format!("a AUTHENTICATE SCRAM-SHA-256 {first}\r\n");
    assert_eq!(said(&mut session, line.as_bytes()), "(asks)");
    let kept = session.held_bytes() - before;
    assert!(kept >= 2 * 400, "{kept}");
}
