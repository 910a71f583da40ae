//! Connections that go to another process, or come from one: see [`crate::handover`].
//!
//! While a handover is under way what comes for sessions that rest is kept, and so is what they
//! would have to ask. *Still*, a shard does nothing but tell others what it watches.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Sender, SyncSender, TrySendError};

use ahash::AHashMap;
use reactor::Reactor;
use reactor::sparse::Sparse;

use super::Shard;
use super::pen::{NotGiven, Pen};
use super::settling::{Holding, Phase, Settling};
use crate::event::SessionId;
use crate::handover::order::{Given, Order};
use crate::protocol::Protocol;
use crate::row::{Row, State};
use crate::secure::Tls;

/// While something is waited for that wakes nobody it is looked for after this time.
pub(super) const LATER_NS: u64 = 1_000_000;
/// Descriptors that are shared in a turn.
const SHARED_PER_TURN: usize = 128;
/// EMFILE: this process has as many descriptors as it may have.
pub(super) const TOO_MANY_OPEN: i32 = 24;

/// A handover under way.
#[derive(Default)]
pub(super) struct Handover {
    pub phase: Phase,
    sharing: Option<Sharing>,
    /// For each slot its generation when it was shared, counted from 1.
    pub shared: Sparse<u32>,
    /// For each slot a digest of the row that was given with it; 0 if there was none.
    pub early: Sparse<u64>,
    pub settling: Option<Settling>,
    pub holding: Option<Holding>,
    passes: Vec<Sender<bool>>,
    pub export: Option<(SyncSender<Given>, Sender<io::Result<usize>>)>,
    /// What came for sessions that rest.
    pub input: AHashMap<u32, Vec<u8>>,
    /// Who was to catch up.
    pub stale: VecDeque<SessionId>,
    /// How much had been said when that was last looked at.
    pub said: Option<u64>,
    /// Whose output waits for an end of this.
    pub blocked: Vec<SessionId>,
    /// Whose end came, and whether it was broken.
    ends: Vec<(SessionId, bool)>,
}

struct Sharing {
    next: u32,
    pen: Pen,
    to: SyncSender<Given>,
    answer: Sender<()>,
}

impl Handover {
    /// That of a shard whose connections are still to come.
    pub fn awaiting() -> Self {
        Self {
            phase: Phase::Still,
            ..Self::default()
        }
    }

    /// Keeps what came for a session.
    pub fn keep_input(&mut self, slot: u32, bytes: &[u8]) {
        self.input.entry(slot).or_default().extend_from_slice(bytes);
    }

    /// Forgets it; gives how much it was.
    pub fn forget_input(&mut self, slot: u32) -> usize {
        self.input.remove(&slot).map_or(0, |input| input.len())
    }

    fn is_busy(&self) -> bool {
        let waits = self.sharing.is_some() || self.settling.is_some();
        waits || self.holding.is_some() || !self.passes.is_empty() || self.export.is_some()
    }
}

/// What a connection is called by both processes.
pub(super) fn key_of(id: SessionId) -> u64 {
    u64::from(id.slot) << 16 | u64::from(id.generation)
}

