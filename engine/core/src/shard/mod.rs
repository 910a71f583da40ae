//! A shard: one core's connections, and the turn that moves them.
//!
//! A turn gathers completions and what lies in the queues, decides (calls the protocol), fans
//! events out, and flushes. Nothing acts directly on an arrival, so batches form
//! by themselves under load.

mod arriving;
mod clock;
mod compress;
mod compressed;
mod fanout;
mod further;
mod giving;
mod handover;
mod layers;
mod output;
mod pen;
mod post;
mod resync;
mod review;
mod sessions;
mod settling;
mod stalls;
mod taking;
mod tls;
mod told;
mod visit;
mod watch;

use std::collections::VecDeque;
use std::sync::Arc;

use reactor::sparse::Sparse;
use reactor::{Completion, Conn, Reactor};

use crate::event::{SessionId, ShardId};
use crate::limits::Limits;
use crate::mesh::ShardMessage;
use crate::protocol::{Effects, Protocol};
use crate::row::Row;
use crate::rows::Rows;
use crate::runtime::Handle;
use crate::secure::{Doors, Tls};
use crate::stats::{Counter, Reason};
use crate::timer::Timer;
use crate::topics::{RemoteWatchers, Topics};
use crate::watches::Watches;
use arriving::Arriving;
use compressed::Compressed;
use handover::Handover;
use layers::Layers;
use resync::Resync;
use told::Told;

pub use taking::Adopted;

/// One core's share of the engine. Lives on one thread.
pub struct Shard<R: Reactor, P: Protocol, T: Tls = Option<Arc<::tls::Config>>> {
    id: ShardId,
    reactor: R,
    protocol: P,
    limits: Limits,
    handle: Handle<P::Fact, P::Reply>,
    rows: Rows<P>,
    layers: Layers<T>,
    compressed: Compressed,
    /// For each ring, the slot of each connection, counted from 1.
    slots: Vec<Sparse<u32>>,
    /// Accepted, and not opened yet.
    arriving: Arriving,
    open: usize,
    parked: usize,
    /// What waits in outboxes, in bytes, as [`Outbox::cost`] counts it.
    owed: usize,
    topics: Topics<P::Fact>,
    remote_watchers: RemoteWatchers,
    /// Watches beyond a row's first.
    watches: Watches,
    resync: Resync,
    /// As [`Active::handle_turn`] said.
    protocol_waits: bool,
    /// Messages to other shards that found their queue full.
    waiting: VecDeque<(ShardId, ShardMessage)>,
    /// Those who take nothing while too much waits on this shard.
    overfull: Vec<SessionId>,
    /// How often the kernel may still be asked in this turn what it has for a client.
    looks: usize,
    /// Rows whose outbox has something for the kernel.
    dirty: Vec<u32>,
    /// Announcements that the kernel is given with the next turn.
    told: Told,
    /// Sessions that are to be closed, with all their output given to the kernel.
    leaving: Vec<SessionId>,
    timer: Timer,
    completions: Vec<Completion>,
    /// When what is done now began, on the reactor's clock, if that is watched.
    lap_ns: u64,
    effects: Effects<P::Reply>,
    /// What was told to shards that were behind, and who was told to wait for that.
    unsent_messages: VecDeque<(SessionId, P::Reply)>,
    paused: Vec<SessionId>,
    /// Which row is asked about next, while a review is under way.
    review: Option<u32>,
    /// When the shutdown ends, once it has begun; and which row is told next.
    stopping: Option<(u64, u32)>,
    /// Its connections go to another process, or come from one.
    handover: Option<Box<Handover>>,
}

