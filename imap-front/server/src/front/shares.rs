//! Connections of each address, or of each user, in all shards together: limited, in bounded memory
//! and without a lock.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use ahash::RandomState;
use reactor::sparse::Sparse;

/// Fewest and most counters in each of two tables; 4 bytes each.
const COUNTERS: std::ops::RangeInclusive<usize> = 1 << 16..=1 << 20;
/// Spreads a key over the second table (Knuth's multiplicative hash).
const SPREAD: u32 = 0x9E37_79B1;

/// How many connections each of many has. Those who share a counter in both tables count together;
/// with 1,000 busy ones and 65,536 counters that happens to one in 4,000.
pub struct Shares {
    max: u32,
    hasher: RandomState,
    tables: [Box<[AtomicU32]>; 2],
}

impl Shares {
    /// At most so many each, of about so many connections in all.
    pub fn new(max: u32, connections: usize) -> Self {
        let counters = connections.clamp(*COUNTERS.start(), *COUNTERS.end());
        let counters = counters.next_power_of_two();
        let table = || (0..counters).map(|_| AtomicU32::new(0)).collect();
        Self {
            max,
            hasher: RandomState::new(),
            tables: [table(), table()],
        }
    }

    /// What stands for somebody: never 0.
    pub(crate) fn key_of(&self, whose: impl Hash) -> u32 {
        (self.hasher.hash_one(whose) as u32).max(1)
    }

    fn counters(&self, key: u32) -> [&AtomicU32; 2] {
        let [first, second] = &self.tables;
        let mixed = key.wrapping_mul(SPREAD) >> (32 - second.len().ilog2());
        [&first[key as usize % first.len()], &second[mixed as usize]]
    }

    /// Counts one more, unless there are as many as there may be.
    pub(crate) fn enter(&self, key: u32) -> bool {
        let counters = self.counters(key);
        let least = counters
            .map(|counter| counter.fetch_add(1, Relaxed))
            .into_iter()
            .min();
        let fits = least < Some(self.max);
        if !fits {
            self.leave(key);
        }
        fits
    }

    /// Counts one less.
    pub(crate) fn leave(&self, key: u32) {
        for counter in self.counters(key) {
            counter.fetch_sub(1, Relaxed);
        }
    }
}

/// The connections of one shard that are counted.
pub(super) struct Counted {
    shares: Arc<Shares>,
    /// Whose each slot is; 0 is not counted.
    keys: Sparse<u32>,
}

impl Counted {
    pub fn new(shares: Arc<Shares>) -> Self {
        Self {
            shares,
            keys: Sparse::default(),
        }
    }

    /// A connection has come, or is somebody else's now. False if whose it is has enough.
    pub fn enter(&mut self, slot: u32, whose: impl Hash) -> bool {
        self.leave(slot);
        let key = self.shares.key_of(whose);
        let fits = self.shares.enter(key);
        if fits {
            self.keys.set(slot as usize, key);
        }
        fits
    }

    /// A slot's connection has left.
    pub fn leave(&mut self, slot: u32) {
        let key = self.keys.set(slot as usize, 0);
        if key != 0 {
            self.shares.leave(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_so_many_in_all_shards() {
        for connections in [0, 100_000, 10_000_000] {
            let shares = Arc::new(Shares::new(3, connections));
            let mut shards = [(); 2].map(|()| Counted::new(shares.clone()));
            assert!(shards[0].enter(1, "ann") && shards[0].enter(2, "ann"));
            assert!(shards[1].enter(1, "ann"));
            assert!(!shards[1].enter(2, "ann"));
            assert!(shards[1].enter(2, "bob"), "of another");
            shards[1].leave(7);
            shards[0].leave(2);
            shards[0].leave(2);
            assert!(shards[1].enter(3, "ann"));
            assert!(!shards[0].enter(2, "ann"));
            // A slot that becomes another's gives its place back.
            assert!(shards[1].enter(3, "bob"));
            assert!(shards[0].enter(2, "ann"));
            for slot in 0..100 {
                shards.iter_mut().for_each(|shard| shard.leave(slot));
            }
            let counters = shares.tables.iter().flatten();
            let sum: u32 = counters.map(|counter| counter.load(Relaxed)).sum();
            assert_eq!(sum, 0);
            let bytes: usize = shares.tables.iter().map(|it| size_of_val(&it[..])).sum();
            assert!(bytes <= 8 << 20, "{bytes}");
        }
    }
}
