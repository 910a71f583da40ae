//! What a shard keeps of its compressed connections, by slot: nothing for the others.

use std::collections::VecDeque;

use ahash::AHashMap;
use bytes::Bytes;
use deflate::{Deflater, Fault, Inflated, Inflater, Workspace, store};

use crate::event::SessionId;

/// Entries a chunk: few, so that others beside compressed ones don't pay for them.
const CHUNK: usize = 64;
/// Shorter output leaves as it is, within stored blocks: it would not become less.
const DEFLATED_BYTES_MIN: usize = 160;
/// What is compressed in a turn, in bytes: some two milliseconds. More leaves as it is.
const DEFLATED_PER_TURN: usize = 256 << 10;

/// The compressed connections of a shard.
#[derive(Default)]
pub(super) struct Compressed {
    chunks: Vec<Option<Box<Chunk>>>,
    /// How many there are.
    pub count: usize,
    /// What is kept of their streams, in bytes.
    pub bytes: usize,
    workspace: Option<Box<Workspace>>,
    deflater: Option<Deflater>,
    /// What has come and was not inflated yet, by slot.
    pub pending: AHashMap<u32, Pending>,
    /// Whose turn it is to go on with that.
    pub queue: VecDeque<SessionId>,
    /// Bytes that were compressed in this turn.
    deflated: usize,
    /// An announcement, and what it is within stored blocks: the same for all who are told it.
    stored: Option<(Bytes, Bytes)>,
}

/// Input that waits.
pub(super) struct Pending {
    pub bytes: Vec<u8>,
    /// It is in the queue.
    pub queued: bool,
}

struct Chunk {
    inflaters: [Option<Inflater>; CHUNK],
    count: usize,
}

impl Compressed {
    /// A connection's stream.
    pub fn get(&self, slot: u32) -> Option<&Inflater> {
        let (number, place) = place_of(slot);
        let chunk = self.chunks.get(number)?.as_ref()?;
        chunk.inflaters[place].as_ref()
    }

    /// Begins a connection's stream, or goes on with it.
    pub fn insert(&mut self, slot: u32, inflater: Inflater) {
        let (number, place) = place_of(slot);
        if self.chunks.len() <= number {
            self.chunks.resize_with(number + 1, || None);
        }
        let chunk = self.chunks[number].get_or_insert_with(|| {
            Box::new(Chunk {
                inflaters: [const { None }; CHUNK],
                count: 0,
            })
        });
        self.bytes += inflater.bytes();
        self.count += 1;
        chunk.count += 1;
        chunk.inflaters[place] = Some(inflater);
    }

    /// Forgets a connection; gives how many bytes of its input waited.
    pub fn remove(&mut self, slot: u32) -> usize {
        let (number, place) = place_of(slot);
        if let Some(there) = self.chunks.get_mut(number)
            && let Some(chunk) = there
            && let Some(inflater) = chunk.inflaters[place].take()
        {
            self.bytes -= inflater.bytes();
            self.count -= 1;
            chunk.count -= 1;
            if chunk.count == 0 {
                *there = None;
            }
        }
        let pending = self.pending.remove(&slot);
        pending.map_or(0, |pending| pending.bytes.len())
    }

    /// Goes on with a stream in a workspace of [`Compressed::take_workspace`].
    pub fn inflate<'a>(
        &mut self,
        slot: u32,
        workspace: &'a mut Workspace,
        input: &[u8],
    ) -> Option<Result<Inflated<'a>, Fault>> {
        let (number, place) = place_of(slot);
        let chunk = self.chunks.get_mut(number)?.as_mut()?;
        let inflater = chunk.inflaters[place].as_mut()?;
        self.bytes -= inflater.bytes();
        let outcome = workspace.inflate(inflater, input);
        self.bytes += inflater.bytes();
        Some(outcome)
    }

    pub fn take_workspace(&mut self) -> Box<Workspace> {
        self.workspace.take().unwrap_or_default()
    }

    pub fn put_workspace(&mut self, workspace: Box<Workspace>) {
        self.workspace = Some(workspace);
    }

    /// A burst of these bytes.
    pub fn burst(&mut self, bytes: &[u8]) -> Bytes {
        let mut output = Vec::new();
        let fits = self.deflated + bytes.len() <= DEFLATED_PER_TURN;
        if bytes.len() < DEFLATED_BYTES_MIN || !fits {
            store(bytes, &mut output);
        } else {
            self.deflated += bytes.len();
            let deflater = self.deflater.get_or_insert_default();
            deflater.deflate(bytes, &mut output);
            output.shrink_to_fit();
        }
        output.into()
    }

    /// An announcement within stored blocks, made once for all who are told it.
    pub fn stored(&mut self, bytes: &Bytes) -> Bytes {
        let is_same = |before: &Bytes| before.as_ptr() == bytes.as_ptr() && before == bytes;
        if let Some((before, stored)) = &self.stored
            && is_same(before)
        {
            return stored.clone();
        }
        let mut output = Vec::new();
        store(bytes, &mut output);
        let stored = Bytes::from(output);
        self.stored = Some((bytes.clone(), stored.clone()));
        stored
    }

    /// Another turn begins.
    pub fn begin_turn(&mut self) {
        self.deflated = 0;
        self.stored = None;
        if self.count == 0 {
            (self.workspace, self.deflater) = (None, None);
        }
    }
}

fn place_of(slot: u32) -> (usize, usize) {
    (slot as usize / CHUNK, slot as usize % CHUNK)
}
