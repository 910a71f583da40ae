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
    steering: Option<Steering>,
}

impl Placement {
    /// Steers a port, if it can be; ports that somebody else opened can't.
    pub fn new(steering: Option<Steering>) -> Self {
        let steering = steering.filter(|steering| steering.first_only().is_ok());
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
        if let (FEW_MAX, Some(steering)) = (before, &self.steering) {
            // Fails only if it is so already.
            let _ = steering.all();
        }
        true
    }

    pub(super) fn left(&self) {
        let before = self.open.fetch_sub(1, Ordering::Relaxed);
        if let (FEW_AGAIN, Some(steering)) = (before, &self.steering) {
            // Fails only if the kernel has no memory; then they are dealt out, as before.
            let _ = steering.first_only();
        }
    }
}
