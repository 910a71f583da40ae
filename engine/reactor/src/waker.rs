//! Waking a sleeping reactor from another thread, and only if it sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How the wake reaches the sleeper: an eventfd write for the kernel's reactor, nothing for the
/// simulated one, whose scheduler looks at the flag.
pub trait Alarm: Send + Sync {
    /// Ends the sleep. Called at most once a sleep.
    fn ring(&self);
}

/// A cloneable handle that ends a reactor's sleep.
///
/// The sleeper calls [`Waker::announce_sleep`], then looks at its queues once more, then sleeps,
/// then calls [`Waker::awake`]. A producer puts into the queue first and calls [`Waker::wake`]
/// after. So either the sleeper sees the item or the producer sees the sleeper.
#[derive(Clone)]
pub struct Waker {
    asleep: Arc<AtomicBool>,
    alarm: Arc<dyn Alarm>,
}

impl Waker {
    /// A waker for a reactor with this alarm.
    pub fn new(alarm: Arc<dyn Alarm>) -> Self {
        Self {
            asleep: Arc::new(AtomicBool::new(false)),
            alarm,
        }
    }

    /// Wakes the reactor if it sleeps or is about to.
    pub fn wake(&self) {
        // The fence in `swap` orders the producer's push before the look at the flag.
        if self.asleep.swap(false, Ordering::SeqCst) {
            self.alarm.ring();
        }
    }

    /// Says that the reactor is about to sleep.
    pub fn announce_sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
    }

    /// Says that the reactor runs. Returns whether a wake came in between.
    pub fn awake(&self) -> bool {
        !self.asleep.swap(false, Ordering::SeqCst)
    }

    /// Whether the reactor has announced its sleep and nobody has woken it.
    pub fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::SeqCst)
    }
}
