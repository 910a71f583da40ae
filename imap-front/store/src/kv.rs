//! Rows in keyspaces, and a transaction over them.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use bytes::Bytes;
use mail::{MailboxId, MailboxName, NameChange, NameChanges, Uid};

use crate::Error;
use crate::index_cache::IndexCache;
use crate::notification::Notification;

pub use crate::space::{Changes, Space};

/// Called for each row of a scan; breaks to end it.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// Rows that can be read.
pub trait Kv {
    /// The row of a key.
    ///
    /// # Errors
    /// If the disk fails.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error>;

    /// Visits the rows with `from <= key < to` in order, or in reverse.
    ///
    /// # Errors
    /// If the disk fails.
    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        visit: Visit<'_>,
    ) -> Result<(), Error>;

    /// Mailboxes' indexes, if such are kept.
    fn indexes(&self) -> Option<&IndexCache> {
        None
    }

    /// From which UID on messages of a mailbox are not claimed as recent, if its row doesn't know
    /// yet.
    fn claimed(&self, _mailbox: MailboxId) -> Option<Uid> {
        None
    }

    /// The committed rows below, if these are changes over them.
    fn base(&self) -> Option<&dyn Kv> {
        None
    }

    /// How often what they are in was opened: what was known of rows of another generation may be
    /// wrong of these.
    fn generation(&self) -> u64 {
        0
    }

    /// Whether others wait for the thread that reads: much is not read then ([`Error::Long`]).
    fn is_waited_for(&self) -> bool {
        false
    }
}

/// Rows that are read by a thread which others wait for.
pub(crate) struct AtOnce<'a>(pub &'a dyn Kv);

impl Kv for AtOnce<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.0.get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        self.0.scan(space, from, to, reverse, visit)
    }

    fn indexes(&self) -> Option<&IndexCache> {
        self.0.indexes()
    }

    fn claimed(&self, mailbox: MailboxId) -> Option<Uid> {
        self.0.claimed(mailbox)
    }

    fn base(&self) -> Option<&dyn Kv> {
        self.0.base()
    }

    fn generation(&self) -> u64 {
        self.0.generation()
    }

    fn is_waited_for(&self) -> bool {
        true
    }
}

/// Rows without what is kept of them in memory.
pub(crate) struct Unindexed<'a>(pub &'a dyn Kv);

impl Kv for Unindexed<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.0.get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        self.0.scan(space, from, to, reverse, visit)
    }

    fn claimed(&self, mailbox: MailboxId) -> Option<Uid> {
        self.0.claimed(mailbox)
    }

    fn generation(&self) -> u64 {
        self.0.generation()
    }
}

type Key = (Space, Vec<u8>);

/// Rows as changes that are not yet committed will leave them.
pub(crate) struct Pending<'a> {
    pub base: &'a dyn Kv,
    pub changes: &'a Changes,
}

impl Kv for Pending<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        match self.changes.get(&(space, key.to_vec())) {
            Some(value) => Ok(value.clone()),
            None => self.base.get(space, key),
        }
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        if from >= to {
            return Ok(());
        }
        let range = self
            .changes
            .range((space, from.to_vec())..(space, to.to_vec()));
        let mut changed: Vec<(&[u8], Option<&Bytes>)> = range
            .map(|((_, key), value)| (&key[..], value.as_ref()))
            .collect();
        if changed.is_empty() {
            return self.base.scan(space, from, to, reverse, visit);
        }
        // The next change stands at the end.
        if !reverse {
            changed.reverse();
        }
        let mut flow = ControlFlow::Continue(());
        self.base
            .scan(space, from, to, reverse, &mut |key, value| {
                while let Some(&(next, new)) = changed.last() {
                    if if reverse { next < key } else { next > key } {
                        break;
                    }
                    changed.pop();
                    if let Some(new) = new {
                        flow = visit(next, new);
                    }
                    if flow.is_break() || next == key {
                        return flow;
                    }
                }
                flow = visit(key, value);
                flow
            })?;
        while let (Some((key, new)), ControlFlow::Continue(())) = (changed.pop(), flow) {
            if let Some(new) = new {
                flow = visit(key, new);
            }
        }
        Ok(())
    }

    fn indexes(&self) -> Option<&IndexCache> {
        self.base.indexes()
    }

    fn claimed(&self, mailbox: MailboxId) -> Option<Uid> {
        self.base.claimed(mailbox)
    }
}

