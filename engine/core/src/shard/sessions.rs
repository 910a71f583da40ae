//! Calls into sessions, and what the calls leave to do.

use reactor::{Conn, Reactor};

use super::Shard;
use crate::mutant::{Mutant, planted};
use crate::protocol::{Compression, Context, Effects, Protocol};
use crate::row::{Row, State};
use crate::secure::Tls;
use crate::stats::{Counter, Reason};
use crate::timer::second_of;
use crate::topic::TopicId;

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    pub(super) fn accepted(&mut self, listener: u8, conn: Conn) {
        self.port().stats.add(Counter::Accepted, 1);
        let secure = self.layers.doors.implicit.contains(&listener);
        let full = self.open >= self.limits.connections_max || self.stopping.is_some();
        let full = full || !self.takes_place(listener);
        if full {
            self.drop_for(Reason::TooManyConnections);
            if let Some(bytes) = self.protocol.refusal(listener).filter(|_| !secure) {
                self.reactor.send(conn, bytes);
            }
            self.reactor.close(conn);
            return;
        }
        let peer = if self.protocol.needs_peer(listener) {
            self.reactor.expect_peers(listener);
            self.reactor.peer(conn).ok()
        } else {
            None
        };
        let slot = self.rows.take();
        self.set_slot(conn, Some(slot));
        self.open += 1;
        let row = self.row(slot);
        let generation = row.generation;
        *row = Row {
            conn,
            state: State::Taken,
            ..Row::free(generation)
        };
        self.reactor.read(conn, true);
        if secure {
            self.begin_tls(slot);
        }
        let id = self.session_id(slot);
        let mut effects = std::mem::take(&mut self.effects);
        let now_ns = self.reactor.now_ns();
        let mut cx = Context {
            id,
            now_ns,
            peer,
            owed: self.owed,
            secure,
            compression: Compression::Possible,
            effects: &mut effects,
        };
        let session = Box::new(self.protocol.open(&mut cx, listener));
        self.effects = effects;
        self.after(slot, session);
        if self.rows.of(id).is_some() {
            self.came_late(slot);
        }
    }

    /// Takes a place for one more connection, of those for all and of the protocol's own.
    fn takes_place(&mut self, listener: u8) -> bool {
        if !self.handle.enter(self.limits.connections_all_max) {
            return false;
        }
        let admitted = self.protocol.admits(listener);
        if !admitted {
            self.handle.leave(1);
        }
        admitted
    }

    pub(super) fn input(&mut self, slot: u32, bytes: &[u8]) {
        self.call(slot, |protocol, session, cx| {
            protocol.handle_input(session, cx, bytes)
        });
    }

    /// Calls an open row's session, inflating it if it is parked, and carries out what it wants.
    pub(super) fn call(
        &mut self,
        slot: u32,
        handle: impl FnOnce(&mut P, &mut P::Session, &mut Context<'_, P::Reply>),
    ) {
        let id = self.session_id(slot);
        let mut session = match std::mem::replace(&mut self.row(slot).state, State::Taken) {
            State::Active(session) => session,
            State::Parked(parked) => {
                self.parked -= 1;
                self.port().stats.add(Counter::Unparks, 1);
                let mut session = Box::new(self.protocol.unpark(parked, id));
                if self.rows[slot].has(Row::<P>::FURTHER)
                    && let Some(beside) = self.watches.beside(slot)
                {
                    self.protocol.unpark_beside(&mut session, &beside);
                }
                session
            }
            State::Free | State::Taken => unreachable!("only open rows are called, one at a time"),
        };
        let mut effects = std::mem::take(&mut self.effects);
        let mut cx = Context {
            id,
            now_ns: self.reactor.now_ns(),
            peer: None,
            owed: self.owed,
            secure: self.rows[slot].has(Row::<P>::SECURE),
            compression: match self.rows[slot].has(Row::<P>::COMPRESSED) {
                true => Compression::Active,
                false if self.has_room_for_window() => Compression::Possible,
                false => Compression::Full,
            },
            effects: &mut effects,
        };
        handle(&mut self.protocol, &mut session, &mut cx);
        self.effects = effects;
        if let Some(ns) = self.lap() {
            self.protocol.handle_stall(Some(&session), "a session", ns);
        }
        self.after(slot, session);
    }

    /// Carries out what a call left to do, and packs the session away if it may be.
    fn after(&mut self, slot: u32, session: Box<P::Session>) {
        let mut effects = std::mem::take(&mut self.effects);
        self.row(slot).state = State::Active(session);
        if let Some(on) = effects.reading.take() {
            self.row(slot).set(Row::<P>::DEAF, !on);
            self.read_if_wanted(slot);
        }
        if std::mem::take(&mut effects.acknowledge) {
            let conn = self.row(slot).conn;
            self.reactor.acknowledge_now(conn);
        }
        if let Some(at_ns) = effects.deadline_ns.take() {
            self.set_deadline(slot, at_ns);
        }
        if let Some(topic) = effects.watch.take() {
            self.watch(slot, topic.unwrap_or(TopicId(0)));
        }
        if let Some((beside, watches)) = effects.further.take() {
            self.watch_further(slot, beside, &watches);
        }
        for (id, cursor) in effects.told.drain(..) {
            self.watches.told(slot, id, cursor);
        }
        let close = std::mem::take(&mut effects.close);
        if let Some(mut input) = effects.begin_tls.take()
            && !self.row(slot).has(Row::<P>::SECURE)
        {
            self.begin_tls(slot);
            if !input.is_empty() {
                self.sealed_input(slot, &mut input);
            }
        }
        self.send_all(slot, &mut effects);
        if std::mem::take(&mut effects.start_tls) && !self.row(slot).has(Row::<P>::SECURE) {
            self.begin_tls(slot);
        }
        let id = self.session_id(slot);
        if self.carry(&mut effects) {
            self.pause(id);
        }
        self.effects = effects;
        self.hold_if_full(slot);
        let row = self.row(slot);
        if close {
            row.set(Row::<P>::CLOSING, true);
        }
        if row.has(Row::<P>::CLOSING) {
            if planted(Mutant::HastyClose) {
                self.close(slot, Reason::Closed);
            } else if row.outbox.is_none() || planted(Mutant::HastyNotify) {
                self.leave(slot);
            } else if row.flags & (Row::<P>::SHAKING | Row::<P>::OVER) == Row::<P>::SHAKING {
                // What it has to say can't leave before the end of the handshake.
                self.drop_for(Reason::Closed);
                self.close(slot, Reason::Closed);
            }
        } else if row.outbox.is_none() {
            self.park(slot);
        }
    }

    /// Queues what a call has sent, and begins or ends compression where it did.
    fn send_all(&mut self, slot: u32, effects: &mut Effects<P::Reply>) {
        let compress = effects.compress.take();
        let all = effects.output.len();
        let before = compress.as_ref().map_or(all, |(before, _)| *before);
        for bytes in effects.output.drain(..before) {
            self.emit(slot, bytes);
        }
        let is_compressed = self.row(slot).has(Row::<P>::COMPRESSED);
        match compress {
            Some((_, Some(input))) if !is_compressed => self.begin_compression(slot, input),
            Some((_, None)) if is_compressed => self.leave_compression(slot),
            _ => {}
        }
        for bytes in effects.output.drain(..) {
            self.emit(slot, bytes);
        }
    }

    /// Packs an active session away if the protocol says so, and catches it up if news came while
    /// it was active.
    pub(super) fn park(&mut self, slot: u32) {
        let row = &mut self.rows[slot];
        if row.flags & (Row::<P>::PENDING | Row::<P>::SHAKING) != 0 {
            return;
        }
        let State::Active(session) = &row.state else {
            return;
        };
        let Some(parked) = self.protocol.park(session) else {
            return self.notify_missed(slot);
        };
        // The tail has what it missed.
        row.set(Row::<P>::MISSED, false);
        row.state = State::Parked(parked);
        self.parked += 1;
        self.port().stats.add(Counter::Parks, 1);
        self.catch_up(slot);
    }

    /// Some of the answers that came: as many as one turn may say, as others wait to be heard.
    pub(super) fn take_replies(&mut self) {
        let owed_max = self.owed.saturating_add(self.limits.reply_bytes_per_turn);
        for _ in 0..self.limits.items_per_turn {
            if self.owed >= owed_max {
                break;
            }
            let Some((id, reply)) = self.port().replies.pop() else {
                break;
            };
            if id.is_shard() {
                self.message_to_shard(reply);
                continue;
            }
            if self.rows.of(id).is_some() {
                self.port().stats.add(Counter::Replies, 1);
                self.call(id.slot, |protocol, session, cx| {
                    protocol.handle_reply(session, cx, reply);
                });
            } else {
                self.drop_for(Reason::LateReply);
                self.late(id, reply);
            }
        }
    }

    /// Closes those whose last output was given to the kernel in the turn before, unless it has
    /// refused some: then they leave later.
    pub(super) fn let_leave(&mut self) {
        for id in std::mem::take(&mut self.leaving) {
            let row = self.rows.of(id);
            let waits = |row: &Row<P>| {
                let outbox = row.outbox.as_ref();
                outbox.is_some_and(|outbox| outbox.ready > 0 || !row.has(Row::<P>::OVER))
            };
            if let Some(row) = row.filter(|row| !waits(row)) {
                let why = match (row.has(Row::<P>::FAULT), row.has(Row::<P>::HUNG_UP)) {
                    (true, _) if row.has(Row::<P>::SHAKING) => Reason::HandshakeFailed,
                    (true, _) => Reason::TlsFault,
                    (false, true) => Reason::Hangup,
                    (false, false) => Reason::Closed,
                };
                self.drop_for(Reason::Closed);
                self.close(id.slot, why);
            }
        }
    }

    pub(super) fn hung_up(&mut self, slot: u32, broken: bool) {
        // A client that speaks TLS says so before it ends.
        let secure = self.row(slot).has(Row::<P>::SECURE);
        let why = match (broken, secure) {
            (true, _) => Reason::Broken,
            (false, true) => Reason::Truncated,
            (false, false) => Reason::Hangup,
        };
        self.drop_for(why);
        let why = match secure {
            true => self.failed_before(slot).unwrap_or(why),
            false => why,
        };
        self.close(slot, why);
    }

    /// Ends a connection at once, for a reason that was counted.
    pub(super) fn close(&mut self, slot: u32, why: Reason) {
        let id = self.session_id(slot);
        self.watch(slot, TopicId(0));
        if self.row(slot).has(Row::<P>::FURTHER) {
            self.watch_further(slot, None, &[]);
        }
        let row = self.row(slot);
        let conn = row.conn;
        let generation = row.generation.wrapping_add(1);
        let old = std::mem::replace(row, Row::free(generation));
        if let Some(outbox) = &old.outbox {
            self.owed -= outbox.cost();
            self.protocol.handle_dropped(id);
        }
        if let Some(failure) = self.layers.failures.remove(&slot) {
            self.protocol.note_failure(failure);
        }
        match old.state {
            State::Active(mut session) => {
                self.protocol.note_end(why);
                self.protocol.handle_closed(&mut session, id);
            }
            State::Parked(parked) => {
                self.parked -= 1;
                self.protocol.note_end(why);
                self.protocol.handle_parked_closed(&parked, id);
            }
            State::Free | State::Taken => {}
        }
        self.forget_kept(slot);
        self.reactor.close(conn);
        self.leave_slot(slot, conn, old.flags);
        self.gone(id);
    }

    /// A connection whose row had these flags and is free by now has its slot no more. The timer
    /// may still hold that; it looks at the row before it believes it.
    pub(super) fn leave_slot(&mut self, slot: u32, conn: Conn, flags: u16) {
        if flags & Row::<P>::SECURE != 0 {
            self.end_tls(slot);
        }
        if flags & Row::<P>::COMPRESSED != 0 || self.compressed.is_ending(slot) {
            self.end_compression(slot);
        }
        self.set_slot(conn, None);
        self.rows.give_back(slot);
        self.open -= 1;
        self.handle.leave(1);
    }

    pub(super) fn set_deadline(&mut self, slot: u32, at_ns: u64) {
        let second = second_of(at_ns);
        let row = &mut self.rows[slot];
        row.deadline = second;
        if row.filed == 0 || second < row.filed {
            row.filed = second;
            self.timer.file(second, slot);
        }
    }
}
