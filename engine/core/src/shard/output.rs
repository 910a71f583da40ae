//! Output: queued in the row's outbox, given to the kernel at the turn's end.

use bytes::{Bytes, BytesMut};
use reactor::Reactor;

use super::Shard;
use super::tls::sealed;
use crate::limits::{JOIN_BYTES_MAX, JOIN_PLAIN_BYTES_MAX};
use crate::mutant::{Mutant, planted};
use crate::protocol::Protocol;
use crate::row::{Outbox, Row, State};
use crate::secure::Tls;
use crate::stats::{Counter, Reason};

/// The kernel is asked what it has for a blocked client after this part of the write timeout.
const FIRST_LOOK: u64 = 8;
/// It is asked so often in a turn at most, as each costs a system call.
pub(super) const LOOKS_PER_TURN: usize = 256;

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    /// Queues bytes of a session after those queued before: the one way out, with `fan_out`.
    pub(super) fn emit(&mut self, slot: u32, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let (outbox, before) = self.outbox(slot);
        outbox.bytes += bytes.len();
        outbox.pieces.push(bytes);
        let more = outbox.cost() - before;
        self.queued(slot, more, before == 0);
    }

    /// Queues bytes of the TLS side, sealed before whatever is not yet.
    pub(super) fn emit_ready(&mut self, slot: u32, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let (outbox, before) = self.outbox(slot);
        outbox.bytes += bytes.len();
        outbox.pieces.insert(outbox.ready, bytes);
        outbox.ready += 1;
        let more = outbox.cost() - before;
        // What is not sealed yet may wait without being dirty.
        self.queued(slot, more, true);
    }

    /// A row's outbox, and what it costs; 0 for a new one.
    fn outbox(&mut self, slot: u32) -> (&mut Outbox, usize) {
        let outbox = &mut self.rows[slot].outbox;
        let before = outbox.as_ref().map_or(0, |outbox| outbox.cost());
        (
            outbox.get_or_insert_with(|| Box::new(Outbox::new())),
            before,
        )
    }

    fn queued(&mut self, slot: u32, more: usize, dirty: bool) {
        self.owed += more;
        if dirty {
            self.dirty.push(slot);
        }
        if self.is_overfull() && self.rows[slot].has(Row::<P>::BLOCKED) {
            // Not at once: its session may be in the middle of a call.
            self.overfull.push(self.session_id(slot));
        }
    }

    /// Whether more is kept on this shard than may be.
    pub(super) fn is_overfull(&self) -> bool {
        self.owed + self.protocol.held_bytes() > self.limits.output_bytes_max
    }

    /// A client that does not take its answers is not asked for more questions.
    pub(super) fn hold_if_full(&mut self, slot: u32) {
        let held_bytes_max = self.limits.held_bytes_max;
        let row = self.row(slot);
        let waits = row.outbox.as_ref().map_or(0, |outbox| outbox.bytes);
        if waits > held_bytes_max && row.has(Row::<P>::BLOCKED) && !row.has(Row::<P>::HELD) {
            row.set(Row::<P>::HELD, true);
            self.read_if_wanted(slot);
        }
    }

    /// Reads a connection, unless its session or something that waits is against it.
    pub(super) fn read_if_wanted(&mut self, slot: u32) {
        let (conn, is_read) = (self.rows[slot].conn, self.is_read(slot));
        let waits = self.waits_compressed(slot, is_read);
        self.reactor.read(conn, is_read && !waits);
    }

    /// Whether neither its session nor something that waits is against reading a connection.
    pub(super) fn is_read(&self, slot: u32) -> bool {
        let held = self.rows[slot].flags & (Row::<P>::DEAF | Row::<P>::HELD) != 0;
        let paused = !self.paused.is_empty() && self.paused.contains(&self.session_id(slot));
        !held && !paused
    }

    /// Cuts those who take nothing, while more waits on this shard than may.
    fn cut_overfull(&mut self) {
        for id in std::mem::take(&mut self.overfull) {
            let row = self.rows.of(id);
            let blocked = row.is_some_and(|row| row.has(Row::<P>::BLOCKED));
            if blocked && self.is_overfull() {
                self.drop_for(Reason::OutputFull);
                self.close(id.slot, Reason::OutputFull);
            }
        }
    }

    /// Gives what is queued to the kernel.
    pub(super) fn flush(&mut self) {
        self.cut_overfull();
        // Sessions that are drained may go on at once; what they say leaves with the next turn.
        let mut dirty = std::mem::take(&mut self.dirty);
        for slot in dirty.drain(..) {
            self.flush_row(slot);
        }
        if self.dirty.is_empty() {
            self.dirty = dirty;
        }
    }

    fn flush_row(&mut self, slot: u32) {
        // Whoever was here may have been closed meanwhile.
        let row = self.rows.get_mut(slot);
        let Some(row) = row.filter(|row| row.is_open() && !row.has(Row::<P>::BLOCKED)) else {
            return;
        };
        let Some(outbox) = row.outbox.take() else {
            return;
        };
        let (conn, flags) = (row.conn, row.flags);
        let secure = flags & (Row::<P>::SECURE | Row::<P>::COMPRESSED) != 0;
        self.owed -= outbox.cost();
        let too_much = outbox.bytes > self.limits.outbox_bytes_max;
        let pieces = match secure {
            true => self.ready_pieces(slot, *outbox),
            false => Some(joined(outbox.pieces, JOIN_PLAIN_BYTES_MAX)),
        };
        let Some(pieces) = pieces else {
            self.drop_for(Reason::TlsFault);
            return self.close(slot, Reason::TlsFault);
        };
        let bytes: usize = pieces.iter().map(Bytes::len).sum();
        self.port().stats.add(Counter::SentBytes, bytes as u64);
        for bytes in pieces {
            if planted(Mutant::DoubleSend) {
                self.reactor.send(conn, bytes.clone());
            }
            self.reactor.send(conn, bytes);
        }
        if too_much {
            self.drop_for(Reason::OutboxFull);
            self.close(slot, Reason::OutboxFull);
            return;
        }
        if self.rows[slot].outbox.is_none() {
            self.drained(slot);
        }
    }

    /// What of an outbox may leave a connection that is compressed or speaks TLS: what is ready,
    /// and the rest compressed and sealed. While the handshake is under way the rest waits. None if
    /// it can't be sealed.
    pub(super) fn ready_pieces(&mut self, slot: u32, mut outbox: Outbox) -> Option<Vec<Bytes>> {
        let plain = outbox.pieces.split_off(outbox.ready);
        let mut pieces = outbox.pieces;
        let row = &mut self.rows[slot];
        if row.has(Row::<P>::OVER) {
            return Some(pieces);
        }
        if row.has(Row::<P>::SHAKING) {
            if !plain.is_empty() {
                let mut rest = Outbox::new();
                rest.bytes = plain.iter().map(Bytes::len).sum();
                rest.pieces = plain;
                self.owed += rest.cost();
                row.outbox = Some(Box::new(rest));
            }
            return Some(pieces);
        }
        let (secure, compressed) = (row.has(Row::<P>::SECURE), row.has(Row::<P>::COMPRESSED));
        let mut plain = joined(plain, JOIN_BYTES_MAX);
        if compressed && !plain.is_empty() {
            plain = vec![self.compressed.burst(&plain.concat())];
        }
        for bytes in plain {
            let place = match planted(Mutant::SealOutOfOrder) {
                true => 0,
                false => pieces.len(),
            };
            let bytes = match secure {
                true => sealed(&mut self.layers, slot, &bytes)?,
                false => bytes,
            };
            pieces.insert(place, bytes);
        }
        Some(pieces)
    }

    /// All output was given away; if the kernel refuses some, `unsent` comes and undoes this.
    fn drained(&mut self, slot: u32) {
        if self.rows[slot].has(Row::<P>::HELD) {
            self.row(slot).set(Row::<P>::HELD, false);
            self.read_if_wanted(slot);
        }
        let row = self.row(slot);
        if row.has(Row::<P>::CLOSING) {
            self.leave(slot);
            return;
        }
        if matches!(row.state, State::Active(_)) {
            self.call(slot, |protocol, session, cx| {
                protocol.handle_drained(session, cx)
            });
        } else if !planted(Mutant::ForgetBlocked) {
            // A parked row hears nothing while it has output: here is what it missed.
            self.catch_up(slot);
        }
        self.answer(slot);
    }

    /// The kernel did not take all.
    pub(super) fn unsent(&mut self, slot: u32, rest: Bytes, broken: bool) {
        self.port().stats.add(Counter::Unsent, 1);
        if broken {
            self.drop_for(Reason::Broken);
            self.close(slot, Reason::Broken);
            return;
        }
        let now_ns = self.reactor.now_ns();
        let conn = self.row(slot).conn;
        let row = self.row(slot);
        row.set(Row::<P>::BLOCKED, true);
        let mut pieces = vec![rest];
        // Compressed or sealed once, it stays as it is.
        let is_ready = row.has(Row::<P>::SECURE | Row::<P>::COMPRESSED);
        let mut ready = usize::from(is_ready && !planted(Mutant::SealTwice));
        let mut blocked_ns = now_ns;
        let mut before = 0;
        if let Some(outbox) = row.outbox.take() {
            before = outbox.cost();
            pieces.extend(outbox.pieces);
            ready += outbox.ready;
            if outbox.blocked_ns > 0 {
                blocked_ns = outbox.blocked_ns;
            }
        }
        if planted(Mutant::LoseSealed) && ready > 0 {
            pieces[0] = Bytes::new();
        }
        let bytes = pieces.iter().map(Bytes::len).sum();
        let outbox = Outbox {
            pieces,
            ready,
            bytes,
            blocked_ns,
            in_kernel: Outbox::NOT_LOOKED,
        };
        let cost = outbox.cost();
        row.outbox = Some(Box::new(outbox));
        self.owed = self.owed - before + cost;
        if self.is_overfull() {
            self.drop_for(Reason::OutputFull);
            self.close(slot, Reason::OutputFull);
            return;
        }
        self.reactor.watch_writable(conn);
        self.look_at(slot, now_ns + self.limits.write_timeout_ns / FIRST_LOOK);
        self.hold_if_full(slot);
    }

    /// There is room again: first what is owed, then news.
    pub(super) fn writable(&mut self, slot: u32) {
        let row = self.row(slot);
        row.set(Row::<P>::BLOCKED, false);
        if let Some(outbox) = &mut row.outbox {
            outbox.blocked_ns = 0;
            outbox.in_kernel = Outbox::NOT_LOOKED;
            self.dirty.push(slot);
        }
        if matches!(self.row(slot).state, State::Parked(_)) {
            self.flush_row(slot);
            let row = self.rows.get(slot);
            let parked = row.is_some_and(|row| matches!(row.state, State::Parked(_)));
            if parked && !planted(Mutant::ForgetBlocked) {
                self.catch_up(slot);
            }
        }
    }

    /// Whether a client has taken nothing for too long; it is closed then. There is room for more
    /// only once it has taken a good part of what the kernel has, so a slow client is known by that
    /// this becomes less.
    pub(super) fn cut_if_blocked(&mut self, slot: u32, now_ns: u64) -> bool {
        let limit_ns = self.limits.write_timeout_ns;
        let row = &mut self.rows[slot];
        let blocked = row.has(Row::<P>::BLOCKED);
        let Some(outbox) = row.outbox.as_mut().filter(|_| blocked) else {
            return false;
        };
        let is_first = outbox.in_kernel == Outbox::NOT_LOOKED;
        let patience_ns = if is_first {
            limit_ns / FIRST_LOOK
        } else {
            limit_ns
        };
        let look_ns = outbox.blocked_ns + patience_ns;
        if now_ns < look_ns || self.looks == 0 {
            self.look_at(slot, look_ns.max(now_ns + 1));
            return false;
        }
        self.looks -= 1;
        let in_kernel = self.reactor.unacknowledged(row.conn);
        // If it can't be said, room for more is all that counts.
        let in_kernel = in_kernel.unwrap_or(0);
        if is_first || in_kernel < outbox.in_kernel {
            outbox.in_kernel = in_kernel;
            if !is_first {
                outbox.blocked_ns = now_ns;
            }
            let look_ns = outbox.blocked_ns + limit_ns;
            self.look_at(slot, look_ns);
            return false;
        }
        self.drop_for(Reason::WriteTimeout);
        self.close(slot, Reason::WriteTimeout);
        true
    }
}

