//! What a shard keeps of its TLS connections, by slot: nothing for those in plain text.

use std::collections::VecDeque;

use ahash::AHashMap;
use tls::Failure;

use crate::event::SessionId;
use crate::secure::{Doors, Records, Tls};

/// Entries a chunk: few, so that plain connections beside TLS ones don't pay for them.
const CHUNK: usize = 64;
/// What a handshake under way takes, in bytes, its input aside.
pub(super) const HANDSHAKE_BYTES: usize = 8 << 10;

/// The TLS side of a shard.
pub(super) struct Layers<T: Tls> {
    pub doors: Doors<T>,
    chunks: Vec<Option<Box<Chunk<T>>>>,
    /// Record layers there are: of TLS 1.2, of TLS 1.3.
    pub sealing: [u64; 2],
    /// The beginning of a record whose end has not come, by slot.
    pub partial: AHashMap<u32, Vec<u8>>,
    /// Whose handshake has something to work on, in order.
    pub queue: VecDeque<SessionId>,
    /// What was sealed, until it is given on.
    pub scratch: Vec<u8>,
    /// Why TLS has failed, of those that end for it, by slot.
    pub failures: AHashMap<u32, Failure>,
}

/// A connection's part.
pub(super) enum Layer<T: Tls> {
    Plain,
    Shaking(Box<Shaking<T>>),
    Sealing(T::Records),
}

/// A million of these are kept: the layer is no larger than the record layer itself.
const _: () =
    assert!(size_of::<Layer<Option<std::sync::Arc<tls::Config>>>>() == size_of::<tls::Records>());

/// A handshake, and what came for it that it has not seen.
pub(super) struct Shaking<T: Tls> {
    /// None until the first byte.
    pub handshake: Option<T::Handshake>,
    pub input: Vec<u8>,
    /// Bytes that came for it in all.
    pub taken: usize,
    /// When it must be over, on the reactor's clock.
    pub until_ns: u64,
}

impl<T: Tls> Shaking<T> {
    /// What it takes, in bytes, at most.
    pub fn cost(&self) -> usize {
        HANDSHAKE_BYTES + self.taken
    }
}

struct Chunk<T: Tls> {
    layers: Vec<Layer<T>>,
    count: usize,
}

impl<T: Tls> Layers<T> {
    pub fn new(doors: Doors<T>) -> Self {
        Self {
            doors,
            chunks: Vec::new(),
            sealing: [0; 2],
            partial: AHashMap::default(),
            queue: VecDeque::new(),
            scratch: Vec::new(),
            failures: AHashMap::default(),
        }
    }

    /// A connection's part.
    pub fn get(&mut self, slot: u32) -> Option<&mut Layer<T>> {
        let (number, place) = (slot as usize / CHUNK, slot as usize % CHUNK);
        let chunk = self.chunks.get_mut(number)?.as_mut()?;
        Some(&mut chunk.layers[place])
    }

    /// The record layer of a connection whose handshake is over.
    pub fn records(&mut self, slot: u32) -> Option<&mut T::Records> {
        match self.get(slot)? {
            Layer::Sealing(records) => Some(records),
            _ => None,
        }
    }

    pub fn shaking(&mut self, slot: u32) -> Option<&mut Shaking<T>> {
        match self.get(slot)? {
            Layer::Shaking(shaking) => Some(shaking),
            _ => None,
        }
    }

    /// Puts another part in the place of the one before, which is given back.
    pub fn set(&mut self, slot: u32, layer: Layer<T>) -> Layer<T> {
        let (number, place) = (slot as usize / CHUNK, slot as usize % CHUNK);
        let adds = !matches!(layer, Layer::Plain);
        if self.chunks.len() <= number {
            if !adds {
                return layer;
            }
            self.chunks.resize_with(number + 1, || None);
        }
        let there = &mut self.chunks[number];
        if there.is_none() && !adds {
            return layer;
        }
        let chunk = there.get_or_insert_with(|| {
            let layers = (0..CHUNK).map(|_| Layer::Plain).collect();
            Box::new(Chunk { layers, count: 0 })
        });
        if let Layer::Sealing(records) = &layer {
            self.sealing[usize::from(!records.is_tls12())] += 1;
        }
        let before = std::mem::replace(&mut chunk.layers[place], layer);
        if let Layer::Sealing(records) = &before {
            self.sealing[usize::from(!records.is_tls12())] -= 1;
        }
        chunk.count += usize::from(adds);
        chunk.count -= usize::from(!matches!(before, Layer::Plain));
        if chunk.count == 0 {
            *there = None;
        }
        before
    }
}
