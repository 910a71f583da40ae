//! Logins of each address within a minute: limited, in bounded memory.
#![expect(
    clippy::disallowed_methods,
    reason = "logins are counted by the machine's clock"
)]

use std::net::IpAddr;
use std::time::Instant;

use ahash::RandomState;

use super::sets::Sets;
use crate::front::network;

const MINUTE_US: u64 = 60_000_000;

/// Logins lately, right or wrong. An address may have a minute's at once; then each comes back
/// after its part of a minute.
pub struct Rate {
    /// A login's part of a minute, in microseconds; 0 is no limit.
    each_us: u64,
    hasher: RandomState,
    began: Instant,
    /// Of each address: 512 KiB in all.
    sets: Sets<Entry>,
}

/// One address.
#[derive(Clone, Copy, Default)]
struct Entry {
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
            sets: Sets::default(),
        }
    }

    /// Whether this address may log in once more; it counts then. This host's own always may.
    pub fn admits(&self, client: Option<IpAddr>) -> bool {
        let now_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        client.is_none_or(|client| self.admits_at(client, now_us))
    }

    fn admits_at(&self, client: IpAddr, now_us: u64) -> bool {
        let key = self.hasher.hash_one(network(client));
        // Whoever has most left gives way.
        let weight = |entry: &Entry| entry.whole_us;
        self.sets.with(key, weight, |entry| {
            let whole_us = entry.whole_us.max(now_us) + self.each_us;
            let fits = whole_us - now_us <= MINUTE_US;
            if fits {
                entry.whole_us = whole_us;
            }
            fits
        })
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
        assert_eq!(Sets::<Entry>::BYTES, 512 * 1024);
        for number in 0..100_000u32 {
            rate.admits_at(IpAddr::from(number.to_be_bytes()), 0);
        }
    }
}
