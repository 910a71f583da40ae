//! What reads keep of messages: it is made when the first of them needs it, so that the writer has
//! none.

use std::sync::Arc;

use crate::chunk_cache::ChunkCache;
use crate::sort_keys::{Chunk as SortKeyChunk, SortRoom};
use crate::structure_cache::StructureCache;
use crate::text_cache::TextChunk;

/// The caches of reads.
pub(crate) struct ReadCaches {
    /// What bodies hold, of those asked for lately.
    pub structures: StructureCache,
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
            structures: StructureCache::new(),
            sort_keys: ChunkCache::default(),
            texts: ChunkCache::default(),
            sort_room: Arc::new(SortRoom::of_sorting()),
        }
    }
}
