//! Calls that took longer than a plane may be held up: counted, and the longest of each plane
//! named in the log once a second.
#![expect(
    clippy::disallowed_methods,
    reason = "what the writer's calls take is measured"
)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use engine::event::SessionId;
use mail::UserId;
use store::Timekeeper;
use tracing::field::display;

use crate::lines::SessionName;

/// Who was held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Plane {
    /// A data plane: everybody on its shard.
    Data,
    /// A control plane: the requests of its shard.
    Control,
    /// The store's writer: all who change anything.
    Writer,
    /// A worker: others of the same kind.
    Worker,
}

const PLANES: [(Plane, &str); 4] = [
    (Plane::Data, "a data plane"),
    (Plane::Control, "a control plane"),
    (Plane::Writer, "the store's writer"),
    (Plane::Worker, "a worker"),
];

/// Calls that are remembered.
const LAST_MAX: usize = 12;

impl Plane {
    /// Its name among metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Control => "control",
            Self::Writer => "writer",
            Self::Worker => "worker",
        }
    }
}

/// A call that took long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// How long, in nanoseconds.
    pub ns: u64,
    /// What was done.
    pub name: &'static str,
    /// For whom, if that is known.
    pub user: Option<UserId>,
    /// In which session, if that is known.
    pub session: Option<SessionId>,
}

/// The stall detector.
#[derive(Debug)]
pub struct Stalls {
    /// Longer is too long; 0 is never.
    limit_ns: u64,
    counts: [AtomicU64; PLANES.len()],
    longest: [Mutex<(u64, Option<Stall>)>; PLANES.len()],
    /// By plane and call, and the last ones. Names of calls are those of the code.
    calls: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    last: Mutex<VecDeque<(Plane, Stall)>>,
}

impl Stalls {
    /// Detects calls longer than this; none if it is 0.
    pub fn new(limit_ns: u64) -> Self {
        Self {
            limit_ns,
            counts: Default::default(),
            longest: Default::default(),
            calls: Mutex::default(),
            last: Mutex::default(),
        }
    }

    /// How long a call may take, in nanoseconds; 0 is without limit.
    pub fn limit_ns(&self) -> u64 {
        self.limit_ns
    }

    /// Does something, and notes if that took too long.
    pub fn time<T>(
        &self,
        plane: Plane,
        name: &'static str,
        (user, session): (Option<UserId>, Option<SessionId>),
        work: impl FnOnce() -> T,
    ) -> T {
        if self.limit_ns == 0 {
            return work();
        }
        let began = Instant::now();
        let outcome = work();
        let ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let stall = Stall {
            ns,
            name,
            user,
            session,
        };
        self.took(plane, stall);
        outcome
    }

    /// A call took so long.
    pub fn took(&self, plane: Plane, stall: Stall) {
        if self.limit_ns == 0 || stall.ns <= self.limit_ns {
            return;
        }
        self.counts[plane as usize].fetch_add(1, Relaxed);
        // Nobody holds any of these for longer than this.
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry((plane.name(), stall.name)).or_default() += 1;
        drop(calls);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.truncate(LAST_MAX - 1);
        last.push_front((plane, stall));
        drop(last);
        let longest = &self.longest[plane as usize];
        let mut longest = longest.lock().unwrap_or_else(PoisonError::into_inner);
        longest.0 += 1;
        if longest.1.is_none_or(|before| before.ns < stall.ns) {
            longest.1 = Some(stall);
        }
    }

    /// For the store's writer.
    pub fn timekeeper(self: &Arc<Self>) -> Timekeeper {
        let stalls = self.clone();
        Arc::new(move |name, took| {
            let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            let stall = Stall {
                ns,
                name,
                user: None,
                session: None,
            };
            stalls.took(Plane::Writer, stall);
        })
    }

    /// How many calls took too long, by plane.
    pub fn counts(&self) -> impl Iterator<Item = (Plane, u64)> {
        let count = |(plane, _)| (plane, self.counts[plane as usize].load(Relaxed));
        PLANES.map(count).into_iter()
    }

    /// How often which call of which plane took too long.
    pub fn by_call(&self) -> Vec<(&'static str, &'static str, u64)> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let each = calls
            .iter()
            .map(|((plane, call), count)| (*plane, *call, *count));
        each.collect()
    }

    /// The last calls that took too long, the newest first.
    pub fn last(&self) -> Vec<(Plane, Stall)> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().copied().collect()
    }

    /// Logs the longest of each plane since the last call; `user` tells a user's name.
    pub fn log(&self, user: impl Fn(UserId) -> Option<String>) {
        for (plane, held_up) in PLANES {
            let longest = &self.longest[plane as usize];
            let taken =
                std::mem::take(&mut *longest.lock().unwrap_or_else(PoisonError::into_inner));
            let (count, Some(stall)) = taken else {
                continue;
            };
            let named = |id| user(id).unwrap_or_else(|| format!("number {id}"));
            let user = stall.user.map(named);
            let session = stall.session.map(|id| display(SessionName(id)));
            let (ms, name) = (stall.ns / 1_000_000, stall.name);
            let limit_ms = self.limit_ns / 1_000_000;
            tracing::warn!(
                target: "imapd", event = %"slow", result = %name, user, session, ms, count,
                "{held_up} was held up; {count} calls took longer than {limit_ms} ms \
                 (service.stallms)"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_is_named_and_all_are_counted() {
        let stalls = Stalls::new(10);
        let of = |ns, name| Stall {
            ns,
            name,
            user: None,
            session: None,
        };
        stalls.took(Plane::Writer, of(10, "short"));
        stalls.took(Plane::Writer, of(30, "long"));
        stalls.took(Plane::Writer, of(20, "less"));
        let longest = *stalls.longest[Plane::Writer as usize].lock().unwrap();
        assert_eq!(longest, (2, Some(of(30, "long"))));
        let counts: Vec<_> = stalls.counts().map(|(_, count)| count).collect();
        assert_eq!(counts, [0, 0, 2, 0]);
        assert_eq!(
            stalls.by_call(),
            [("writer", "less", 1), ("writer", "long", 1)]
        );
        assert_eq!(stalls.last()[0], (Plane::Writer, of(20, "less")));
        (0..100).for_each(|_| stalls.took(Plane::Data, of(11, "often")));
        assert_eq!(stalls.last().len(), LAST_MAX);
        let off = Stalls::new(0);
        off.took(Plane::Data, of(u64::MAX, "ever"));
        assert_eq!(off.counts().map(|(_, count)| count).sum::<u64>(), 0);
    }
}
