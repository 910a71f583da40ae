//! Watches beyond a row's first: set, told, caught up.

use std::sync::Arc;

use bytes::Bytes;
use reactor::Reactor;

use super::Shard;
use super::compress::wrapped;
use crate::event::{Event, SessionId};
use crate::mesh::ShardMessage;
use crate::mutant::{Mutant, planted};
use crate::protocol::{Announce, Protocol};
use crate::row::{Row, State};
use crate::secure::Tls;
use crate::stats::{Counter, Reason};
use crate::topic::TopicId;
use crate::watches::{Beside, Mark, Place};

/// Watches of a row that are caught up in one go.
const CATCH_UP_MAX: usize = 256;

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    /// Whether some row here watches a topic.
    pub(super) fn watches(&self, id: TopicId) -> bool {
        self.topics.contains(id, self.rows.watched()) || self.watches.contains(id)
    }

    /// A row has these further watches from now on, and no others.
    pub(super) fn watch_further(
        &mut self,
        slot: u32,
        beside: Option<Beside>,
        watches: &[(TopicId, Mark)],
    ) {
        // Who watches them without this row, before it does.
        let known: Vec<bool> = watches.iter().map(|(id, _)| self.watches(*id)).collect();
        let (gone, new) = self.watches.set(slot, beside, watches);
        let has_some = self.watches.beside(slot).is_some();
        self.row(slot).set(Row::<P>::FURTHER, has_some);
        if !has_some {
            self.row(slot).set(Row::<P>::FURTHER_MISSED, false);
        }
        for id in gone {
            if !self.watches(id) {
                self.topics.forget(id);
                let owner = id.owner(self.handle.shards());
                self.send_shard_message(owner, ShardMessage::Unwatch(id));
            }
        }
        for ((id, _), known) in watches.iter().zip(known) {
            if new.binary_search(id).is_err() {
                continue;
            }
            if known {
                if !self.topics.is_acknowledged(*id) {
                    self.watches.await_owner(slot, *id);
                }
                continue;
            }
            self.watches.await_owner(slot, *id);
            let epoch = self.topics.begin(*id);
            let owner = id.owner(self.handle.shards());
            self.send_shard_message(owner, ShardMessage::Watch(*id, epoch));
        }
        if has_some {
            // Told through the queue, so that no call is made within a call.
            let id = self.session_id(slot);
            self.send_shard_message(self.id, ShardMessage::Placed(id));
        }
    }

    /// A row's further watches were set some time ago.
    pub(super) fn placed(&mut self, id: SessionId) {
        if self.rows.of(id).is_some() {
            self.further_watching(id.slot);
        }
    }

    /// Tells a session that its further watches are in place, if they are.
    pub(super) fn further_watching(&mut self, slot: u32) {
        let row = &self.rows[slot];
        if !row.is_open() || row.has(Row::<P>::CLOSING) {
            return;
        }
        if let Some(fresh) = self.watches.take_fresh(slot) {
            self.call(slot, |protocol, session, cx| {
                protocol.handle_further_watching(session, cx, &fresh);
            });
        }
    }

    /// Tells the rows that watch an event's topic beside another.
    pub(super) fn fan_out_further(&mut self, event: &Arc<Event<P::Fact>>) {
        let mut rendered: Vec<(u32, Bytes)> = Vec::new();
        let (mut announced, mut renderings) = (0, 0);
        let settles = self.is_settling();
        let (mut hearers, mut broken): (Vec<(Place, u8)>, _) = (Vec::new(), Vec::new());
        for place in self.watches.places(event.topic) {
            let slot = place.slot();
            let Some((mut mark, beside)) = self.watches.mark(place) else {
                // It looks at the truth once its owner has answered.
                continue;
            };
            let row = &mut self.rows[slot];
            if row.has(Row::<P>::CLOSING) {
                continue;
            }
            if settles {
                // Sessions that rest stay so.
                row.set(Row::<P>::FURTHER_MISSED, true);
                self.watches.miss(place);
                self.keeps_stale(slot);
                continue;
            }
            let rests = matches!(row.state, State::Parked(_)) && row.outbox.is_none();
            if mark.bits & Mark::ALWAYS != 0 && !rests {
                hearers.push((place, mark.bits));
                continue;
            }
            if row.outbox.is_some() {
                if !planted(Mutant::ForgetFurther) {
                    row.set(Row::<P>::FURTHER_MISSED, true);
                    self.watches.miss(place);
                }
                continue;
            }
            let announce = match &mut row.state {
                State::Parked(parked) => self
                    .protocol
                    .announce_further(parked, beside, &mut mark, event),
                _ if self.protocol.concerns(&mut mark, event) => Announce::Stale,
                _ => Announce::Silent,
            };
            let (conn, flags) = (row.conn, row.flags);
            self.watches.move_cursor(place, mark.cursor);
            match announce {
                Announce::Silent => {}
                Announce::Stale => hearers.push((place, mark.bits)),
                Announce::Send(key) => {
                    let bytes = match rendered.iter().find(|(have, _)| *have == key) {
                        Some((_, bytes)) => bytes.clone(),
                        None => {
                            let bytes = self.protocol.render_further(event, key);
                            if rendered.len() < self.limits.renderings_max {
                                rendered.push((key, bytes.clone()));
                            }
                            renderings += 1;
                            bytes
                        }
                    };
                    announced += 1;
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
        stats.add(Counter::Rendered, renderings);
        self.told.note(event.born_ns, announced);
        if !hearers.is_empty() {
            self.end_phase("announcing an event");
        }
        for slot in broken {
            self.drop_for(Reason::TlsFault);
            self.close(slot, Reason::TlsFault);
        }
        for (place, bits) in hearers {
            let slot = place.slot();
            let row = self.rows.get(slot);
            if row.is_some_and(|row| row.is_open() && row.has(Row::<P>::FURTHER)) {
                self.call(slot, |protocol, session, cx| {
                    protocol.handle_further(session, cx, event, bits);
                });
            }
        }
    }

    /// Events of a topic were lost: whoever watches it beside another has missed them.
    pub(super) fn lose_further(&mut self, id: TopicId) -> usize {
        if self.watches.is_empty() {
            return 0;
        }
        let places = self.watches.places(id);
        for place in &places {
            self.watches.miss(*place);
            self.row(place.slot()).set(Row::<P>::FURTHER_MISSED, true);
            self.further_missed(place.slot());
        }
        places.len()
    }

    /// The same of all topics, for one row.
    pub(super) fn lose_all_further(&mut self, slot: u32) {
        if self.watches.miss_all(slot) {
            self.row(slot).set(Row::<P>::FURTHER_MISSED, true);
            self.further_missed(slot);
        }
    }

    /// A row that has missed events of its further watches asks what became of them, if it has
    /// nothing to send.
    pub(super) fn further_missed(&mut self, slot: u32) {
        let row = &mut self.rows[slot];
        let busy = row.outbox.is_some() || row.has(Row::<P>::CLOSING) || !row.is_open();
        if busy || !row.has(Row::<P>::FURTHER_MISSED) || self.keeps_stale(slot) {
            return;
        }
        let (missed, more) = self.watches.take_missed(slot, CATCH_UP_MAX);
        self.row(slot).set(Row::<P>::FURTHER_MISSED, more);
        if missed.is_empty() {
            return self.park_again(slot);
        }
        self.port().stats.add(Counter::Stale, 1);
        self.call(slot, |protocol, session, cx| {
            protocol.handle_further_stale(session, cx, &missed);
        });
    }
    /// Catches up a row that is parked, by its first watch.
    fn park_again(&mut self, slot: u32) {
        if matches!(self.rows[slot].state, State::Parked(_)) {
            self.catch_up(slot);
        }
    }
}
