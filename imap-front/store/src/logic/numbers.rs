//! Which UIDs a mailbox has, so that message numbers needn't be counted through each time.

use std::collections::BTreeMap;
use std::ops::ControlFlow::Continue;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mail::{MailboxId, ModSeq, Uid};

use super::{catch_up, keys, tables};
use crate::Error;
use crate::kv::{Kv, Space};
use crate::rows::Mailbox;

/// Memory that an entry takes besides its UIDs, in bytes, about.
const ENTRY_BYTES: usize = 96;

/// A cache of UID lists, each as of a mod-sequence at which it was committed. Shared by the writer
/// and all readers; bounded by bytes; those used longest ago go first.
pub struct Numbers {
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

impl Numbers {
    /// An empty cache. Lists shorter than `messages_min` are not worth keeping.
    pub fn new(bytes_max: usize, messages_min: u32) -> Self {
        Self {
            bytes_max,
            messages_min,
            lists: Mutex::default(),
        }
    }

    /// Forgets all.
    pub fn clear(&self) {
        *self.lists() = Lists::default();
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A list that is not newer than `modseq`.
    fn find(&self, id: MailboxId, modseq: ModSeq) -> Option<(ModSeq, Arc<[Uid]>)> {
        let mut lists = self.lists();
        lists.uses += 1;
        let used = lists.uses;
        let list = lists.of.get_mut(&id).filter(|list| list.modseq <= modseq)?;
        list.used = used;
        Some((list.modseq, list.uids.clone()))
    }

    fn keep(&self, id: MailboxId, modseq: ModSeq, uids: &Arc<[Uid]>) {
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

/// The UIDs that are in the mailbox now, ascending.
pub(super) fn uids(kv: &dyn Kv, id: MailboxId, mailbox: &Mailbox) -> Result<Arc<[Uid]>, Error> {
    let Some(numbers) = kv.numbers() else {
        return all(kv, id);
    };
    let known = match (numbers.find(id, mailbox.modseq), kv.base()) {
        (Some(known), _) => Some(known),
        // Only what is committed may be kept: a transaction may come to nothing.
        (None, Some(base)) => match tables::mailbox(base, id)? {
            Some(before) => Some((before.modseq, uids(base, id, &before)?)),
            None => None,
        },
        (None, None) => None,
    };
    let list = match known {
        Some((modseq, uids)) if modseq == mailbox.modseq => return Ok(uids),
        Some((modseq, uids)) => brought_up_to_date(kv, id, modseq, &uids)?,
        None => all(kv, id)?,
    };
    if kv.base().is_none() {
        numbers.keep(id, mailbox.modseq, &list);
    }
    Ok(list)
}

fn brought_up_to_date(
    kv: &dyn Kv,
    id: MailboxId,
    modseq: ModSeq,
    before: &[Uid],
) -> Result<Arc<[Uid]>, Error> {
    let gone = catch_up::expunged_after(kv, id, modseq)?;
    let mut uids: Vec<Uid> = before.to_vec();
    if !gone.is_empty() {
        uids.retain(|uid| gone.binary_search(uid).is_err());
    }
    let next = Uid(before.last().map_or(0, |uid| uid.0).saturating_add(1));
    collect(kv, id, next, &mut uids)?;
    Ok(uids.into())
}

fn all(kv: &dyn Kv, id: MailboxId) -> Result<Arc<[Uid]>, Error> {
    let mut uids = Vec::new();
    collect(kv, id, Uid(0), &mut uids)?;
    Ok(uids.into())
}

fn collect(kv: &dyn Kv, id: MailboxId, from: Uid, uids: &mut Vec<Uid>) -> Result<(), Error> {
    let (_, to) = keys::rows(id);
    kv.scan(
        Space::Messages,
        &keys::message(id, from),
        &to,
        false,
        &mut |key, _| {
            uids.push(keys::uid_of(key));
            Continue(())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let numbers = Numbers::new(20_000, 10);
        let uids: Arc<[Uid]> = (1..=100).map(Uid).collect();
        for id in 0..1_000 {
            numbers.keep(MailboxId(id), ModSeq(5), &uids);
            numbers
                .find(MailboxId(0), ModSeq(5))
                .expect("used all the time");
            assert!(numbers.lists().bytes <= 20_000);
        }
        assert!(
            numbers.find(MailboxId(0), ModSeq(4)).is_none(),
            "newer than asked for"
        );
        assert!(numbers.find(MailboxId(1), ModSeq(9)).is_none(), "dropped");
        numbers.keep(MailboxId(2_000), ModSeq(1), &uids[..9].into());
        assert!(
            numbers.find(MailboxId(2_000), ModSeq(1)).is_none(),
            "too short to keep"
        );
        numbers.clear();
        assert_eq!(numbers.lists().bytes, 0);
    }
}
