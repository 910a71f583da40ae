//! Who watches what: on its home shard the rows of a topic, on its owner shard the shards.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ahash::RandomState;

use crate::event::ShardId;
use crate::tail::Tail;
use crate::topic::TopicId;

/// Hashing with fixed keys: topics are our own numbers, and runs must repeat.
fn hasher() -> RandomState {
    RandomState::with_seeds(1, 2, 3, 4)
}

/// A topic that rows of this shard watch. Most have one: it costs 24 bytes then.
pub(crate) struct Topic<F> {
    /// The number of the newest event seen here.
    pub head: u64,
    /// Numbers the watches sent to the owner, so that an old answer is not taken for a new one.
    /// The lowest bit says that the owner has answered the last watch.
    watch: u32,
    /// The slot of the only row, unless `more` has rows.
    only: u32,
    more: Option<Box<More<F>>>,
}

/// What few topics have.
struct More<F> {
    /// Slots, in order; none if there is only one.
    rows: Vec<u32>,
    /// Recent events, kept while some row is behind.
    tail: Option<Tail<F>>,
}

/// The rows of a topic, taken out of it for as long as they are told something.
pub(crate) enum Rows {
    One(u32),
    Many(Vec<u32>),
}

impl Rows {
    pub fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(slot) => std::slice::from_ref(slot),
            Self::Many(slots) => slots,
        }
    }
}

impl<F> Topic<F> {
    /// Slots, in order.
    pub fn rows(&self) -> &[u32] {
        match &self.more {
            Some(more) if !more.rows.is_empty() => &more.rows,
            _ => std::slice::from_ref(&self.only),
        }
    }

    /// Takes the rows; [`Topic::put_rows`] must follow before anyone looks.
    pub fn take_rows(&mut self) -> Rows {
        match &mut self.more {
            Some(more) if !more.rows.is_empty() => Rows::Many(std::mem::take(&mut more.rows)),
            _ => Rows::One(self.only),
        }
    }

    /// Gives the rows back.
    pub fn put_rows(&mut self, rows: Rows) {
        if let Rows::Many(rows) = rows {
            self.more().rows = rows;
        }
    }

    /// The number of the last watch sent to the owner.
    pub fn epoch(&self) -> u32 {
        self.watch >> 1
    }

    /// Whether the owner has answered it.
    pub fn is_acknowledged(&self) -> bool {
        self.watch & 1 == 1
    }

    pub fn acknowledge(&mut self) {
        self.watch |= 1;
    }

    pub fn tail(&mut self) -> Option<&mut Tail<F>> {
        self.more.as_mut()?.tail.as_mut()
    }

    pub fn set_tail(&mut self, tail: Option<Tail<F>>) {
        if tail.is_some() || self.more.is_some() {
            self.more().tail = tail;
            self.shrink();
        }
    }

    fn more(&mut self) -> &mut More<F> {
        self.more.get_or_insert_with(|| {
            Box::new(More {
                rows: Vec::new(),
                tail: None,
            })
        })
    }

    fn shrink(&mut self) {
        if let Some(more) = &self.more
            && more.rows.is_empty()
            && more.tail.is_none()
        {
            self.more = None;
        }
    }

    fn add(&mut self, slot: u32) {
        let Err(at) = self.rows().binary_search(&slot) else {
            return;
        };
        let only = self.only;
        let rows = &mut self.more().rows;
        if rows.is_empty() {
            rows.push(only);
        }
        rows.insert(at, slot);
    }

    /// Gives whether no row is left.
    fn remove(&mut self, slot: u32) -> bool {
        let Ok(at) = self.rows().binary_search(&slot) else {
            return false;
        };
        let Some(more) = self.more.as_mut().filter(|more| !more.rows.is_empty()) else {
            return true;
        };
        more.rows.remove(at);
        if let [only] = more.rows[..] {
            self.only = only;
            more.rows = Vec::new();
            self.shrink();
        }
        false
    }
}

/// Tables among which topics are spread, so that none is ever large: a table that grows moves all
/// that it holds at one stroke.
const TABLES: usize = 64;

/// The topics of a home shard.
pub(crate) struct Topics<F> {
    tables: Box<[HashMap<TopicId, Topic<F>, RandomState>]>,
    len: usize,
    epochs: u32,
}

const _: () = assert!(size_of::<(TopicId, Topic<()>)>() == 32);

