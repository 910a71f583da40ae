//! Who watches what: on its home shard the rows of a topic, on its owner shard the shards.

use std::collections::HashMap;

use ahash::RandomState;
use smallvec::SmallVec;

use crate::event::ShardId;
use crate::tail::Tail;
use crate::topic::TopicId;

/// Hashing with fixed keys: topics are our own numbers, and runs must repeat.
fn hasher() -> RandomState {
    RandomState::with_seeds(1, 2, 3, 4)
}

/// A topic that rows of this shard watch.
pub(crate) struct Topic<F> {
    /// Slots, in order.
    pub rows: SmallVec<[u32; 4]>,
    /// The number of the newest event seen here.
    pub head: u64,
    /// Numbers the watches sent to the owner, so that an old answer is not taken for a new one.
    pub epoch: u32,
    /// The owner has answered the last watch.
    pub acknowledged: bool,
    /// Recent events, kept while some row is behind.
    pub tail: Option<Box<Tail<F>>>,
}

/// The topics of a home shard.
pub(crate) struct Topics<F> {
    by_id: HashMap<TopicId, Topic<F>, RandomState>,
    epochs: u32,
}

impl<F> Topics<F> {
    pub fn new() -> Self {
        Self {
            by_id: HashMap::with_hasher(hasher()),
            epochs: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn get(&mut self, id: TopicId) -> Option<&mut Topic<F>> {
        self.by_id.get_mut(&id)
    }

    /// Adds a row. Gives the epoch of a watch to send if the topic is new here.
    pub fn add(&mut self, id: TopicId, slot: u32) -> Option<u32> {
        let mut new = None;
        let epochs = &mut self.epochs;
        let topic = self.by_id.entry(id).or_insert_with(|| {
            *epochs = epochs.wrapping_add(1);
            new = Some(*epochs);
            Topic {
                rows: SmallVec::new(),
                head: 0,
                epoch: *epochs,
                acknowledged: false,
                tail: None,
            }
        });
        if let Err(at) = topic.rows.binary_search(&slot) {
            topic.rows.insert(at, slot);
        }
        new
    }

    /// Removes a row. Gives whether it was the last, and the topic is gone here.
    pub fn remove(&mut self, id: TopicId, slot: u32) -> bool {
        let Some(topic) = self.by_id.get_mut(&id) else {
            return false;
        };
        if let Ok(at) = topic.rows.binary_search(&slot) {
            topic.rows.remove(at);
        }
        let last = topic.rows.is_empty();
        if last {
            self.by_id.remove(&id);
        }
        last
    }

    /// All topics, in the order of their numbers.
    pub fn ids(&self) -> Vec<TopicId> {
        let mut ids: Vec<_> = self.by_id.keys().copied().collect();
        ids.sort_unstable();
        ids
    }
}

/// On the owner shard: which shards watch each topic, as a bit set.
pub(crate) struct Interest {
    masks: HashMap<TopicId, u64, RandomState>,
}

impl Interest {
    pub fn new() -> Self {
        Self {
            masks: HashMap::with_hasher(hasher()),
        }
    }

    pub fn add(&mut self, topic: TopicId, shard: ShardId) {
        *self.masks.entry(topic).or_default() |= 1 << shard.0;
    }

    pub fn remove(&mut self, topic: TopicId, shard: ShardId) {
        if let Some(mask) = self.masks.get_mut(&topic) {
            *mask &= !(1 << shard.0);
            if *mask == 0 {
                self.masks.remove(&topic);
            }
        }
    }

    /// The shards that watch a topic, in order.
    pub fn shards(&self, topic: TopicId) -> impl Iterator<Item = ShardId> + use<> {
        let mask = self.masks.get(&topic).copied().unwrap_or(0);
        (0..64).filter(move |bit| mask >> bit & 1 == 1).map(ShardId)
    }
}
