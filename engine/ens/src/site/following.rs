//! What a process knows of pools on other hosts, between the bus's thread and the one that hands
//! over or takes over.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

/// The bus's thread has looked at what was given by then.
const TAKEN_WITHIN: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Following {
    known: Mutex<Known>,
    taken: Condvar,
}

#[derive(Default)]
struct Known {
    /// For the process that follows.
    left: Vec<u8>,
    /// Of the process before, until it is taken.
    given: Option<Bytes>,
    /// It is, and shards know it.
    is_told: bool,
}

impl Following {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the process that follows is to know.
    pub fn leave(&self, known: Vec<u8>) {
        self.known().left = known;
    }

    /// What was left last.
    pub fn left(&self) -> Vec<u8> {
        self.known().left.clone()
    }

    /// What the process before has left.
    pub fn give(&self, known: &[u8]) {
        self.known().given = Some(Bytes::copy_from_slice(known));
    }

    /// Takes what was given, once.
    pub fn take(&self) -> Option<Bytes> {
        self.known().given.take()
    }

    /// Shards know what was taken.
    pub fn set_told(&self) {
        self.known().is_told = true;
        self.taken.notify_all();
    }

    /// Waits for that.
    pub fn wait(&self) {
        let waits = |known: &mut Known| !known.is_told;
        let known = self.known();
        let waited = self.taken.wait_timeout_while(known, TAKEN_WITHIN, waits);
        drop(waited);
    }
}
