//! Fan-out: an event goes once to each watching shard, and there to each row that is waiting.

use std::sync::Arc;

use bytes::Bytes;
use reactor::Reactor;

use super::Shard;
use super::compress::wrapped;
use crate::event::Event;
use crate::mutant::{Mutant, planted};
use crate::protocol::{Announce, Protocol};
use crate::row::{Row, State};
use crate::secure::Tls;
use crate::stats::{Counter, Reason};
use crate::tail::Tail;

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    /// Events born here go to the shards that watch their topic.
    pub(super) fn take_events(&mut self) {
        let shards = self.handle.shards();
        if let Some(lost) = self.port().events.take_lost() {
            for port in self.handle.ports.iter() {
                port.put_lost(self.id, &lost);
            }
        }
        for _ in 0..self.limits.items_per_turn {
            let Some(event) = self.port().events.pop() else {
                break;
            };
            debug_assert_eq!(
                event.topic.owner(shards),
                self.id,
                "an event is born on its owner"
            );
            self.port().stats.add(Counter::Events, 1);
            let mut watched = false;
            for shard in self.remote_watchers.shards(event.topic) {
                watched = true;
                self.port().stats.add(Counter::Forwarded, 1);
                self.handle.ports[usize::from(shard.0)].put_news(self.id, event.clone());
            }
            if self.watches(event.topic) {
                watched = true;
                self.port().stats.add(Counter::Forwarded, 1);
                self.fan_out(&event);
            }
            if !watched {
                self.drop_for(Reason::NobodyWatches);
            }
        }
    }

    /// Events of other shards' topics that rows here watch.
    pub(super) fn take_news(&mut self) {
        for from in 0..usize::from(self.handle.shards()) {
            for _ in 0..self.limits.items_per_turn {
                let Some(event) = self.port().news[from].pop() else {
                    break;
                };
                self.fan_out(&event);
            }
            if let Some(lost) = self.port().news[from].take_lost() {
                self.resynchronise(lost);
            }
        }
    }

    /// Tells all who watch a topic.
    fn fan_out(&mut self, event: &Arc<Event<P::Fact>>) {
        self.fan_out_first(event);
        if !self.watches.is_empty() {
            self.fan_out_further(event);
        }
    }

    /// Tells the rows of a topic, in slot order; rows with the same rendering share its bytes.
    fn fan_out_first(&mut self, event: &Arc<Event<P::Fact>>) {
        let id = event.topic;
        let tail_events_max = self.limits.tail_events_max;
        if let Some(tail) = self.topics.note(id, event.seq, self.rows.watched()) {
            tail.push(event.clone(), tail_events_max);
        }
        let Some(rows) = self.topics.take_rows(id, self.rows.watched()) else {
            return;
        };
        let mut rendered: Vec<(P::Key, Bytes)> = Vec::new();
        let (mut behind, mut stale, mut announced) = (false, Vec::new(), 0);
        let (mut renderings, mut broken) = (0, Vec::new());
        for &slot in rows.as_slice() {
            let row = &mut self.rows[slot];
            let busy = row.outbox.is_some() || row.has(Row::<P>::PENDING);
            let State::Parked(parked) = &mut row.state else {
                behind = true;
                row.set(Row::<P>::MISSED, true);
                if !busy {
                    stale.push(slot);
                }
                continue;
            };
            if busy {
                behind = true;
                continue;
            }
            match self.protocol.announce(parked, event) {
                Announce::Silent => {}
                Announce::Stale => stale.push(slot),
                Announce::Send(key) => {
                    let (conn, flags) = (row.conn, row.flags);
                    let bytes = match rendered.iter().find(|(have, _)| *have == key) {
                        Some((_, bytes)) => bytes.clone(),
                        None => {
                            let bytes = self.protocol.render(event, key);
                            let kept = (key, bytes.clone());
                            if rendered.len() < self.limits.renderings_max {
                                rendered.push(kept);
                            } else {
                                rendered[renderings % self.limits.renderings_max] = kept;
                            }
                            renderings += 1;
                            bytes
                        }
                    };
                    announced += 1;
                    let flags = if planted(Mutant::Unsealed) { 0 } else { flags };
                    let below = (&mut self.layers, &mut self.compressed);
                    match wrapped::<T, P>(below, slot, flags, bytes) {
                        Some(bytes) => self.reactor.send(conn, bytes),
                        None => broken.push(slot),
                    }
                }
            }
        }
        let stats = &self.port().stats;
        stats.add(Counter::Announced, announced);
        stats.add(Counter::Rendered, renderings as u64);
        self.told.note(event.born_ns, announced);
        self.topics.put_rows(id, rows, self.rows.watched());
        if behind {
            let new = || {
                let mut tail = Tail::new(event.prev);
                tail.push(event.clone(), tail_events_max);
                tail
            };
            let watched = self.rows.watched();
            self.topics.keep_tail(id, event.seq, new, watched);
        } else {
            self.topics.drop_tail(id, self.rows.watched());
        }
        if !stale.is_empty() {
            self.end_phase("announcing an event");
        }
        for slot in broken {
            self.drop_for(Reason::TlsFault);
            self.close(slot, Reason::TlsFault);
        }
        for slot in stale {
            match self.rows[slot].state {
                State::Active(_) => self.notify_missed(slot),
                _ => self.make_stale(slot),
            }
        }
    }

    /// An active session that hears, although it can't be packed away, is told that it missed news.
    pub(super) fn notify_missed(&mut self, slot: u32) {
        if self.rows[slot].has(Row::<P>::FURTHER_MISSED) {
            self.further_missed(slot);
        }
        let row = &mut self.rows[slot];
        let missed = Row::<P>::MISSED | Row::<P>::STALE;
        if row.flags & missed == 0 || row.has(Row::<P>::PENDING) || row.outbox.is_some() {
            return;
        }
        if let State::Active(session) = &row.state
            && self.protocol.hears(session)
        {
            row.flags &= !missed;
            self.make_stale(slot);
        }
    }

    /// A parked row that was busy or active when events came reads what it missed.
    pub(super) fn catch_up(&mut self, slot: u32) {
        let row = &mut self.rows[slot];
        let State::Parked(parked) = &mut row.state else {
            return;
        };
        if row.outbox.is_some() {
            return;
        }
        if row.flags & Row::<P>::FURTHER_MISSED != 0 {
            self.further_missed(slot);
            // The call may have done anything, and has looked at the rest if it is parked again.
            return;
        }
        if row.flags & Row::<P>::STALE != 0 && !planted(Mutant::ForgetStale) {
            row.flags &= !Row::<P>::STALE;
            return self.make_stale(slot);
        }
        if row.topic.0 == 0 {
            return;
        }
        let Some(cursor) = self.protocol.cursor(parked) else {
            return;
        };
        let id = row.topic;
        let Some(tail) = self.topics.news(id, cursor, self.rows.watched()) else {
            return;
        };
        let news = tail.and_then(|tail| tail.after(cursor).map(<[_]>::to_vec).ok());
        let State::Parked(parked) = &mut self.rows[slot].state else {
            return;
        };
        let oldest = news.as_ref().and_then(|news| news.first());
        let born_ns = oldest.map_or(0, |event| event.born_ns);
        let bytes = news.and_then(|news| self.protocol.render_many(parked, &news));
        match bytes {
            Some(bytes) => {
                self.topics.has_read(id, self.rows.watched());
                self.port().stats.add(Counter::CaughtUp, 1);
                if !bytes.is_empty() {
                    self.told.note(born_ns, 1);
                    self.emit(slot, bytes);
                }
            }
            None => self.make_stale(slot),
        }
    }

    /// A session that can't be told the news must fetch them by itself.
    pub(super) fn make_stale(&mut self, slot: u32) {
        if self.keeps_stale(slot) {
            return;
        }
        self.port().stats.add(Counter::Stale, 1);
        self.call(slot, |protocol, session, cx| {
            protocol.handle_stale(session, cx)
        });
    }
}
