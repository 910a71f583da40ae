//! Which buckets are wanted: counted by shards as subscriptions come and go, read by the bus.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::bucket::BUCKETS;

/// How many subscriptions can match in each bucket.
#[derive(Debug)]
pub struct Interest {
    buckets: Box<[AtomicU32]>,
    /// Those that can match in any.
    everywhere: AtomicU32,
    changed: AtomicBool,
}

/// The buckets that are wanted at a moment.
#[derive(Clone, PartialEq, Eq)]
pub struct Wanted {
    bits: [u64; BUCKETS as usize / 64],
    /// All of them, and what is to come.
    all: bool,
}

impl std::fmt::Debug for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Default for Interest {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU32::new(0)).collect(),
            everywhere: AtomicU32::new(0),
            changed: AtomicBool::new(false),
        }
    }
}

impl Interest {
    fn count(&self, bucket: Option<u16>) -> &AtomicU32 {
        bucket.map_or(&self.everywhere, |bucket| {
            &self.buckets[usize::from(bucket)]
        })
    }

    /// One more subscription can match in this bucket, or in any. True if the bus is to hear of it.
    #[must_use = "the bus is to be woken"]
    pub fn add(&self, bucket: Option<u16>) -> bool {
        let first = self.count(bucket).fetch_add(1, Ordering::SeqCst) == 0;
        first && !self.changed.swap(true, Ordering::SeqCst)
    }

    /// One less can. True if the bus is to hear of it.
    #[must_use = "the bus is to be woken"]
    pub fn remove(&self, bucket: Option<u16>) -> bool {
        let last = self.count(bucket).fetch_sub(1, Ordering::SeqCst) == 1;
        last && !self.changed.swap(true, Ordering::SeqCst)
    }

    /// What is wanted now, if that may have changed since it was asked last.
    pub fn take_changed(&self) -> Option<Wanted> {
        self.changed
            .swap(false, Ordering::SeqCst)
            .then(|| self.wanted())
    }

    fn wanted(&self) -> Wanted {
        if self.everywhere.load(Ordering::SeqCst) > 0 {
            return Wanted::all();
        }
        let mut wanted = Wanted::none();
        for (bucket, count) in (0..BUCKETS).zip(&self.buckets) {
            if count.load(Ordering::SeqCst) > 0 {
                wanted.add(bucket);
            }
        }
        wanted
    }
}

impl Wanted {
    /// No bucket.
    pub fn none() -> Self {
        Self {
            bits: [0; BUCKETS as usize / 64],
            all: false,
        }
    }

    /// Every bucket.
    pub fn all() -> Self {
        Self {
            bits: [u64::MAX; BUCKETS as usize / 64],
            all: true,
        }
    }

    /// This one, too.
    pub fn add(&mut self, bucket: u16) {
        self.bits[usize::from(bucket / 64)] |= 1 << (bucket % 64);
    }

    /// Whether this one is.
    pub fn has(&self, bucket: u16) -> bool {
        self.bits[usize::from(bucket / 64)] >> (bucket % 64) & 1 == 1
    }

    /// How many are.
    pub fn len(&self) -> usize {
        self.bits
            .iter()
            .map(|bits| bits.count_ones() as usize)
            .sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|bits| *bits == 0)
    }

    /// Whether somebody asks for events of any key.
    pub fn is_all(&self) -> bool {
        self.all
    }

    /// They, in order.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        (0..BUCKETS).filter(|bucket| self.has(*bucket))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_and_the_last_are_told_and_what_is_wanted_is_what_is_counted(
            steps in prop::collection::vec((any::<bool>(), 0..6u16, any::<bool>()), 0..60),
        ) {
            let interest = Interest::default();
            let mut counts = [0u32; 6];
            let mut told = Wanted::none();
            for (adds, which, looks) in steps {
                // The last stands for a subscription to everything.
                let bucket = (which < 5).then_some(which * 200);
                let count = &mut counts[usize::from(which)];
                let woken = if adds {
                    *count += 1;
                    interest.add(bucket)
                } else if *count > 0 {
                    *count -= 1;
                    interest.remove(bucket)
                } else {
                    false
                };
                if woken || looks {
                    told = interest.take_changed().unwrap_or(told);
                    let all = counts[5] > 0;
                    prop_assert_eq!(told.is_all(), all);
                    for (bucket, count) in counts[..5].iter().enumerate() {
                        prop_assert_eq!(told.has(bucket as u16 * 200), all || *count > 0);
                    }
                    let buckets = counts[..5].iter().filter(|count| **count > 0).count();
                    prop_assert_eq!(told.len(), if all { 1024 } else { buckets });
                }
            }
        }
    }
}
