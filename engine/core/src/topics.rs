//! Who watches what: on its home shard the rows of a topic, on its owner shard the other shards.

use std::collections::HashMap;

use ahash::RandomState;
use hashbrown::HashTable;
use slab::Slab;

use crate::event::ShardId;
use crate::hash_tables::{TABLES, hasher, shrink, table_of};
use crate::tail::Tail;
use crate::topic::TopicId;
use crate::watches::Short;

/// Where the rows of a topic are found: the slot of its only row, or the place of its crowd.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry(u32);

/// Slots are below this number; it marks entries that are crowds.
pub(crate) const SLOTS_MAX: u32 = 1 << 31;

enum Whose {
    Only(u32),
    Crowd(usize),
}

impl Entry {
    fn of_crowd(place: usize) -> Self {
        Self(place as u32 | SLOTS_MAX)
    }

    fn whose(self) -> Whose {
        if self.0 & SLOTS_MAX == 0 {
            Whose::Only(self.0)
        } else {
            Whose::Crowd((self.0 & !SLOTS_MAX) as usize)
        }
    }
}

/// What few topics have: several rows, or news for one that is behind.
struct Crowd<F> {
    id: TopicId,
    /// Slots, in order; never none.
    rows: Vec<u32>,
    /// The number of the newest event seen here since there is a crowd.
    head: u64,
    /// Recent events, kept while some row is behind.
    tail: Option<Tail<F>>,
}

