//! Histograms that some threads count and others read, without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The upper bounds of what is counted together, in nanoseconds: 10 µs to 10 s. What took longer is
/// counted behind them.
pub const BOUNDS_NS: [u64; 19] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

const STEPS: usize = BOUNDS_NS.len() + 1;

/// How often something took how long. Counts may be an addition apart from each other while they
/// are read.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; STEPS],
    sum_ns: AtomicU64,
}

impl Histogram {
    /// Something took so long, so often.
    pub fn add(&self, took_ns: u64, times: u64) {
        let step = BOUNDS_NS.partition_point(|bound| *bound < took_ns);
        self.counts[step].fetch_add(times, Relaxed);
        self.sum_ns
            .fetch_add(took_ns.saturating_mul(times), Relaxed);
    }

    /// As it is now.
    pub fn read(&self) -> Counted {
        Counted {
            counts: std::array::from_fn(|step| self.counts[step].load(Relaxed)),
            sum_ns: self.sum_ns.load(Relaxed),
        }
    }
}

/// What a histogram held at some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How often for each of [`BOUNDS_NS`], and beyond.
    pub counts: [u64; STEPS],
    /// How long all of it took together, in nanoseconds.
    pub sum_ns: u64,
}

impl Counted {
    /// How often in all.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds what another one held.
    pub fn merge(&mut self, other: &Self) {
        let pairs = self.counts.iter_mut().zip(other.counts);
        pairs.for_each(|(own, other)| *own += other);
        self.sum_ns = self.sum_ns.wrapping_add(other.sum_ns);
    }

    /// What came since an earlier look at the same histogram.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let step = |step: usize| self.counts[step].saturating_sub(before.counts[step]);
        Self {
            counts: std::array::from_fn(step),
            sum_ns: self.sum_ns.wrapping_sub(before.sum_ns),
        }
    }

    /// The bound, in nanoseconds, that so many of a thousand don't exceed; of those beyond all
    /// bounds it is `u64::MAX`. None if nothing was counted.
    pub fn within(&self, of_thousand: u64) -> Option<u64> {
        let all = self.count();
        let wanted = (all.saturating_mul(of_thousand)).div_ceil(1000).max(1);
        let mut so_far = 0;
        let mut steps = self
            .counts
            .iter()
            .zip(BOUNDS_NS.into_iter().chain([u64::MAX]));
        let found = steps.find(|(count, _)| {
            so_far += *count;
            so_far >= wanted
        });
        found.filter(|_| all > 0).map(|(_, bound)| bound)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
    use super::*;

    #[test]
    fn each_is_counted_with_what_took_about_as_long() {
        let histogram = Histogram::default();
        assert_eq!(histogram.read().within(500), None);
        for (took_ns, times) in [(0, 1), (10_000, 2), (10_001, 4), (u64::MAX, 1)] {
            histogram.add(took_ns, times);
        }
        let read = histogram.read();
        assert_eq!((read.counts[0], read.counts[1]), (3, 4));
        assert_eq!((read.counts[STEPS - 1], read.count()), (1, 8));
        assert_eq!(read.within(0).unwrap(), 10_000);
        assert_eq!(read.within(375).unwrap(), 10_000);
        assert_eq!(read.within(500).unwrap(), 25_000);
        assert_eq!(read.within(1000).unwrap(), u64::MAX);
        histogram.add(1_000_000, 5);
        let more = histogram.read().since(&read);
        assert_eq!((more.count(), more.sum_ns), (5, 5_000_000));
        let mut both = read;
        both.merge(&more);
        assert_eq!(both, histogram.read());
    }
}