/// Changes over rows, not yet committed. Operations are begun one after the other; each can be
/// undone as a whole.
pub struct Transaction<'a> {
    base: &'a dyn Kv,
    changes: Changes,
    undo: Vec<(Key, Option<Option<Bytes>>)>,
    /// Collected if somebody wants them.
    notifications: Option<Vec<Notification>>,
    /// Notifications of operations before the present one.
    noticed: usize,
    /// What became of names, by the present operation.
    name_changes: NameChanges,
    /// What mailboxes are called that the present operation has looked up.
    names: HashMap<MailboxId, MailboxName>,
}

impl<'a> Transaction<'a> {
    /// An empty transaction over rows.
    pub fn new(base: &'a dyn Kv) -> Self {
        Self {
            base,
            changes: BTreeMap::new(),
            undo: Vec::new(),
            notifications: None,
            noticed: 0,
            name_changes: NameChanges::default(),
            names: HashMap::new(),
        }
    }

    /// As [`Transaction::new`], and what is done is noticed.
    pub fn observed(base: &'a dyn Kv) -> Self {
        Self {
            notifications: Some(Vec::new()),
            ..Self::new(base)
        }
    }

    /// Notes what was done, if somebody wants to know.
    pub fn notification(&mut self, notification: impl FnOnce() -> Notification) {
        if let Some(notifications) = &mut self.notifications {
            notifications.push(notification());
        }
    }

    /// How much was noted so far.
    pub fn notifications(&self) -> usize {
        self.notifications.as_ref().map_or(0, Vec::len)
    }

    /// Forgets what was noted after so much.
    pub fn forget_notifications(&mut self, after: usize) {
        if let Some(notifications) = &mut self.notifications {
            notifications.truncate(after);
        }
    }

    /// All that was noted.
    pub fn take_notifications(&mut self) -> Vec<Notification> {
        self.notifications.take().unwrap_or_default()
    }

    /// Begins an operation: what came before stays even if this one is undone.
    pub fn begin(&mut self) {
        self.undo.clear();
        self.noticed = self.notifications();
        self.name_changes.clear();
        self.names.clear();
    }

    /// Undoes the operation begun last.
    pub fn undo(&mut self) {
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(value) => self.changes.insert(key, value),
                None => self.changes.remove(&key),
            };
        }
        self.forget_notifications(self.noticed);
        self.name_changes.clear();
        self.names.clear();
    }

    /// Something became of a name. Of many only that is noted.
    pub fn name_change(&mut self, change: NameChange) {
        self.name_changes.note(change);
    }

    /// What became of names by the present operation.
    pub fn take_name_changes(&mut self) -> Vec<NameChange> {
        self.name_changes.take()
    }

    /// Notes what a mailbox is called that the present operation has looked up.
    pub fn note_name(&mut self, id: MailboxId, name: &MailboxName) {
        self.names.insert(id, name.clone());
    }

    /// What a mailbox is called, if the present operation has looked it up.
    pub fn noted_name(&self, id: MailboxId) -> Option<MailboxName> {
        self.names.get(&id).cloned()
    }

    /// Sets a row.
    pub fn put(&mut self, space: Space, key: &[u8], value: impl Into<Bytes>) {
        self.change(space, key, Some(value.into()));
    }

    /// Removes a row.
    pub fn delete(&mut self, space: Space, key: &[u8]) {
        self.change(space, key, None);
    }

    fn pending(&self) -> Pending<'_> {
        Pending {
            base: self.base,
            changes: &self.changes,
        }
    }

    fn change(&mut self, space: Space, key: &[u8], value: Option<Bytes>) {
        let key = (space, key.to_vec());
        let before = self.changes.insert(key.clone(), value);
        self.undo.push((key, before));
    }

    /// The rows changed so far with `from <= key < to`, in order: a new value, or none for a
    /// removed row.
    pub fn changed(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
    ) -> impl Iterator<Item = (&[u8], Option<&Bytes>)> {
        let range = (space, from.to_vec())..(space, to.to_vec());
        let rows = self.changes.range(range);
        rows.map(|((_, key), value)| (&key[..], value.as_ref()))
    }

    /// Whether anything changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changed rows: a new value, or none for a removed row.
    pub fn into_changes(self) -> Changes {
        self.changes
    }
}

