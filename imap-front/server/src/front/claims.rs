//! What clients were told of new messages, on its way to the store.

use std::collections::BTreeMap;

use mail::{MailboxId, Request, Uid};

/// Mailboxes whose claims may wait on one shard; more are dropped, and those messages are recent
/// once more.
const CLAIMS_MAX: usize = 16 << 10;

/// Of each mailbox, the UID below which somebody knows all messages (RFC 3501 §2.3.2).
#[derive(Default)]
pub struct Claims {
    waiting: BTreeMap<MailboxId, Uid>,
    /// The last that was noted: an event is told to many sessions, one after the other.
    last: Option<(MailboxId, Uid)>,
}

impl Claims {
    /// Notes one. False if too many wait.
    pub fn note(&mut self, mailbox: MailboxId, below: Uid) -> bool {
        if self.last == Some((mailbox, below)) {
            return true;
        }
        self.last = Some((mailbox, below));
        if self.waiting.len() >= CLAIMS_MAX && !self.waiting.contains_key(&mailbox) {
            return false;
        }
        let known = self.waiting.entry(mailbox).or_default();
        *known = below.max(*known);
        true
    }

    /// Takes one, to be told to the store.
    pub fn pop(&mut self) -> Option<Request> {
        let (mailbox, below) = self.waiting.pop_first()?;
        if self.waiting.is_empty() {
            self.last = None;
        }
        Some(Request::Claim { mailbox, below })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_claim_a_mailbox_and_a_bounded_number() {
        let mut claims = Claims::default();
        for below in [5, 7, 6] {
            assert!(claims.note(MailboxId(1), Uid(below)));
        }
        let Some(Request::Claim { mailbox, below }) = claims.pop() else {
            panic!("one waits");
        };
        assert_eq!((mailbox, below), (MailboxId(1), Uid(7)));
        assert!(claims.pop().is_none());
        let noted = |n: &u64| claims.note(MailboxId(*n), Uid(2));
        let taken = (1..=2 * CLAIMS_MAX as u64).filter(noted).count();
        assert_eq!(taken, CLAIMS_MAX);
        assert!(claims.note(MailboxId(1), Uid(3)), "it waits already");
    }
}
