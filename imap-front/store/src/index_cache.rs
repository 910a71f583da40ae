//! Mailboxes' indexes, kept in memory and up to date with each commit.
//!
//! An index that is kept is as of the last commit. One that is being built from a view may miss
//! what is committed meanwhile: that is noted, and applied in the end. What a commit makes of a row
//! is its final state, so it does no harm if the view had it already.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use mail::{MailboxId, ModSeq, Uid};

use crate::index::{Figures, MailboxIndex};
use crate::index_build::{Build, SharedBuild};
use crate::rows::{Mailbox, MessageRow};
use crate::space::{Changes, Space};

/// Commits' rows that are noted for an index that is being built; with more it is given up.
const NOTED_MAX: usize = 1 << 18;

/// The indexes, bounded by bytes; those used longest ago go first. Shared by the writer and all
/// readers.
pub struct IndexCache {
    bytes_max: usize,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    of: BTreeMap<MailboxId, Entry>,
    bytes: usize,
    uses: u64,
}

enum Entry {
    Kept(Kept),
    Building(Building),
}

struct Kept {
    index: Arc<MailboxIndex>,
    bytes: usize,
    used: u64,
    /// Its UIDs as a list, as long as a session has it.
    list: (ModSeq, Weak<[Uid]>),
}

/// An index that somebody builds.
struct Building {
    by: Weak<Mutex<Build>>,
    /// What was committed since it was begun.
    noted: Vec<Noted>,
}

/// A row of a commit.
#[derive(Clone)]
enum Noted {
    Message(Uid, Option<MessageRow>),
    Mailbox(Figures),
}

impl Noted {
    fn apply(&self, index: &mut MailboxIndex) {
        match self {
            Self::Message(uid, row) => {
                let hidden = row.as_ref().is_some_and(MessageRow::is_of_a_batch);
                index.apply(*uid, row.as_ref(), hidden);
            }
            Self::Mailbox(figures) => index.advance(*figures),
        }
    }
}

