//! LMTP: what is said and delivered does not depend on how the bytes arrive.

use std::sync::Arc;

use mail::Refusal;
use mail::reply::Appended;
use proto::lmtp::{Action, Lookup, OverQuota, Session, SessionConfig, Stamp};

/// What came out of a session.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    said: Vec<u8>,
    kept: Vec<u8>,
    delivered: Vec<(usize, Vec<u8>)>,
    closed: bool,
}

/// A client's bytes: the first tells the size of the pieces in which the others come.
pub fn lmtp(data: &[u8]) {
    let Some((&size, data)) = data.split_first() else {
        return;
    };
    let whole = run(&mut [data].into_iter());
    let pieces = run(&mut data.chunks(usize::from(size).max(1)));
    assert_eq!(pieces, whole);
    let lines: Vec<&[u8]> = whole.said.split_inclusive(|&b| b == b'\n').collect();
    assert!(lines[0].starts_with(b"220 "));
    for line in lines {
        assert!(
            line.ends_with(b"\r\n") && line.len() > 6,
            "{}",
            line.escape_ascii()
        );
        assert!(line[..3].iter().all(u8::is_ascii_digit) && b" -".contains(&line[3]));
    }
}

fn run(pieces: &mut dyn Iterator<Item = &[u8]>) -> Outcome {
    let config = SessionConfig {
        hostname: "mx.test".into(),
        message_bytes_max: 400,
        recipients_max: 3,
        over_quota: OverQuota::Permanent,
    };
    let mut session = Session::new(Arc::new(config), None);
    let mut outcome = Outcome::default();
    outcome.carry_out(&mut session);
    for piece in pieces {
        if outcome.closed {
            break;
        }
        assert!(session.wants_input());
        session.handle_input(piece);
        outcome.carry_out(&mut session);
    }
    outcome
}

impl Outcome {
    fn carry_out(&mut self, session: &mut Session) {
        while let Some(action) = session.poll_action() {
            assert!(!self.closed);
            match action {
                Action::Send(bytes) => self.said.extend_from_slice(&bytes),
                Action::Lookup(recipient) => session.handle_lookup(match &*recipient.user {
                    "nobody" => Lookup::Unknown,
                    user => Lookup::Found(user.into()),
                }),
                Action::Begin => session.handle_begin(Ok(Stamp {
                    id: "1".into(),
                    date: "Mon, 7 Feb 1994 21:52:25 +0000".into(),
                })),
                Action::Chunk(bytes) => self.kept.extend_from_slice(&bytes),
                Action::Discard => self.kept.clear(),
                Action::Deliver(delivery) => {
                    let mut message = std::mem::take(&mut self.kept);
                    message.extend_from_slice(&delivery.last);
                    assert_eq!(message.len() as u64, delivery.size);
                    assert!(!delivery.targets.is_empty() && delivery.targets.len() <= 3);
                    let results: Vec<Result<Appended, Refusal>> =
                        delivery.targets.iter().map(|_| Ok(appended())).collect();
                    self.delivered.push((delivery.targets.len(), message));
                    session.handle_delivered(&results);
                }
                Action::StartTls => unreachable!("it is not offered"),
                Action::Undelivered(_) | Action::TooBig => {}
                Action::Close => self.closed = true,
            }
        }
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
