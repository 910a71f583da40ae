//! What sessions send to other sessions: posts on this shard, words to others.

use bytes::Bytes;
use reactor::Reactor;

use super::Shard;
use crate::event::SessionId;
use crate::protocol::{Context, Effects, Protocol};
use crate::row::Row;
use crate::stats::{Counter, Reason};

impl<R: Reactor, P: Protocol> Shard<R, P> {
    /// Carries out posts and tells. True if some shard is too far behind to be told now.
    pub(super) fn carry(&mut self, effects: &mut Effects<P::Reply>) -> bool {
        for (to, bytes) in effects.posts.drain(..) {
            self.post(to, bytes);
        }
        for (to, word) in effects.tells.drain(..) {
            // In order: nothing overtakes what waits.
            if !self.untold.is_empty() {
                self.untold.push_back((to, word));
            } else if let Err(word) = self.handle.reply(to, word) {
                self.untold.push_back((to, word));
            }
        }
        !self.untold.is_empty()
    }

    fn post(&mut self, to: SessionId, bytes: Bytes) {
        let max = self.limits.posts_bytes_max;
        let Some(row) = self.rows.get_mut(to.slot) else {
            return;
        };
        let gone = row.generation != to.generation || !row.is_open();
        if gone || row.has(Row::<P>::CLOSING) {
            return;
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
        self.queue(to.slot, bytes);
    }

    /// Something came for the shard itself.
    pub(super) fn told(&mut self, told: P::Reply) {
        let mut effects = std::mem::take(&mut self.effects);
        let mut cx = Context {
            id: SessionId::shard_itself(self.id),
            now_ns: self.reactor.now_ns(),
            peer: None,
            effects: &mut effects,
        };
        self.protocol.handle_told(&mut cx, told);
        self.carry(&mut effects);
        self.effects = effects;
    }

    /// A connection has ended.
    pub(super) fn gone(&mut self, id: SessionId) {
        let mut effects = std::mem::take(&mut self.effects);
        let mut cx = Context {
            id,
            now_ns: self.reactor.now_ns(),
            peer: None,
            effects: &mut effects,
        };
        self.protocol.handle_gone(&mut cx);
        self.carry(&mut effects);
        self.effects = effects;
    }

    /// The connection of a session that is still there.
    fn conn_of(&self, id: SessionId) -> Option<reactor::Conn> {
        let row = self.rows.get(id.slot)?;
        (row.is_open() && row.generation == id.generation).then_some(row.conn)
    }

    /// A session is not read until all was told.
    pub(super) fn pause(&mut self, id: SessionId) {
        let Some(conn) = self.conn_of(id) else {
            return;
        };
        self.reactor.read(conn, false);
        self.paused.push(id);
    }

    /// Tells what could not be told, and lets those go on who waited for it.
    pub(super) fn tell_again(&mut self) {
        while let Some((to, word)) = self.untold.pop_front() {
            if let Err(word) = self.handle.reply(to, word) {
                self.untold.push_front((to, word));
                return;
            }
        }
        for id in std::mem::take(&mut self.paused) {
            if let Some(conn) = self.conn_of(id) {
                self.reactor.read(conn, true);
            }
        }
    }
}
