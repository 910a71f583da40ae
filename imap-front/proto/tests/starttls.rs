//! STARTTLS (RFC 3501 §6.2.1).
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;

use proto::imap::action::Action;
use proto::imap::{Ending, Session, SessionConfig};

/// What a session does when a client says this.
fn said(session: &mut Session, input: &str) -> String {
    session.handle_input(input.as_bytes());
    let mut all = String::new();
    while let Some(action) = session.poll_action() {
        match action {
            Action::Send(bytes) => all.push_str(std::str::from_utf8(&bytes).unwrap()),
            other => all.push_str(&format!("<{other:?}>")),
        }
    }
    session.handle_drained();
    all
}

fn session() -> Session {
    Session::with_starttls(Arc::new(SessionConfig::default()), false, true)
}

#[test]
fn passwords_are_taken_after_it_and_it_is_offered_before() {
    let mut session = session();
    let greeting = said(&mut session, "");
    assert!(greeting.contains(" STARTTLS "), "{greeting}");
    assert!(greeting.contains(" LOGINDISABLED "), "{greeting}");
    assert!(said(&mut session, "a LOGIN fred fred\r\n").starts_with("a NO [PRIVACYREQUIRED]"));
    let begun = said(&mut session, "b STARTTLS\r\n");
    assert_eq!(begun, "b OK Begin the TLS handshake now\r\n<StartTls>");
    let list = said(&mut session, "c CAPABILITY\r\n");
    assert!(list.contains(" AUTH=PLAIN "), "{list}");
    assert!(!list.contains("STARTTLS") && !list.contains("LOGINDISABLED"));
    assert!(said(&mut session, "d STARTTLS\r\n").starts_with("d BAD"));
    assert!(said(&mut session, "e LOGIN fred fred\r\n").contains("Authenticate"));
}

#[test]
fn what_comes_behind_it_in_clear_text_is_not_done() {
    for behind in ["b LOGIN fred fred\r\n", "b", "\r\n", "\u{16}\u{3}\u{1}"] {
        let mut session = session();
        said(&mut session, "");
        let heard = said(&mut session, &format!("a STARTTLS\r\n{behind}"));
        assert!(heard.starts_with("* BYE"), "{heard}");
        assert!(heard.ends_with("<Close>") && !heard.contains("StartTls"));
    }
}

#[test]
fn it_is_refused_where_it_is_not_offered() {
    let mut session = Session::new(Arc::new(SessionConfig::default()), true);
    assert!(!said(&mut session, "").contains("STARTTLS"));
    assert!(said(&mut session, "a STARTTLS\r\n").starts_with("a BAD"));
}

#[test]
fn a_browser_that_was_led_here_says_nothing_more() {
    let body = "POST / HTTP/1.1\r\nHost: mail.example\r\n\r\na LOGIN fred fred\r\n";
    let long = format!(
        "GET /{} HTTP/1.1\r\na LOGIN fred fred\r\n",
        "x".repeat(100_000)
    );
    for request in [body, &long] {
        for piece in [1, 1000, request.len()] {
            let mut session = session();
            said(&mut session, "");
            said(&mut session, "a STARTTLS\r\n");
            let heard: String = request
                .as_bytes()
                .chunks(piece)
                .map(|piece| said(&mut session, std::str::from_utf8(piece).unwrap()))
                .collect();
            assert_eq!(heard, "* BYE This is IMAP, and no web server\r\n<Close>");
            assert_eq!(session.ended_for(), Some(Ending::Http));
        }
    }
}
