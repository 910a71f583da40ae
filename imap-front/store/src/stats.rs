//! What the writer has counted, for whoever asks while it works.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use counting::Histogram;

/// Sizes of commits are counted in steps: 1, 2, 3–4, 5–8, …, 257–512 operations.
pub const STEPS: usize = 10;

/// Counts since the store was opened. Each is right by itself; together they may be a commit apart.
#[derive(Debug, Default)]
pub struct Stats {
    steps: [Step; STEPS],
    syncs: AtomicU64,
    busy_ns: AtomicU64,
    commit_ns: AtomicU64,
    keys_dropped: AtomicU64,
    syncing: Histogram,
}

#[derive(Debug, Default)]
struct Step {
    commits: AtomicU64,
    operations: AtomicU64,
}

/// Commits of one step of sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The most operations that a commit of this step holds.
    pub operations_max: usize,
    /// How many commits.
    pub commits: u64,
    /// How many operations in all of them.
    pub operations: u64,
}

impl Stats {
    /// Durable commits by how many operations each of them holds, from the smallest on.
    pub fn sizes(&self) -> [Size; STEPS] {
        std::array::from_fn(|step| Size {
            operations_max: 1 << step,
            commits: self.steps[step].commits.load(Relaxed),
            operations: self.steps[step].operations.load(Relaxed),
        })
    }

    /// How often the writer synced. What is only a part of an upload waits for the next sync.
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Relaxed)
    }

    /// How often sort keys of messages were not made or kept, for too much waited: they are made
    /// when they are next asked for.
    pub fn dropped_keys(&self) -> u64 {
        self.keys_dropped.load(Relaxed)
    }

    pub(crate) fn keys_dropped(&self) {
        self.keys_dropped.fetch_add(1, Relaxed);
    }

    /// How long each commit took to be written and synced.
    pub fn syncing(&self) -> &Histogram {
        &self.syncing
    }

    /// How long the writer was busy, in nanoseconds.
    pub fn busy_ns(&self) -> u64 {
        self.busy_ns.load(Relaxed)
    }

    /// How long the database took to write and sync, in nanoseconds; the writer is busy meanwhile,
    /// or applies the next group.
    pub fn commit_ns(&self) -> u64 {
        self.commit_ns.load(Relaxed)
    }

    /// A commit of so many operations, at least one, is durable; writing it took so long.
    pub(crate) fn committed(&self, operations: usize, took: Duration) {
        let step = operations.next_power_of_two().trailing_zeros() as usize;
        let step = &self.steps[step.min(STEPS - 1)];
        step.commits.fetch_add(1, Relaxed);
        step.operations.fetch_add(operations as u64, Relaxed);
        self.syncs.fetch_add(1, Relaxed);
        self.commit_ns.fetch_add(nanoseconds(took), Relaxed);
        self.syncing.add(nanoseconds(took), 1);
    }

    /// A commit was written that waits for the next sync; writing it took so long.
    pub(crate) fn put_off(&self, took: Duration) {
        self.commit_ns.fetch_add(nanoseconds(took), Relaxed);
    }

    /// The writer was busy since then.
    pub(crate) fn worked(&self, began: Instant) {
        self.busy_ns
            .fetch_add(nanoseconds(began.elapsed()), Relaxed);
    }
}

fn nanoseconds(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_counted_by_size() {
        let stats = Stats::default();
        for operations in [1, 2, 3, 4, 5, 512, 512] {
            stats.committed(operations, Duration::ZERO);
        }
        let counts = |size: Size| (size.operations_max, size.commits, size.operations);
        let sizes = stats.sizes().map(counts);
        assert_eq!(sizes[..4], [(1, 1, 1), (2, 1, 2), (4, 2, 7), (8, 1, 5)]);
        assert_eq!(sizes[STEPS - 1], (512, 2, 1024));
        assert_eq!(stats.syncs(), 7);
    }
}
