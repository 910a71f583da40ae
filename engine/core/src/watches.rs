//! Watches beyond a row's first: NOTIFY's, of which a session may have many.
//!
//! A record is 10 bytes, and 6 lead to it from its topic; rows without any cost nothing, and so do
//! topics that nobody watches like that.

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashTable;

use crate::hash_tables::{TABLES, hasher, shrink, table_of};
use crate::topic::TopicId;

/// Rows a chunk: few, so that rows without further watches don't pay for them.
const CHUNK: usize = 64;

/// What a protocol keeps beside the further watches of a row, parked or not.
pub type Beside = Arc<dyn Any + Send + Sync>;

/// What a protocol keeps of one further watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The low bits of the number up to which the session was told.
    pub cursor: u16,
    /// What it is told, by the protocol's own bits, and [`Mark::ALWAYS`].
    pub bits: u8,
}

impl Mark {
    /// The session hears each event, even while it has something to send.
    pub const ALWAYS: u8 = 1 << 7;

    /// Whether a number is behind what was told, if it is not far from it.
    pub fn is_before(self, seq: u64) -> bool {
        (seq as u16).wrapping_sub(self.cursor) as i16 > 0
    }
}

/// A topic's number in 48 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Short([u8; 6]);

impl Short {
    pub fn of(topic: TopicId) -> Self {
        debug_assert!(topic.0 <= TopicId::MAX.0, "topics have 48 bits");
        let [_, _, bytes @ ..] = topic.0.to_be_bytes();
        Self(bytes)
    }

    pub fn topic(self) -> TopicId {
        let bytes = self.0.into_iter();
        TopicId(bytes.fold(0, |number, byte| number << 8 | u64::from(byte)))
    }
}

/// A further watch of a row.
#[derive(Clone, Copy)]
struct Record {
    topic: Short,
    cursor: u16,
    bits: u8,
    state: u8,
}

/// The owner has not answered.
const PENDING: u8 = 1;
/// Events came that the session did not hear.
const MISSED: u8 = 2;
/// Its session was not told that it is in place.
const FRESH: u8 = 4;

/// Where a record is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(Rust, packed(2))]
pub(crate) struct Place {
    slot: u32,
    index: u16,
}

impl Place {
    pub fn slot(self) -> u32 {
        self.slot
    }
}

const _: () = assert!(size_of::<Record>() == 10 && size_of::<Place>() == 6);

/// The further watches of a row.
struct Further {
    /// By topic.
    records: Box<[Record]>,
    pending: u16,
    missed: u16,
    beside: Beside,
}

type Chunk = [Option<Box<Further>>; CHUNK];

/// Places of a topic that lie in a table, which has to look at all of them; more are a crowd.
const FEW: usize = 8;

/// Topics that a crowd watches.
type Crowds = HashMap<TopicId, BTreeSet<Place>, RandomState>;

/// The further watches of a shard's rows.
pub(crate) struct Watches {
    /// By topic.
    tables: Box<[HashTable<Place>]>,
    crowds: Box<[Crowds]>,
    rows: Vec<Option<Box<Chunk>>>,
    hasher: RandomState,
    len: usize,
}

/// Further watches that a row may have.
pub(crate) const FURTHER_MAX: usize = u16::MAX as usize;

