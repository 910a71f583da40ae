//! Indexes of large mailboxes on disk, so that the first to select one after a start need not wait
//! until all of its rows were looked at.
//!
//! A file holds what an index was as of a mod-sequence; what happened since is applied before it is
//! used. It is a help and nothing more: one that can't be read, is of another time, or doesn't come
//! out as the mailbox's figures say, is dropped, and the rows are looked at. So nothing is synced.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use mail::{MailboxId, ModSeq, Uid, UidValidity};
use roaring::RoaringBitmap;
use xxhash_rust::xxh3::xxh3_64;

use crate::index::{Figures, MailboxIndex};

/// The folder in the store's.
pub(crate) const FOLDER: &str = "indexes";
/// What a file begins with; its end is the version.
const MAGIC: [u8; 8] = *b"ENSIDX\x00\x01";
/// Indexes that may wait to be saved: with more, the one that waits longest is not saved.
const WAITING_MAX: usize = 4;
/// What a file begins with: [`MAGIC`], the mailbox, and as of when it is.
const HEAD_BYTES: usize = 32;
/// Bitmaps of an index: UIDs, five flags, and as many keywords as rows have places for.
const BITMAPS_MAX: usize = 1 + 5 + 256;

/// The folder, and what is to be done in it.
pub(crate) struct IndexFiles {
    folder: PathBuf,
    /// Mailboxes with more messages have a file.
    pub messages_min: u32,
    state: Mutex<State>,
    /// Held by who changes files.
    changes: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// As of which mod-sequence, if that is known.
    saved: BTreeMap<MailboxId, Option<ModSeq>>,
    waiting: VecDeque<(MailboxId, Arc<MailboxIndex>)>,
    to_remove: BTreeSet<MailboxId>,
}

