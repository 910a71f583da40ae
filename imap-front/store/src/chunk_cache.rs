//! A bounded cache of what is known of many messages at a time: chunks, by mailbox and UIDs.
//!
//! What a message's row and header say of it never changes, and a UID is never given again, so a
//! chunk only lacks what came after it was made.

use std::sync::Arc;

use mail::MailboxId;
use quick_cache::Weighter;

use crate::bounded_cache::{BoundedCache, bounded_cache};

/// A guess, for the size of tables.
const CHUNKS: usize = 1024;

/// UIDs that a chunk is for.
pub(crate) const CHUNK_UIDS: u32 = 1024;

/// What is known of the messages in a range of UIDs.
pub(crate) trait Chunked: Send + Sync {
    /// Memory for those that are kept, in bytes.
    const BYTES_MAX: u64;

    /// What it takes in memory, in bytes.
    fn memory_bytes(&self) -> usize;
}

/// The cache.
pub(crate) struct ChunkCache<C> {
    pub(crate) cache: BoundedCache<(MailboxId, u32), Arc<C>, Bytewise>,
}

#[derive(Clone)]
pub(crate) struct Bytewise;

impl<C: Chunked> Weighter<(MailboxId, u32), Arc<C>> for Bytewise {
    fn weight(&self, _: &(MailboxId, u32), chunk: &Arc<C>) -> u64 {
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
    /// The chunk of this number, as far as it was made.
    pub fn get(&self, mailbox: MailboxId, number: u32) -> Option<Arc<C>> {
        self.cache.get(&(mailbox, number))
    }

    pub fn insert(&self, mailbox: MailboxId, number: u32, chunk: Arc<C>) {
        self.cache.insert((mailbox, number), chunk);
    }
}