impl Watches {
    pub fn new() -> Self {
        Self {
            tables: (0..TABLES).map(|_| HashTable::new()).collect(),
            crowds: (0..TABLES).map(|_| Crowds::with_hasher(hasher())).collect(),
            rows: Vec::new(),
            hasher: hasher(),
            len: 0,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn further(&self, slot: u32) -> Option<&Further> {
        let (number, at) = (slot as usize / CHUNK, slot as usize % CHUNK);
        self.rows.get(number)?.as_ref()?[at].as_deref()
    }

    fn further_mut(&mut self, slot: u32) -> Option<&mut Further> {
        let (number, at) = (slot as usize / CHUNK, slot as usize % CHUNK);
        self.rows.get_mut(number)?.as_mut()?[at].as_deref_mut()
    }

    fn put(&mut self, slot: u32, further: Option<Box<Further>>) {
        let (number, at) = (slot as usize / CHUNK, slot as usize % CHUNK);
        if self.rows.len() <= number {
            self.rows.resize_with(number + 1, || None);
        }
        let chunk = &mut self.rows[number];
        let is_none = further.is_none();
        chunk.get_or_insert_with(|| Box::new([const { None }; CHUNK]))[at] = further;
        if is_none
            && chunk
                .as_ref()
                .is_some_and(|it| it.iter().all(Option::is_none))
        {
            *chunk = None;
        }
    }

    /// Whether some row watches a topic like that.
    pub fn contains(&self, id: TopicId) -> bool {
        if self.is_empty() {
            return false;
        }
        let hash = self.hasher.hash_one(id);
        let is_it = |place: &Place| self.topic(*place) == Some(id);
        self.crowds[table_of(id)].contains_key(&id)
            || self.tables[table_of(id)].find(hash, is_it).is_some()
    }

    fn topic(&self, place: Place) -> Option<TopicId> {
        let record = self
            .further(place.slot)?
            .records
            .get(usize::from(place.index))?;
        Some(record.topic.topic())
    }

    /// Where a topic is watched like that, in slot order.
    pub fn places(&self, id: TopicId) -> Vec<Place> {
        match self.crowds[table_of(id)].get(&id) {
            Some(crowd) => crowd.iter().copied().collect(),
            None => self.few(id),
        }
    }

    /// The same, of a topic that no crowd watches.
    fn few(&self, id: TopicId) -> Vec<Place> {
        let found = self.tables[table_of(id)].iter_hash(self.hasher.hash_one(id));
        let found = found.filter(|place| self.topic(**place) == Some(id));
        let mut places: Vec<Place> = found.copied().collect();
        places.sort_unstable();
        places
    }

    /// Adds a place, which is that of a record of this topic.
    fn add_place(&mut self, id: TopicId, place: Place) {
        if let Some(crowd) = self.crowds[table_of(id)].get_mut(&id) {
            crowd.insert(place);
            return;
        }
        let few = self.few(id);
        if few.len() < FEW {
            return self.add_to_table(id, place);
        }
        few.iter().for_each(|it| self.remove_from_table(id, *it));
        let crowd = few.into_iter().chain([place]).collect();
        self.crowds[table_of(id)].insert(id, crowd);
    }

    /// Removes a place, whose record is still there.
    fn remove_place(&mut self, id: TopicId, place: Place) {
        let crowds = &mut self.crowds[table_of(id)];
        let Some(crowd) = crowds.get_mut(&id) else {
            return self.remove_from_table(id, place);
        };
        crowd.remove(&place);
        if crowd.len() <= FEW / 2
            && let Some(few) = crowds.remove(&id)
        {
            if crowds.is_empty() {
                crowds.shrink_to_fit();
            }
            few.iter().for_each(|it| self.add_to_table(id, *it));
        }
    }

    fn add_to_table(&mut self, id: TopicId, place: Place) {
        let hash = self.hasher.hash_one(id);
        let mut table = std::mem::take(&mut self.tables[table_of(id)]);
        table.insert_unique(hash, place, |place| self.hash(*place));
        self.tables[table_of(id)] = table;
    }

    fn remove_from_table(&mut self, id: TopicId, place: Place) {
        let hash = self.hasher.hash_one(id);
        let mut table = std::mem::take(&mut self.tables[table_of(id)]);
        if let Ok(found) = table.find_entry(hash, |have| *have == place) {
            found.remove();
        }
        shrink(&mut table, |place| self.hash(*place));
        self.tables[table_of(id)] = table;
    }

    /// What its protocol keeps beside a row's further watches.
    pub fn beside(&self, slot: u32) -> Option<Beside> {
        self.further(slot).map(|further| further.beside.clone())
    }

    /// What is told there, if its session knows that it is in place; and what the protocol keeps
    /// beside it.
    pub fn mark(&self, place: Place) -> Option<(Mark, &Beside)> {
        let further = self.further(place.slot)?;
        let record = further.records.get(usize::from(place.index))?;
        let mark = Mark {
            cursor: record.cursor,
            bits: record.bits,
        };
        (record.state & FRESH == 0).then_some((mark, &further.beside))
    }

    /// Moves a cursor.
    pub fn move_cursor(&mut self, place: Place, cursor: u16) {
        if let Some(further) = self.further_mut(place.slot) {
            further.records[usize::from(place.index)].cursor = cursor;
        }
    }

    /// A session was told of a topic up to here by other means.
    pub fn told(&mut self, slot: u32, id: TopicId, cursor: u16) {
        if let Some(further) = self.further_mut(slot) {
            let found = further
                .records
                .binary_search_by_key(&Short::of(id), |it| it.topic);
            if let Ok(at) = found {
                further.records[at].cursor = cursor;
            }
        }
    }

    /// Events came that the session does not hear. What is not in place yet it looks at then.
    pub fn miss(&mut self, place: Place) {
        if let Some(further) = self.further_mut(place.slot) {
            let record = &mut further.records[usize::from(place.index)];
            if record.state & (FRESH | MISSED) == 0 {
                further.missed += 1;
                record.state |= MISSED;
            }
        }
    }

    /// The same for all of a row's. False if it has none.
    pub fn miss_all(&mut self, slot: u32) -> bool {
        let Some(further) = self.further_mut(slot) else {
            return false;
        };
        for record in &mut further.records {
            if record.state & (FRESH | MISSED) == 0 {
                further.missed += 1;
                record.state |= MISSED;
            }
        }
        true
    }

    /// Takes some of what a row has missed, and whether there is more.
    pub fn take_missed(&mut self, slot: u32, max: usize) -> (Vec<(TopicId, Mark)>, bool) {
        let Some(further) = self.further_mut(slot) else {
            return (vec![], false);
        };
        let mut taken = Vec::new();
        for record in &mut further.records {
            if taken.len() == max || further.missed == 0 {
                break;
            }
            if record.state & MISSED != 0 {
                record.state &= !MISSED;
                further.missed -= 1;
                let mark = Mark {
                    cursor: record.cursor,
                    bits: record.bits,
                };
                taken.push((record.topic.topic(), mark));
            }
        }
        (taken, further.missed > 0)
    }

    /// Sets a row's further watches in the place of those before. What was watched before keeps its
    /// cursor. Gives the topics that the row watched before and does not any more, and those that
    /// it did not, both in order.
    pub fn set(
        &mut self,
        slot: u32,
        beside: Option<Beside>,
        watches: &[(TopicId, Mark)],
    ) -> (Vec<TopicId>, Vec<TopicId>) {
        let mut wanted: Vec<Record> = watches.iter().map(record_of).collect();
        wanted.sort_by_key(|record| record.topic);
        wanted.dedup_by_key(|record| record.topic);
        wanted.truncate(FURTHER_MAX);
        let before = self.take_out(slot);
        let old = before.as_ref().map_or(&[][..], |before| &before.records);
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        for record in &mut wanted {
            match old.binary_search_by_key(&record.topic, |it| it.topic) {
                Ok(at) => (record.cursor, record.state) = (old[at].cursor, old[at].state),
                Err(_) => new.push(record.topic.topic()),
            }
        }
        for record in old {
            let found = wanted.binary_search_by_key(&record.topic, |it| it.topic);
            if found.is_err() {
                gone.push(record.topic.topic());
            }
        }
        let Some(beside) = beside.filter(|_| !wanted.is_empty()) else {
            return (gone, new);
        };
        let count = |state| wanted.iter().filter(|it| it.state & state != 0).count() as u16;
        let (pending, missed) = (count(PENDING), count(MISSED));
        let further = Further {
            records: wanted.into(),
            pending,
            missed,
            beside,
        };
        let topics: Vec<TopicId> = further.records.iter().map(|it| it.topic.topic()).collect();
        self.len += topics.len();
        self.put(slot, Some(Box::new(further)));
        for (id, index) in topics.into_iter().zip(0..) {
            self.add_place(id, Place { slot, index });
        }
        (gone, new)
    }

    fn hash(&self, place: Place) -> u64 {
        self.hasher
            .hash_one(self.topic(place).unwrap_or(TopicId(0)))
    }

    /// Takes a row's further watches out.
    fn take_out(&mut self, slot: u32) -> Option<Box<Further>> {
        let topics: Vec<TopicId> = {
            let further = self.further(slot)?;
            further.records.iter().map(|it| it.topic.topic()).collect()
        };
        self.len -= topics.len();
        for (id, index) in topics.into_iter().zip(0..) {
            self.remove_place(id, Place { slot, index });
        }
        let (number, at) = (slot as usize / CHUNK, slot as usize % CHUNK);
        let further = self.rows[number].as_mut()?[at].take();
        self.put(slot, None);
        further
    }

    /// Notes that a topic's owner has yet to answer a row.
    pub fn await_owner(&mut self, slot: u32, id: TopicId) {
        if let Some(further) = self.further_mut(slot)
            && let Ok(at) = further
                .records
                .binary_search_by_key(&Short::of(id), |it| it.topic)
        {
            let record = &mut further.records[at];
            further.pending += u16::from(record.state & PENDING == 0);
            record.state |= PENDING;
        }
    }

    /// A topic's owner has answered. Gives the slots of rows for which nothing else is awaited.
    pub fn acknowledge(&mut self, id: TopicId) -> Vec<u32> {
        let mut complete = Vec::new();
        for place in self.places(id) {
            let Some(further) = self.further_mut(place.slot) else {
                continue;
            };
            let record = &mut further.records[usize::from(place.index)];
            if record.state & PENDING != 0 {
                record.state &= !PENDING;
                further.pending -= 1;
                if further.pending == 0 {
                    complete.push(place.slot);
                }
            }
        }
        complete
    }

    /// Which topics are new since this was asked last, if all of a row's owners have answered.
    pub fn take_fresh(&mut self, slot: u32) -> Option<Vec<TopicId>> {
        let further = self.further_mut(slot)?;
        if further.pending > 0 {
            return None;
        }
        let mut fresh = Vec::new();
        for record in &mut further.records {
            if record.state & FRESH != 0 {
                record.state &= !FRESH;
                fresh.push(record.topic.topic());
            }
        }
        Some(fresh)
    }
}

fn record_of((topic, mark): &(TopicId, Mark)) -> Record {
    Record {
        topic: Short::of(*topic),
        cursor: mark.cursor,
        bits: mark.bits,
        state: FRESH,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn beside() -> Option<Beside> {
        Some(Arc::new(()))
    }

    type Steps = Vec<(u32, BTreeSet<u64>)>;

    fn steps() -> impl Strategy<Value = Steps> {
        let topics = prop::collection::btree_set(1..30u64, 0..20);
        prop::collection::vec((0..200u32, topics), 0..60)
    }

    fn ids(ids: Vec<TopicId>) -> BTreeSet<u64> {
        ids.into_iter().map(|id| id.0).collect()
    }

    proptest! {
        #[test]
        fn who_watches_is_found_by_topic(steps in steps()) {
            let mut watches = Watches::new();
            let mut naive = BTreeMap::<u32, BTreeSet<u64>>::new();
            for (slot, topics) in steps {
                let wanted = topics.iter().map(|id| (TopicId(*id), Mark::default()));
                let wanted: Vec<_> = wanted.collect();
                let before = naive.insert(slot, topics.clone()).unwrap_or_default();
                let (gone, new) = watches.set(slot, beside(), &wanted);
                prop_assert_eq!(ids(gone), &before - &topics);
                prop_assert_eq!(ids(new), &topics - &before);
                let all: usize = naive.values().map(BTreeSet::len).sum();
                prop_assert_eq!(watches.len(), all);
                for id in 1..30 {
                    let places = watches.places(TopicId(id));
                    let slots: Vec<u32> = places.iter().map(|it| it.slot()).collect();
                    let watching = naive.iter().filter(|(_, it)| it.contains(&id));
                    let expected: Vec<u32> = watching.map(|(slot, _)| *slot).collect();
                    prop_assert_eq!(watches.contains(TopicId(id)), !expected.is_empty());
                    prop_assert_eq!(slots, expected);
                }
            }
        }
    }

    #[test]
    fn what_was_watched_before_keeps_its_cursor() {
        let mut watches = Watches::new();
        let mark = |cursor, bits| Mark { cursor, bits };
        let (one, two) = (TopicId(1), TopicId(2));
        watches.set(7, beside(), &[(one, mark(5, 1))]);
        watches.told(7, one, 9);
        watches.set(7, beside(), &[(two, mark(3, 1)), (one, mark(5, 2))]);
        let place = watches.places(one)[0];
        assert!(watches.mark(place).is_none(), "its session does not know");
        assert_eq!(watches.take_fresh(7), Some(vec![one, two]));
        assert_eq!(watches.mark(place).map(|it| it.0), Some(mark(9, 2)));
        assert_eq!(watches.take_fresh(7), Some(vec![]));
        watches.miss(place);
        watches.miss(place);
        assert_eq!(watches.take_missed(7, 8), (vec![(one, mark(9, 2))], false));
        assert!(watches.miss_all(7));
        assert!(watches.take_missed(7, 1).1);
    }

    #[test]
    fn a_crowd_comes_and_goes_at_the_price_of_a_few() {
        let count = 200_000u32;
        let mut watches = Watches::new();
        let shared = [(TopicId(1), Mark::default())];
        for slot in 0..count {
            watches.set(slot, beside(), &shared);
        }
        assert_eq!(watches.places(TopicId(1)).len(), count as usize);
        for slot in 0..count {
            watches.set(slot, None, &[]);
        }
        // Otherwise it would take some 40,000,000,000 steps to come here.
        assert!(watches.is_empty() && !watches.contains(TopicId(1)));
    }

    #[test]
    fn owners_are_awaited() {
        let mut watches = Watches::new();
        let (one, two) = (TopicId(1), TopicId(TopicId::MAX.0));
        let both = [one, two].map(|id| (id, Mark::default()));
        watches.set(3, beside(), &both);
        both.iter().for_each(|(id, _)| watches.await_owner(3, *id));
        assert!(watches.acknowledge(two).is_empty());
        assert!(watches.take_fresh(3).is_none());
        assert_eq!(watches.acknowledge(one), [3]);
        assert_eq!(watches.take_fresh(3).map(|it| it.len()), Some(2));
        watches.set(3, None, &[]);
        assert!(watches.is_empty() && watches.beside(3).is_none());
    }

    #[test]
    fn a_cursor_is_compared_around_its_end() {
        let mark = |cursor| Mark { cursor, bits: 0 };
        assert!(mark(u16::MAX).is_before(1 << 16) && mark(5).is_before(6));
        assert!(!mark(5).is_before(5) && !mark(0).is_before((1 << 16) - 1));
    }
}
