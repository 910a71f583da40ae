//! What the tables of topics and of watches have in common.

use ahash::RandomState;
use hashbrown::HashTable;

use crate::topic::TopicId;

/// Tables among which topics are spread, so that none is ever large: a table that grows moves all
/// that it holds at one stroke.
pub(crate) const TABLES: usize = 64;

/// Hashing with fixed keys: topics are our own numbers, and runs must repeat.
pub(crate) fn hasher() -> RandomState {
    RandomState::with_seeds(1, 2, 3, 4)
}

pub(crate) fn table_of(id: TopicId) -> usize {
    // The numbers of topics are counted up: their low bits spread them evenly, whatever they are
    // hashed by within a table.
    (id.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as usize % TABLES
}

/// Gives memory back after many have left; seldom enough that it costs nothing.
pub(crate) fn shrink<T>(table: &mut HashTable<T>, hash: impl Fn(&T) -> u64) {
    if table.len() * 8 < table.capacity() && table.capacity() > 64 {
        table.shrink_to(table.len() * 2, hash);
    }
}
