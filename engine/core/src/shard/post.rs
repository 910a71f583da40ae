//! What sessions send to other sessions: posts on this shard, messages to others.

use bytes::Bytes;
use reactor::Reactor;

use super::Shard;
use crate::event::SessionId;
use crate::protocol::{Compression, Context, Effects, Protocol};
use crate::row::Row;
use crate::secure::Tls;
use crate::stats::{Counter, Reason};

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    /// Carries out posts and messages. True if some shard is too far behind to be told now.
    pub(super) fn carry(&mut self, effects: &mut Effects<P::Reply>) -> bool {
        for (to, bytes) in effects.posts.drain(..) {
            self.post(to, bytes);
        }
        for (to, message) in effects.messages.drain(..) {
            // In order: nothing overtakes what waits.
            if !self.unsent_messages.is_empty() {
                self.unsent_messages.push_back((to, message));
            } else if let Err(message) = self.handle.reply(to, message) {
                self.unsent_messages.push_back((to, message));
            }
        }
        !self.unsent_messages.is_empty()
    }

    fn post(&mut self, to: SessionId, bytes: Bytes) {
        let max = self.limits.posts_bytes_max;
        let Some(row) = self.rows.of_mut(to) else {
            return;
        };
        if row.has(Row::<P>::CLOSING) {
            return self.protocol.handle_dropped(to);
        }
        let full = row
            .outbox
            .as_ref()
            .is_some_and(|outbox| outbox.bytes + bytes.len() > max);
        if full || row.has(Row::<P>::STALE) {
            row.set(Row::<P>::STALE, true);
            self.drop_for(Reason::PostsFull);
            self.protocol.handle_dropped(to);
            return;
        }
        self.port().stats.add(Counter::Posted, 1);
        self.emit(to.slot, bytes);
    }

    /// Something came for the shard itself.
    pub(super) fn message_to_shard(&mut self, message: P::Reply) {
        let id = SessionId::shard_itself(self.id);
        self.call_without_session(id, |protocol, cx| protocol.handle_message(cx, message));
    }

    /// An answer came for a session that has left.
    pub(super) fn late(&mut self, id: SessionId, reply: P::Reply) {
        self.call_without_session(id, |protocol, cx| protocol.handle_late_reply(cx, reply));
    }

    /// A connection has ended.
    pub(super) fn gone(&mut self, id: SessionId) {
        self.call_without_session(id, |protocol, cx| protocol.handle_gone(cx));
    }

    pub(super) fn turn_of_protocol(&mut self) -> bool {
        let id = SessionId::shard_itself(self.id);
        self.call_without_session(id, |protocol, cx| protocol.handle_turn(cx))
    }

    /// A call of which only posts and messages have an effect.
    fn call_without_session<O>(
        &mut self,
        id: SessionId,
        handle: impl FnOnce(&mut P, &mut Context<'_, P::Reply>) -> O,
    ) -> O {
        let mut effects = std::mem::take(&mut self.effects);
        let mut cx = Context {
            id,
            now_ns: self.reactor.now_ns(),
            peer: None,
            owed: self.owed,
            secure: false,
            compression: Compression::Full,
            effects: &mut effects,
        };
        let outcome = handle(&mut self.protocol, &mut cx);
        self.carry(&mut effects);
        self.effects = effects;
        outcome
    }

    /// A session is not read until all was told.
    pub(super) fn pause(&mut self, id: SessionId) {
        let Some(row) = self.rows.of(id) else {
            return;
        };
        self.reactor.read(row.conn, false);
        self.paused.push(id);
    }

    /// Tells what could not be told, and lets those go on who waited for it.
    pub(super) fn send_unsent_messages(&mut self) {
        while let Some((to, message)) = self.unsent_messages.pop_front() {
            if let Err(message) = self.handle.reply(to, message) {
                self.unsent_messages.push_front((to, message));
                return;
            }
        }
        for id in std::mem::take(&mut self.paused) {
            if self.rows.of(id).is_some() {
                self.read_if_wanted(id.slot);
            }
        }
    }
}