/// Pieces of fewer bytes than that which follow each other become one; others stay as they are.
fn joined(pieces: Vec<Bytes>, small_max: usize) -> Vec<Bytes> {
    if pieces.len() < 2 {
        return pieces;
    }
    let is_small = |piece: &Bytes| piece.len() < small_max;
    let all = pieces.iter().filter(|piece| is_small(piece));
    let mut small = BytesMut::with_capacity(all.map(Bytes::len).sum());
    let mut out: Vec<Bytes> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        if is_small(&piece) {
            small.extend_from_slice(&piece);
        } else {
            if !small.is_empty() {
                out.push(small.split().freeze());
            }
            out.push(piece);
        }
    }
    if !small.is_empty() {
        out.push(small.freeze());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_become_one_and_large_ones_are_not_copied() {
        let pieces = ["a ", "OK [CAPABILITY]", "b", "c", "0123456789abcdef", "d"];
        let given = pieces.map(|piece| Bytes::from_static(piece.as_bytes()));
        let out = joined(given.to_vec(), 15);
        let expected = ["a ", "OK [CAPABILITY]", "bc", "0123456789abcdef", "d"];
        assert_eq!(out, expected);
        assert_eq!(out[1].as_ptr(), pieces[1].as_ptr());
        assert_eq!(out[3].as_ptr(), pieces[4].as_ptr());
        assert_eq!(joined(given.to_vec(), 99), [pieces.concat()]);
    }
}
