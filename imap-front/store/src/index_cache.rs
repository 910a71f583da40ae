//! Mailboxes' indexes, kept in memory and up to date with each commit.
//!
//! An index that is kept is as of the last commit. One that is being built from a view may miss
//! what is committed meanwhile: that is noted, and applied in the end. What a commit makes of a row
//! is its final state, so it does no harm if the view had it already.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use mail::{MailboxId, ModSeq, Uid};

use crate::index::{Figures, MailboxIndex};
use crate::index_build::{Build, SharedBuild};
use crate::index_files::IndexFiles;
use crate::rows::{Mailbox, MessageRow};
use crate::space::{Changes, Space};

/// Commits' rows that are noted for an index that is being built; with more it is given up.
const NOTED_MAX: usize = 1 << 18;

/// The indexes, bounded by bytes; those used longest ago go first. Shared by the writer and all
/// readers.
pub struct IndexCache {
    bytes_max: usize,
    entries: Mutex<Entries>,
    files: Option<IndexFiles>,
    counts: Counts,
}

/// How indexes of large and small mailboxes were made.
#[derive(Debug, Default)]
struct Counts {
    loaded: AtomicU64,
    scanned: AtomicU64,
    refused: AtomicU64,
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

impl Building {
    /// The mailbox's mod-sequence as of the last commit that was noted.
    fn noted_modseq(&self) -> Option<ModSeq> {
        self.noted.iter().rev().find_map(|noted| match noted {
            Noted::Mailbox(figures) => Some(figures.modseq),
            Noted::Message(..) => None,
        })
    }
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
    /// An empty cache. What is large is saved in these files when it is dropped.
    pub(crate) fn new(bytes_max: usize, files: Option<IndexFiles>) -> Self {
        Self {
            bytes_max,
            entries: Mutex::default(),
            files,
            counts: Counts::default(),
        }
    }

    /// The files.
    pub(crate) fn files(&self) -> Option<&IndexFiles> {
        self.files.as_ref()
    }

    /// What those that are kept take, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries().bytes as u64
    }

    /// How many indexes were made of what was saved, how many by a look at all rows, and how many
    /// of those saved could not be trusted.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let Counts {
            loaded,
            scanned,
            refused,
        } = &self.counts;
        (
            loaded.load(Relaxed),
            scanned.load(Relaxed),
            refused.load(Relaxed),
        )
    }

    /// Does some of what is to be done in files.
    pub(crate) fn work_off(&self) {
        if let Some(files) = &self.files {
            files.work_off();
        }
    }

    /// Saves all that is kept.
    pub(crate) fn save_all(&self) {
        let Some(files) = &self.files else { return };
        let kept: Vec<_> = {
            let entries = self.entries();
            let kept = entries.of.iter().filter_map(|(id, entry)| match entry {
                Entry::Kept(kept) => Some((*id, kept.index.clone())),
                Entry::Building(_) => None,
            });
            kept.collect()
        };
        files.save_all(kept.into_iter());
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
    /// brought up to date. Not yet if the last look saw a commit that is not noted: earlier looks
    /// did not see it, so it has to be applied.
    pub(crate) fn finish(
        &self,
        shared: &SharedBuild,
        build: &mut Build,
        figures: impl Into<Figures>,
    ) {
        let mut entries = self.entries();
        let noted = match entries.of.get_mut(&build.id) {
            // Not one that was begun after this one was given up.
            Some(Entry::Building(it)) if it.by.ptr_eq(&Arc::downgrade(shared)) => {
                if Some(build.seen) > it.noted_modseq().max(build.first) {
                    return;
                }
                std::mem::take(&mut it.noted)
            }
            _ => {
                build.is_done = true;
                return;
            }
        };
        build.is_done = true;
        let mut index = std::mem::take(&mut build.index);
        index.advance(figures);
        noted.iter().for_each(|noted| noted.apply(&mut index));
        if build.saved_at.is_some() && !index.is_as_counted() {
            let number = build.id.0;
            tracing::error!(
                "the saved index of mailbox number {number} doesn't come out as its figures say: \
                 it is not used, and the rows are looked at"
            );
            self.counts.refused.fetch_add(1, Relaxed);
            self.files.iter().for_each(|files| files.forget(build.id));
            entries.of.remove(&build.id);
            return;
        }
        entries.uses += 1;
        let index = Arc::new(index);
        match (build.saved_at, &self.files) {
            (Some(_), _) => drop(self.counts.loaded.fetch_add(1, Relaxed)),
            (None, files) => {
                self.counts.scanned.fetch_add(1, Relaxed);
                // It was work that should not be done again after a crash.
                files.iter().for_each(|it| it.save_later(build.id, &index));
            }
        }
        let kept = Kept {
            bytes: index.bytes(),
            index,
            used: entries.uses,
            list: (ModSeq(0), Weak::<[Uid; 0]>::new()),
        };
        entries.bytes += kept.bytes;
        entries.of.insert(build.id, Entry::Kept(kept));
        entries.shrink(self.bytes_max, self.files.as_ref());
    }

    /// The UIDs of an index as a list, which sessions share as long as it is the same.
    pub(crate) fn list(&self, id: MailboxId, index: &MailboxIndex) -> Arc<[Uid]> {
        if let Some(Entry::Kept(kept)) = self.entries().of.get(&id)
            && kept.list.0 == index.modseq()
            && let Some(list) = kept.list.1.upgrade()
        {
            return list;
        }
        let list = index.list();
        if let Some(Entry::Kept(kept)) = self.entries().of.get_mut(&id) {
            kept.list = (index.modseq(), Arc::downgrade(&list));
        }
        list
    }

    /// Brings all that is kept up to date with a commit.
    pub(crate) fn committed(&self, changes: &Changes) {
        let mut entries = self.entries();
        // Messages first: a mailbox's row says what has become of them.
        let rows = changes.range((Space::Mailboxes, vec![])..(Space::Changes, vec![]));
        for ((space, key), value) in rows.rev() {
            let Some(id) = key.first_chunk() else {
                continue;
            };
            let id = MailboxId(u64::from_be_bytes(*id));
            if let (Some(files), Space::Mailboxes, None) = (&self.files, space, value) {
                files.forget(id);
            }
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
        entries.shrink(self.bytes_max, self.files.as_ref());
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
    fn shrink(&mut self, bytes_max: usize, files: Option<&IndexFiles>) {
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
            if let (Some(files), Some(Entry::Kept(kept))) = (files, self.of.get(&id)) {
                files.save_later(id, &kept.index);
            }
            self.remove(id);
        }
    }
}
