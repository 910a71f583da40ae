//! A message that came in pieces and is refused as a whole: its pieces are given back.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;

use mail::request::Body;
use mail::{Refusal, Reply, Request, SpoolId, UserId};
use proto::imap::action::Action;
use proto::imap::{Session, SessionConfig};

const SPOOL: SpoolId = SpoolId(7);

/// Hands input over and answers what is asked. Gives what was said, and the pieces given back.
fn talk(session: &mut Session, input: &[u8]) -> (String, Vec<SpoolId>) {
    session.handle_input(input);
    let (mut said, mut given_back) = (String::new(), vec![]);
    while let Some(action) = session.poll_action() {
        match action {
            Action::Send(bytes) => said.push_str(&String::from_utf8_lossy(&bytes)),
            Action::Request(Request::Authenticate(_)) => {
                session.handle_reply(Reply::Authenticated(UserId(1)));
            }
            Action::Request(Request::Spool { .. }) => session.handle_reply(Reply::Spooled(SPOOL)),
            Action::Request(Request::Append { body, .. }) => {
                assert!(matches!(body, Body::Spooled(SPOOL)));
                session.handle_reply(Reply::Refused(Refusal::DiskFull));
            }
            Action::Request(Request::Discard { spool }) => {
                given_back.push(spool);
                session.handle_reply(Reply::Done);
            }
            _ => {}
        }
        session.handle_drained();
    }
    (said, given_back)
}

#[test]
fn pieces_of_a_message_that_is_refused_are_given_back() {
    let mut session = Session::new(Arc::new(SessionConfig::default()), true);
    talk(
        &mut session,
        b"a LOGIN fred fred\r\nb APPEND INBOX {300000+}\r\n",
    );
    let mut all = (String::new(), vec![]);
    for piece in vec![b'x'; 300_000].chunks(8192) {
        let (said, given_back) = talk(&mut session, piece);
        all.0 += &said;
        all.1.extend(given_back);
    }
    assert_eq!(all, (String::new(), vec![]));
    let (said, given_back) = talk(&mut session, b"\r\nc NOOP\r\n");
    assert!(said.starts_with("b NO "), "{said}");
    assert!(said.contains("c OK"), "{said}");
    assert_eq!(given_back, [SPOOL]);
}
