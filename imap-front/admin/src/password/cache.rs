//! Recently verified passwords, so that a storm of reconnects does not hash them all again.

use std::sync::{Mutex, PoisonError, RwLock};

use ahash::RandomState;
use argon2::password_hash::rand_core::{OsRng, RngCore};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Entries a user may land in.
const WAYS: usize = 4;
/// Bytes of the key, which never leaves the process, except for the one that takes over.
const KEY_BYTES: usize = 32;
/// Bytes of what users' names are hashed by.
const SEED_BYTES: usize = 32;
/// Bytes kept of each MAC: guessing one takes 2^127 logins.
const MAC_BYTES: usize = 16;

/// Bytes of an entry that is handed over.
const ENTRY_BYTES: usize = size_of::<u64>() + MAC_BYTES;

/// A keyed MAC of a user's name and a password.
pub type Fingerprint = [u8; MAC_BYTES];

/// A bounded cache of passwords that verified, 24 bytes a user. It keeps neither passwords nor
/// hashes but a keyed MAC (HMAC-SHA256, truncated) over user, stored hash and password: a changed
/// password, or a deleted and re-made user, therefore misses. The key is fresh in each process that
/// takes over from none.
pub struct VerifiedCache {
    keys: RwLock<Keys>,
    sets: Mutex<Box<[[Entry; WAYS]]>>,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    /// Hash of the user's name; which set it lies in follows from it. 0 is a free entry.
    user: u64,
    mac: [u8; MAC_BYTES],
}

/// What entries are made by.
struct Keys {
    mac: Zeroizing<[u8; KEY_BYTES]>,
    seed: Zeroizing<[u8; SEED_BYTES]>,
    place: RandomState,
}

impl Keys {
    fn new(mac: Zeroizing<[u8; KEY_BYTES]>, seed: Zeroizing<[u8; SEED_BYTES]>) -> Self {
        let words = seed.as_chunks::<8>().0;
        let word = |at: usize| u64::from_be_bytes(words[at]);
        let place = RandomState::with_seeds(word(0), word(1), word(2), word(3));
        Self { mac, seed, place }
    }

    fn random() -> Self {
        let mut mac = Zeroizing::new([0; KEY_BYTES]);
        OsRng.fill_bytes(&mut *mac);
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        OsRng.fill_bytes(&mut *seed);
        Self::new(mac, seed)
    }
}

impl VerifiedCache {
    /// A cache of at least `entries` users.
    pub fn new(entries: usize) -> Self {
        let sets = entries.div_ceil(WAYS).next_power_of_two();
        Self {
            keys: RwLock::new(Keys::random()),
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
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        mac(&keys.mac, &[user.as_bytes(), password])
    }

    /// All of it for the process that takes over, which may keep it in memory only: both keys, then
    /// the entries of each set, those used last behind the others.
    pub fn hand_over(&self) -> Zeroizing<Vec<u8>> {
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = || sets.iter().flatten().filter(|entry| entry.user != 0);
        let bytes = KEY_BYTES + SEED_BYTES + entries().count() * ENTRY_BYTES;
        let mut output = Zeroizing::new(Vec::with_capacity(bytes));
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        output.extend(&*keys.mac);
        output.extend(&*keys.seed);
        for set in sets.iter() {
            for entry in set.iter().rev().filter(|entry| entry.user != 0) {
                output.extend(entry.user.to_be_bytes());
                output.extend(entry.mac);
            }
        }
        output
    }

    /// Knows what another process has handed over, and nothing else. False if these are not its
    /// bytes: nothing has changed then.
    pub fn take_over(&self, bytes: &[u8]) -> bool {
        let Some((mac, rest)) = bytes.split_first_chunk::<KEY_BYTES>() else {
            return false;
        };
        let Some((seed, rest)) = rest.split_first_chunk::<SEED_BYTES>() else {
            return false;
        };
        let (entries, []) = rest.as_chunks::<ENTRY_BYTES>() else {
            return false;
        };
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = Keys::new(Zeroizing::new(*mac), Zeroizing::new(*seed));
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        sets.fill([Entry::default(); WAYS]);
        for entry in entries {
            let (user, mac) = entry.split_at(size_of::<u64>());
            let mut of_user = [0; size_of::<u64>()];
            of_user.copy_from_slice(user);
            let user = u64::from_be_bytes(of_user);
            let mut of_mac = [0; MAC_BYTES];
            of_mac.copy_from_slice(mac);
            let set = set(&mut sets, user);
            set.rotate_right(1);
            set[0] = Entry { user, mac: of_mac };
        }
        true
    }

    fn entry(&self, user: &str, stored: &str, password: &[u8]) -> Entry {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        Entry {
            user: keys.place.hash_one(user).max(1),
            mac: mac(&keys.mac, &[user.as_bytes(), stored.as_bytes(), password]),
        }
    }
}

fn mac(key: &[u8; KEY_BYTES], parts: &[&[u8]]) -> Fingerprint {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    for part in parts {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    let digest = mac.finalize().into_bytes();
    let mut short = [0; MAC_BYTES];
    short.copy_from_slice(&digest[..MAC_BYTES]);
    short
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

    #[test]
    fn another_process_knows_what_this_one_did() {
        let (cache, other) = (VerifiedCache::new(WAYS), VerifiedCache::new(4 * WAYS));
        for user in ["a", "b", "c", "d"] {
            cache.remember(user, "h", b"p");
        }
        assert!(cache.knows("a", "h", b"p"));
        other.remember("x", "h", b"p");
        let bytes = cache.hand_over();
        assert!(!other.take_over(&bytes[..bytes.len() - 1]));
        assert!(!other.take_over(&bytes[..KEY_BYTES + 3]) && !other.take_over(b""));
        assert!(other.knows("x", "h", b"p"), "nothing has changed");
        assert!(other.take_over(&bytes));
        assert!(!other.knows("x", "h", b"p"));
        for user in ["a", "b", "c", "d"] {
            assert!(other.knows(user, "h", b"p"), "{user}");
            assert!(!other.knows(user, "h", b"q") && !other.knows(user, "other", b"p"));
        }
        assert_eq!(other.fingerprint("a", b"p"), cache.fingerprint("a", b"p"));
        // In a full set who was used longest ago goes first, there too.
        let small = VerifiedCache::new(WAYS);
        assert!(small.take_over(&bytes));
        small.remember("e", "h", b"p");
        assert!(small.knows("a", "h", b"p") && !small.knows("b", "h", b"p"));
    }
}
