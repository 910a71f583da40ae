//! The handle by which everyone but the shards themselves reaches them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::event::{Event, SessionId, ShardId};
use crate::limits::{Limits, SHARDS_MAX};
use crate::mesh::Port;
use crate::stats::{Reason, Stats};
use crate::topic::TopicId;

/// Publishes events, answers sessions, stops shards. Clones reach the same shards, from any thread.
pub struct Handle<F, R> {
    pub(crate) ports: Arc<[Port<F, R>]>,
    /// Connections open on all shards.
    open: Arc<AtomicUsize>,
}

impl<F, R> Clone for Handle<F, R> {
    fn clone(&self) -> Self {
        Self {
            ports: self.ports.clone(),
            open: self.open.clone(),
        }
    }
}

/// The queues of `shards` shards, for [`crate::Shard::new`] and for everyone who talks to them.
pub fn mesh<F, R>(shards: u16, limits: &Limits) -> Handle<F, R> {
    assert!((1..=SHARDS_MAX).contains(&shards), "1 to 64 shards");
    if let Err(contradiction) = limits.check() {
        panic!("{contradiction}");
    }
    Handle {
        ports: (0..shards).map(|_| Port::new(shards, limits)).collect(),
        open: Arc::default(),
    }
}

impl<F, R> Handle<F, R> {
    /// How many shards there are.
    pub fn shards(&self) -> u16 {
        self.ports.len() as u16
    }

    /// Counts one more connection, unless there are as many as there may be.
    pub(crate) fn enter(&self, max: usize) -> bool {
        let more = |open: usize| (open < max).then_some(open + 1);
        let order = Ordering::Relaxed;
        self.open.fetch_update(order, order, more).is_ok()
    }

    /// Counts one that came from another process, however many there are.
    pub(crate) fn enter_anyway(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections have ended.
    pub(crate) fn leave(&self, connections: usize) {
        self.open.fetch_sub(connections, Ordering::Relaxed);
    }

    /// Gives an event to its topic's owner shard. If too many wait there, the topic's watchers are
    /// resynchronised instead.
    pub fn publish(&self, event: Event<F>) {
        let topic = event.topic;
        let port = &self.ports[usize::from(topic.owner(self.shards()).0)];
        if !port.events.push(topic, Arc::new(event)) {
            port.stats.drop_for(Reason::EventsQueueFull);
        }
        port.wake();
    }

    /// Whether the owner of a topic keeps up with what is published. A publisher that can wait does
    /// so while it doesn't, and spares everybody the resynchronising.
    pub fn keeps_up(&self, topic: TopicId) -> bool {
        let owner = topic.owner(self.shards());
        self.ports[usize::from(owner.0)].events.has_room()
    }

    /// Gives an answer to a session's shard.
    ///
    /// # Errors
    /// Gives it back if too many wait there; the caller tries again.
    pub fn reply(&self, id: SessionId, reply: R) -> Result<(), R> {
        let port = &self.ports[usize::from(id.shard.0)];
        if port.ended.load(Ordering::SeqCst) {
            // Its sessions are gone.
            port.stats.drop_for(Reason::LateReply);
            return Ok(());
        }
        let outcome = port.replies.push((id, reply)).map_err(|(_, reply)| reply);
        if outcome.is_err() {
            port.stats.drop_for(Reason::RepliesQueueFull);
        }
        port.wake();
        outcome
    }

    /// Notes that a shard's thread has ended, whatever the reason: replies to it are dropped from
    /// now on. A [`crate::Shard`] that is dropped does so by itself.
    pub fn note_end(&self, shard: ShardId) {
        self.ports[usize::from(shard.0)]
            .ended
            .store(true, Ordering::SeqCst);
    }

    /// Whether a shard's thread has ended.
    pub fn has_ended(&self, shard: ShardId) -> bool {
        self.ports[usize::from(shard.0)]
            .ended
            .load(Ordering::SeqCst)
    }

    /// Has the protocol on each shard say of every session whether it may stay: see
    /// [`crate::protocol::Active::begin_review`].
    pub fn review(&self) {
        for port in self.ports.iter() {
            port.review.store(true, Ordering::SeqCst);
            port.wake();
        }
    }

    /// Has the protocol on a shard look at sessions of its choice, one slice a turn: see
    /// [`crate::protocol::Parking::next_visit`].
    pub fn visit(&self, shard: ShardId) {
        let port = &self.ports[usize::from(shard.0)];
        port.visit.store(true, Ordering::SeqCst);
        port.wake();
    }

    /// Lets every session say good-bye; each shard's `run` ends when its connections are closed or
    /// the time for that is over.
    pub fn shutdown(&self) {
        for port in self.ports.iter() {
            port.stopping.store(true, Ordering::SeqCst);
            port.wake();
        }
    }

    /// A shard's counters.
    pub fn stats(&self, shard: ShardId) -> &Stats {
        &self.ports[usize::from(shard.0)].stats
    }
}