fn table_of(id: TopicId) -> usize {
    // The numbers of topics are counted up: their low bits spread them evenly, whatever they are
    // hashed by within a table.
    (id.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as usize % TABLES
}

impl<F> Topics<F> {
    pub fn new() -> Self {
        let table = |_| HashMap::with_hasher(hasher());
        Self {
            tables: (0..TABLES).map(table).collect(),
            len: 0,
            epochs: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn get(&mut self, id: TopicId) -> Option<&mut Topic<F>> {
        self.tables[table_of(id)].get_mut(&id)
    }

    /// Adds a row. Gives the epoch of a watch to send if the topic is new here.
    pub fn add(&mut self, id: TopicId, slot: u32) -> Option<u32> {
        match self.tables[table_of(id)].entry(id) {
            Entry::Occupied(mut entry) => {
                entry.get_mut().add(slot);
                None
            }
            Entry::Vacant(entry) => {
                self.epochs = (self.epochs + 1) & (u32::MAX >> 1);
                self.len += 1;
                entry.insert(Topic {
                    head: 0,
                    watch: self.epochs << 1,
                    only: slot,
                    more: None,
                });
                Some(self.epochs)
            }
        }
    }

    /// Removes a row. Gives whether it was the last, and the topic is gone here.
    pub fn remove(&mut self, id: TopicId, slot: u32) -> bool {
        let table = &mut self.tables[table_of(id)];
        let last = table.get_mut(&id).is_some_and(|topic| topic.remove(slot));
        if last {
            table.remove(&id);
            self.len -= 1;
            shrink(table);
        }
        last
    }

    /// All topics, in the order of their numbers.
    pub fn ids(&self) -> Vec<TopicId> {
        let mut ids: Vec<_> = self
            .tables
            .iter()
            .flat_map(|table| table.keys().copied())
            .collect();
        ids.sort_unstable();
        ids
    }
}

/// Gives memory back after many have left; seldom enough that it costs nothing.
fn shrink<V>(table: &mut HashMap<TopicId, V, RandomState>) {
    if table.len() * 8 < table.capacity() && table.capacity() > 64 {
        table.shrink_to(table.len() * 2);
    }
}

/// On the owner shard: which shards watch each topic, as a bit set.
pub(crate) struct Interest {
    tables: Box<[HashMap<TopicId, u64, RandomState>]>,
}

impl Interest {
    pub fn new() -> Self {
        let table = |_| HashMap::with_hasher(hasher());
        Self {
            tables: (0..TABLES).map(table).collect(),
        }
    }

    pub fn add(&mut self, topic: TopicId, shard: ShardId) {
        *self.tables[table_of(topic)].entry(topic).or_default() |= 1 << shard.0;
    }

    pub fn remove(&mut self, topic: TopicId, shard: ShardId) {
        let table = &mut self.tables[table_of(topic)];
        if let Some(mask) = table.get_mut(&topic) {
            *mask &= !(1 << shard.0);
            if *mask == 0 {
                table.remove(&topic);
                shrink(table);
            }
        }
    }

    /// The shards that watch a topic, in order.
    pub fn shards(&self, topic: TopicId) -> impl Iterator<Item = ShardId> + use<> {
        let mask = self.tables[table_of(topic)].get(&topic).copied();
        let mask = mask.unwrap_or(0);
        (0..64).filter(move |bit| mask >> bit & 1 == 1).map(ShardId)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_are_a_set_in_order(
            steps in prop::collection::vec((0..3u64, 0..5u32, any::<bool>()), 0..60),
        ) {
            let mut topics = Topics::<()>::new();
            let mut naive = BTreeMap::<u64, BTreeSet<u32>>::new();
            for (id, slot, adds) in steps {
                let rows = naive.entry(id).or_default();
                if adds {
                    let new = topics.add(TopicId(id), slot).is_some();
                    prop_assert_eq!(new, rows.is_empty());
                    rows.insert(slot);
                } else {
                    let was_last = rows.remove(&slot) && rows.is_empty();
                    prop_assert_eq!(topics.remove(TopicId(id), slot), was_last);
                }
                naive.retain(|_, rows| !rows.is_empty());
                prop_assert_eq!(topics.len(), naive.len());
                for (id, rows) in &naive {
                    let topic = topics.get(TopicId(*id)).expect("it has rows");
                    let taken = topic.take_rows();
                    topic.put_rows(taken);
                    prop_assert!(topic.rows().iter().eq(rows));
                }
            }
        }
    }
}
