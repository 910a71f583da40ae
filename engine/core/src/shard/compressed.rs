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
/// What the code for the end of a block lies in at most: it has 15 bits.
const END_OF_BLOCK_BYTES_MAX: usize = 3;
/// What a flush, or the last block, takes behind that at most: two empty blocks.
const FLUSH_BYTES_MAX: usize = 8;
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
    /// Connections that are not compressed any more, of which the stream's end may still come.
    endings: AHashMap<u32, Ending>,
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

/// What is left of a stream that its session has ended.
#[derive(Default)]
pub(super) struct Ending {
    /// The stream, if it is within a block.
    stream: Option<Inflater>,
    /// Bytes that have come of its end.
    seen: usize,
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
        drop(self.take_stream(slot));
        drop(self.take_ending(slot));
        let pending = self.pending.remove(&slot);
        pending.map_or(0, |pending| pending.bytes.len())
    }

    /// A connection's stream ends where it stands, or with the block in which it does.
    pub fn leave(&mut self, slot: u32) {
        let stream = self.take_stream(slot).filter(Inflater::is_within_text);
        self.put_ending(slot, Ending { stream, seen: 0 });
    }

    pub fn is_ending(&self, slot: u32) -> bool {
        !self.endings.is_empty() && self.endings.contains_key(&slot)
    }

    /// Whether the block has not ended with which a stream does, or something waits behind that.
    pub fn is_within_end(&self, slot: u32) -> bool {
        let ending = self.endings.get(&slot);
        ending.is_some_and(|it| it.stream.is_some()) || self.pending.contains_key(&slot)
    }

    pub fn take_ending(&mut self, slot: u32) -> Option<Ending> {
        let ending = self.endings.remove(&slot)?;
        self.bytes -= ending.bytes();
        Some(ending)
    }

    pub fn put_ending(&mut self, slot: u32, ending: Ending) {
        self.bytes += ending.bytes();
        self.endings.insert(slot, ending);
    }

    fn take_stream(&mut self, slot: u32) -> Option<Inflater> {
        let (number, place) = place_of(slot);
        let there = self.chunks.get_mut(number)?;
        let chunk = there.as_mut()?;
        let inflater = chunk.inflaters[place].take()?;
        self.bytes -= inflater.bytes();
        self.count -= 1;
        chunk.count -= 1;
        if chunk.count == 0 {
            *there = None;
        }
        Some(inflater)
    }

    /// Goes on with a stream in a workspace of [`Compressed::take_workspace`].
    pub fn inflate<'a>(
        &mut self,
        slot: u32,
        workspace: &'a mut Workspace,
        input: &[u8],
        last: Option<&[u8]>,
    ) -> Option<Result<Inflated<'a>, Fault>> {
        let (number, place) = place_of(slot);
        let chunk = self.chunks.get_mut(number)?.as_mut()?;
        let inflater = chunk.inflaters[place].as_mut()?;
        self.bytes -= inflater.bytes();
        let outcome = workspace.inflate_up_to(inflater, input, last);
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
        if self.count == 0 && self.endings.is_empty() {
            (self.workspace, self.deflater) = (None, None);
        }
    }
}

impl Ending {
    fn bytes(&self) -> usize {
        self.stream.as_ref().map_or(0, Inflater::bytes)
    }

    /// Takes what belongs to the stream: gives what comes behind it, or if nothing does how it
    /// stands.
    ///
    /// No command begins with what a flush, or the last block, has behind the end of a block.
    pub fn pass<'a>(
        mut self,
        workspace: &mut Workspace,
        mut input: &'a [u8],
    ) -> Result<Result<&'a [u8], Self>, Fault> {
        while let Some(stream) = &mut self.stream
            && let Some((byte, rest)) = input.split_at_checked(1)
        {
            let inflated = workspace.inflate(stream, byte)?;
            self.seen += 1;
            if !inflated.bytes.is_empty() || self.seen > END_OF_BLOCK_BYTES_MAX {
                return Err(Fault::BehindTheEnd);
            }
            input = rest;
            if !stream.is_within_text() {
                (self.stream, self.seen) = (None, 0);
            }
        }
        while self.stream.is_none()
            && self.seen < FLUSH_BYTES_MAX
            && let [0..=3 | 0xff, rest @ ..] = input
        {
            self.seen += 1;
            input = rest;
        }
        match input {
            [] => Ok(Err(self)),
            rest => Ok(Ok(rest)),
        }
    }
}

fn place_of(slot: u32) -> (usize, usize) {
    (slot as usize / CHUNK, slot as usize % CHUNK)
}
