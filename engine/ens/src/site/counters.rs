//! What is counted of a site.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

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

            /// All of it, at this moment.
            pub fn figures(&self) -> Figures {
                Figures {
                    connected: self.is_connected(),
                    $($name: self.$name(),)*
                }
            }
        }

        /// What was counted at a moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Figures {
            /// Whether there is a connection to the bus.
            pub connected: bool,
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Figures {
            /// As another process is told.
            pub(crate) fn to_json(self) -> Value {
                json!({ "connected": self.connected, $(stringify!($name): self.$name,)* })
            }

            /// Losses between hosts: events, and how often their number is not known.
            pub fn lost(&self) -> u64 {
                let known = [self.dropped, self.too_large, self.missed, self.crowded];
                known.iter().fold(self.unknown, |sum, lost| sum.saturating_add(*lost))
            }

            /// As another process has told; what it doesn't count is 0. None if these are none.
            pub(crate) fn from_json(told: &Value) -> Option<Self> {
                Some(Self {
                    connected: told.get("connected")?.as_bool()?,
                    $($name: told[stringify!($name)].as_u64().unwrap_or_default(),)*
                })
            }
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
    /// Messages that are none of a broker's of this version.
    strange,
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
        set(&self.strange, counts.strange);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_come_to_another_process_as_they_are() {
        let counters = Counters::default();
        counters.set_connected(true);
        counters.add_flooded(7);
        let figures = counters.figures();
        assert!(figures.connected && figures.flooded == 7 && figures.connects == 1);
        assert_eq!(Figures::from_json(&figures.to_json()), Some(figures));
        let of_older = json!({ "connected": false, "heard": 3, "unheard_of": 1 });
        let read = Figures::from_json(&of_older).expect("figures");
        assert_eq!((read.heard, read.missed), (3, 0));
        assert_eq!(Figures::from_json(&json!(null)), None);
    }
}