impl IndexFiles {
    /// Those in a store's folder, for mailboxes with more messages than that.
    pub fn new(store: &Path, messages_min: u32) -> Self {
        let folder = store.join(FOLDER);
        let mut state = State::default();
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            match name.to_str().and_then(|name| name.parse().ok()) {
                Some(id) => drop(state.saved.insert(MailboxId(id), None)),
                // Half written when the server was killed.
                None => drop(fs::remove_file(entry.path())),
            }
        }
        Self {
            folder,
            messages_min,
            state: Mutex::new(state),
            changes: Mutex::new(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, id: MailboxId) -> PathBuf {
        self.folder.join(id.0.to_string())
    }

    /// The mailboxes that have a file.
    pub fn saved(&self) -> Vec<MailboxId> {
        self.state().saved.keys().copied().collect()
    }

    /// Whether what was saved of a mailbox may be from its past, as far as the file's beginning
    /// tells. A store that was put back from a copy has another past than a file beside it.
    pub fn may_be_before(&self, id: MailboxId, figures: &Figures) -> bool {
        let mut bytes = [0; HEAD_BYTES];
        let read = fs::File::open(self.path(id)).and_then(|mut file| file.read_exact(&mut bytes));
        match read.map(|()| head(id, &mut &bytes[..])) {
            Ok(Ok(saved)) => {
                saved.uid_validity == figures.uid_validity
                    && saved.modseq <= figures.modseq
                    && saved.uid_next <= figures.uid_next
            }
            // Why not is said when it is wanted.
            Ok(Err(_)) | Err(_) => true,
        }
    }

    /// What was saved of a mailbox, if anything was.
    ///
    /// # Errors
    /// If it can't be read, and why; it is dropped.
    pub fn load(&self, id: MailboxId) -> Result<Option<MailboxIndex>, String> {
        if !self.state().saved.contains_key(&id) {
            return Ok(None);
        }
        let read = fs::read(self.path(id)).map_err(|error| error.to_string());
        let loaded = read.and_then(|bytes| decode(id, &bytes).map_err(str::to_owned));
        match &loaded {
            Ok(index) => drop(self.state().saved.insert(id, Some(index.modseq()))),
            Err(_) => self.forget(id),
        }
        loaded.map(Some)
    }

    /// An index is to be saved soon, if it is large and was not saved as it is.
    pub fn save_later(&self, id: MailboxId, index: &Arc<MailboxIndex>) {
        if !self.is_to_save(id, index) {
            return;
        }
        let mut state = self.state();
        state.waiting.retain(|(waiting, _)| *waiting != id);
        state.waiting.push_back((id, index.clone()));
        if state.waiting.len() > WAITING_MAX {
            state.waiting.pop_front();
        }
    }

    fn is_to_save(&self, id: MailboxId, index: &MailboxIndex) -> bool {
        let saved = self.state().saved.get(&id).copied().flatten();
        index.uids().len() > self.messages_min.into()
            && !index.has_staged()
            && saved != Some(index.modseq())
    }

    /// A mailbox is gone, or what was saved of it can't be trusted: it is not used any more, and
    /// removed soon.
    pub fn forget(&self, id: MailboxId) {
        let mut state = self.state();
        state.waiting.retain(|(waiting, _)| *waiting != id);
        if state.saved.remove(&id).is_some() {
            state.to_remove.insert(id);
        }
    }

    /// Nothing that was saved is used any more.
    pub fn forget_all(&self) {
        self.saved().into_iter().for_each(|id| self.forget(id));
        self.work_off();
    }

    /// Removes what is not used any more, and saves one of those that wait. Unless somebody else
    /// does.
    pub fn work_off(&self) {
        let _changes = match self.changes.try_lock() {
            Ok(changes) => changes,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let (to_remove, next) = {
            let mut state = self.state();
            (
                std::mem::take(&mut state.to_remove),
                state.waiting.pop_front(),
            )
        };
        for id in to_remove {
            if let Err(error) = fs::remove_file(self.path(id)) {
                tracing::warn!("{} can't be removed: {error}", self.path(id).display());
            }
        }
        if let Some((id, index)) = next {
            self.save(id, &index);
        }
    }

    /// Saves these, and does all that waits.
    pub fn save_all(&self, indexes: impl Iterator<Item = (MailboxId, Arc<MailboxIndex>)>) {
        self.work_off();
        let _changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = std::mem::take(&mut self.state().waiting);
        for (id, index) in waiting.into_iter().chain(indexes) {
            if self.is_to_save(id, &index) {
                self.save(id, &index);
            }
        }
    }

    fn save(&self, id: MailboxId, index: &MailboxIndex) {
        let path = self.path(id);
        match self.write(&path, &encode(id, index)) {
            Ok(()) => {
                let mut state = self.state();
                state.saved.insert(id, Some(index.modseq()));
                state.to_remove.remove(&id);
            }
            // What was there before is still right.
            Err(error) => tracing::warn!("{} can't be written: {error}", path.display()),
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        let new = path.with_extension("new");
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&new, path));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written
    }
}

/// A file's bytes: mailbox, mod-sequence, UIDVALIDITY, the next UID, how many bitmaps, each of them
/// after its length, and a checksum of all that. Numbers are little-endian.
pub(crate) fn encode(id: MailboxId, index: &MailboxIndex) -> Vec<u8> {
    let figures = index.figures();
    let mut bytes = Vec::from(MAGIC);
    bytes.extend(id.0.to_le_bytes());
    bytes.extend(figures.modseq.0.to_le_bytes());
    bytes.extend(figures.uid_validity.0.to_le_bytes());
    bytes.extend(figures.uid_next.0.to_le_bytes());
    bytes.extend((index.bitmaps().count() as u32).to_le_bytes());
    for bits in index.bitmaps() {
        let mut bits = bits.clone();
        bits.optimize();
        bytes.extend((bits.serialized_size() as u32).to_le_bytes());
        bits.serialize_into(&mut bytes)
            .expect("writing to memory can't fail");
    }
    let checksum = xxh3_64(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

const SHORT: &str = "it is too short";

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], &'static str> {
    let (taken, left) = rest.split_first_chunk().ok_or(SHORT)?;
    *rest = left;
    Ok(*taken)
}

/// What a file of a mailbox begins with.
fn head(id: MailboxId, rest: &mut &[u8]) -> Result<Figures, &'static str> {
    let left = rest.strip_prefix(&MAGIC);
    *rest = left.ok_or("another version wrote it")?;
    if u64::from_le_bytes(take(rest)?) != id.0 {
        return Err("it is another mailbox's");
    }
    Ok(Figures {
        modseq: ModSeq(u64::from_le_bytes(take(rest)?)),
        uid_validity: UidValidity(u32::from_le_bytes(take(rest)?)),
        uid_next: Uid(u32::from_le_bytes(take(rest)?)),
        ..Figures::default()
    })
}

