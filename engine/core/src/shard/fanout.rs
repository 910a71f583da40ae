//! Fan-out: an event goes once to each watching shard, and there to each row that is waiting.

use std::sync::Arc;

use bytes::Bytes;
use reactor::Reactor;

use super::Shard;
use crate::event::Event;
use crate::lane::Lost;
use crate::mutant::{Mutant, planted};
use crate::protocol::{Announce, Protocol};
use crate::row::{Row, State};
use crate::stats::{Counter, Reason};
use crate::tail::Tail;
use crate::topic::TopicId;

impl<R: Reactor, P: Protocol> Shard<R, P> {
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
            for shard in self.interest.shards(event.topic) {
                watched = true;
                self.port().stats.add(Counter::Forwarded, 1);
                if shard == self.id {
                    self.fan_out(&event);
                } else {
                    self.handle.ports[usize::from(shard.0)].put_news(self.id, event.clone());
                }
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

    /// Tells the rows of a topic, in slot order; rows with the same rendering share its bytes.
    fn fan_out(&mut self, event: &Arc<Event<P::Fact>>) {
        let Some(topic) = self.topics.get(event.topic) else {
            return;
        };
        let previous = topic.head;
        topic.head = topic.head.max(event.seq);
        if let Some(tail) = topic.tail() {
            tail.push(event.clone(), self.limits.tail_events_max);
        }
        let rows = topic.take_rows();
        let mut rendered: Vec<(P::Key, Bytes)> = Vec::new();
        let (mut behind, mut stale, mut announced) = (false, Vec::new(), 0);
        for &slot in rows.as_slice() {
            let row = &mut self.rows[slot as usize];
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
                    let conn = row.conn;
                    let bytes = match rendered.iter().find(|(have, _)| *have == key) {
                        Some((_, bytes)) => bytes.clone(),
                        None => {
                            let bytes = self.protocol.render(event, key);
                            rendered.push((key, bytes.clone()));
                            bytes
                        }
                    };
                    announced += 1;
                    self.reactor.send(conn, bytes);
                }
            }
        }
        let stats = &self.port().stats;
        stats.add(Counter::Announced, announced);
        stats.add(Counter::Rendered, rendered.len() as u64);
        if let Some(topic) = self.topics.get(event.topic) {
            topic.put_rows(rows);
            if !behind {
                topic.set_tail(None);
            } else if topic.tail().is_none() {
                let mut tail = Tail::new(previous);
                tail.push(event.clone(), self.limits.tail_events_max);
                topic.set_tail(Some(tail));
            }
        }
        for slot in stale {
            match self.rows[slot as usize].state {
                State::Active(_) => self.tell_missed(slot),
                _ => self.make_stale(slot),
            }
        }
    }

    /// An active session that hears, although it can't be packed away, is told that it missed news.
    pub(super) fn tell_missed(&mut self, slot: u32) {
        let row = &mut self.rows[slot as usize];
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
        let row = &mut self.rows[slot as usize];
        let State::Parked(parked) = &mut row.state else {
            return;
        };
        if row.outbox.is_some() {
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
        let Some(topic) = self.topics.get(row.topic) else {
            return;
        };
        if topic.head <= cursor {
            return;
        }
        let news = match topic.tail() {
            Some(tail) => tail.after(cursor).map(<[_]>::to_vec).ok(),
            None => None,
        };
        let bytes = news.and_then(|news| self.protocol.render_many(parked, &news));
        match bytes {
            Some(bytes) => {
                self.port().stats.add(Counter::CaughtUp, 1);
                if !bytes.is_empty() {
                    self.queue(slot, bytes);
                }
            }
            None => self.make_stale(slot),
        }
    }

    /// A session that can't be told the news must fetch them by itself.
    fn make_stale(&mut self, slot: u32) {
        self.port().stats.add(Counter::Stale, 1);
        self.call(slot, |protocol, session, cx| {
            protocol.handle_stale(session, cx)
        });
    }

    /// Events of these topics were lost: their waiting rows resynchronise, and rows that are busy
    /// will find a gap when they look.
    fn resynchronise(&mut self, lost: Lost) {
        let topics: Vec<TopicId> = if lost.all {
            self.topics.ids()
        } else {
            lost.topics
        };
        for id in topics {
            let Some(topic) = self.topics.get(id) else {
                continue;
            };
            topic.set_tail(None);
            let rows = topic.rows().to_vec();
            for slot in rows {
                let row = self.row(slot);
                let waits = matches!(row.state, State::Parked(_)) && row.outbox.is_none();
                if row.topic != id {
                    continue;
                }
                if waits {
                    self.make_stale(slot);
                } else {
                    row.set(Row::<P>::STALE, true);
                    self.tell_missed(slot);
                }
            }
        }
    }
}
