//! Compression of connections that have asked for it: below their sessions, above TLS.
//!
//! What leaves is compressed where output leaves (`output`, `fanout`, `further`), a burst at a
//! time, before it is sealed. What comes is inflated a bounded piece at a time; the rest waits for
//! the next turn, and meanwhile the connection is not read.
//!
//! Where a session ends compression, its stream ends with the block that is under way, and the
//! blocks of a flush, which are empty; what comes behind them is not compressed.

use bytes::Bytes;
use deflate::Inflater;
use reactor::Reactor;

use super::Shard;
use super::compressed::{Compressed, Pending};
use super::layers::Layers;
use super::tls::sealed;
use crate::protocol::Protocol;
use crate::row::{Outbox, Row};
use crate::secure::Tls;
use crate::stats::Reason;

/// Pieces of waiting input that are inflated in a turn: 8 KiB come out of each.
const PIECES_PER_TURN: usize = 32;

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    /// A connection is compressed from now on: what is queued leaves as it is, and `input` is the
    /// beginning of the stream.
    pub(super) fn begin_compression(&mut self, slot: u32, input: Vec<u8>) {
        if !self.ready_queued(slot) {
            return;
        }
        self.row(slot).set(Row::<P>::COMPRESSED, true);
        drop(self.compressed.take_ending(slot));
        self.compressed.insert(slot, Inflater::default());
        if !input.is_empty() {
            self.keep_compressed(slot, input);
        }
    }

    /// A connection is not compressed any more: what is queued leaves compressed, and what comes
    /// behind the end of its stream is taken as it is.
    pub(super) fn leave_compression(&mut self, slot: u32) {
        if !self.ready_queued(slot) {
            return;
        }
        self.row(slot).set(Row::<P>::COMPRESSED, false);
        self.compressed.leave(slot);
    }

    /// All that is queued leaves in the layers that the connection has now. False if it can't: then
    /// the connection is closed.
    fn ready_queued(&mut self, slot: u32) -> bool {
        let Some(outbox) = self.row(slot).outbox.take() else {
            return true;
        };
        self.owed -= outbox.cost();
        let (blocked_ns, in_kernel) = (outbox.blocked_ns, outbox.in_kernel);
        let Some(pieces) = self.ready_pieces(slot, *outbox) else {
            self.drop_for(Reason::TlsFault);
            self.close(slot, Reason::TlsFault);
            return false;
        };
        let outbox = Outbox {
            ready: pieces.len(),
            bytes: pieces.iter().map(Bytes::len).sum(),
            pieces,
            blocked_ns,
            in_kernel,
        };
        if outbox.ready > 0 {
            self.owed += outbox.cost();
            self.row(slot).outbox = Some(Box::new(outbox));
        }
        true
    }

    /// Bytes came behind what ended a connection's compression: some may belong to its stream.
    fn input_behind(&mut self, slot: u32, input: &[u8]) {
        let Some(ending) = self.compressed.take_ending(slot) else {
            return self.input(slot, input);
        };
        let mut workspace = self.compressed.take_workspace();
        let outcome = ending.pass(&mut workspace, input);
        self.compressed.put_workspace(workspace);
        match outcome {
            Ok(Ok(rest)) => self.input(slot, rest),
            Ok(Err(ending)) => self.compressed.put_ending(slot, ending),
            Err(_) => {
                self.drop_for(Reason::DeflateFault);
                self.close(slot, Reason::DeflateFault);
            }
        }
    }

    /// Forgets what is kept of a connection's compression.
    pub(super) fn end_compression(&mut self, slot: u32) {
        self.owed -= self.compressed.remove(slot);
    }

    /// Whether there is room for one more stream, however long its window becomes soon.
    pub(super) fn has_room_for_window(&self) -> bool {
        let max = self.limits.windows_bytes_max;
        self.compressed.bytes < max - max / 4
    }

    /// Bytes came, of a connection that is not in the middle of a handshake, and opened if it
    /// speaks TLS.
    pub(super) fn opened_input(&mut self, slot: u32, bytes: &[u8]) {
        let is_compressed = self.row(slot).has(Row::<P>::COMPRESSED);
        if !is_compressed && !self.compressed.is_ending(slot) {
            return self.input(slot, bytes);
        }
        let is_read = self.is_read(slot);
        match self.compressed.pending.get_mut(&slot) {
            Some(pending) => {
                self.owed += bytes.len();
                pending.bytes.extend_from_slice(bytes);
            }
            // Its session may end the stream before it is read again.
            None if is_compressed && !is_read => self.keep_compressed(slot, bytes.to_vec()),
            None if is_compressed => self.inflate(slot, bytes),
            None => self.input_behind(slot, bytes),
        }
    }

    /// Gives a session what comes out of its input, a piece of it; the rest waits.
    fn inflate(&mut self, slot: u32, input: &[u8]) {
        let id = self.session_id(slot);
        let before = self.compressed.bytes;
        let mut workspace = self.compressed.take_workspace();
        let last = self.limits.stream_ends;
        let outcome = self.compressed.inflate(slot, &mut workspace, input, last);
        let (fault, taken, more) = match outcome {
            Some(Ok(inflated)) => {
                if !inflated.bytes.is_empty() {
                    self.input(slot, inflated.bytes);
                }
                (None, inflated.taken, inflated.more)
            }
            Some(Err(_)) => (Some(Reason::DeflateFault), 0, false),
            None => return,
        };
        self.compressed.put_workspace(workspace);
        if self.rows.of(id).is_none() {
            return;
        }
        if !self.row(slot).has(Row::<P>::COMPRESSED) {
            if taken < input.len() {
                self.opened_input(slot, &input[taken..]);
            }
            return;
        }
        let max = self.limits.windows_bytes_max;
        let too_much = self.compressed.bytes > max.max(before);
        if let Some(why) = fault.or(too_much.then_some(Reason::WindowsFull)) {
            self.drop_for(why);
            return self.close(slot, why);
        }
        if taken < input.len() || more {
            self.keep_compressed(slot, input[taken..].to_vec());
            self.read_if_wanted(slot);
        }
    }

    fn keep_compressed(&mut self, slot: u32, bytes: Vec<u8>) {
        self.owed += bytes.len();
        let queued = true;
        self.compressed
            .pending
            .insert(slot, Pending { bytes, queued });
        let id = self.session_id(slot);
        self.compressed.queue.push_back(id);
    }

    /// Goes on with input that waits, some a turn.
    pub(super) fn inflate_some(&mut self) {
        self.compressed.begin_turn();
        for _ in 0..self.compressed.queue.len().min(PIECES_PER_TURN) {
            let Some(id) = self.compressed.queue.pop_front() else {
                return;
            };
            if self.rows.of(id).is_none() {
                continue;
            }
            let reads = self.is_read(id.slot);
            let Some(pending) = self.compressed.pending.get_mut(&id.slot) else {
                continue;
            };
            if !reads {
                // It comes back once it is read again.
                pending.queued = false;
                continue;
            }
            let bytes = std::mem::take(&mut pending.bytes);
            self.compressed.pending.remove(&id.slot);
            self.owed -= bytes.len();
            self.opened_input(id.slot, &bytes);
            if self.rows.of(id).is_some() {
                self.read_if_wanted(id.slot);
            }
        }
    }

    /// Whether input waits to be inflated; it is gone on with if the session is read.
    pub(super) fn waits_compressed(&mut self, slot: u32, is_read: bool) -> bool {
        let is_compressed = self.rows[slot].has(Row::<P>::COMPRESSED);
        if !is_compressed && !self.compressed.is_ending(slot) {
            return false;
        }
        let id = self.session_id(slot);
        let Some(pending) = self.compressed.pending.get_mut(&slot) else {
            return false;
        };
        if is_read && !pending.queued {
            pending.queued = true;
            self.compressed.queue.push_back(id);
        }
        true
    }

    /// Whether a connection's stream, if it has one, can go to another process as it stands.
    pub(super) fn stream_rests(&self, slot: u32) -> bool {
        if !self.rows[slot].has(Row::<P>::COMPRESSED) {
            return !self.compressed.is_within_end(slot);
        }
        let stream = self.compressed.get(slot);
        let can_go = stream.is_some_and(Inflater::can_be_handed_over);
        can_go && !self.compressed.pending.contains_key(&slot)
    }
}

/// An announcement as it leaves: within stored blocks, sealed, or as it is. None if it can't be
/// sealed.
pub(super) fn wrapped<T: Tls, P: Protocol>(
    (layers, compressed): (&mut Layers<T>, &mut Compressed),
    slot: u32,
    row_flags: u16,
    bytes: Bytes,
) -> Option<Bytes> {
    let bytes = match row_flags & Row::<P>::COMPRESSED {
        0 => bytes,
        _ => compressed.stored(&bytes),
    };
    match row_flags & Row::<P>::SECURE {
        0 => Some(bytes),
        _ => sealed(layers, slot, &bytes),
    }
}
