//! Rows that the writer used lately, so that what is done again and again needs no look into
//! tables: users, their use, names, mailboxes' figures, counters.
//!
//! They are as the last group has left them that was applied, committed or not: only the writer
//! changes rows, and it forgets all when a commit has failed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use crate::Error;
use crate::index_cache::IndexCache;
use crate::kv::{Changes, Kv, Space, Visit};
use mail::{MailboxId, Uid};

/// The keyspaces whose rows are kept.
const SPACES: [Space; 5] = [
    Space::Meta,
    Space::Users,
    Space::Accounts,
    Space::Names,
    Space::Mailboxes,
];
/// Memory for rows of each of them, in bytes.
const BYTES_MAX: u64 = 2 << 20;
/// What an entry takes besides key and value, about.
const ENTRY_BYTES: usize = 96;
/// A guess, for the size of tables.
const ENTRIES: usize = 1024;

type Rows = Cache<Vec<u8>, Option<Bytes>, Bytewise>;

#[derive(Clone)]
struct Bytewise;

impl Weighter<Vec<u8>, Option<Bytes>> for Bytewise {
    fn weight(&self, key: &Vec<u8>, value: &Option<Bytes>) -> u64 {
        (key.len() + value.as_ref().map_or(0, Bytes::len) + ENTRY_BYTES) as u64
    }
}

/// The rows, bounded by bytes. A row that is known not to be there is kept too.
pub(crate) struct HotRows {
    of: Mutex<[Rows; SPACES.len()]>,
}

impl HotRows {
    pub fn new() -> Self {
        let rows = |_| Cache::with_weighter(ENTRIES, BYTES_MAX, Bytewise);
        Self {
            of: Mutex::new(SPACES.map(rows)),
        }
    }

    fn of(&self) -> MutexGuard<'_, [Rows; SPACES.len()]> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all.
    pub fn clear(&self) {
        for rows in self.of().iter_mut() {
            rows.clear();
        }
    }

    /// Takes over what a group has changed.
    pub fn apply(&self, changes: &Changes) {
        let mut of = self.of();
        for ((space, key), value) in changes {
            if let Some(at) = place(*space) {
                of[at].insert(key.clone(), value.clone());
            }
        }
    }

    /// Rows as the group before has left them, over what lies below.
    pub fn over<'a>(&'a self, base: &'a dyn Kv) -> HotView<'a> {
        HotView { rows: self, base }
    }
}

fn place(space: Space) -> Option<usize> {
    SPACES.iter().position(|hot| *hot == space)
}

/// Reads rows that are kept from memory.
pub(crate) struct HotView<'a> {
    rows: &'a HotRows,
    base: &'a dyn Kv,
}

impl Kv for HotView<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let Some(at) = place(space) else {
            return self.base.get(space, key);
        };
        if let Some(row) = self.rows.of()[at].get(key) {
            return Ok(row.clone());
        }
        let row = self.base.get(space, key)?;
        self.rows.of()[at].insert(key.to_vec(), row.clone());
        Ok(row)
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        self.base.scan(space, from, to, reverse, visit)
    }

    fn indexes(&self) -> Option<&IndexCache> {
        self.base.indexes()
    }

    fn claimed(&self, mailbox: MailboxId) -> Option<Uid> {
        self.base.claimed(mailbox)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::kv::{Memory, Transaction};

    /// Counts reads of the rows below.
    struct Counted {
        rows: Memory,
        gets: Cell<usize>,
    }

    impl Kv for Counted {
        fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
            self.gets.set(self.gets.get() + 1);
            self.rows.get(space, key)
        }

        fn scan(
            &self,
            space: Space,
            from: &[u8],
            to: &[u8],
            reverse: bool,
            visit: Visit<'_>,
        ) -> Result<(), Error> {
            self.rows.scan(space, from, to, reverse, visit)
        }
    }

    fn counted() -> Counted {
        Counted {
            rows: Memory::default(),
            gets: Cell::new(0),
        }
    }

    #[test]
    fn a_row_is_looked_up_once_and_follows_changes() {
        let (hot, below) = (HotRows::new(), counted());
        let get = |space| hot.over(&below).get(space, &[1]).expect("reads");
        assert_eq!((get(Space::Names), get(Space::Names)), (None, None));
        assert_eq!(below.gets.get(), 1, "that it is not there is known");
        let mut txn = Transaction::new(&below);
        txn.put(Space::Names, &[1], vec![7]);
        txn.put(Space::Messages, &[1], vec![8]);
        let changes = txn.into_changes();
        hot.apply(&changes);
        assert_eq!(get(Space::Names).as_deref(), Some(&[7][..]));
        assert_eq!(below.gets.get(), 1);
        assert_eq!(get(Space::Messages), None, "not kept");
        hot.clear();
        assert_eq!(get(Space::Names), None, "the group was not committed");
    }

    #[test]
    fn memory_is_bounded() {
        let (hot, below) = (HotRows::new(), counted());
        for number in 0..100_000_u32 {
            let key = number.to_be_bytes();
            assert_eq!(
                hot.over(&below).get(Space::Users, &key).expect("reads"),
                None
            );
        }
        let of = hot.of();
        assert!(of.iter().map(Cache::weight).sum::<u64>() <= BYTES_MAX);
    }
}
