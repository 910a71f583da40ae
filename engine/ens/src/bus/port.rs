//! What a broker's shards give the bus: in order, bounded in bytes, from any thread.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use crossbeam_queue::ArrayQueue;

use super::bucket::{BUCKETS, bucket_of_pattern, hears_others};
use super::interest::{Interest, Wanted};
use super::streams::Pooled;
use super::wire::Crossing;
use crate::event_ref::Pattern;

/// What may wait, whatever its size.
const WAITING_MAX: usize = 64 * 1024;
/// What keeping something costs besides its bytes, about.
const EACH_BYTES: usize = 160;

/// Something for the bus.
#[derive(Debug)]
pub enum Given {
    /// An event for whoever hears its bucket.
    Event {
        /// That.
        bucket: u16,
        /// It.
        event: Crossing,
    },
    /// An event for a member of a pool on another host.
    ForPool {
        /// The pool's pattern, written down.
        pattern: Bytes,
        /// The event.
        event: Crossing,
    },
    /// An event of another host for which there is no member here any more.
    HandOn(Pooled),
    /// So many members has a pool here.
    Members {
        /// Its pattern, written down.
        pattern: Bytes,
        /// How many.
        members: u32,
    },
    /// A subscriber here has worked on the event of another host that has this number.
    Acknowledge(u64),
}

/// Where shards meet the bus.
pub struct Port {
    interest: Interest,
    queue: ArrayQueue<Given>,
    bytes: AtomicUsize,
    bytes_max: usize,
    /// Events that found no room, by bucket, until the bus has counted them.
    skipped: Box<[AtomicU64]>,
    any_skipped: AtomicBool,
    lost_of_pool: AtomicBool,
    dropped: AtomicU64,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.queue.len();
        f.debug_struct("Port")
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

impl Port {
    /// Of a bus that is woken so, for which so many bytes may wait.
    pub fn new(bytes_max: usize, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            interest: Interest::default(),
            queue: ArrayQueue::new(WAITING_MAX),
            bytes: AtomicUsize::new(0),
            bytes_max,
            skipped: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            any_skipped: AtomicBool::new(false),
            lost_of_pool: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            wake,
        }
    }

    /// There is one more subscription outside of pools; the site is asked for what it can match.
    pub fn add_interest(&self, pattern: &Pattern) {
        if hears_others(pattern) && self.interest.add(bucket_of_pattern(pattern)) {
            (self.wake)();
        }
    }

    /// There is one less.
    pub fn remove_interest(&self, pattern: &Pattern) {
        if hears_others(pattern) && self.interest.remove(bucket_of_pattern(pattern)) {
            (self.wake)();
        }
    }

    /// Gives an event. Without room for it whoever would have heard it is told that he has not.
    pub fn publish(&self, bucket: u16, event: Crossing) {
        if !self.give(Given::Event { bucket, event }) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.skipped[usize::from(bucket)].fetch_add(1, Ordering::SeqCst);
            self.any_skipped.store(true, Ordering::SeqCst);
        }
    }

    /// Gives something; false if there is no room for it.
    #[must_use = "it may be lost"]
    pub fn give(&self, given: Given) -> bool {
        let bytes = bytes_of(&given);
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // One of any size fits into an empty queue.
        let fits = before == 0 || before + bytes <= self.bytes_max;
        let is_given = fits && self.queue.push(given).is_ok();
        if !is_given {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        (self.wake)();
        is_given
    }

    /// What was given first.
    pub fn take(&self) -> Option<Given> {
        let given = self.queue.pop()?;
        self.bytes.fetch_sub(bytes_of(&given), Ordering::Relaxed);
        Some(given)
    }

    /// Which buckets are wanted, if that may have changed since it was asked last.
    pub fn take_wanted(&self) -> Option<Wanted> {
        self.interest.take_changed()
    }

    /// An event for a pool is given to nobody: its members are to be told, wherever they are.
    pub fn lose_of_pool(&self) {
        self.lost_of_pool.store(true, Ordering::SeqCst);
        (self.wake)();
    }

    /// Whether one was since it was asked last.
    pub fn take_lost_of_pool(&self) -> bool {
        self.lost_of_pool.swap(false, Ordering::SeqCst)
    }

    /// Events that found no room since it was asked last, by bucket.
    pub fn take_skipped(&self) -> Vec<(u16, u64)> {
        if !self.any_skipped.swap(false, Ordering::SeqCst) {
            return vec![];
        }
        let skipped = (0..BUCKETS).zip(&self.skipped);
        let taken = skipped.map(|(bucket, count)| (bucket, count.swap(0, Ordering::SeqCst)));
        taken.filter(|(_, count)| *count > 0).collect()
    }

    /// Events that found no room, ever.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Bytes that wait.
    pub fn waiting_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

fn bytes_of(given: &Given) -> usize {
    EACH_BYTES
        + match given {
            Given::Event { event, .. } => event.wire_bytes(),
            Given::ForPool { pattern, event } => pattern.len() + event.wire_bytes(),
            Given::HandOn(pooled) => pooled.pattern.len() + pooled.event.wire_bytes(),
            Given::Members { pattern, .. } => pattern.len(),
            Given::Acknowledge(_) => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(bytes: usize) -> Crossing {
        Crossing {
            event: "enp://h/x".into(),
            payload: vec![0; bytes].into(),
            link: None,
        }
    }

    #[test]
    fn what_finds_no_room_is_counted_in_its_bucket_and_what_left_makes_room() {
        let port = Port::new(10_000, Box::new(|| {}));
        for bucket in 0..5 {
            port.publish(bucket, event(4000));
        }
        assert_eq!(port.take_skipped(), [(2, 1), (3, 1), (4, 1)]);
        assert_eq!(port.take_skipped(), []);
        assert_eq!(port.dropped(), 3);
        let buckets: Vec<u16> = std::iter::from_fn(|| port.take())
            .map(|given| match given {
                Given::Event { bucket, .. } => bucket,
                given => panic!("{given:?}"),
            })
            .collect();
        assert_eq!(buckets, [0, 1]);
        assert_eq!(port.waiting_bytes(), 0);
        port.publish(9, event(20_000));
        assert!(port.take().is_some(), "one of any size goes");
    }
}
