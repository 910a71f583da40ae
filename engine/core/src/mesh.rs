//! What one shard can be sent, and by whom.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use reactor::Waker;

use crate::event::{Event, SessionId, ShardId};
use crate::handover::order::Order;
use crate::limits::Limits;
use crate::mutant::{Mutant, planted};
use crate::queue::{LossyQueue, Lost, Queue};
use crate::stats::{Reason, Stats};
use crate::topic::TopicId;

/// Orders of a handover that may wait for a shard: one asks at a time, and for one thing.
const ORDERS_MAX: usize = 8;

/// What shards tell each other.
pub(crate) enum ShardMessage {
    /// From a home shard to the topic's owner: some row here watches it.
    Watch(TopicId, u32),
    /// No row here watches it any more.
    Unwatch(TopicId),
    /// From the owner: events from now on will come. The number is that of the `Watch`.
    Watching(TopicId, u32),
    /// From a shard to itself: a row has begun to watch what another row here watches already.
    Watched(SessionId),
    /// From a shard to itself: a session's further watches were set.
    Placed(SessionId),
}

/// One shard's queues, one from each shard for messages and news, one from anyone for events and
/// replies.
pub(crate) struct Port<F, R> {
    pub events: LossyQueue<Arc<Event<F>>>,
    pub replies: Queue<(SessionId, R)>,
    pub messages: Vec<Queue<ShardMessage>>,
    pub news: Vec<LossyQueue<Arc<Event<F>>>>,
    /// What a handover asks.
    pub orders: Queue<Order>,
    pub stats: Stats,
    pub stopping: AtomicBool,
    /// The protocol is to say of each session whether it may stay.
    pub review: AtomicBool,
    /// The protocol is to say which sessions it wants to look at.
    pub visit: AtomicBool,
    /// Its thread has ended: nothing that is put here is looked at any more.
    pub ended: AtomicBool,
    waker: OnceLock<Waker>,
}

impl<F, R> Port<F, R> {
    pub fn new(shards: u16, limits: &Limits) -> Self {
        let lossy = |capacity| LossyQueue::new(capacity, limits.lost_topics_max);
        Self {
            events: lossy(limits.events_queue),
            replies: Queue::new(limits.replies_queue),
            messages: (0..shards)
                .map(|_| Queue::new(limits.shard_messages_queue))
                .collect(),
            news: (0..shards)
                .map(|_| lossy(limits.shard_messages_queue))
                .collect(),
            orders: Queue::new(ORDERS_MAX),
            stats: Stats::default(),
            stopping: AtomicBool::new(false),
            review: AtomicBool::new(false),
            visit: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            waker: OnceLock::new(),
        }
    }

    /// Says how the shard is woken. Before that it looks at its queues by itself.
    pub fn attach(&self, waker: Waker) {
        assert!(self.waker.set(waker).is_ok(), "a shard attaches once");
    }

    pub fn wake(&self) {
        if planted(Mutant::SkipWake) {
            return;
        }
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    /// Whether something waits for the shard.
    pub fn has_work(&self) -> bool {
        self.is_asked_to_look() || self.is_sent_something()
    }

    /// Whether its sessions are to be looked at.
    fn is_asked_to_look(&self) -> bool {
        self.review.load(Ordering::Relaxed) || self.visit.load(Ordering::Relaxed)
    }

    /// Whether somebody has put something into its queues.
    pub fn is_sent_something(&self) -> bool {
        !self.orders.is_empty()
            || !self.events.is_empty()
            || !self.replies.is_empty()
            || self.messages.iter().any(|queue| !queue.is_empty())
            || self.news.iter().any(|queue| !queue.is_empty())
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Puts an event into the queue from a shard; if it is full the topic is resynchronised there.
    pub fn put_news(&self, from: ShardId, event: Arc<Event<F>>) {
        if !self.news[usize::from(from.0)].push(event.topic, event) {
            self.stats.drop_for(Reason::ShardQueueFull);
        }
        self.wake();
    }

    /// Tells the shard that events of these topics were lost before they reached it.
    pub fn put_lost(&self, from: ShardId, lost: &Lost) {
        self.news[usize::from(from.0)].lose(lost);
        self.wake();
    }
}
