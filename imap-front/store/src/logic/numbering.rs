//! Message numbers: ranks in a mailbox's index, as a transaction has changed it.

use std::sync::Arc;

use mail::{MailboxId, Uid};

use super::{keys, tables};
use crate::Error;
use crate::index::MailboxIndex;
use crate::index_build::{Build, SharedBuild};
use crate::kv::{Kv, Space, Transaction};
use crate::rows::Mailbox;

/// The writer looks through mailboxes with so many messages at once; an index of more is built in
/// slices.
const AT_ONCE_MAX: u32 = 4096;

/// Which message has which number.
pub(super) struct Numbering {
    pub index: Arc<MailboxIndex>,
    /// UIDs that the transaction adds, ascending.
    added: Vec<Uid>,
    /// UIDs that it removes, ascending.
    removed: Vec<Uid>,
}

impl Numbering {
    /// As an index is.
    pub fn of_index(index: Arc<MailboxIndex>) -> Self {
        Self {
            index,
            added: vec![],
            removed: vec![],
        }
    }

    /// As a transaction has left the mailbox.
    ///
    /// # Errors
    /// [`Error::Cold`] if the index has to be built before.
    pub fn of(txn: &Transaction<'_>, id: MailboxId, mailbox: &Mailbox) -> Result<Self, Error> {
        let Some(index) = committed(txn, id)? else {
            if mailbox.rows() > AT_ONCE_MAX {
                return Err(Error::Cold(id));
            }
            return Ok(Self::of_index(Arc::new(scanned(txn, id, mailbox)?)));
        };
        let (mut added, mut removed) = (vec![], vec![]);
        let from = keys::message(id, Uid(0));
        let to = keys::message(id, mailbox.uid_next);
        for (key, row) in txn.changed(Space::Messages, &from, &to) {
            let uid = keys::uid_of(key);
            match (index.uids().contains(uid.0), row) {
                (false, Some(_)) => added.push(uid),
                (true, None) => removed.push(uid),
                _ => {}
            }
        }
        Ok(Self {
            index,
            added,
            removed,
        })
    }

    /// Whether the transaction adds or removes messages.
    pub fn is_changed(&self) -> bool {
        !self.added.is_empty() || !self.removed.is_empty()
    }

    /// The UIDs from one to another, which is excluded, ascending.
    pub fn between(&self, from: Uid, to: Uid) -> Vec<Uid> {
        let known = self.index.uids().range(from.0..to.0).map(Uid);
        let mut uids: Vec<Uid> = known
            .filter(|uid| self.removed.binary_search(uid).is_err())
            .collect();
        let added = self.added.iter().copied();
        uids.extend(added.filter(|uid| (from..to).contains(uid)));
        uids
    }

    /// The number of a message that is there; of one that is not, that of the one before it.
    pub fn number(&self, uid: Uid) -> u32 {
        let up_to = |uids: &[Uid]| uids.partition_point(|have| *have <= uid) as u32;
        self.index.rank(uid) + up_to(&self.added) - up_to(&self.removed)
    }
}

/// Whether an operation on a mailbox has to wait until its index was built.
pub(super) fn is_cold(txn: &Transaction<'_>, id: MailboxId) -> Result<bool, Error> {
    let Some(mailbox) = tables::mailbox(txn, id)? else {
        return Ok(false);
    };
    Ok(mailbox.rows() > AT_ONCE_MAX && committed(txn, id)?.is_none())
}

/// The index as of the last commit, if it is kept or soon made.
fn committed(txn: &Transaction<'_>, id: MailboxId) -> Result<Option<Arc<MailboxIndex>>, Error> {
    let (Some(indexes), Some(base)) = (txn.indexes(), txn.base()) else {
        return Ok(None);
    };
    if let Some(index) = indexes.get(id) {
        return Ok(Some(index));
    }
    let Some(mailbox) = tables::mailbox(base, id)? else {
        return Ok(None);
    };
    if mailbox.rows() > AT_ONCE_MAX {
        return Ok(None);
    }
    if let Some(shared) = indexes.build(id) {
        // A reader that builds it is as quick.
        let Ok(mut build) = shared.try_lock() else {
            return Ok(None);
        };
        while !go_on(base, &mut build, &mailbox, usize::MAX)? {}
        indexes.finish(&shared, &mut build, &mailbox);
    }
    Ok(indexes.get(id))
}

/// The index of a mailbox, by a look at each row.
pub(super) fn scanned(
    kv: &dyn Kv,
    id: MailboxId,
    mailbox: &Mailbox,
) -> Result<MailboxIndex, Error> {
    let mut build = Build::new(id);
    while !go_on(kv, &mut build, mailbox, usize::MAX)? {}
    build.index.advance(mailbox);
    Ok(build.index)
}

/// Looks at so many rows more for an index that is shared; in the end it is kept. True if no more
/// is to be done. The view has to be from after the build was begun.
pub(crate) fn build_some(
    kv: &dyn Kv,
    shared: &SharedBuild,
    build: &mut Build,
    rows: usize,
) -> Result<bool, Error> {
    if !build.is_done {
        match (tables::mailbox(kv, build.id)?, kv.indexes()) {
            (Some(mailbox), Some(indexes)) => {
                if go_on(kv, build, &mailbox, rows)? {
                    indexes.finish(shared, build, &mailbox);
                }
            }
            _ => build.is_done = true,
        }
    }
    Ok(build.is_done)
}

/// Looks at so many rows more. True if there are no more.
fn go_on(kv: &dyn Kv, build: &mut Build, mailbox: &Mailbox, rows: usize) -> Result<bool, Error> {
    let (_, to) = keys::rows(build.id);
    let mut left = rows;
    let (index, next) = (&mut build.index, &mut build.next);
    tables::rows(kv, build.id, *next, &to, |uid, row| {
        index.apply(uid, Some(&row), uid >= mailbox.uid_next);
        *next = Uid(uid.0.saturating_add(1));
        left -= 1;
        left > 0
    })?;
    Ok(left > 0)
}