impl<F> Crowd<F> {
    fn new(id: TopicId, slot: u32) -> Self {
        Self {
            id,
            rows: vec![slot],
            head: 0,
            tail: None,
        }
    }
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

/// The topics of a home shard. A topic that one row watches, as most are, costs the four bytes of
/// that row's slot: the row itself says which topic it watches, which is what `watched` must tell
/// of a slot.
pub(crate) struct Topics<F> {
    tables: Box<[HashTable<Entry>]>,
    crowds: Slab<Crowd<F>>,
    /// Watches that their owner has not answered: each with a number, so that an old answer is not
    /// taken for a new one.
    pending: HashMap<TopicId, u32, RandomState>,
    hasher: RandomState,
    len: usize,
    epochs: u32,
}

const _: () = assert!(size_of::<Entry>() == 4);

impl<F> Topics<F> {
    pub fn new() -> Self {
        Self {
            tables: (0..TABLES).map(|_| HashTable::new()).collect(),
            crowds: Slab::new(),
            pending: HashMap::with_hasher(hasher()),
            hasher: hasher(),
            len: 0,
            epochs: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    fn hash(&self, id: TopicId) -> u64 {
        self.hasher.hash_one(id)
    }

    fn find(&self, id: TopicId, watched: impl Fn(u32) -> TopicId) -> Option<Entry> {
        let is_it = |entry: &Entry| topic_of(*entry, &self.crowds, &watched) == id;
        self.tables[table_of(id)]
            .find(self.hash(id), is_it)
            .copied()
    }

    /// Whether some row here watches a topic.
    pub fn contains(&self, id: TopicId, watched: impl Fn(u32) -> TopicId) -> bool {
        self.find(id, watched).is_some()
    }

    /// Replaces a topic's entry.
    fn put(&mut self, id: TopicId, from: Entry, to: Entry) {
        let hash = self.hash(id);
        if let Some(entry) = self.tables[table_of(id)].find_mut(hash, |entry| *entry == from) {
            *entry = to;
        }
    }

    /// Takes the rows of a topic, in slot order; [`Topics::put_rows`] must follow before anyone
    /// looks.
    pub fn take_rows(&mut self, id: TopicId, watched: impl Fn(u32) -> TopicId) -> Option<Rows> {
        Some(match self.find(id, watched)?.whose() {
            Whose::Only(slot) => Rows::One(slot),
            Whose::Crowd(place) => Rows::Many(std::mem::take(&mut self.crowds[place].rows)),
        })
    }

    /// Gives the rows back.
    pub fn put_rows(&mut self, id: TopicId, rows: Rows, watched: impl Fn(u32) -> TopicId) {
        if let Rows::Many(rows) = rows
            && let Some(crowd) = self.crowd(id, watched)
        {
            crowd.rows = rows;
        }
    }

    fn crowd(&mut self, id: TopicId, watched: impl Fn(u32) -> TopicId) -> Option<&mut Crowd<F>> {
        match self.find(id, watched)?.whose() {
            Whose::Only(_) => None,
            Whose::Crowd(place) => self.crowds.get_mut(place),
        }
    }

    /// The crowd of a topic, which becomes one if it is none.
    fn make_crowd(
        &mut self,
        id: TopicId,
        watched: impl Fn(u32) -> TopicId,
    ) -> Option<&mut Crowd<F>> {
        let entry = self.find(id, watched)?;
        let place = match entry.whose() {
            Whose::Crowd(place) => place,
            Whose::Only(slot) => {
                let place = self.crowds.insert(Crowd::new(id, slot));
                self.put(id, entry, Entry::of_crowd(place));
                place
            }
        };
        self.crowds.get_mut(place)
    }

    /// A crowd that has become one row without news is one no more.
    fn settle(&mut self, id: TopicId, watched: impl Fn(u32) -> TopicId) {
        let Some(entry) = self.find(id, watched) else {
            return;
        };
        let Whose::Crowd(place) = entry.whose() else {
            return;
        };
        let crowd = &self.crowds[place];
        if let [only] = crowd.rows[..]
            && crowd.tail.is_none()
        {
            self.crowds.remove(place);
            self.put(id, entry, Entry(only));
            if self.crowds.is_empty() && self.crowds.capacity() > 1024 {
                self.crowds.shrink_to_fit();
            }
        }
    }

    /// A new event of a crowd; a row that is alone and not behind needs to remember none.
    pub fn note(
        &mut self,
        id: TopicId,
        seq: u64,
        watched: impl Fn(u32) -> TopicId,
    ) -> Option<&mut Tail<F>> {
        let crowd = self.crowd(id, watched)?;
        crowd.head = crowd.head.max(seq);
        crowd.tail.as_mut()
    }

    /// Whether a row that was told everything up to `cursor` has missed something, and the tail in
    /// which it is if it was kept.
    pub fn news(
        &mut self,
        id: TopicId,
        cursor: u64,
        watched: impl Fn(u32) -> TopicId,
    ) -> Option<Option<&mut Tail<F>>> {
        let crowd = self.crowd(id, watched)?;
        (crowd.head > cursor).then_some(crowd.tail.as_mut())
    }

    /// Keeps a tail: some row is behind, and has not seen the event `seq`.
    pub fn keep_tail(
        &mut self,
        id: TopicId,
        seq: u64,
        tail: impl FnOnce() -> Tail<F>,
        watched: impl Fn(u32) -> TopicId,
    ) {
        if let Some(crowd) = self.make_crowd(id, watched) {
            crowd.head = crowd.head.max(seq);
            crowd.tail.get_or_insert_with(tail);
        }
    }

    /// Forgets the tail: no row is behind, or all that are will resynchronise.
    pub fn drop_tail(&mut self, id: TopicId, watched: impl Fn(u32) -> TopicId) {
        if let Some(crowd) = self.crowd(id, &watched)
            && crowd.tail.take().is_some()
        {
            self.settle(id, watched);
        }
    }

    /// Forgets the tail of a topic whose only row has just read it.
    pub fn has_read(&mut self, id: TopicId, watched: impl Fn(u32) -> TopicId) {
        let alone = self
            .crowd(id, &watched)
            .is_some_and(|crowd| crowd.rows.len() == 1);
        if alone {
            self.drop_tail(id, watched);
        }
    }

    /// Adds a row, which says already that it watches the topic. True if the topic is new here.
    pub fn add(&mut self, id: TopicId, slot: u32, watched: impl Fn(u32) -> TopicId) -> bool {
        if let Some(entry) = self.find(id, &watched) {
            if entry != Entry(slot)
                && let Some(crowd) = self.make_crowd(id, watched)
                && let Err(at) = crowd.rows.binary_search(&slot)
            {
                crowd.rows.insert(at, slot);
            }
            return false;
        }
        self.len += 1;
        let hash = self.hash(id);
        let (crowds, hasher) = (&self.crowds, &self.hasher);
        self.tables[table_of(id)].insert_unique(hash, Entry(slot), |entry| {
            hasher.hash_one(topic_of(*entry, crowds, &watched))
        });
        true
    }

    /// Begins to watch a topic: gives the epoch of the watch to send.
    pub fn begin(&mut self, id: TopicId) -> u32 {
        self.epochs = self.epochs.wrapping_add(1);
        self.pending.insert(id, self.epochs);
        self.epochs
    }

    /// Nobody here watches a topic any more.
    pub fn forget(&mut self, id: TopicId) {
        self.pending.remove(&id);
    }

    /// Removes a row, which says still that it watches the topic. Gives whether it was the last,
    /// and the topic is gone here.
    pub fn remove(&mut self, id: TopicId, slot: u32, watched: impl Fn(u32) -> TopicId) -> bool {
        let Some(entry) = self.find(id, &watched) else {
            return false;
        };
        match entry.whose() {
            Whose::Only(only) if only != slot => return false,
            Whose::Only(_) => {}
            Whose::Crowd(place) => {
                let rows = &mut self.crowds[place].rows;
                let Ok(at) = rows.binary_search(&slot) else {
                    return false;
                };
                rows.remove(at);
                if !rows.is_empty() {
                    self.settle(id, watched);
                    return false;
                }
                self.crowds.remove(place);
            }
        }
        let hash = self.hash(id);
        let (crowds, hasher) = (&self.crowds, &self.hasher);
        let table = &mut self.tables[table_of(id)];
        if let Ok(found) = table.find_entry(hash, |have| *have == entry) {
            found.remove();
        }
        shrink(table, |entry| {
            hasher.hash_one(topic_of(*entry, crowds, &watched))
        });
        self.len -= 1;
        true
    }

    /// Whether the owner has answered the watch of a topic that is watched here.
    pub fn is_acknowledged(&self, id: TopicId) -> bool {
        !self.pending.contains_key(&id)
    }

    /// The owner has answered a watch with its number. Gives whether it has answered the newest.
    pub fn acknowledge(&mut self, id: TopicId, epoch: u32) -> bool {
        match self.pending.get(&id) {
            None => return true,
            Some(newest) if *newest != epoch => return false,
            Some(_) => self.pending.remove(&id),
        };
        if self.pending.is_empty() && self.pending.capacity() > 1024 {
            self.pending.shrink_to_fit();
        }
        true
    }

    /// A copy of a topic's rows, in slot order.
    pub fn rows(&self, id: TopicId, watched: impl Fn(u32) -> TopicId) -> Vec<u32> {
        match self.find(id, watched).map(Entry::whose) {
            None => Vec::new(),
            Some(Whose::Only(slot)) => vec![slot],
            Some(Whose::Crowd(place)) => self.crowds[place].rows.clone(),
        }
    }
}

fn topic_of<F>(
    entry: Entry,
    crowds: &Slab<Crowd<F>>,
    watched: &impl Fn(u32) -> TopicId,
) -> TopicId {
    match entry.whose() {
        Whose::Only(slot) => watched(slot),
        Whose::Crowd(place) => crowds[place].id,
    }
}

/// One other shard that watches a topic.
#[derive(Clone, Copy, PartialEq, Eq)]
struct RemoteWatcher {
    topic: Short,
    shard: u8,
}

const _: () = assert!(size_of::<RemoteWatcher>() == 7);

impl RemoteWatcher {
    fn new(topic: TopicId, shard: ShardId) -> Self {
        Self {
            topic: Short::of(topic),
            // There are 64 at most.
            shard: shard.0 as u8,
        }
    }
}

/// On the owner shard: which other shards watch each topic.
pub(crate) struct RemoteWatchers {
    tables: Box<[HashTable<RemoteWatcher>]>,
    hasher: RandomState,
}

impl RemoteWatchers {
    pub fn new() -> Self {
        Self {
            tables: (0..TABLES).map(|_| HashTable::new()).collect(),
            hasher: hasher(),
        }
    }

    pub fn add(&mut self, topic: TopicId, shard: ShardId) {
        let hash = self.hasher.hash_one(topic);
        let new = RemoteWatcher::new(topic, shard);
        let table = &mut self.tables[table_of(topic)];
        if table.find(hash, |have| *have == new).is_none() {
            let hasher = &self.hasher;
            table.insert_unique(hash, new, |have| hasher.hash_one(have.topic.topic()));
        }
    }

    pub fn remove(&mut self, topic: TopicId, shard: ShardId) {
        let hash = self.hasher.hash_one(topic);
        let old = RemoteWatcher::new(topic, shard);
        let table = &mut self.tables[table_of(topic)];
        if let Ok(found) = table.find_entry(hash, |have| *have == old) {
            found.remove();
            let hasher = &self.hasher;
            shrink(table, |have| hasher.hash_one(have.topic.topic()));
        }
    }

    /// The shards that watch a topic, in order.
    pub fn shards(&self, topic: TopicId) -> impl Iterator<Item = ShardId> + use<> {
        let mut mask = 0u64;
        for have in self.tables[table_of(topic)].iter_hash(self.hasher.hash_one(topic)) {
            let RemoteWatcher { topic: of, shard } = *have;
            if of == Short::of(topic) {
                mask |= 1 << shard;
            }
        }
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
            steps in prop::collection::vec((1..4u64, 0..6u32, 0..4u8), 0..80),
        ) {
            let mut topics = Topics::<()>::new();
            // What each row watches, as the rows themselves say.
            let mut watched = [TopicId(0); 6];
            let mut naive = BTreeMap::<u64, BTreeSet<u32>>::new();
            for (id, slot, step) in steps {
                let topic = TopicId(id);
                let before = watched[slot as usize];
                match step {
                    0 if before.0 == 0 => {
                        watched[slot as usize] = topic;
                        let new = topics.add(topic, slot, |at| watched[at as usize]);
                        let rows = naive.entry(id).or_default();
                        prop_assert_eq!(new, rows.is_empty());
                        rows.insert(slot);
                    }
                    1 if before.0 != 0 => {
                        let last = topics.remove(before, slot, |at| watched[at as usize]);
                        watched[slot as usize] = TopicId(0);
                        let rows = naive.entry(before.0).or_default();
                        rows.remove(&slot);
                        prop_assert_eq!(last, rows.is_empty());
                    }
                    2 => topics.keep_tail(topic, 1, || Tail::new(0), |at| watched[at as usize]),
                    _ => topics.drop_tail(topic, |at| watched[at as usize]),
                }
                naive.retain(|_, rows| !rows.is_empty());
                prop_assert_eq!(topics.len(), naive.len());
                for (id, rows) in &naive {
                    let topic = TopicId(*id);
                    let taken = topics.take_rows(topic, |at| watched[at as usize]);
                    let taken = taken.expect("it has rows");
                    prop_assert!(taken.as_slice().iter().eq(rows));
                    topics.put_rows(topic, taken, |at| watched[at as usize]);
                    prop_assert!(topics.rows(topic, |at| watched[at as usize]).iter().eq(rows));
                }
            }
        }

        #[test]
        fn remote_watchers_are_a_set(
            steps in prop::collection::vec((1..4u64, 0..4u16, any::<bool>()), 0..60),
        ) {
            let mut remote_watchers = RemoteWatchers::new();
            let mut naive = BTreeMap::<u64, BTreeSet<u16>>::new();
            for (id, shard, adds) in steps {
                let shards = naive.entry(id).or_default();
                if adds {
                    remote_watchers.add(TopicId(id), ShardId(shard));
                    shards.insert(shard);
                } else {
                    remote_watchers.remove(TopicId(id), ShardId(shard));
                    shards.remove(&shard);
                }
                let found = remote_watchers.shards(TopicId(id));
                let seen: Vec<u16> = found.map(|shard| shard.0).collect();
                prop_assert!(seen.iter().eq(shards.iter()));
            }
        }
    }

    #[test]
    fn the_answer_to_an_old_watch_is_not_that_to_the_newest() {
        let mut topics = Topics::<()>::new();
        let (id, watched) = (TopicId(1), |_| TopicId(1));
        assert!(topics.add(id, 0, watched), "it is new");
        let old = topics.begin(id);
        assert!(topics.remove(id, 0, watched));
        topics.forget(id);
        assert!(topics.add(id, 0, watched), "it is new again");
        let newest = topics.begin(id);
        assert!(!topics.acknowledge(id, old));
        assert!(!topics.is_acknowledged(id));
        assert!(topics.acknowledge(id, newest));
        assert!(topics.is_acknowledged(id));
    }

    #[test]
    fn a_topic_of_one_row_keeps_nothing_once_it_has_read() {
        let mut topics = Topics::<()>::new();
        let watched = |_| TopicId(1);
        topics.add(TopicId(1), 0, watched);
        topics.keep_tail(TopicId(1), 5, || Tail::new(4), watched);
        assert!(topics.news(TopicId(1), 4, watched).is_some());
        topics.has_read(TopicId(1), watched);
        assert!(topics.crowds.is_empty());
        assert!(topics.news(TopicId(1), 4, watched).is_none());
    }
}
