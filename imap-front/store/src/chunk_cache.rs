//! A bounded cache of what is known of many messages at a time: chunks, by mailbox and UIDs.
//!
//! What a message's row and header say of it never changes, and a UID is never given again while
//! the database is open, so a chunk only lacks what came after it was made. A database that was
//! opened again after a failure may lack what was seen before: its chunks are others.

use std::sync::Arc;

use mail::MailboxId;
use quick_cache::Weighter;

use crate::bounded_cache::{BoundedCache, bounded_cache};
use crate::kv::Kv;

/// A guess, for the size of tables.
const CHUNKS: usize = 1024;

/// UIDs that a chunk is for.
pub(crate) const CHUNK_UIDS: u32 = 1024;

/// What a chunk is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChunkPlace {
    /// See [`Kv::generation`].
    generation: u64,
    mailbox: MailboxId,
    number: u32,
}

impl ChunkPlace {
    /// The chunk of this number, as rows have it.
    pub fn of(kv: &dyn Kv, mailbox: MailboxId, number: u32) -> Self {
        Self {
            generation: kv.generation(),
            mailbox,
            number,
        }
    }
}

/// What is known of the messages in a range of UIDs.
pub(crate) trait Chunked: Send + Sync {
    /// Memory for those that are kept, in bytes.
    const BYTES_MAX: u64;

    /// What it takes in memory, in bytes.
    fn memory_bytes(&self) -> usize;
}

/// The cache.
pub(crate) struct ChunkCache<C> {
    pub(crate) cache: BoundedCache<ChunkPlace, Arc<C>, Bytewise>,
}

#[derive(Clone)]
pub(crate) struct Bytewise;

impl<C: Chunked> Weighter<ChunkPlace, Arc<C>> for Bytewise {
    fn weight(&self, _: &ChunkPlace, chunk: &Arc<C>) -> u64 {
        chunk.memory_bytes() as u64
    }
}

impl<C: Chunked> Default for ChunkCache<C> {
    fn default() -> Self {
        Self {
            cache: bounded_cache(CHUNKS, C::BYTES_MAX, Bytewise),
        }
    }
}

impl<C: Chunked> ChunkCache<C> {
    /// The chunk of a place, as far as it was made.
    pub fn get(&self, place: ChunkPlace) -> Option<Arc<C>> {
        self.cache.get(&place)
    }

    /// What all of them take, in bytes.
    pub fn bytes(&self) -> u64 {
        self.cache.weight()
    }

    pub fn insert(&self, place: ChunkPlace, chunk: Arc<C>) {
        self.cache.insert(place, chunk);
    }
}
