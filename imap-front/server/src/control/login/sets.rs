//! A table of fixed size by keys' hashes: where there is no room, what matters least gives way.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Entries that a key may land in.
const WAYS: usize = 4;
/// Sets of entries.
const SETS: usize = 8 * 1024;

/// What is known of each key lately, in bounded memory.
pub(super) struct Sets<E>(Mutex<Box<[[Slot<E>; WAYS]]>>);

/// An entry. Key 0 is a free one.
#[derive(Clone, Copy, Default)]
struct Slot<E> {
    key: u64,
    entry: E,
}

impl<E: Copy + Default> Default for Sets<E> {
    fn default() -> Self {
        // Written now, so that the memory is there from the start.
        Self(Mutex::new(
            (0..SETS).map(|_| [Slot::default(); WAYS]).collect(),
        ))
    }
}

impl<E: Copy + Default> Sets<E> {
    /// What it takes, in bytes.
    #[cfg(test)]
    pub const BYTES: usize = SETS * size_of::<[Slot<E>; WAYS]>();

    fn sets(&self) -> MutexGuard<'_, Box<[[Slot<E>; WAYS]]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the entry of a key's hash. A new one takes the place of that which `weight` finds
    /// lightest.
    pub fn with<T>(
        &self,
        key: u64,
        weight: impl Fn(&E) -> u64,
        work: impl FnOnce(&mut E) -> T,
    ) -> T {
        let key = key.max(1);
        let mut sets = self.sets();
        let set = &mut sets[key as usize % SETS];
        let at = match set.iter().position(|slot| slot.key == key) {
            Some(at) => at,
            None => {
                let lightest = (0..WAYS).min_by_key(|at| weight(&set[*at].entry));
                let at = lightest.unwrap_or(0);
                set[at] = Slot {
                    key,
                    entry: E::default(),
                };
                at
            }
        };
        work(&mut set[at].entry)
    }

    /// What is known of a key's hash.
    pub fn get(&self, key: u64) -> Option<E> {
        let key = key.max(1);
        let sets = self.sets();
        let found = sets[key as usize % SETS]
            .iter()
            .find(|slot| slot.key == key);
        found.map(|slot| slot.entry)
    }

    /// Forgets what is known of a key's hash.
    pub fn forget(&self, key: u64) {
        let key = key.max(1);
        let mut sets = self.sets();
        let set = &mut sets[key as usize % SETS];
        for slot in set.iter_mut().filter(|slot| slot.key == key) {
            *slot = Slot::default();
        }
    }
}