impl Kv for Transaction<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.pending().get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        self.pending().scan(space, from, to, reverse, visit)
    }

    fn indexes(&self) -> Option<&IndexCache> {
        self.base.indexes()
    }

    fn base(&self) -> Option<&dyn Kv> {
        Some(self.base)
    }
}

/// Rows in memory, for tests and the simulator.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    rows: BTreeMap<Key, Bytes>,
}

impl Memory {
    /// Takes a transaction's changes over.
    pub fn apply(&mut self, changes: Changes) {
        for (key, value) in changes {
            match value {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
    }
}

impl Kv for Memory {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        Ok(self.rows.get(&(space, key.to_vec())).cloned())
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        if from >= to {
            return Ok(());
        }
        let range = self
            .rows
            .range((space, from.to_vec())..(space, to.to_vec()));
        let mut each = |((_, key), value): (&Key, &Bytes)| visit(key, value);
        let _ = if reverse {
            range.rev().try_for_each(&mut each)
        } else {
            range.into_iter().try_for_each(&mut each)
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(kv: &dyn Kv, reverse: bool, limit: usize) -> Vec<(u8, u8)> {
        let mut rows = Vec::new();
        kv.scan(Space::Names, &[2], &[9], reverse, &mut |key, value| {
            rows.push((key[0], value[0]));
            if rows.len() < limit {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })
        .expect("memory does not fail");
        rows
    }

    /// Every choice of rows below, rows set above and rows removed above, in both directions.
    #[test]
    fn a_scan_over_changes_sees_what_a_commit_would() {
        for bits in 0..4_u32.pow(6) {
            let mut memory = Memory::default();
            let choice = |key: u8| bits >> (2 * (key - 1)) & 3;
            let below = (1..=6).filter(|&key| choice(key) & 1 != 0);
            let rows = below.map(|key| ((Space::Names, vec![key]), Some(Bytes::from(vec![1]))));
            memory.apply(rows.collect());
            let base = memory.clone();
            let mut txn = Transaction::new(&base);
            for key in (1..=6).filter(|&key| choice(key) & 2 != 0) {
                match key % 2 {
                    0 => txn.put(Space::Names, &[key], vec![2]),
                    _ => txn.delete(Space::Names, &[key]),
                }
            }
            memory.apply(txn.changes.clone());
            for (reverse, limit) in [(false, 9), (true, 9), (false, 2), (true, 2)] {
                assert_eq!(
                    seen(&txn, reverse, limit),
                    seen(&memory, reverse, limit),
                    "{bits}"
                );
            }
        }
    }

    #[test]
    fn an_operation_is_undone_alone() {
        let base = Memory::default();
        let mut txn = Transaction::new(&base);
        txn.begin();
        txn.put(Space::Meta, &[1], vec![1]);
        txn.begin();
        txn.put(Space::Meta, &[1], vec![2]);
        txn.put(Space::Meta, &[2], vec![2]);
        txn.delete(Space::Meta, &[1]);
        txn.undo();
        assert_eq!(
            txn.get(Space::Meta, &[1]).expect("reads").as_deref(),
            Some(&[1][..])
        );
        assert_eq!(txn.get(Space::Meta, &[2]).expect("reads"), None);
    }
}
