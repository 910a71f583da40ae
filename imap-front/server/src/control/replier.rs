//! The way back: replies go into the queue of the session's shard.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::Handle;
use engine::event::{SessionId, ShardId};
use mail::{Refusal, Reply};

use crate::bounds::{Bound, Bounds};
use crate::panics;

/// Between two tries to put delayed replies into a shard's queue.
const PAUSE: Duration = Duration::from_micros(200);
/// Replies delayed for one shard: each of its sessions has at most one request under way. With
/// more, its sessions have been replaced many times while it took none.
const DELAYED_MAX: usize = 1 << 20;
/// Bytes of replies delayed for one shard. With more, a refusal is delayed in a reply's place.
const DELAYED_BYTES_MAX: usize = 32 << 20;

/// The engine as the mail server uses it.
pub type MailHandle = Handle<mail::News, Reply>;

/// Answers sessions, and never waits for a shard: what its queue does not take is delayed beside
/// it, bounded. Clones share the thread that brings it there; it ends with the last of them.
#[derive(Clone)]
pub struct Replier {
    shared: Arc<Shared>,
    _end: Arc<End>,
}

struct Shared {
    handle: MailHandle,
    bounds: Arc<Bounds>,
    delayed: Mutex<Delayed>,
    changed: Condvar,
}

#[derive(Default)]
struct Delayed {
    /// For each shard.
    shards: Vec<Waiting>,
    closed: bool,
}

#[derive(Default)]
struct Waiting {
    replies: VecDeque<(SessionId, Reply)>,
    bytes: usize,
}

/// Ends the thread when it is dropped.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.delayed().closed = true;
        self.0.changed.notify_all();
    }
}

impl Replier {
    /// Answers through this handle.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start(handle: MailHandle, bounds: Arc<Bounds>) -> io::Result<Self> {
        let mut delayed = Delayed::default();
        let shards = usize::from(handle.shards());
        delayed.shards.resize_with(shards, Waiting::default);
        let shared = Arc::new(Shared {
            handle,
            bounds,
            delayed: Mutex::new(delayed),
            changed: Condvar::new(),
        });
        let end = Arc::new(End(shared.clone()));
        let own = shared.clone();
        panics::spawn_plane("replies", move || own.serve())?;
        Ok(Self { shared, _end: end })
    }

    /// Gives a session its answer; never waits. The order between sessions is of no matter, as each
    /// has one request under way.
    pub fn reply(&self, id: SessionId, reply: Reply) {
        if let Err(reply) = self.shared.handle.reply(id, reply) {
            self.shared.delay(id, reply);
        }
    }
}

impl Shared {
    fn delayed(&self) -> MutexGuard<'_, Delayed> {
        self.delayed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delay(&self, id: SessionId, reply: Reply) {
        let mut delayed = self.delayed();
        let waiting = &mut delayed.shards[usize::from(id.shard.0)];
        if waiting.replies.len() >= DELAYED_MAX {
            return self.bounds.meet(Bound::ReplyDropped);
        }
        self.bounds.meet(Bound::ReplyDelayed);
        let mut reply = reply;
        if waiting.bytes + reply.bytes() > DELAYED_BYTES_MAX {
            let text = "the server is too busy to answer, try again";
            reply = Reply::Refused(Refusal::Busy(text));
        }
        waiting.bytes += reply.bytes();
        waiting.replies.push_back((id, reply));
        self.changed.notify_one();
    }

    fn serve(&self) {
        let mut delayed = self.delayed();
        while !delayed.closed {
            let any = delayed.shards.iter().any(|it| !it.replies.is_empty());
            delayed = if any {
                for (shard, waiting) in (0..).map(ShardId).zip(&mut delayed.shards) {
                    self.bring(shard, waiting);
                }
                let outcome = self.changed.wait_timeout(delayed, PAUSE);
                outcome.unwrap_or_else(PoisonError::into_inner).0
            } else {
                let outcome = self.changed.wait(delayed);
                outcome.unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    /// Brings a shard what its queue takes now.
    fn bring(&self, shard: ShardId, waiting: &mut Waiting) {
        if self.handle.has_ended(shard) {
            self.bounds.add(Bound::ReplyDropped, waiting.replies.len());
            *waiting = Waiting::default();
        }
        while let Some((id, reply)) = waiting.replies.pop_front() {
            let bytes = reply.bytes();
            if let Err(reply) = self.handle.reply(id, reply) {
                waiting.replies.push_front((id, reply));
                return;
            }
            waiting.bytes -= bytes;
        }
        // What a bad time has taken goes back.
        *waiting = Waiting::default();
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests wait for threads")]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A mesh of one shard that nobody serves.
    fn stalled() -> (MailHandle, Replier, Arc<Bounds>) {
        let limits = engine::Limits {
            replies_queue: 2,
            ..engine::Limits::default()
        };
        let handle: MailHandle = engine::mesh(1, &limits);
        let bounds = Arc::new(Bounds::default());
        let replier = Replier::start(handle.clone(), bounds.clone()).unwrap();
        (handle, replier, bounds)
    }

    fn id(slot: u32) -> SessionId {
        SessionId {
            shard: ShardId(0),
            generation: 1,
            slot,
        }
    }

    #[test]
    fn nobody_waits_for_a_shard_that_takes_nothing() {
        let (_handle, replier, bounds) = stalled();
        for slot in 0..1000 {
            replier.reply(id(slot), Reply::Done);
        }
        assert_eq!(bounds.met(Bound::ReplyDelayed), 998);
        assert_eq!(bounds.met(Bound::ReplyDropped), 0);
        let piece = bytes::Bytes::from(vec![0; 1 << 20]);
        for slot in 0..100 {
            replier.reply(id(slot), Reply::Piece(piece.clone()));
        }
        let delayed = replier.shared.delayed();
        assert!(delayed.shards[0].bytes <= DELAYED_BYTES_MAX + 100 * size_of::<Reply>());
        assert_eq!(delayed.shards[0].replies.len(), 1098);
    }

    #[test]
    fn a_shard_that_has_ended_is_noticed() {
        let (handle, replier, bounds) = stalled();
        for slot in 0..10 {
            replier.reply(id(slot), Reply::Done);
        }
        handle.note_end(ShardId(0));
        let patience = Instant::now() + Duration::from_secs(30);
        while bounds.met(Bound::ReplyDropped) < 8 {
            assert!(Instant::now() < patience);
            std::thread::yield_now();
        }
        replier.reply(id(1), Reply::Done);
        assert!(replier.shared.delayed().shards[0].replies.is_empty());
    }
}
