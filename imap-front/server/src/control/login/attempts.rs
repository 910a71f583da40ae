//! Failed logins of each address and of each user: remembered across connections, in bounded
//! memory, and forgotten in time.
#![expect(
    clippy::disallowed_methods,
    reason = "failed logins are counted by the machine's clock"
)]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use ahash::RandomState;

use super::sets::Sets;
use crate::control::fair_queue::Standing;
use crate::front::network;

/// In this time half of the failures are forgotten.
const HALVED_S: u32 = 60;
/// The delay of the first failed login; it doubles with each.
const DELAY_FIRST: Duration = Duration::from_secs(1);
/// The longest delay.
const DELAY_MAX: Duration = Duration::from_secs(32);

/// The failures lately.
pub struct Attempts {
    hasher: RandomState,
    began: Instant,
    /// Of each address and user: 512 KiB in all.
    sets: Sets<Entry>,
    /// Who was right, of each user and address: as much.
    right: Sets<Right>,
}

/// A user that has logged in from an address.
#[derive(Clone, Copy, Default)]
struct Right {
    /// When that was last, in seconds.
    at_s: u32,
}

/// Failures of one address or user.
#[derive(Clone, Copy, Default)]
struct Entry {
    failures: u16,
    /// When they were counted last, in seconds.
    at_s: u32,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            began: Instant::now(),
            sets: Sets::default(),
            right: Sets::default(),
        }
    }
}

impl Attempts {
    /// A login has failed; gives for how long its answer is kept back. An address that is none
    /// counts no failures: this host's, from which webmail comes; nor does no name, which would be
    /// everybody's.
    pub fn failed(&self, user: &str, client: Option<IpAddr>) -> Duration {
        let now_s = self.now_s();
        let user = match user {
            "" => 0,
            user => self.count(self.hasher.hash_one(user), now_s),
        };
        let client = client.map(|client| self.count(self.hasher.hash_one(network(client)), now_s));
        delay(user.max(client.unwrap_or(0)))
    }

    /// A user has logged in: what was mistyped before is forgiven, and who comes from there is
    /// known.
    pub fn succeeded(&self, user: &str, client: Option<IpAddr>) {
        self.sets.forget(self.hasher.hash_one(user));
        if let Some(client) = client {
            let now_s = self.now_s();
            // Whose login was the longest ago gives way.
            let weight = |entry: &Right| u64::from(entry.at_s);
            let key = self.hasher.hash_one((user, network(client)));
            self.right
                .with(key, weight, |entry| entry.at_s = now_s.max(1));
        }
    }

    /// What is known of who comes as this user from there. This host's own are as good as any.
    pub fn standing(&self, user: &str, client: Option<IpAddr>) -> Standing {
        let Some(network) = client.map(network) else {
            return Standing::New;
        };
        if self
            .right
            .get(self.hasher.hash_one((user, network)))
            .is_some()
        {
            return Standing::Known;
        }
        let failed = self.sets.get(self.hasher.hash_one(network));
        match failed.is_some_and(|entry| left(&entry, self.now_s()) > 0) {
            true => Standing::Doubted,
            false => Standing::New,
        }
    }

    fn now_s(&self) -> u32 {
        u32::try_from(self.began.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    /// One more; gives how many.
    fn count(&self, key: u64, now_s: u32) -> u16 {
        // Whoever has failed least gives way.
        let weight = |entry: &Entry| left(entry, now_s).into();
        self.sets.with(key, weight, |entry| {
            let failures = left(entry, now_s).saturating_add(1);
            *entry = Entry {
                failures,
                at_s: now_s,
            };
            failures
        })
    }
}

/// Failures that are not forgotten.
fn left(entry: &Entry, now_s: u32) -> u16 {
    let halvings = now_s.saturating_sub(entry.at_s) / HALVED_S;
    entry.failures.checked_shr(halvings).unwrap_or(0)
}

fn delay(failures: u16) -> Duration {
    let doublings = u32::from(failures.saturating_sub(1)).min(16);
    DELAY_FIRST.saturating_mul(1 << doublings).min(DELAY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_across_connections_and_are_forgotten() {
        let attempts = Attempts::default();
        let client = Some(IpAddr::from([192, 0, 2, 1]));
        let delays: Vec<u64> = ["a", "b", "c", "d", "e", "f", "g"]
            .map(|user| attempts.failed(user, client).as_secs())
            .into();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 32], "of the address");
        assert_eq!(attempts.failed("z", None).as_secs(), 1);
        assert_eq!(attempts.failed("z", None).as_secs(), 2, "of the user");
        assert_eq!(
            [(); 3].map(|()| attempts.failed("", None).as_secs()),
            [1; 3],
            "of nobody"
        );
        attempts.succeeded("z", None);
        assert_eq!(attempts.failed("z", None).as_secs(), 1);
        let key = 77;
        for _ in 0..8 {
            attempts.count(key, 100);
        }
        assert_eq!(attempts.count(key, 100 + HALVED_S), 5);
        assert_eq!(attempts.count(key, 100 + 100 * HALVED_S), 1);
    }

    #[test]
    fn who_was_right_is_known_and_who_was_wrong_is_doubted_until_it_is_forgotten() {
        let attempts = Attempts::default();
        let [home, away] = [1, 2].map(|last| Some(IpAddr::from([192, 0, 2, last])));
        let of = |user, client| attempts.standing(user, client);
        assert_eq!(of("ann", home), Standing::New);
        attempts.failed("ann", away);
        assert_eq!(of("ann", away), Standing::Doubted);
        assert_eq!(
            of("bob", away),
            Standing::Doubted,
            "whoever comes from there"
        );
        assert_eq!(
            of("ann", home),
            Standing::New,
            "as others fail by that name"
        );
        attempts.succeeded("ann", away);
        assert_eq!(of("ann", away), Standing::Known);
        assert_eq!(of("bob", away), Standing::Doubted);
        assert_eq!(of("ann", None), Standing::New);
        assert_eq!(Sets::<Right>::BYTES, 512 * 1024);
        let failed = Entry {
            failures: 1,
            at_s: 100,
        };
        assert_eq!(
            [100, 100 + HALVED_S].map(|now_s| left(&failed, now_s)),
            [1, 0]
        );
    }

    #[test]
    fn one_host_has_a_whole_64_and_memory_is_bounded() {
        let host = |text: &str| network(text.parse().unwrap());
        assert_eq!(host("2001:db8::1"), host("2001:db8::ffff:1"));
        assert_ne!(host("2001:db8::1"), host("2001:db8:0:1::1"));
        assert_eq!(host("::ffff:192.0.2.1"), host("192.0.2.1"));
        assert_eq!(Sets::<Entry>::BYTES, 512 * 1024);
        let attempts = Attempts::default();
        for number in 1..100_000u64 {
            attempts.count(number.wrapping_mul(0x9E37_79B9_7F4A_7C15), 0);
        }
    }
}
