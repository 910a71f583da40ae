//! Connections of each address, in all shards together: limited, in bounded memory and without a
//! lock.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use ahash::RandomState;
use reactor::sparse::Sparse;

use super::network;

/// Counters in each of two tables, 512 KiB in all. Addresses that share a counter in both tables
/// count together; with 1,000 busy addresses that happens to one in 4,000.
const COUNTERS: usize = 1 << 16;

/// How many connections each address has. This host's own are not counted.
pub struct Addresses {
    max: u32,
    hasher: RandomState,
    tables: [Box<[AtomicU32]>; 2],
}

impl Addresses {
    /// At most so many each.
    pub fn new(max: u32) -> Self {
        let table = || (0..COUNTERS).map(|_| AtomicU32::new(0)).collect();
        Self {
            max,
            hasher: RandomState::new(),
            tables: [table(), table()],
        }
    }

    /// What stands for an address, or for whoever has none: never 0.
    pub(crate) fn key_of(&self, address: Option<IpAddr>) -> u32 {
        (self.hasher.hash_one(address.map(network)) as u32).max(1)
    }

    fn counters(&self, key: u32) -> [&AtomicU32; 2] {
        let places = [key as usize % COUNTERS, (key >> 16) as usize % COUNTERS];
        [&self.tables[0][places[0]], &self.tables[1][places[1]]]
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
    addresses: Arc<Addresses>,
    /// The key of each slot's address; 0 is not counted.
    keys: Sparse<u32>,
}

impl Counted {
    pub fn new(addresses: Arc<Addresses>) -> Self {
        Self {
            addresses,
            keys: Sparse::default(),
        }
    }

    /// A connection has come. False if its address has enough.
    pub fn enter(&mut self, slot: u32, address: IpAddr) -> bool {
        if address.to_canonical().is_loopback() {
            return true;
        }
        let key = self.addresses.key_of(Some(address));
        let fits = self.addresses.enter(key);
        if fits {
            self.keys.set(slot as usize, key);
        }
        fits
    }

    /// A slot's connection has left.
    pub fn leave(&mut self, slot: u32) {
        let key = self.keys.set(slot as usize, 0);
        if key != 0 {
            self.addresses.leave(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_so_many_in_all_shards_and_loopback_any() {
        let addresses = Arc::new(Addresses::new(3));
        let mut shards = [(); 2].map(|()| Counted::new(addresses.clone()));
        let address = |last| IpAddr::from([192, 0, 2, last]);
        assert!(shards[0].enter(1, address(1)) && shards[0].enter(2, address(1)));
        assert!(shards[1].enter(1, address(1)));
        assert!(!shards[1].enter(2, address(1)));
        assert!(shards[1].enter(2, address(2)), "of another");
        shards[1].leave(7);
        shards[0].leave(2);
        shards[0].leave(2);
        assert!(shards[1].enter(3, address(1)));
        assert!(!shards[0].enter(2, address(1)));
        for slot in 10..100 {
            assert!(shards[0].enter(slot, IpAddr::from([127, 0, 0, 1])));
        }
        for slot in 0..100 {
            shards.iter_mut().for_each(|shard| shard.leave(slot));
        }
        let counters = addresses.tables.iter().flatten();
        assert_eq!(
            counters.map(|counter| counter.load(Relaxed)).sum::<u32>(),
            0
        );
    }
}
