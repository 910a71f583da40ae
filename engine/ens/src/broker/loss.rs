//! How much was lost on its way from other hosts.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::bus::Missed;
use crate::frame::Frame;

/// How much was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events, as far as their number is known.
    pub events: u64,
    /// And perhaps more.
    pub unknown: bool,
}

impl Tally {
    /// More was.
    pub fn add(&mut self, missed: Missed) {
        match missed {
            Missed::AtMost(events) => self.events = self.events.saturating_add(events),
            Missed::Unknown => self.unknown = true,
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        self.events = self.events.saturating_add(other.events);
        self.unknown |= other.unknown;
    }

    pub(super) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// What a client is told that speaks this version.
    pub(super) fn frame(self, version: u8) -> Bytes {
        let events = match (self.unknown, version) {
            (false, _) => Some(self.events),
            (true, 2..) => None,
            // It has no word for that.
            (true, _) => Some(self.events.max(1)),
        };
        match events {
            Some(events) => Frame::Lagged { events }.to_bytes(),
            None => Frame::Missed.to_bytes(),
        }
    }
}

/// What was lost on its way from other hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// In which buckets.
    pub buckets: BTreeMap<u16, Tally>,
    /// Perhaps something for pools.
    pub pools: bool,
}

impl Loss {
    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty() && !self.pools
    }

    pub(super) fn join(&mut self, other: &Self) {
        for (bucket, tally) in &other.buckets {
            self.buckets.entry(*bucket).or_default().join(*tally);
        }
        self.pools |= other.pools;
    }
}
