//! The login delay: failed logins are kept waiting, so that guessing takes time.
#![expect(
    clippy::disallowed_methods,
    reason = "a thread of its own waits with refusals"
)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mail::{Refusal, Reply};

use crate::bounds::{Bound, Bounds};
use crate::control::Replier;
use crate::front::Requester;
use crate::{panics, planted};

/// Failed logins that wait; with more than this many the next are refused without a verdict.
const WAITING_MAX: usize = 16 * 1024;

/// Answers failed logins later. Clones share its thread, which ends with the last of them.
#[derive(Clone)]
pub struct Delay {
    shared: Arc<Shared>,
    replier: Replier,
    bounds: Arc<Bounds>,
    _end: Arc<End>,
}

#[derive(Default)]
struct Shared {
    failed: Mutex<Failed>,
    changed: Condvar,
}

#[derive(Default)]
struct Failed {
    waiting: BinaryHeap<Reverse<Waiting>>,
    closed: bool,
}

struct Waiting {
    due: Instant,
    requester: Arc<Requester>,
    refusal: Refusal,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

/// Ends the thread when it is dropped.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.failed().closed = true;
        self.0.changed.notify_all();
    }
}

impl Delay {
    /// Starts its thread.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start(replier: Replier, bounds: Arc<Bounds>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let end = Arc::new(End(shared.clone()));
        let (own, replies) = (shared.clone(), replier.clone());
        panics::spawn_plane("login-delay", move || {
            while let Some((requester, refusal)) = own.next() {
                planted::here("login-delay");
                replies.reply(requester.id, Reply::Refused(refusal));
            }
        })?;
        Ok(Self {
            shared,
            replier,
            bounds,
            _end: end,
        })
    }

    /// Refuses a login after a while.
    pub fn refuse(&self, requester: Arc<Requester>, refusal: Refusal, after: Duration) {
        let mut failed = self.shared.failed();
        if failed.waiting.len() >= WAITING_MAX {
            failed.waiting.retain(|Reverse(it)| !it.requester.is_gone());
        }
        if failed.waiting.len() >= WAITING_MAX {
            drop(failed);
            self.bounds.meet(Bound::DelayRefused);
            return self.replier.reply(requester.id, super::too_many());
        }
        let due = Instant::now() + after;
        failed.waiting.push(Reverse(Waiting {
            due,
            requester,
            refusal,
        }));
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn failed(&self) -> MutexGuard<'_, Failed> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next that is due and still there; none at the end.
    fn next(&self) -> Option<(Arc<Requester>, Refusal)> {
        let mut failed = self.failed();
        while !failed.closed {
            let now = Instant::now();
            failed = match failed.waiting.peek() {
                Some(Reverse(first)) if first.due <= now => {
                    let Reverse(first) = failed.waiting.pop()?;
                    if !first.requester.is_gone() {
                        return Some((first.requester, first.refusal));
                    }
                    continue;
                }
                Some(Reverse(first)) => {
                    let left = first.due - now;
                    let outcome = self.changed.wait_timeout(failed, left);
                    outcome.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let outcome = self.changed.wait(failed);
                    outcome.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
        None
    }
}
