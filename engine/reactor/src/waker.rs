//! Waking a sleeping reactor from another thread, and only if it sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// How the wake reaches the sleeper: an eventfd write for the kernel's reactor, nothing for the
/// simulated one, whose scheduler looks at the flag.
pub trait Alarm: Send + Sync {
    /// Ends the sleep. Called at most once a sleep.
    fn ring(&self);
}

/// It runs, or somebody has woken it: nobody needs to ring.
const AWAKE: u8 = 0;
/// It sleeps or is about to.
const ASLEEP: u8 = 1;
/// It waits, but looks at this state all the time: no need to ring.
const SPINNING: u8 = 2;

/// A cloneable handle that ends a reactor's sleep.
///
/// The sleeper calls [`Waker::announce_sleep`], then looks at its queues once more, then sleeps,
/// then calls [`Waker::awake`]. A producer puts into the queue first and calls [`Waker::wake`]
/// after. So either the sleeper sees the item or the producer sees the sleeper.
#[derive(Clone)]
pub struct Waker {
    state: Arc<AtomicU8>,
    alarm: Arc<dyn Alarm>,
}

impl Waker {
    /// A waker for a reactor with this alarm.
    pub fn new(alarm: Arc<dyn Alarm>) -> Self {
        Self {
            state: Arc::new(AtomicU8::new(AWAKE)),
            alarm,
        }
    }

    /// Wakes the reactor if it sleeps or is about to.
    pub fn wake(&self) {
        // `swap` orders the producer's push before the look at the state.
        if self.state.swap(AWAKE, Ordering::SeqCst) == ASLEEP {
            self.alarm.ring();
        }
    }

    /// Says that the reactor is about to sleep.
    pub fn announce_sleep(&self) {
        self.state.store(ASLEEP, Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
    }

    /// Says that the reactor runs. Returns whether a wake came in between.
    pub fn awake(&self) -> bool {
        self.state.swap(AWAKE, Ordering::SeqCst) == AWAKE
    }

    /// Whether the reactor has announced its sleep and nobody has woken it.
    pub fn is_asleep(&self) -> bool {
        self.state.load(Ordering::SeqCst) != AWAKE
    }

    /// From an announced sleep to looking at [`Waker::is_asleep`] all the time, so that a wake
    /// costs its producer no system call. False if no sleep is announced, or not any more.
    pub(crate) fn begin_spin(&self) -> bool {
        self.exchange(ASLEEP, SPINNING)
    }

    /// Back to an announced sleep. False if a wake came first.
    pub(crate) fn end_spin(&self) -> bool {
        self.exchange(SPINNING, ASLEEP)
    }

    fn exchange(&self, from: u8, to: u8) -> bool {
        self.state
            .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Alarm for Count {
        fn ring(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn rings_once_and_only_for_a_sleeper() {
        let count = Arc::new(Count::default());
        let rung = || count.0.load(Ordering::SeqCst);
        let waker = Waker::new(count.clone());
        waker.wake();
        assert_eq!(rung(), 0);
        waker.announce_sleep();
        waker.wake();
        waker.wake();
        assert_eq!(rung(), 1);
        assert!(waker.awake());
        waker.announce_sleep();
        assert!(waker.begin_spin());
        waker.wake();
        assert_eq!(rung(), 1, "a spinner looks by itself");
        assert!(!waker.end_spin());
        waker.announce_sleep();
        assert!(!waker.awake(), "nobody came");
    }
}