/// Slot and generation.
pub(super) fn named(key: u64) -> Option<(u32, u16)> {
    Some((u32::try_from(key >> 16).ok()?, key as u16))
}

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    pub(super) fn phase(&self) -> Phase {
        self.handover.as_ref().map_or(Phase::Serving, |it| it.phase)
    }

    /// Whether nothing is to be done but to tell others what is watched.
    pub(super) fn is_still(&self) -> bool {
        self.phase() == Phase::Still
    }

    /// Whether sessions that rest stay so.
    pub(super) fn is_settling(&self) -> bool {
        self.phase() != Phase::Serving
    }

    /// When to look again, if somebody waits for that.
    pub(super) fn handover_until_ns(&self) -> Option<u64> {
        let handover = self.handover.as_ref()?;
        let later_ns = self.reactor.now_ns() + LATER_NS;
        handover.is_busy().then_some(later_ns)
    }

    /// What is left of a turn for a shard that is still.
    pub(super) fn turn_still(&mut self) -> bool {
        self.take_shard_messages();
        self.report();
        self.hand_over_some();
        true
    }

    /// Whether another turn has something to do for a shard that is still.
    pub(super) fn still_until_ns(&self) -> Option<u64> {
        let port = self.port();
        let messages = port.messages.iter().any(|queue| !queue.is_empty());
        if !port.orders.is_empty() || messages {
            return Some(0);
        }
        let waits = !self.waiting.is_empty();
        let later_ns = self.reactor.now_ns() + LATER_NS;
        self.handover_until_ns().or(waits.then_some(later_ns))
    }

    pub(super) fn take_orders(&mut self) {
        while let Some(order) = self.port().orders.pop() {
            let now_ns = self.reactor.now_ns();
            if let Order::GoOn(answer) = order {
                self.go_on();
                let _ = answer.send(());
                continue;
            }
            let handover = self.handover.get_or_insert_default();
            match order {
                Order::Share(to, answer) => {
                    handover.sharing = Some(Sharing {
                        next: 0,
                        pen: Pen::new(),
                        to,
                        answer,
                    });
                    self.reactor.share(true);
                }
                Order::Settle(within_ns, answer) => {
                    handover.settling =
                        Some(Settling::new(now_ns.saturating_add(within_ns), answer));
                }
                Order::Hold(within_ns, answer) => self.hold(within_ns, answer),
                Order::Pass(answer) => handover.passes.push(answer),
                Order::Export(to, answer) => handover.export = Some((to, answer)),
                Order::GoOn(_) => {}
            }
        }
    }

    /// Goes on with what was asked, at the end of a turn.
    pub(super) fn hand_over_some(&mut self) {
        if self.handover.is_none() {
            return;
        }
        self.share_some();
        self.settle_some();
        self.hold_some();
        self.export_if_asked();
        let is_quiet = self.is_quiet();
        if let Some(handover) = &mut self.handover {
            for answer in handover.passes.drain(..) {
                let _ = answer.send(is_quiet);
            }
        }
    }

    /// Whether nothing waits here.
    fn is_quiet(&self) -> bool {
        let port = self.port();
        let messages = port.messages.iter().all(|queue| queue.is_empty());
        if !messages || !self.waiting.is_empty() {
            return false;
        }
        let said = self.dirty.is_empty() && self.unsent_messages.is_empty();
        self.is_still() || said && !port.is_sent_something() && self.resync.is_empty()
    }

    /// Whether a connection can go to another process as it is.
    pub(super) fn rests(&self, slot: u32) -> bool {
        let never = Row::<P>::CLOSING
            | Row::<P>::PENDING
            | Row::<P>::SHAKING
            | Row::<P>::OVER
            | Row::<P>::HUNG_UP
            | Row::<P>::FAULT;
        let row = &self.rows[slot];
        if row.flags & never != 0 || !self.stream_rests(slot) {
            return false;
        }
        match &row.state {
            State::Parked(_) => true,
            State::Active(session) => {
                let is_drained = row.outbox.is_none() || self.protocol.lives_on_posts();
                is_drained && self.protocol.rests(session)
            }
            State::Free | State::Taken => false,
        }
    }

    /// Keeps what came for a session that rests. False if it is to be worked on.
    pub(super) fn keeps_input(&mut self, slot: u32, bytes: &[u8]) -> bool {
        if !self.is_settling() {
            return false;
        }
        let has = |it: &Handover| it.input.contains_key(&slot);
        if !self.handover.as_deref().is_some_and(has) && !self.rests(slot) {
            return false;
        }
        let conn = self.rows[slot].conn;
        self.reactor.read(conn, false);
        self.owed += bytes.len();
        if let Some(handover) = &mut self.handover {
            handover.keep_input(slot, bytes);
        }
        true
    }

    /// Keeps the end of a connection while nothing is done. False if it is to be seen to.
    pub(super) fn keeps_end(&mut self, slot: u32, broken: bool) -> bool {
        let id = self.session_id(slot);
        match &mut self.handover {
            Some(handover) if handover.phase == Phase::Still => handover.ends.push((id, broken)),
            _ => return false,
        }
        true
    }

    /// Keeps that there is room again while nothing is done. False if it is to be seen to.
    pub(super) fn keeps_room(&mut self, slot: u32) -> bool {
        let id = self.session_id(slot);
        match &mut self.handover {
            Some(handover) if handover.phase == Phase::Still => handover.blocked.push(id),
            _ => return false,
        }
        true
    }

    /// Keeps that a session has to catch up. False if it is to do so now.
    pub(super) fn keeps_stale(&mut self, slot: u32) -> bool {
        if !self.is_settling() {
            return false;
        }
        let id = self.session_id(slot);
        self.row(slot).set(Row::<P>::STALE, true);
        if let Some(handover) = &mut self.handover {
            handover.stale.push_back(id);
        }
        true
    }

    /// What was kept for a connection that ends is forgotten.
    pub(super) fn forget_kept(&mut self, slot: u32) {
        if let Some(handover) = &mut self.handover {
            self.owed -= handover.forget_input(slot);
        }
    }

    fn share_some(&mut self) {
        let Some(mut sharing) = self.handover.as_mut().and_then(|it| it.sharing.take()) else {
            return;
        };
        let all = self.rows.len() as u32;
        for _ in 0..SHARED_PER_TURN {
            while sharing.next < all && !self.rows.get(sharing.next).is_some_and(Row::is_open) {
                sharing.next += 1;
            }
            if sharing.next >= all {
                match sharing.pen.try_give(&sharing.to, true) {
                    Ok(()) => drop(sharing.answer.send(())),
                    Err(NotGiven::Full) => break,
                    Err(NotGiven::NobodyTakes) => {}
                }
                return;
            }
            match sharing.pen.try_give(&sharing.to, false) {
                Ok(()) => {}
                Err(NotGiven::Full) => break,
                Err(NotGiven::NobodyTakes) => return,
            }
            let descriptor = match self.reactor.duplicate(self.rows[sharing.next].conn) {
                Ok(descriptor) => descriptor,
                // There are more once some were sent.
                Err(error) if error.raw_os_error() == Some(TOO_MANY_OPEN) => break,
                // It is given with its row, if it can be.
                Err(_) => {
                    sharing.next += 1;
                    continue;
                }
            };
            let id = self.session_id(sharing.next);
            match sharing
                .to
                .try_send(Given::Descriptor(key_of(id), descriptor))
            {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => break,
                // Whoever asked hears that there is no answer.
                Err(TrySendError::Disconnected(_)) => return,
            }
            sharing.next += 1;
            if let Some(handover) = &mut self.handover {
                let generation = u32::from(id.generation) + 1;
                handover.shared.set(id.slot as usize, generation);
            }
            self.write_early(id.slot, &mut sharing.pen);
        }
        if let Some(handover) = &mut self.handover {
            handover.sharing = Some(sharing);
        }
    }

    /// Serves its connections, those that came or those that stay.
    fn go_on(&mut self) {
        let Some(mut handover) = self.handover.take() else {
            return;
        };
        self.protocol.handle_taken_over();
        self.reactor.hold(false);
        self.reactor.share(false);
        self.reactor.accept(self.stopping.is_none());
        // What this process said meanwhile comes before what clients did.
        self.take_replies();
        for id in handover.blocked {
            if self.rows.of(id).is_some() {
                self.writable(id.slot);
            }
        }
        for (id, broken) in handover.ends {
            if self.rows.of(id).is_some() {
                self.hung_up(id.slot, broken);
            }
        }
        let mut input: Vec<_> = handover.input.drain().collect();
        // In the same order in each simulated run.
        input.sort_unstable_by_key(|(slot, _)| *slot);
        for (slot, mut bytes) in input {
            self.owed -= bytes.len();
            if !self.rows.get(slot).is_some_and(Row::is_open) {
                continue;
            }
            let id = self.session_id(slot);
            self.received(slot, &mut bytes);
            if self.rows.of(id).is_some() {
                self.read_if_wanted(slot);
            }
        }
        self.resync.rows.append(&mut handover.stale);
    }
}
