//! Which UIDs mailboxes have, kept so that message numbers needn't be counted through each time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mail::{MailboxId, ModSeq, Uid};

/// Memory that an entry takes besides its UIDs, in bytes, about.
const ENTRY_BYTES: usize = 96;

/// A cache of UID lists, each as of a mod-sequence at which it was committed. Shared by the writer
/// and all readers; bounded by bytes; those used longest ago go first.
pub struct UidCache {
    bytes_max: usize,
    messages_min: u32,
    lists: Mutex<Lists>,
}

#[derive(Default)]
struct Lists {
    of: BTreeMap<MailboxId, List>,
    bytes: usize,
    uses: u64,
}

struct List {
    modseq: ModSeq,
    uids: Arc<[Uid]>,
    used: u64,
}

impl UidCache {
    /// An empty cache. Lists shorter than `messages_min` are not worth keeping.
    pub(crate) fn new(bytes_max: usize, messages_min: u32) -> Self {
        Self {
            bytes_max,
            messages_min,
            lists: Mutex::default(),
        }
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        *self.lists() = Lists::default();
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A list that is not newer than `modseq`.
    pub(crate) fn find(&self, id: MailboxId, modseq: ModSeq) -> Option<(ModSeq, Arc<[Uid]>)> {
        let mut lists = self.lists();
        lists.uses += 1;
        let used = lists.uses;
        let list = lists.of.get_mut(&id).filter(|list| list.modseq <= modseq)?;
        list.used = used;
        Some((list.modseq, list.uids.clone()))
    }

    pub(crate) fn keep(&self, id: MailboxId, modseq: ModSeq, uids: &Arc<[Uid]>) {
        let mut lists = self.lists();
        if uids.len() < self.messages_min as usize
            || lists.of.get(&id).is_some_and(|list| list.modseq >= modseq)
        {
            return;
        }
        lists.uses += 1;
        let list = List {
            modseq,
            uids: uids.clone(),
            used: lists.uses,
        };
        lists.bytes += bytes_of(&list);
        if let Some(old) = lists.of.insert(id, list) {
            lists.bytes -= bytes_of(&old);
        }
        if lists.bytes > self.bytes_max {
            lists.halve(self.bytes_max);
        }
    }
}

impl Lists {
    /// Drops what was used longest ago until half of the room is free.
    fn halve(&mut self, bytes_max: usize) {
        let mut by_use: Vec<(u64, MailboxId)> =
            self.of.iter().map(|(id, list)| (list.used, *id)).collect();
        by_use.sort_unstable();
        for (_, id) in by_use {
            if self.bytes <= bytes_max / 2 {
                return;
            }
            if let Some(list) = self.of.remove(&id) {
                self.bytes -= bytes_of(&list);
            }
        }
    }
}

fn bytes_of(list: &List) -> usize {
    ENTRY_BYTES + std::mem::size_of_val(&*list.uids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let cache = UidCache::new(20_000, 10);
        let uids: Arc<[Uid]> = (1..=100).map(Uid).collect();
        for id in 0..1_000 {
            cache.keep(MailboxId(id), ModSeq(5), &uids);
            cache
                .find(MailboxId(0), ModSeq(5))
                .expect("used all the time");
            assert!(cache.lists().bytes <= 20_000);
        }
        assert!(
            cache.find(MailboxId(0), ModSeq(4)).is_none(),
            "newer than asked for"
        );
        assert!(cache.find(MailboxId(1), ModSeq(9)).is_none(), "dropped");
        cache.keep(MailboxId(2_000), ModSeq(1), &uids[..9].into());
        assert!(
            cache.find(MailboxId(2_000), ModSeq(1)).is_none(),
            "too short to keep"
        );
        cache.clear();
        assert_eq!(cache.lists().bytes, 0);
    }
}
