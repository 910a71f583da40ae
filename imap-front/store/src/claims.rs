//! Which messages some session has as recent (RFC 3501 §2.3.2), before the rows say so.
//!
//! A SELECT claims in memory and is answered at once; the writer puts it into the mailbox's row a
//! little later. So does who is told of new messages; that waits until the writer has time, for it
//! may come with each delivery. If the server dies between, messages are recent once more, as the
//! RFC allows.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mail::{MailboxId, Uid};

use crate::Error;

/// Claims that are not in the rows yet.
#[derive(Debug, Default)]
pub struct Claims {
    /// Messages from this UID on are not claimed.
    from: Mutex<BTreeMap<MailboxId, Uid>>,
}

impl Claims {
    fn from(&self) -> MutexGuard<'_, BTreeMap<MailboxId, Uid>> {
        self.from.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From which UID on messages are not claimed, if the row doesn't know yet.
    pub(crate) fn of(&self, id: MailboxId) -> Option<Uid> {
        self.from().get(&id).copied()
    }

    /// Claims what is below `uid_next` and not claimed yet; `row` reads what the row says. Gives
    /// from which UID on messages are the caller's, and whether that is to be noted in the row.
    ///
    /// # Errors
    /// Those of `row`.
    pub(crate) fn claim(
        &self,
        id: MailboxId,
        uid_next: Uid,
        row: impl FnOnce() -> Result<Uid, Error>,
    ) -> Result<(Uid, bool), Error> {
        let mut all = self.from();
        // Read while nobody can forget a claim: it is either here or in the row.
        let known = all.get(&id).copied().unwrap_or_default();
        let from = row()?.max(known);
        if from < uid_next {
            all.insert(id, uid_next);
        }
        Ok((from, from < uid_next))
    }

    /// Notes that somebody who may change the mailbox was told of its messages below a UID.
    pub(crate) fn told(&self, id: MailboxId, below: Uid) {
        let mut all = self.from();
        let from = all.entry(id).or_default();
        *from = below.max(*from);
    }

    /// Whether the rows say all.
    pub(crate) fn is_empty(&self) -> bool {
        self.from().is_empty()
    }

    /// Some claims that are not in the rows yet.
    pub(crate) fn some(&self, max: usize) -> Vec<(MailboxId, Uid)> {
        let all = self.from();
        all.iter()
            .take(max)
            .map(|(id, from)| (*id, *from))
            .collect()
    }

    /// The row says so now.
    pub(crate) fn noted(&self, id: MailboxId, from: Uid) {
        let mut all = self.from();
        if all.get(&id).is_some_and(|have| *have <= from) {
            all.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_claimed_once() {
        let claims = Claims::default();
        let id = MailboxId(1);
        let claim = |uid_next, row| claims.claim(id, Uid(uid_next), || Ok(Uid(row)));
        assert_eq!(claim(5, 3).expect("read"), (Uid(3), true));
        assert_eq!(claim(5, 3).expect("read"), (Uid(5), false));
        claims.noted(id, Uid(4));
        assert_eq!(claims.of(id), Some(Uid(5)), "newer than what was noted");
        claims.noted(id, Uid(5));
        assert_eq!(claim(6, 5).expect("read"), (Uid(5), true));
    }
}