impl<R: Reactor, P: Protocol> Shard<R, P> {
    /// Shard `id` of the handle's mesh, all in plain text. The limits are those that the mesh was
    /// made with.
    pub fn new(
        id: ShardId,
        reactor: R,
        protocol: P,
        limits: Limits,
        handle: Handle<P::Fact, P::Reply>,
    ) -> Self {
        Self::with_tls(id, reactor, protocol, limits, handle, Doors::default())
    }
}

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    /// The same, with listeners and sessions that may begin TLS.
    pub fn with_tls(
        id: ShardId,
        reactor: R,
        protocol: P,
        limits: Limits,
        handle: Handle<P::Fact, P::Reply>,
        doors: Doors<T>,
    ) -> Self {
        let port = &handle.ports[usize::from(id.0)];
        port.attach(reactor.waker());
        port.stats.set(Counter::Places, reactor.room() as u64);
        Self {
            id,
            reactor,
            protocol,
            limits,
            handle,
            rows: Rows::new(),
            layers: Layers::new(doors),
            compressed: Compressed::default(),
            slots: Vec::new(),
            arriving: Arriving::new(),
            open: 0,
            parked: 0,
            owed: 0,
            topics: Topics::new(),
            remote_watchers: RemoteWatchers::new(),
            watches: Watches::new(),
            resync: Resync::default(),
            protocol_waits: false,
            waiting: VecDeque::new(),
            overfull: Vec::new(),
            looks: 0,
            dirty: Vec::new(),
            told: Told::default(),
            leaving: Vec::new(),
            timer: Timer::default(),
            completions: Vec::new(),
            lap_ns: 0,
            effects: Effects::default(),
            unsent_messages: VecDeque::new(),
            paused: Vec::new(),
            review: None,
            stopping: None,
            handover: None,
        }
    }

    /// Turns until [`Handle::shutdown`] and the end of all connections.
    pub fn run(&mut self) {
        while self.turn() {}
    }

    /// One turn, which may sleep. False once the shard has stopped.
    pub fn turn(&mut self) -> bool {
        let until_ns = self.rest_until();
        let began_ns = self.reactor.now_ns();
        let tells_ns = (!self.told.is_empty()).then(|| self.reactor.clock_ns());
        let mut completions = std::mem::take(&mut self.completions);
        self.reactor.turn(until_ns, &mut completions);
        let (now_ns, waited_ns) = (self.reactor.now_ns(), self.reactor.waited_ns());
        let stats = &self.handle.ports[usize::from(self.id.0)].stats;
        stats.turned((now_ns - began_ns).saturating_sub(waited_ns));
        if let Some(from_ns) = tells_ns {
            self.told.count(from_ns, now_ns - waited_ns, stats.told());
        }
        self.lap_ns = self.reactor.now_ns();
        for completion in completions.drain(..) {
            self.complete(completion);
        }
        self.completions = completions;
        self.open_some();
        self.take_orders();
        if self.is_still() {
            return self.turn_still();
        }
        self.end_phase("what came from clients");
        self.shake_some();
        self.end_phase("TLS handshakes");
        self.inflate_some();
        self.end_phase("compressed input");
        self.let_leave();
        self.take_shard_messages();
        self.send_unsent_messages();
        self.take_replies();
        self.end_phase("replies");
        self.take_events();
        self.take_news();
        self.resynchronise_some();
        self.end_phase("announcing events");
        if !self.is_settling() {
            self.take_deadlines();
            self.review_some();
            self.visit_some();
        }
        self.flush();
        self.protocol_waits = self.turn_of_protocol();
        self.end_phase("deadlines and output");
        self.report();
        self.hand_over_some();
        self.stop_if_asked()
    }

    /// The protocol, for a host that drives parts of it by hand.
    pub fn protocol_mut(&mut self) -> &mut P {
        &mut self.protocol
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Until when the reactor may sleep: not at all if there is work.
    fn rest_until(&mut self) -> Option<u64> {
        let port = &self.handle.ports[usize::from(self.id.0)];
        // Announced first: what comes into a queue after the look below ends the sleep.
        self.reactor.waker().announce_sleep();
        if self.is_still() {
            return self.still_until_ns();
        }
        let asked_to_stop = port.is_stopping() && self.stopping.is_none();
        let unsent_messages = !self.unsent_messages.is_empty();
        let queued = !self.waiting.is_empty() || !self.dirty.is_empty() || unsent_messages;
        let leaving = !self.leaving.is_empty() || !self.arriving.is_empty();
        let queued = queued || !self.layers.queue.is_empty() || !self.compressed.queue.is_empty();
        // Nobody is looked at while all come to rest.
        let has_work = match self.is_settling() {
            true => port.is_sent_something(),
            false => port.has_work() || self.review.is_some(),
        };
        if has_work || queued || leaving || asked_to_stop || self.is_telling() {
            return Some(0);
        }
        let stop_ns = self.stopping.map(|(until, _)| until);
        let handover_ns = self.handover_until_ns();
        // Nobody's deadline is seen to while all come to rest.
        let timer_ns = self.timer.next_ns().filter(|_| !self.is_settling());
        [timer_ns, stop_ns, self.waits_until_ns(), handover_ns]
            .into_iter()
            .flatten()
            .min()
    }

    fn complete(&mut self, completion: Completion) {
        match completion {
            Completion::Accepted { listener, conn } => {
                self.arriving.push_back((listener, conn));
            }
            Completion::Received { conn, mut data } => {
                self.port()
                    .stats
                    .add(Counter::ReceivedBytes, data.len() as u64);
                if let Some(slot) = self.slot_of(conn) {
                    if self.keeps_input(slot, &data) {
                    } else {
                        self.received(slot, &mut data);
                    }
                }
            }
            Completion::Hangup { conn, error } => {
                if let Some(slot) = self.slot_of(conn)
                    && !self.keeps_end(slot, error.is_some())
                {
                    self.hung_up(slot, error.is_some());
                }
            }
            Completion::Unsent { conn, rest, error } => {
                if let Some(slot) = self.slot_of(conn) {
                    self.unsent(slot, rest, error.is_some());
                }
            }
            Completion::Writable { conn } => {
                if let Some(slot) = self.slot_of(conn)
                    && !self.keeps_room(slot)
                {
                    self.writable(slot);
                }
            }
            Completion::Connected { .. } => {}
        }
    }

    /// Bytes came, to be opened, inflated and given to the session.
    fn received(&mut self, slot: u32, bytes: &mut [u8]) {
        match self.rows[slot].has(Row::<P>::SECURE) {
            true => self.sealed_input(slot, bytes),
            false => self.opened_input(slot, bytes),
        }
    }

    fn port(&self) -> &crate::mesh::Port<P::Fact, P::Reply> {
        &self.handle.ports[usize::from(self.id.0)]
    }

    fn row(&mut self, slot: u32) -> &mut Row<P> {
        &mut self.rows[slot]
    }

    fn session_id(&self, slot: u32) -> SessionId {
        let generation = self.rows[slot].generation;
        SessionId {
            shard: self.id,
            generation,
            slot,
        }
    }

    /// The slot of a connection that is open.
    fn slot_of(&self, conn: Conn) -> Option<u32> {
        let (ring, place) = place_of(conn);
        let slot = self.slots.get(ring)?.get(place).checked_sub(1)?;
        let row = self.rows.get(slot)?;
        (row.conn == conn && row.is_open()).then_some(slot)
    }

    /// Notes the slot of a connection; none if it is gone.
    fn set_slot(&mut self, conn: Conn, slot: Option<u32>) {
        let (ring, place) = place_of(conn);
        if self.slots.len() <= ring {
            self.slots.resize_with(ring + 1, Sparse::default);
        }
        self.slots[ring].set(place, slot.map_or(0, |slot| slot + 1));
    }

    fn report(&mut self) {
        let (open, parked, topics) = (self.open, self.parked, self.topics.len());
        let (owed, further) = (self.owed, self.watches.len());
        let (compressed, windows) = (self.compressed.count, self.compressed.bytes);
        let stats = &self.port().stats;
        stats.add(Counter::Turns, 1);
        stats.set(Counter::Open, open as u64);
        stats.set(Counter::Parked, parked as u64);
        stats.set(Counter::Topics, topics as u64);
        stats.set(Counter::Owed, owed as u64);
        stats.set(Counter::FurtherWatches, further as u64);
        stats.set(Counter::Compressed, compressed as u64);
        stats.set(Counter::Windows, windows as u64);
        stats.set(Counter::Tls12, self.layers.sealing[0]);
        stats.set(Counter::Tls13, self.layers.sealing[1]);
        stats.set(Counter::Held, self.protocol.held_bytes() as u64);
    }

    fn drop_for(&self, reason: Reason) {
        self.port().stats.drop_for(reason);
    }
}

impl<R: Reactor, P: Protocol, T: Tls> Drop for Shard<R, P, T> {
    fn drop(&mut self) {
        self.handle.leave(self.open);
        self.handle.note_end(self.id);
    }
}

/// Ring and place in it, as the reactor numbers its connections.
fn place_of(conn: Conn) -> (usize, usize) {
    ((conn.0 >> 24) as usize, (conn.0 & 0x00FF_FFFF) as usize)
}