/// The index of a mailbox in a file's bytes.
///
/// # Errors
/// Why it can't be read.
pub(crate) fn decode(id: MailboxId, bytes: &[u8]) -> Result<MailboxIndex, &'static str> {
    let (bytes, checksum) = bytes.split_last_chunk().ok_or(SHORT)?;
    if xxh3_64(bytes) != u64::from_le_bytes(*checksum) {
        return Err("its checksum is wrong");
    }
    let mut rest = bytes;
    let figures = head(id, &mut rest)?;
    let count = u32::from_le_bytes(take(&mut rest)?) as usize;
    if count > BITMAPS_MAX {
        return Err("it has too many bitmaps");
    }
    let mut bitmaps = Vec::with_capacity(count);
    for _ in 0..count {
        let len = u32::from_le_bytes(take(&mut rest)?) as usize;
        let (bits, left) = rest.split_at_checked(len).ok_or(SHORT)?;
        rest = left;
        let bits = RoaringBitmap::deserialize_from(bits);
        let mut bits = bits.map_err(|_| "a bitmap can't be read")?;
        // As those are that are made of rows.
        bits.remove_run_compression();
        bitmaps.push(bits);
    }
    if !rest.is_empty() {
        return Err("it is too long");
    }
    MailboxIndex::of_bitmaps(figures, bitmaps).ok_or("it has too few bitmaps")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::MessageRow;

    const ID: MailboxId = MailboxId(7);

    /// An index of so many messages.
    fn index(messages: u32, modseq: u64) -> Arc<MailboxIndex> {
        let mut index = MailboxIndex::default();
        for uid in 1..=messages {
            let row = MessageRow {
                created: ModSeq(1),
                system: (uid % 32) as u8,
                keywords: (0..(uid % 4) as u8).collect(),
                ..MessageRow::default()
            };
            index.apply(Uid(uid * 3), Some(&row), false);
        }
        index.advance(Figures {
            modseq: ModSeq(modseq),
            uid_validity: UidValidity(5),
            uid_next: Uid(messages * 3 + 1),
            ..Figures::default()
        });
        Arc::new(index)
    }

    #[test]
    fn an_index_goes_both_ways_and_is_small() {
        let index = index(1_000, 9);
        let bytes = encode(ID, &index);
        assert_eq!(decode(ID, &bytes).as_ref(), Ok(&*index));
        assert!(decode(MailboxId(8), &bytes).is_err());
        let mut all = MailboxIndex::default();
        for uid in 1..=1_000_000 {
            let row = MessageRow {
                created: ModSeq(1),
                system: (uid * 7 % 32) as u8,
                ..MessageRow::default()
            };
            all.apply(Uid(uid), Some(&row), false);
        }
        let bytes = encode(ID, &all).len();
        assert!(bytes < 1_000_000, "{bytes} bytes for a million messages");
    }

    #[test]
    fn a_file_from_after_a_mailboxs_row_is_of_another_history() {
        let store = tempfile::tempdir().expect("a folder");
        let files = IndexFiles::new(store.path(), 0);
        files.save_all([(ID, index(50, 9))].into_iter());
        let figures = *index(50, 9).figures();
        assert!(files.may_be_before(ID, &figures));
        for other in [
            Figures {
                modseq: ModSeq(8),
                ..figures
            },
            Figures {
                uid_next: Uid(5),
                ..figures
            },
            Figures {
                uid_validity: UidValidity(6),
                ..figures
            },
        ] {
            assert!(!files.may_be_before(ID, &other), "{other:?}");
        }
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_seen() {
        let bytes = encode(ID, &index(50, 9));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(decode(ID, &flipped).is_err(), "byte {at}");
            assert!(decode(ID, &bytes[..at]).is_err(), "cut to {at}");
        }
    }

    #[test]
    fn what_is_beside_the_checksum_is_looked_at_too() {
        let mut bytes = encode(ID, &index(50, 9));
        bytes.truncate(bytes.len() - 8);
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 0xff;
            other.extend(xxh3_64(&other).to_le_bytes());
            // Read or refused, but never a panic.
            let _ = decode(ID, &other);
        }
    }

    #[test]
    fn files_are_saved_loaded_and_forgotten() {
        let store = tempfile::tempdir().expect("a folder");
        let files = IndexFiles::new(store.path(), 10);
        assert_eq!(files.load(ID), Ok(None));
        files.save_later(MailboxId(8), &index(10, 4));
        files.save_later(ID, &index(11, 4));
        files.work_off();
        assert_eq!(files.saved(), [ID], "small ones are looked through");
        let again = IndexFiles::new(store.path(), 10);
        assert_eq!(again.load(ID), Ok(Some((*index(11, 4)).clone())));
        again.forget(ID);
        assert_eq!(again.load(ID), Ok(None));
        again.work_off();
        assert_eq!(IndexFiles::new(store.path(), 10).saved(), []);
    }

    #[test]
    fn few_wait_to_be_saved() {
        let store = tempfile::tempdir().expect("a folder");
        let files = IndexFiles::new(store.path(), 10);
        for id in 0..20 {
            files.save_later(MailboxId(id), &index(20, 4));
        }
        files.save_all(std::iter::empty());
        let saved: Vec<_> = (16..20).map(MailboxId).collect();
        assert_eq!(files.saved(), saved);
    }
}
