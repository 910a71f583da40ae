//! Recently verified passwords, so that a storm of reconnects does not hash them all again.

use std::sync::{Mutex, PoisonError};

use ahash::RandomState;
use argon2::password_hash::rand_core::{OsRng, RngCore};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Entries a user may land in.
const WAYS: usize = 4;
/// Bytes of the key, which never leaves the process.
const KEY_BYTES: usize = 32;
/// Bytes kept of each MAC: guessing one takes 2^127 logins.
const MAC_BYTES: usize = 16;

/// A keyed MAC of a user's name and a password.
pub type Fingerprint = [u8; MAC_BYTES];

/// A bounded cache of passwords that verified, 24 bytes a user. It keeps neither passwords nor
/// hashes but a keyed MAC (HMAC-SHA256, truncated) over user, stored hash and password: a changed
/// password, or a deleted and re-made user, therefore misses. The key is fresh in each process.
pub struct VerifiedCache {
    key: Zeroizing<[u8; KEY_BYTES]>,
    place: RandomState,
    sets: Mutex<Box<[[Entry; WAYS]]>>,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    /// Hash of the user's name; which set it lies in follows from it. 0 is a free entry.
    user: u64,
    mac: [u8; MAC_BYTES],
}

impl VerifiedCache {
    /// A cache of at least `entries` users.
    pub fn new(entries: usize) -> Self {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        OsRng.fill_bytes(&mut *key);
        let sets = entries.div_ceil(WAYS).next_power_of_two();
        Self {
            key,
            place: RandomState::new(),
            // Written now, so that the memory is there from the start and no login waits for it.
            sets: Mutex::new((0..sets).map(|_| [Entry::default(); WAYS]).collect()),
        }
    }

    /// Whether exactly this password verified against exactly this stored hash for this user.
    pub fn knows(&self, user: &str, stored: &str, password: &[u8]) -> bool {
        let wanted = self.entry(user, stored, password);
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let set = set(&mut sets, wanted.user);
        match set.iter().position(|entry| entry.user == wanted.user) {
            Some(at) => {
                let equal = set[at].mac.ct_eq(&wanted.mac).into();
                // The most recently used stays in front.
                set[..=at].rotate_right(1);
                equal
            }
            None => false,
        }
    }

    /// Remembers that this password verified, in the place of the set's least recently used.
    pub fn remember(&self, user: &str, stored: &str, password: &[u8]) {
        let entry = self.entry(user, stored, password);
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let set = set(&mut sets, entry.user);
        let at = set
            .iter()
            .position(|old| old.user == entry.user)
            .unwrap_or(WAYS - 1);
        set[..=at].rotate_right(1);
        set[0] = entry;
    }

    /// A name for this user's name and password together, by the same key.
    pub fn fingerprint(&self, user: &str, password: &[u8]) -> Fingerprint {
        self.mac(&[user.as_bytes(), password])
    }

    fn entry(&self, user: &str, stored: &str, password: &[u8]) -> Entry {
        Entry {
            user: self.place.hash_one(user).max(1),
            mac: self.mac(&[user.as_bytes(), stored.as_bytes(), password]),
        }
    }

    fn mac(&self, parts: &[&[u8]]) -> Fingerprint {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.key).expect("HMAC takes any key");
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        let digest = mac.finalize().into_bytes();
        let mut short = [0; MAC_BYTES];
        short.copy_from_slice(&digest[..MAC_BYTES]);
        short
    }
}

fn set(sets: &mut [[Entry; WAYS]], user: u64) -> &mut [Entry; WAYS] {
    let mask = sets.len() - 1;
    &mut sets[user as usize & mask]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_exactly_what_verified() {
        let cache = VerifiedCache::new(16);
        assert!(!cache.knows("ann", "hash", b"secret"));
        cache.remember("ann", "hash", b"secret");
        assert!(cache.knows("ann", "hash", b"secret"));
        assert!(!cache.knows("ann", "hash", b"Secret"));
        assert!(!cache.knows("ann", "other", b"secret"));
        assert!(!cache.knows("bob", "hash", b"secret"));
        assert!(
            cache.knows("ann", "hash", b"secret"),
            "a wrong guess must not evict"
        );
    }

    #[test]
    fn bounded_and_keeps_the_recently_used() {
        assert!(size_of::<Entry>() <= 48);
        let cache = VerifiedCache::new(WAYS);
        for user in ["a", "b", "c", "d"] {
            cache.remember(user, "h", b"p");
        }
        assert!(cache.knows("a", "h", b"p"));
        cache.remember("e", "h", b"p");
        assert!(cache.knows("a", "h", b"p"));
        assert!(!cache.knows("b", "h", b"p"), "b was used longest ago");
        assert!(cache.knows("e", "h", b"p"));
    }
}
