//! What reads keep of messages: it is made when the first of them needs it, so that the writer has
//! none.

use std::sync::Arc;

use mail::mime::Structure;

use crate::body_cache::{BodyCache, Header};
use crate::chunk_cache::ChunkCache;
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
    /// Memory for what is being sorted.
    pub sort_room: Arc<SortRoom>,
}

impl Default for ReadCaches {
    fn default() -> Self {
        Self {
            structures: BodyCache::default(),
            headers: BodyCache::default(),
            sort_keys: ChunkCache::default(),
            texts: ChunkCache::default(),
            sort_room: Arc::new(SortRoom::of_sorting()),
        }
    }
}
