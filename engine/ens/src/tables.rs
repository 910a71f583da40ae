//! Hash tables of numbers that never grow at one stroke.

use hashbrown::HashTable;

/// Tables among which the numbers are spread, so that none is ever large: a table that grows moves
/// all that it holds.
const TABLES: usize = 64;
/// Tables with room for more than this shrink when most of it is empty.
const KEPT: usize = 64;

/// A set of numbers, each found by the hash of what it stands for.
pub(crate) struct Tables {
    tables: Box<[HashTable<u32>]>,
    len: usize,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            tables: (0..TABLES).map(|_| HashTable::new()).collect(),
            len: 0,
        }
    }
}

impl Tables {
    fn table(&mut self, hash: u64) -> &mut HashTable<u32> {
        &mut self.tables[Self::place(hash)]
    }

    /// The tables themselves use the highest and the lowest bits.
    fn place(hash: u64) -> usize {
        (hash >> 32) as usize % TABLES
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number with this hash for which `is_it` holds.
    pub fn find(&self, hash: u64, is_it: impl Fn(&u32) -> bool) -> Option<u32> {
        self.tables[Self::place(hash)].find(hash, is_it).copied()
    }

    /// Adds a number that is not there yet.
    pub fn insert(&mut self, hash: u64, number: u32, rehash: impl Fn(&u32) -> u64) {
        self.table(hash).insert_unique(hash, number, rehash);
        self.len += 1;
    }

    /// Removes a number, and gives memory back after many have left; seldom enough that it costs
    /// nothing.
    pub fn remove(&mut self, hash: u64, number: u32, rehash: impl Fn(&u32) -> u64) {
        let table = self.table(hash);
        let Ok(found) = table.find_entry(hash, |have| *have == number) else {
            return;
        };
        found.remove();
        if table.capacity() > KEPT && table.len() * 8 < table.capacity() {
            table.shrink_to(table.len() * 2, rehash);
        }
        self.len -= 1;
    }
}
