//! What reads keep of messages: it is made when the first of them needs it, so that the writer has
//! none.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mail::mime::Structure;

use crate::body_cache::{BodyCache, Header};
use crate::chunk_cache::ChunkCache;
use crate::logic::Made;
use crate::sort_keys::{Chunk as SortKeyChunk, SortRoom};
use crate::text_cache::TextChunk;

/// The caches of reads.
pub(crate) struct ReadCaches {
    /// What bodies hold, of those asked for lately.
    pub structures: BodyCache<Arc<Structure>>,
    /// Headers of those of which only these were asked for lately.
    pub headers: BodyCache<Header>,
    /// Sort keys of messages that were sorted lately.
    pub sort_keys: ChunkCache<SortKeyChunk>,
    /// What searches see of header fields, of those searched lately.
    pub texts: ChunkCache<TextChunk>,
    /// Structures that had to be made and are to be kept with their messages.
    pub made: MadeStructures,
    /// Memory for what is being sorted.
    pub sort_room: Arc<SortRoom>,
}

impl Default for ReadCaches {
    fn default() -> Self {
        Self {
            structures: BodyCache::default(),
            headers: BodyCache::default(),
            made: MadeStructures::default(),
            sort_keys: ChunkCache::default(),
            texts: ChunkCache::default(),
            sort_room: Arc::new(SortRoom::of_sorting()),
        }
    }
}

/// What waits until its reader hands it to the writer.
#[derive(Default)]
pub(crate) struct MadeStructures(Mutex<Vec<Made>>);

impl MadeStructures {
    /// Bytes of those that may wait; what finds no room is made again another time.
    const BYTES_MAX: usize = 4 << 20;

    pub fn push(&self, made: Made) {
        let mut all = self.all();
        let waiting: usize = all.iter().map(Made::bytes).sum();
        if waiting + made.bytes() <= Self::BYTES_MAX {
            all.push(made);
        }
    }

    pub fn take(&self) -> Vec<Made> {
        std::mem::take(&mut *self.all())
    }

    fn all(&self) -> MutexGuard<'_, Vec<Made>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
