//! TLS on a shard: handshakes, a few a turn; records, opened one at a time; the ways to an end.
//!
//! What leaves is sealed where output leaves (`output`, `fanout`) and nowhere else, and kept sealed
//! if the kernel does not take it: so no sequence number is used twice.

use bytes::Bytes;
use reactor::Reactor;
use tls::{Alert, Channel, Failure, Fault, Opened, RECORD_MAX};

use super::Shard;
use super::layers::{Layer, Layers, Shaking};
use crate::limits::JOIN_BYTES_MAX;
use crate::mutant::{Mutant, planted};
use crate::protocol::Protocol;
use crate::row::{Row, State};
use crate::secure::{Handshake, Records, Tls};
use crate::stats::{Counter, Reason};

/// Bytes that may wait for a handshake's turn: far more than one message of a client.
const WAITING_MAX: usize = 2 * RECORD_MAX;

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    /// A connection's handshake begins: what is queued leaves as it is, and what comes from now on
    /// is not its session's.
    pub(super) fn begin_tls(&mut self, slot: u32) {
        let until_ns = self.reactor.now_ns() + self.limits.handshake_ns;
        let shaking = Shaking {
            handshake: None,
            input: Vec::new(),
            taken: 0,
            until_ns,
        };
        self.owed += shaking.cost();
        self.layers.set(slot, Layer::Shaking(Box::new(shaking)));
        let row = self.row(slot);
        row.set(Row::<P>::SECURE | Row::<P>::SHAKING, true);
        if let Some(outbox) = &mut row.outbox {
            outbox.ready = outbox.pieces.len();
        }
        self.look_at(slot, until_ns);
    }

    /// Forgets what is kept of a connection's TLS.
    pub(super) fn end_tls(&mut self, slot: u32) {
        if let Layer::Shaking(shaking) = self.layers.set(slot, Layer::Plain) {
            self.owed -= shaking.cost();
        }
        if let Some(partial) = self.layers.partial.remove(&slot) {
            self.owed -= partial.len();
        }
        self.layers.failures.remove(&slot);
    }

    /// Bytes came on a TLS connection.
    pub(super) fn sealed_input(&mut self, slot: u32, bytes: &mut [u8]) {
        if let Some(mut input) = self.layers.partial.remove(&slot) {
            self.owed -= input.len();
            input.extend_from_slice(bytes);
            return self.open_records(slot, &mut input);
        }
        if !self.row(slot).has(Row::<P>::SHAKING) {
            return self.open_records(slot, bytes);
        }
        let id = self.session_id(slot);
        let Some(shaking) = self.layers.shaking(slot) else {
            return;
        };
        let is_queued = !shaking.input.is_empty();
        shaking.input.extend_from_slice(bytes);
        shaking.taken += bytes.len();
        let too_much = shaking.input.len() > WAITING_MAX;
        self.owed += bytes.len();
        if !is_queued {
            self.layers.queue.push_back(id);
        }
        if too_much {
            self.fail_tls(slot, Reason::HandshakeFailed, Failure::TooLong, None);
        }
    }

    /// Works on some handshakes, in the order in which something came for them.
    pub(super) fn shake_some(&mut self) {
        for _ in 0..self.limits.handshakes_per_turn {
            let Some(id) = self.layers.queue.pop_front() else {
                return;
            };
            if self.rows.of(id).is_some() {
                self.shake(id.slot);
            }
        }
    }

    fn shake(&mut self, slot: u32) {
        let overfull = self.is_overfull();
        let Some(shaking) = self.layers.shaking(slot) else {
            return;
        };
        if overfull {
            self.drop_for(Reason::OutputFull);
            return self.close(slot, Reason::OutputFull);
        }
        if shaking.handshake.is_none() {
            let asks = match &self.rows[slot].state {
                State::Active(session) => self.protocol.asks_certificate(session),
                _ => false,
            };
            let handshake = self.layers.doors.tls.begin(asks);
            if let Some(shaking) = self.layers.shaking(slot) {
                shaking.handshake = handshake;
            }
        }
        let mut output = Vec::new();
        let step = self.layers.shaking(slot).and_then(|shaking| {
            let input = std::mem::take(&mut shaking.input);
            let handshake = shaking.handshake.as_mut()?;
            Some(handshake.handle_input(&input, &mut output))
        });
        self.emit_ready(slot, output.into());
        match step {
            Some(Ok(None)) => {}
            Some(Ok(Some(all))) => self.established(slot, all),
            Some(Err(error)) => {
                self.fail_tls(slot, Reason::HandshakeFailed, (&error).into(), None);
            }
            None => self.fail_tls(slot, Reason::HandshakeFailed, Failure::NoIdentity, None),
        }
    }

    fn established(
        &mut self,
        slot: u32,
        (records, mut input, channel): (T::Records, Vec<u8>, Channel),
    ) {
        self.port().stats.add(Counter::Handshakes, 1);
        if let Layer::Shaking(shaking) = self.layers.set(slot, Layer::Sealing(records)) {
            self.owed -= shaking.cost();
        }
        let row = self.row(slot);
        row.set(Row::<P>::SHAKING, false);
        if row.outbox.is_some() {
            self.dirty.push(slot);
        }
        let id = self.session_id(slot);
        if matches!(self.rows[slot].state, State::Active(_)) {
            self.call(slot, |protocol, session, cx| {
                protocol.handle_channel(session, cx, &channel)
            });
        }
        if !input.is_empty() && self.rows.of(id).is_some() {
            self.open_records(slot, &mut input);
        }
    }

    /// Opens what has come, a record at a time; keeps the beginning of one whose end has not.
    fn open_records(&mut self, slot: u32, input: &mut [u8]) {
        let id = self.session_id(slot);
        let mut from = 0;
        while from < input.len() {
            if self.rows.of(id).is_none_or(|row| row.has(Row::<P>::OVER)) {
                return;
            }
            let Some(records) = self.layers.records(slot) else {
                return;
            };
            let length = match records.open(&mut input[from..]) {
                Err(Fault { alert, why }) => {
                    let failure = Failure::Record(why);
                    return self.fail_tls(slot, Reason::TlsFault, failure, Some(alert));
                }
                Ok((_, Opened::Incomplete)) => {
                    self.owed += input.len() - from;
                    self.layers.partial.insert(slot, input[from..].to_vec());
                    break;
                }
                Ok((length, Opened::Data(data))) => {
                    self.opened_input(slot, data);
                    length
                }
                Ok((length, Opened::Control)) => length,
                Ok((length, Opened::Renegotiation)) => {
                    if !self.refuse_renegotiation(slot) {
                        return;
                    }
                    length
                }
                Ok((_, Opened::Closed)) => return self.peer_closed(slot),
                Ok((_, Opened::Failed(alert))) => {
                    self.drop_for(Reason::TlsFault);
                    self.layers.failures.insert(slot, Failure::Alert(alert));
                    return self.close(slot, Reason::TlsFault);
                }
            };
            from += length;
        }
        self.answer(slot);
    }

    /// Seals what the record layer itself has to say, once nothing else waits: a peer that asks and
    /// does not read has one answer waiting and no more.
    pub(super) fn answer(&mut self, slot: u32) {
        let Some(row) = self.rows.get(slot).filter(|row| row.is_open()) else {
            return;
        };
        if row.outbox.is_some() || row.has(Row::<P>::BLOCKED | Row::<P>::OVER) {
            return;
        }
        let Some(records) = self.layers.records(slot) else {
            return;
        };
        if records.owes_answer() {
            let mut output = Vec::new();
            if records.answer(&mut output).is_err() {
                let alert = Some(Alert::InternalError);
                return self.fail_tls(slot, Reason::TlsFault, Failure::Ours, alert);
            }
            if !planted(Mutant::LoseAnswer) {
                self.emit_ready(slot, output.into());
            }
        }
    }

    /// Says no to a second handshake, and goes on. False if the connection ends: who asks and does
    /// not read is not told again and again.
    fn refuse_renegotiation(&mut self, slot: u32) -> bool {
        if self.row(slot).outbox.is_some() {
            self.drop_for(Reason::TlsFault);
            let failure = Failure::Record("a second handshake was asked for again");
            self.layers.failures.insert(slot, failure);
            self.close(slot, Reason::TlsFault);
            return false;
        }
        if let Some(records) = self.layers.records(slot) {
            let mut output = Vec::new();
            records.alert(Alert::NoRenegotiation, &mut output);
            self.emit_ready(slot, output.into());
        }
        true
    }

    /// The peer has said all it wanted: what is queued leaves, then the connection ends.
    fn peer_closed(&mut self, slot: u32) {
        self.drop_for(Reason::Hangup);
        let row = self.row(slot);
        row.set(Row::<P>::CLOSING | Row::<P>::HUNG_UP, true);
        if row.outbox.is_none() {
            self.leave(slot);
        }
    }

    /// A TLS connection can't go on: its peer is told why, and it ends. What was not sealed yet is
    /// not sent.
    pub(super) fn fail_tls(
        &mut self,
        slot: u32,
        reason: Reason,
        failure: Failure,
        alert: Option<Alert>,
    ) {
        self.drop_for(reason);
        self.layers.failures.insert(slot, failure);
        let mut output = Vec::new();
        if let (Some(alert), Some(records)) = (alert, self.layers.records(slot)) {
            records.alert(alert, &mut output);
        }
        self.emit_ready(slot, output.into());
        let row = self.row(slot);
        row.set(Row::<P>::CLOSING | Row::<P>::OVER | Row::<P>::FAULT, true);
        match row.outbox {
            Some(_) => self.dirty.push(slot),
            None => self.leave(slot),
        }
    }

    /// All output of a connection that is to be closed has left: `close_notify` is the last, if it
    /// speaks TLS.
    pub(super) fn leave(&mut self, slot: u32) {
        let row = self.row(slot);
        let ends = row.has(Row::<P>::SECURE) && !row.has(Row::<P>::OVER | Row::<P>::SHAKING);
        if ends {
            row.set(Row::<P>::OVER, true);
            let mut output = Vec::new();
            if let Some(records) = self.layers.records(slot) {
                records.alert(Alert::CloseNotify, &mut output);
            }
            self.emit_ready(slot, output.into());
            if self.row(slot).outbox.is_some() {
                return;
            }
        }
        let id = self.session_id(slot);
        self.leaving.push(id);
    }

    /// Why the connection of a peer that has left fails, if it does: a client says what it does not
    /// like, and leaves at once.
    pub(super) fn failed_before(&mut self, slot: u32) -> Option<Reason> {
        let shakes = self.row(slot).has(Row::<P>::SHAKING);
        if !self.layers.failures.contains_key(&slot) {
            let shaking = self.layers.shaking(slot)?;
            let input = std::mem::take(&mut shaking.input);
            let failure = match (&mut shaking.handshake, input.first()?) {
                (Some(handshake), _) => {
                    let error = handshake.handle_input(&input, &mut Vec::new()).err()?;
                    Failure::from(&error)
                }
                // No more than that is looked at for somebody who isn't there.
                (None, first) if !tls::begins_record(*first) => Failure::NoTls,
                (None, _) => return None,
            };
            self.layers.failures.insert(slot, failure);
        }
        Some(match shakes {
            true => Reason::HandshakeFailed,
            false => Reason::TlsFault,
        })
    }

    /// Whether a handshake has taken too long; the connection is closed then.
    pub(super) fn cut_if_shaking(&mut self, slot: u32, now_ns: u64) -> bool {
        let Some(shaking) = self.layers.shaking(slot) else {
            return false;
        };
        let until_ns = shaking.until_ns;
        if now_ns < until_ns {
            self.look_at(slot, until_ns);
            return false;
        }
        let failure = match shaking.taken {
            0 => Failure::Silent,
            _ => Failure::Slow,
        };
        self.layers.failures.insert(slot, failure);
        self.drop_for(Reason::HandshakeFailed);
        self.close(slot, Reason::HandshakeFailed);
        true
    }
}

/// Seals bytes of a connection for the kernel; none if nothing can be sealed any more.
pub(super) fn sealed<T: Tls>(layers: &mut Layers<T>, slot: u32, bytes: &[u8]) -> Option<Bytes> {
    let mut scratch = std::mem::take(&mut layers.scratch);
    scratch.clear();
    let outcome = layers.records(slot)?.seal(bytes, &mut scratch);
    outcome.ok()?;
    if scratch.len() > JOIN_BYTES_MAX {
        return Some(scratch.into());
    }
    let sealed = Bytes::copy_from_slice(&scratch);
    layers.scratch = scratch;
    Some(sealed)
}
