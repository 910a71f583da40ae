//! One answer from the store to a thread that waits for it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use mail::Reply;

/// Where the answer comes. A thread that waits sleeps at once: a durable commit takes long enough
/// that looking for it in between, as channels do, only takes the core from who writes it.
#[derive(Clone, Default)]
pub(super) struct PendingReply {
    shared: Arc<(Mutex<Slot>, Condvar)>,
}

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Full(Box<Reply>),
    /// Whoever was to answer is gone.
    Lost,
}

/// The end that answers; dropped without an answer, it says so.
pub(super) struct ReplySender(PendingReply);

impl PendingReply {
    /// The end that answers.
    pub fn answerer(&self) -> ReplySender {
        ReplySender(self.clone())
    }

    fn put(&self, slot: Slot) {
        let (place, arrived) = &*self.shared;
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*place, Slot::Empty) {
            *place = slot;
            arrived.notify_one();
        }
    }

    /// Waits for the answer; none if nobody is left to give one.
    pub fn wait(self) -> Option<Reply> {
        let (place, arrived) = &*self.shared;
        let mut slot = place.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match std::mem::take(&mut *slot) {
                Slot::Full(reply) => return Some(*reply),
                Slot::Lost => return None,
                Slot::Empty => {
                    slot = arrived.wait(slot).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

impl ReplySender {
    /// Gives the answer.
    pub fn give(self, reply: Reply) {
        self.0.put(Slot::Full(Box::new(reply)));
    }
}

impl Drop for ReplySender {
    fn drop(&mut self) {
        self.0.put(Slot::Lost);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests wait for threads")]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_or_is_known_to_be_lost() {
        let answer = PendingReply::default();
        let answerer = answer.answerer();
        let thread = std::thread::spawn(move || answerer.give(Reply::Delivered(vec![])));
        assert!(matches!(answer.wait(), Some(Reply::Delivered(_))));
        thread.join().expect("it answers");
        let answer = PendingReply::default();
        drop(answer.answerer());
        assert!(answer.wait().is_none());
    }
}
