//! Logins of each address within a minute: limited, in bounded memory.
#![expect(
    clippy::disallowed_methods,
    reason = "logins are counted by the machine's clock"
)]

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use ahash::RandomState;

use crate::front::network;

/// Entries that an address may land in.
const WAYS: usize = 4;
/// Sets of entries: 512 KiB in all.
const SETS: usize = 8 * 1024;
const MINUTE_US: u64 = 60_000_000;

/// Logins lately, right or wrong. An address may have a minute's at once; then each comes back
/// after its part of a minute.
pub struct Rate {
    /// A login's part of a minute, in microseconds; 0 is no limit.
    each_us: u64,
    hasher: RandomState,
    began: Instant,
    sets: Mutex<Box<[[Entry; WAYS]]>>,
}

/// One address. 0 is a free entry.
#[derive(Clone, Copy, Default)]
struct Entry {
    key: u64,
    /// When all that it had has come back.
    whole_us: u64,
}

impl Rate {
    /// At most so many a minute from each address; 0 is no limit.
    pub fn new(a_minute: u64) -> Self {
        Self {
            each_us: MINUTE_US.checked_div(a_minute).unwrap_or(0),
            hasher: RandomState::new(),
            began: Instant::now(),
            sets: Mutex::new((0..SETS).map(|_| [Entry::default(); WAYS]).collect()),
        }
    }

    /// Whether this address may log in once more; it counts then. This host's own always may.
    pub fn admits(&self, client: Option<IpAddr>) -> bool {
        let now_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        client.is_none_or(|client| self.admits_at(client, now_us))
    }

    fn admits_at(&self, client: IpAddr, now_us: u64) -> bool {
        let key = self.hasher.hash_one(network(client)).max(1);
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let set = &mut sets[key as usize % SETS];
        let at = match set.iter().position(|entry| entry.key == key) {
            Some(at) => at,
            // In the place of whoever has most left.
            None => {
                let at = (0..WAYS).min_by_key(|at| set[*at].whole_us).unwrap_or(0);
                set[at] = Entry { key, whole_us: 0 };
                at
            }
        };
        let whole_us = set[at].whole_us.max(now_us) + self.each_us;
        let fits = whole_us - now_us <= MINUTE_US;
        if fits {
            set[at].whole_us = whole_us;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_logins_at_once_and_then_each_in_its_time() {
        let rate = Rate::new(6);
        let client = IpAddr::from([192, 0, 2, 1]);
        let admitted = |from_s: u64, to_s: u64| {
            let seconds = from_s..to_s;
            seconds
                .filter(|s| rate.admits_at(client, s * 1_000_000))
                .count()
        };
        assert_eq!((0..9).filter(|_| rate.admits_at(client, 0)).count(), 6);
        assert_eq!(admitted(1, 61), 6);
        assert_eq!(admitted(61, 361), 30);
        assert!(rate.admits_at(IpAddr::from([192, 0, 2, 2]), 0), "another");
        assert!((0..1000).all(|_| rate.admits(None)), "this host");
        let unlimited = Rate::new(0);
        assert!((0..1000).all(|_| unlimited.admits_at(client, 0)));
        assert_eq!(SETS * size_of::<[Entry; WAYS]>(), 512 * 1024);
        for number in 0..100_000u32 {
            rate.admits_at(IpAddr::from(number.to_be_bytes()), 0);
        }
    }
}
