//! What is counted of a site.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::bus::Counts;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a broker's part of a site has done, and whether the bus is there.
        #[derive(Debug, Default)]
        pub struct Counters {
            connected: AtomicBool,
            $($name: AtomicU64,)*
        }

        impl Counters {
            $(
                $(#[$doc])*
                pub fn $name(&self) -> u64 {
                    self.$name.load(Ordering::Relaxed)
                }
            )*
        }
    };
}

counters! {
    /// Connections to the bus that were made.
    connects,
    /// Other brokers that are there.
    brokers,
    /// Events of this broker that were given to the bus.
    sent,
    /// Events of this broker that found no room on their way to the bus.
    dropped,
    /// Events of this broker that were too large for the bus.
    too_large,
    /// Events of other brokers that came.
    heard,
    /// Events of other brokers that were lost, as far as their number is known.
    missed,
    /// How often it is not.
    unknown,
    /// Events of other brokers that found no room on their way to a shard.
    crowded,
    /// Messages of other brokers that came faster than they were taken: the events in them are
    /// counted as missed.
    flooded,
    /// Messages to other brokers, with no events in them, that found no room on their way to the
    /// bus.
    unsent,
}

impl Counters {
    /// Whether there is a connection to the bus.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    pub(super) fn set_connected(&self, is: bool) {
        self.connected.store(is, Ordering::Relaxed);
        if is {
            self.connects.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn add_sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_crowded(&self) {
        self.crowded.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_flooded(&self, messages: u64) {
        self.flooded.fetch_add(messages, Ordering::Relaxed);
    }

    pub(super) fn add_unsent(&self) {
        self.unsent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set(&self, counts: Counts, brokers: usize, dropped: u64, too_large: u64) {
        let set = |counter: &AtomicU64, value| counter.store(value, Ordering::Relaxed);
        set(&self.brokers, brokers as u64);
        set(&self.dropped, dropped);
        set(&self.too_large, too_large);
        set(&self.heard, counts.heard);
        set(&self.missed, counts.missed);
        set(&self.unknown, counts.unknown);
    }
}
