//! On which shard connections live: while there are few, on the first, so that an event goes from
//! its publisher to its subscribers without waking another core.

use std::sync::atomic::{AtomicUsize, Ordering};

use reactor::steer::Steering;

/// With more connections than this they are dealt out to all shards.
const FEW_MAX: usize = 64;
/// With as few as this new ones go to the first shard again.
const FEW_AGAIN: usize = FEW_MAX / 4;

/// Counts connections, and steers new ones.
#[derive(Debug)]
pub struct Placement {
    open: AtomicUsize,
    /// Of each port.
    steering: Vec<Steering>,
}

impl Placement {
    /// Steers ports that can be; those that somebody else opened can't.
    pub fn new(mut steering: Vec<Steering>) -> Self {
        steering.retain(|steering| steering.first_only().is_ok());
        Self {
            open: AtomicUsize::new(0),
            steering,
        }
    }

    /// Counts a connection, unless there are `most` already.
    pub(super) fn came(&self, most: usize) -> bool {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        if before >= most {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        if before == FEW_MAX {
            // Fails only if it is so already.
            self.steering.iter().for_each(|port| _ = port.all());
        }
        true
    }

    /// Counts one that comes from another process, however many there are.
    pub(super) fn came_anyway(&self) {
        self.came(usize::MAX);
    }

    pub(super) fn left(&self) {
        let before = self.open.fetch_sub(1, Ordering::Relaxed);
        if before == FEW_AGAIN {
            // Fails only if the kernel has no memory; then they are dealt out, as before.
            self.steering.iter().for_each(|port| _ = port.first_only());
        }
    }
}