impl IndexCache {
    /// An empty cache.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            entries: Mutex::default(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        *self.entries() = Entries::default();
    }

    /// The index of a mailbox, if it is kept.
    pub(crate) fn get(&self, id: MailboxId) -> Option<Arc<MailboxIndex>> {
        let mut entries = self.entries();
        entries.uses += 1;
        let used = entries.uses;
        match entries.of.get_mut(&id)? {
            Entry::Kept(kept) => {
                kept.used = used;
                Some(kept.index.clone())
            }
            Entry::Building(_) => None,
        }
    }

    /// The index of a mailbox to be built, by all who wait for it together, from views that are
    /// made after this. None if it is kept.
    pub(crate) fn build(&self, id: MailboxId) -> Option<SharedBuild> {
        let mut entries = self.entries();
        match entries.of.get(&id) {
            Some(Entry::Kept(_)) => return None,
            Some(Entry::Building(building)) => {
                if let Some(build) = building.by.upgrade() {
                    return Some(build);
                }
            }
            None => {}
        }
        let build = Arc::new(Mutex::new(Build::new(id)));
        let building = Building {
            by: Arc::downgrade(&build),
            noted: vec![],
        };
        entries.of.insert(id, Entry::Building(building));
        Some(build)
    }

    /// Keeps an index that was built of a mailbox, which was last looked at with these figures,
    /// brought up to date.
    pub(crate) fn finish(
        &self,
        shared: &SharedBuild,
        build: &mut Build,
        figures: impl Into<Figures>,
    ) {
        build.is_done = true;
        let mut index = std::mem::take(&mut build.index);
        let mut entries = self.entries();
        let noted = match entries.of.get_mut(&build.id) {
            // Not one that was begun after this one was given up.
            Some(Entry::Building(it)) if it.by.ptr_eq(&Arc::downgrade(shared)) => {
                std::mem::take(&mut it.noted)
            }
            _ => return,
        };
        index.advance(figures);
        noted.iter().for_each(|noted| noted.apply(&mut index));
        entries.uses += 1;
        let kept = Kept {
            bytes: index.bytes(),
            index: Arc::new(index),
            used: entries.uses,
            list: (ModSeq(0), Weak::<[Uid; 0]>::new()),
        };
        entries.bytes += kept.bytes;
        entries.of.insert(build.id, Entry::Kept(kept));
        entries.shrink(self.bytes_max);
    }

    /// The UIDs of an index as a list, which sessions share as long as it is the same.
    pub(crate) fn list(&self, id: MailboxId, index: &MailboxIndex) -> Arc<[Uid]> {
        if let Some(Entry::Kept(kept)) = self.entries().of.get(&id)
            && kept.list.0 == index.modseq()
            && let Some(list) = kept.list.1.upgrade()
        {
            return list;
        }
        let list: Arc<[Uid]> = index.uids().iter().map(Uid).collect::<Vec<_>>().into();
        if let Some(Entry::Kept(kept)) = self.entries().of.get_mut(&id) {
            kept.list = (index.modseq(), Arc::downgrade(&list));
        }
        list
    }

    /// Brings all that is kept up to date with a commit.
    pub(crate) fn committed(&self, changes: &Changes) {
        let mut entries = self.entries();
        if entries.of.is_empty() {
            return;
        }
        // Messages first: a mailbox's row says what has become of them.
        let rows = changes.range((Space::Mailboxes, vec![])..(Space::Changes, vec![]));
        for ((space, key), value) in rows.rev() {
            let Some(id) = key.first_chunk() else {
                continue;
            };
            let id = MailboxId(u64::from_be_bytes(*id));
            let Some(entry) = entries.of.get_mut(&id) else {
                continue;
            };
            let keeps = match (noted(*space, key, value.as_deref()), entry) {
                (None, _) => false,
                (Some(noted), Entry::Kept(kept)) => {
                    noted.apply(Arc::make_mut(&mut kept.index));
                    true
                }
                (Some(noted), Entry::Building(building)) => {
                    building.noted.push(noted);
                    building.noted.len() < NOTED_MAX && building.by.strong_count() > 0
                }
            };
            if !keeps {
                entries.remove(id);
            } else if *space == Space::Mailboxes {
                entries.weigh(id);
            }
        }
        entries.shrink(self.bytes_max);
    }
}

/// What a row means for an index; none if the index can't be kept.
fn noted(space: Space, key: &[u8], value: Option<&[u8]>) -> Option<Noted> {
    match space {
        Space::Messages => {
            let uid = key[8..].try_into().map(u32::from_be_bytes).map(Uid).ok()?;
            let row = value.map(MessageRow::decode).transpose().ok()?;
            Some(Noted::Message(uid, row))
        }
        _ => {
            let mailbox = Mailbox::decode(value?).ok()?;
            Some(Noted::Mailbox(Figures::from(&mailbox)))
        }
    }
}

impl Entries {
    fn remove(&mut self, id: MailboxId) {
        if let Some(Entry::Kept(kept)) = self.of.remove(&id) {
            self.bytes -= kept.bytes;
        }
    }

    fn weigh(&mut self, id: MailboxId) {
        if let Some(Entry::Kept(kept)) = self.of.get_mut(&id) {
            let bytes = kept.index.bytes();
            self.bytes = self.bytes + bytes - kept.bytes;
            kept.bytes = bytes;
        }
    }

    /// Drops what was used longest ago until half of the room is free, if it is too much.
    fn shrink(&mut self, bytes_max: usize) {
        if self.bytes <= bytes_max {
            return;
        }
        let used = |(id, entry): (&MailboxId, &Entry)| match entry {
            Entry::Kept(kept) => Some((kept.used, *id)),
            Entry::Building(_) => None,
        };
        let mut by_use: Vec<_> = self.of.iter().filter_map(used).collect();
        by_use.sort_unstable();
        // The one used last stays, however large it is: somebody is about to use it.
        by_use.pop();
        for (_, id) in by_use {
            if self.bytes <= bytes_max / 2 {
                return;
            }
            self.remove(id);
        }
    }
}
