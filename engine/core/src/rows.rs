//! The shard's table of connections: it grows and shrinks by chunks, so that nothing it holds ever
//! moves, no growth stalls the shard, and what many connections took is given back when they leave.

use std::collections::BTreeSet;
use std::ops::{Index, IndexMut};

use crate::event::SessionId;
use crate::protocol::Protocol;
use crate::row::Row;
use crate::topic::TopicId;

/// Rows a chunk.
const CHUNK: usize = 1024;
const WORDS: usize = CHUNK / 64;
/// Chunks there may be: slots of a reactor are numbers of 24 bits in each of 250 rings.
const CHUNKS_MAX: usize = (250 << 24) / CHUNK;

/// Rows by slot.
pub(crate) struct Rows<P: Protocol> {
    chunks: Vec<Place<P>>,
    /// Chunks with a free slot, the lowest first: so the higher ones become empty.
    roomy: BTreeSet<u32>,
    /// A chunk without any row that is kept all the same, for who comes next.
    spare: Option<u32>,
}

/// Where a chunk is, or was.
struct Place<P: Protocol> {
    chunk: Option<Box<Chunk<P>>>,
    /// The first generation of the slots of a new chunk: none that was used here before.
    generation: u16,
}

struct Chunk<P: Protocol> {
    rows: Vec<Row<P>>,
    /// A bit a row.
    taken: [u64; WORDS],
    count: usize,
}

impl<P: Protocol> Chunk<P> {
    fn new(generation: u16) -> Self {
        Self {
            rows: (0..CHUNK).map(|_| Row::free(generation)).collect(),
            taken: [0; WORDS],
            count: 0,
        }
    }

    /// The lowest free place, which is taken from now on.
    fn take(&mut self) -> Option<usize> {
        let word = self.taken.iter().position(|word| *word != u64::MAX)?;
        let bit = self.taken[word].trailing_ones() as usize;
        self.taken[word] |= 1 << bit;
        self.count += 1;
        Some(word * 64 + bit)
    }

    fn give_back(&mut self, place: usize) {
        self.taken[place / 64] &= !(1 << (place % 64));
        self.count -= 1;
    }
}

impl<P: Protocol> Rows<P> {
    pub fn new() -> Self {
        Self {
            chunks: Vec::new(),
            roomy: BTreeSet::new(),
            spare: None,
        }
    }

    /// Slots are below this number.
    pub fn len(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    /// A row, unless nothing is at that slot any more.
    pub fn get(&self, slot: u32) -> Option<&Row<P>> {
        let place = self.chunks.get(slot as usize / CHUNK)?;
        Some(&place.chunk.as_ref()?.rows[slot as usize % CHUNK])
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Row<P>> {
        let place = self.chunks.get_mut(slot as usize / CHUNK)?;
        Some(&mut place.chunk.as_mut()?.rows[slot as usize % CHUNK])
    }

    /// The row of a session that is still there.
    pub fn of(&self, id: SessionId) -> Option<&Row<P>> {
        let row = self.get(id.slot)?;
        (row.is_open() && row.generation == id.generation).then_some(row)
    }

    /// The same, to be changed.
    pub fn of_mut(&mut self, id: SessionId) -> Option<&mut Row<P>> {
        let row = self.get_mut(id.slot)?;
        (row.is_open() && row.generation == id.generation).then_some(row)
    }

    /// What the row at a slot watches.
    pub fn watched(&self) -> impl Fn(u32) -> TopicId {
        |slot| self[slot].topic
    }

    /// The lowest free slot.
    pub fn take(&mut self) -> u32 {
        let number = match self.roomy.first() {
            Some(number) => *number,
            None => self.add_chunk(),
        };
        if self.spare == Some(number) {
            self.spare = None;
        }
        let chunk = self.chunks[number as usize].chunk.as_mut();
        let chunk = chunk.expect("only chunks that are there have room");
        let place = chunk.take().expect("it has room");
        if chunk.count == CHUNK {
            self.roomy.remove(&number);
        }
        number * CHUNK as u32 + place as u32
    }

    /// Takes the slot of a connection that another process has had. False if it is taken.
    pub fn take_at(&mut self, slot: u32) -> bool {
        let (number, place) = (slot as usize / CHUNK, slot as usize % CHUNK);
        if number > CHUNKS_MAX {
            return false;
        }
        if self.chunks.len() <= number {
            let none = || Place {
                chunk: None,
                generation: 0,
            };
            self.chunks.resize_with(number + 1, none);
        }
        let there = &mut self.chunks[number];
        let generation = there.generation;
        let chunk = there
            .chunk
            .get_or_insert_with(|| Box::new(Chunk::new(generation)));
        let (word, bit) = (place / 64, 1 << (place % 64));
        if chunk.taken[word] & bit != 0 {
            return false;
        }
        chunk.taken[word] |= bit;
        chunk.count += 1;
        match chunk.count {
            CHUNK => self.roomy.remove(&(number as u32)),
            _ => self.roomy.insert(number as u32),
        };
        if self.spare == Some(number as u32) {
            self.spare = None;
        }
        true
    }

    fn add_chunk(&mut self) -> u32 {
        let gone = self.chunks.iter().position(|place| place.chunk.is_none());
        let number = gone.unwrap_or_else(|| {
            self.chunks.push(Place {
                chunk: None,
                generation: 0,
            });
            self.chunks.len() - 1
        });
        let place = &mut self.chunks[number];
        place.chunk = Some(Box::new(Chunk::new(place.generation)));
        self.roomy.insert(number as u32);
        number as u32
    }

    /// Gives a slot back whose row is free.
    pub fn give_back(&mut self, slot: u32) {
        let (number, place) = (slot as usize / CHUNK, slot as usize % CHUNK);
        let chunk = self.chunks[number].chunk.as_mut();
        let chunk = chunk.expect("a row is at that slot");
        chunk.give_back(place);
        self.roomy.insert(number as u32);
        if chunk.count == 0
            && let Some(before) = self.spare.replace(number as u32)
        {
            // The higher of the two goes.
            let (low, high) = (before.min(number as u32), before.max(number as u32));
            self.spare = Some(low);
            self.remove_chunk(high);
        }
    }

    fn remove_chunk(&mut self, number: u32) {
        self.roomy.remove(&number);
        let place = &mut self.chunks[number as usize];
        if let Some(chunk) = place.chunk.take() {
            // Answers to sessions that were here must not reach those that will be.
            let highest = chunk.rows.iter().map(|row| row.generation).max();
            place.generation = highest.unwrap_or(0).wrapping_add(1);
        }
    }
}

impl<P: Protocol> Index<u32> for Rows<P> {
    type Output = Row<P>;

    fn index(&self, slot: u32) -> &Row<P> {
        self.get(slot).expect("a row is at that slot")
    }
}

impl<P: Protocol> IndexMut<u32> for Rows<P> {
    fn index_mut(&mut self, slot: u32) -> &mut Row<P> {
        self.get_mut(slot).expect("a row is at that slot")
    }
}
