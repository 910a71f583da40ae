//! Sort keys of messages that were sorted lately, as they are compared; and how much memory sorting
//! takes.
//!
//! What a message's row and header say of it never changes, and a UID is never given again while
//! the database is open, so nothing here ever is out of date: a chunk only lacks what came after it
//! was made.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use mail::Uid;
use mail::sort::{Facts, SortKeys};

use crate::chunk_cache::Chunked;

/// Memory for chunks, in bytes.
const BYTES_MAX: u64 = 32 << 20;
/// What a chunk takes besides its rows.
const CHUNK_BYTES: usize = 256;

/// What is known of the messages in a range of UIDs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunk {
    /// Messages below this UID are in it.
    pub known_to: Uid,
    uids: Vec<u32>,
    arrivals: Vec<i64>,
    sizes: Vec<u64>,
    /// Where the keys of each end.
    ends: Vec<u32>,
    bytes: Vec<u8>,
    /// Messages that can't be read.
    pub damaged: Vec<Uid>,
}

impl Chunk {
    /// Adds a message above all that are in it.
    pub fn push(&mut self, uid: Uid, arrival_s: i64, size: u64, keys: &[u8]) {
        self.uids.push(uid.0);
        self.arrivals.push(arrival_s);
        self.sizes.push(size);
        self.bytes.extend_from_slice(keys);
        self.ends.push(self.bytes.len() as u32);
    }

    /// What is known of a message.
    pub fn facts(&self, uid: Uid) -> Option<Facts<'_>> {
        let at = self.uids.binary_search(&uid.0).ok()?;
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        let keys = &self.bytes[from as usize..self.ends[at] as usize];
        Some(Facts {
            uid,
            arrival_s: self.arrivals[at],
            size: self.sizes[at],
            keys: SortKeys::read(keys).unwrap_or_default(),
        })
    }

    /// Gives back what it has no use for.
    pub fn shrink(&mut self) {
        self.uids.shrink_to_fit();
        self.arrivals.shrink_to_fit();
        self.sizes.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.bytes.shrink_to_fit();
    }
}

impl Chunked for Chunk {
    const BYTES_MAX: u64 = BYTES_MAX;

    fn memory_bytes(&self) -> usize {
        const ROW_BYTES: usize = 4 + 8 + 8 + 4;
        CHUNK_BYTES + self.bytes.capacity() + self.uids.capacity() * ROW_BYTES
    }
}

/// Memory for something, and how much of it is taken.
#[derive(Debug)]
pub(crate) struct SortRoom {
    bytes_max: usize,
    taken: AtomicUsize,
}

impl SortRoom {
    /// For all sorting together.
    pub fn of_sorting() -> Self {
        Self::of(256 << 20)
    }

    /// For sort keys that were made and wait for the writer, and for what they are to be made of:
    /// those that find no room are made another time.
    pub fn of_made_keys() -> Self {
        Self::of(8 << 20)
    }

    pub(crate) fn of(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            taken: AtomicUsize::new(0),
        }
    }
}

/// A part of the room, which is given back with it.
#[derive(Debug)]
pub(crate) struct Taken {
    room: Arc<SortRoom>,
    bytes: usize,
}

impl Taken {
    /// None of it yet.
    pub fn none_of(room: &Arc<SortRoom>) -> Self {
        Self {
            room: room.clone(),
            bytes: 0,
        }
    }

    /// Takes so much in all. False if there is not so much left.
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let fits = self.room.taken.fetch_add(more, Relaxed) + more <= self.room.bytes_max;
        match fits {
            true => self.bytes += more,
            false => drop(self.room.taken.fetch_sub(more, Relaxed)),
        }
        fits
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use mail::MailboxId;

    use crate::chunk_cache::{ChunkCache, ChunkPlace};
    use crate::kv::Memory;
    use mail::sort::keys;

    use super::*;

    #[test]
    fn facts_are_found_by_uid() {
        let mut chunk = Chunk::default();
        for uid in [2, 5, 9] {
            let header = format!("Subject: {uid}\r\n\r\n");
            let keys = keys::of_header(header.as_bytes());
            chunk.push(Uid(uid), i64::from(uid), u64::from(uid), &keys);
        }
        for uid in 0..12 {
            match chunk.facts(Uid(uid)) {
                Some(facts) => {
                    assert_eq!(facts.keys.subject, uid.to_string().as_bytes());
                    assert_eq!((facts.arrival_s, facts.size), (uid.into(), uid.into()));
                }
                None => assert!(![2, 5, 9].contains(&uid)),
            }
        }
    }

    #[test]
    fn memory_is_bounded() {
        let (cache, rows) = (ChunkCache::default(), Memory::default());
        for number in 0..4000 {
            let mut chunk = Chunk::default();
            chunk.push(Uid(1), 0, 0, &vec![0; 20_000]);
            chunk.shrink();
            cache.insert(ChunkPlace::of(&rows, MailboxId(1), number), Arc::new(chunk));
        }
        assert!(cache.cache.weight() <= BYTES_MAX && cache.cache.len() > 1000);
        let room = Arc::new(SortRoom::of(100));
        let (mut one, mut other) = (Taken::none_of(&room), Taken::none_of(&room));
        assert!(one.grow_to(90) && other.grow_to(10) && !other.grow_to(11));
        drop(one);
        assert!(other.grow_to(11));
        drop(other);
        assert_eq!(room.taken.load(Relaxed), 0);
    }
}
