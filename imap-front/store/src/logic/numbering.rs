//! Message numbers: ranks in a mailbox's index, as a transaction has changed it.

use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;

use mail::{MailboxId, Uid};

use super::{damage, keys, tables};
use crate::Error;
use crate::index::MailboxIndex;
use crate::index_build::{Build, SharedBuild, Stage};
use crate::index_cache::IndexCache;
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
    if build.saved_at.is_some_and(|at| at < mailbox.horizon) {
        build.scan();
    }
    build.first.get_or_insert(mailbox.modseq);
    build.seen = build.seen.max(mailbox.modseq);
    let mut left = rows;
    loop {
        match &mut build.stage {
            Stage::Begin => begin(kv, build, mailbox),
            Stage::Expunged(from) => {
                let gone = uids_from(kv, Space::Expunged, build.id, from, &mut left)?;
                gone.into_iter()
                    .for_each(|uid| build.index.apply(uid, None, false));
                if left > 0 {
                    let since = build.saved_at.unwrap_or_default();
                    build.stage = Stage::Changed(keys::changed_after(build.id, since).0);
                }
            }
            Stage::Changed(from) => {
                for uid in uids_from(kv, Space::Changes, build.id, from, &mut left)? {
                    let row = tables::message(kv, build.id, mailbox, uid)?;
                    build.index.apply(uid, row.as_ref(), false);
                }
                if left > 0 {
                    build.stage = Stage::Rows;
                }
            }
            Stage::Rows => {
                let (_, to) = keys::rows(build.id);
                let (index, next) = (&mut build.index, &mut build.next);
                tables::rows(kv, build.id, *next, &to, |uid, row| {
                    index.apply(uid, Some(&row), uid >= mailbox.uid_next);
                    *next = Uid(uid.0.saturating_add(1));
                    left -= 1;
                    left > 0
                })?;
                return Ok(left > 0);
            }
        }
        if left == 0 {
            return Ok(false);
        }
    }
}

/// Begins with what was saved, if it can be brought up to date.
fn begin(kv: &dyn Kv, build: &mut Build, mailbox: &Mailbox) {
    build.stage = Stage::Rows;
    let files = kv.indexes().and_then(IndexCache::files);
    let Some(files) = files.filter(|files| mailbox.messages > files.messages_min) else {
        return;
    };
    let index = match files.load(build.id) {
        Ok(Some(index)) => index,
        Ok(None) => return,
        Err(why) => {
            let place = damage::place(kv, build.id);
            tracing::warn!("{place}: its saved index is not used, {why}; the rows are looked at");
            return;
        }
    };
    let figures = *index.figures();
    let is_of_this = figures.uid_validity == mailbox.uid_validity
        && (mailbox.horizon..=mailbox.modseq).contains(&figures.modseq)
        && figures.uid_next <= mailbox.uid_next;
    if !is_of_this {
        files.forget(build.id);
        return;
    }
    build.saved_at = Some(figures.modseq);
    build.next = figures.uid_next;
    build.index = index;
    build.stage = Stage::Expunged(keys::changed_after(build.id, figures.modseq).0);
}

/// UIDs in the keys of what happened, from a key on, which is moved on; so many at most.
fn uids_from(
    kv: &dyn Kv,
    space: Space,
    id: MailboxId,
    from: &mut Vec<u8>,
    left: &mut usize,
) -> Result<Vec<Uid>, Error> {
    let (_, to) = keys::rows(id);
    let (mut uids, mut last) = (Vec::new(), None);
    kv.scan(space, from, &to, false, &mut |key, _| {
        uids.push(keys::uid_of(key));
        last = Some(key.to_vec());
        *left -= 1;
        if *left > 0 { Continue(()) } else { Break(()) }
    })?;
    if let Some(last) = last {
        // The key after it.
        *from = [&last[..], &[0]].concat();
    }
    Ok(uids)
}
