//! How many sessions a shard has, and what they are doing: counted as that changes, so that nobody
//! has to look at them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counted by a shard, read from anywhere.
#[derive(Debug, Default)]
pub struct SessionCounts {
    strangers: AtomicU64,
    logged_in: AtomicU64,
    idling: AtomicU64,
}

impl SessionCounts {
    /// Sessions that have not logged in.
    pub fn strangers(&self) -> u64 {
        self.strangers.load(Relaxed)
    }

    /// Sessions that have, packed away or not.
    pub fn logged_in(&self) -> u64 {
        self.logged_in.load(Relaxed)
    }

    /// Sessions in IDLE, packed away or not.
    pub fn idling(&self) -> u64 {
        self.idling.load(Relaxed)
    }

    /// A session has come that has logged in, or has not.
    pub(super) fn came(&self, logged_in: bool) {
        self.cell(logged_in).fetch_add(1, Relaxed);
    }

    /// A session has ended that had logged in, or had not.
    pub(super) fn went(&self, logged_in: bool) {
        self.cell(logged_in).fetch_sub(1, Relaxed);
    }

    /// A session has begun to idle.
    pub(super) fn idles(&self) {
        self.idling.fetch_add(1, Relaxed);
    }

    /// A session that was idling does so no more.
    pub(super) fn wakes(&self) {
        self.idling.fetch_sub(1, Relaxed);
    }

    fn cell(&self, logged_in: bool) -> &AtomicU64 {
        match logged_in {
            true => &self.logged_in,
            false => &self.strangers,
        }
    }
}
