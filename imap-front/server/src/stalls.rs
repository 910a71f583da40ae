//! Calls that took longer than a plane may be held up: counted, and the longest of each plane
//! named in the log once a second.
#![expect(
    clippy::disallowed_methods,
    reason = "what the writer's calls take is measured"
)]

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
}

impl Stalls {
    /// Detects calls longer than this; none if it is 0.
    pub fn new(limit_ns: u64) -> Self {
        Self {
            limit_ns,
            counts: Default::default(),
            longest: Default::default(),
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
        // Nobody holds it for longer than this.
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
        let off = Stalls::new(0);
        off.took(Plane::Data, of(u64::MAX, "ever"));
        assert_eq!(off.counts().map(|(_, count)| count).sum::<u64>(), 0);
    }
}
