//! SASL exchanges: how long a line may be, and what is told when.
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
