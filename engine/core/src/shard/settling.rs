//! Sessions come to rest, so that they can go to another process: first those that are in the
//! middle of something end it, while all goes on; then whoever rests stays so, which takes as long
//! as a short command.

use std::sync::mpsc::Sender;

use ahash::AHashMap;
use reactor::Reactor;

use super::Shard;
use crate::event::SessionId;
use crate::handover::order::Held;
use crate::protocol::Protocol;
use crate::row::{Row, State};
use crate::secure::Tls;
use crate::stats::Reason;

/// Slots that are looked at in a turn while all goes on, and while some are held back.
const SLOTS_PER_TURN: usize = 4096;
const SLOTS_PER_TURN_HELD: usize = 256 << 10;
/// How long those have who were told to leave.
const LEAVE_WITHIN_NS: u64 = 500_000_000;
/// How long those are waited for who wait for an answer: a disk's slowest sync.
const ANSWERED_WITHIN_NS: u64 = 10_000_000_000;

/// What a shard is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// All goes on.
    #[default]
    Serving,
    /// Sessions come to rest, and stay so.
    Settling,
    /// All rest.
    Settled,
    /// Nothing is done.
    Still,
}

/// Sessions that were found in the middle of something.
#[derive(Default)]
struct Unsettled {
    /// Which slot is looked at next, the first time.
    next: u32,
    sessions: Vec<SessionId>,
}

/// What is waited for while all goes on.
pub(super) struct Settling {
    until_ns: u64,
    unsettled: Unsettled,
    answer: Sender<()>,
}

/// What is waited for while those who rest stay so.
pub(super) struct Holding {
    since_ns: u64,
    /// From then on who is in the middle of something is told to leave.
    leave_ns: u64,
    unsettled: Unsettled,
    /// Who was told so, and when.
    told: AHashMap<SessionId, u64>,
    answer: Sender<Held>,
}

impl Settling {
    pub fn new(until_ns: u64, answer: Sender<()>) -> Self {
        Self {
            until_ns,
            unsettled: Unsettled::default(),
            answer,
        }
    }
}

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    pub(super) fn settle_some(&mut self) {
        let Some(mut settling) = self.handover.as_mut().and_then(|it| it.settling.take()) else {
            return;
        };
        let looked = self.look_for(&mut settling.unsettled, SLOTS_PER_TURN);
        let is_over = self.reactor.now_ns() >= settling.until_ns;
        let none_left = settling.unsettled.sessions.is_empty();
        if looked && (is_over || none_left) && !self.is_reviewing() {
            // Whoever asked may have given up.
            let _ = settling.answer.send(());
        } else if let Some(handover) = &mut self.handover {
            handover.settling = Some(settling);
        }
    }

    /// Begins to hold back who rests.
    pub(super) fn hold(&mut self, within_ns: u64, answer: Sender<Held>) {
        let since_ns = self.reactor.now_ns();
        self.reactor.accept(false);
        if let Some(handover) = &mut self.handover {
            handover.phase = Phase::Settling;
            handover.holding = Some(Holding {
                since_ns,
                leave_ns: since_ns.saturating_add(within_ns),
                unsettled: Unsettled::default(),
                told: AHashMap::default(),
                answer,
            });
        }
    }

    pub(super) fn hold_some(&mut self) {
        let Some(mut holding) = self.handover.as_mut().and_then(|it| it.holding.take()) else {
            return;
        };
        let looked = self.look_for(&mut holding.unsettled, SLOTS_PER_TURN_HELD);
        let now_ns = self.reactor.now_ns();
        let all_rest = looked && holding.unsettled.sessions.is_empty();
        let mut waiting = 0;
        if now_ns >= holding.leave_ns {
            for id in holding.unsettled.sessions.clone() {
                match holding.told.get(&id) {
                    None if self.is_awaiting_answer(id) => waiting += 1,
                    None => {
                        holding.told.insert(id, now_ns);
                        self.tell_to_leave(id);
                    }
                    Some(told_ns) if now_ns >= told_ns + LEAVE_WITHIN_NS => self.cut(id),
                    Some(_) => {}
                }
            }
        }
        let is_over = waiting > 0 && now_ns >= holding.leave_ns + ANSWERED_WITHIN_NS;
        let arriving = self.reactor.is_accepting() || !self.arriving.is_empty();
        let is_done = all_rest && !arriving;
        if let Some(handover) = &mut self.handover {
            if is_done {
                handover.phase = Phase::Settled;
            } else if !is_over {
                handover.holding = Some(holding);
                return;
            }
        }
        let _ = holding.answer.send(Held {
            ended: holding.told.len(),
            waiting,
            held_ns: now_ns - holding.since_ns,
        });
    }

    /// A connection came that had been accepted before that was turned off.
    pub(super) fn came_late(&mut self, slot: u32) {
        let id = self.session_id(slot);
        if let Some(holding) = self.handover.as_mut().and_then(|it| it.holding.as_mut()) {
            holding.unsettled.sessions.push(id);
        }
    }

    /// Looks at each session once whether it is in the middle of something, some a turn, and at
    /// those that were whether they still are. True if all were looked at.
    fn look_for(&self, unsettled: &mut Unsettled, slots: usize) -> bool {
        let all = self.rows.len();
        let end = all.min(unsettled.next as usize + slots) as u32;
        for slot in unsettled.next..end {
            if self.rows.get(slot).is_some_and(Row::is_open) && !self.rests(slot) {
                unsettled.sessions.push(self.session_id(slot));
            }
        }
        unsettled.next = end;
        let goes_on = |id: &SessionId| self.rows.of(*id).is_some() && !self.rests(id.slot);
        unsettled.sessions.retain(goes_on);
        unsettled.next as usize >= all
    }

    fn is_awaiting_answer(&self, id: SessionId) -> bool {
        match self.rows.of(id).map(|row| &row.state) {
            Some(State::Active(session)) => self.protocol.awaits_answer(session),
            _ => false,
        }
    }

    fn tell_to_leave(&mut self, id: SessionId) {
        let row = self.rows.of(id);
        if row.is_some_and(|row| !row.has(Row::<P>::CLOSING)) {
            self.call(id.slot, |protocol, session, cx| {
                protocol.handle_shutdown(session, cx)
            });
        }
    }

    fn cut(&mut self, id: SessionId) {
        if self.rows.of(id).is_some() {
            self.drop_for(Reason::ShutdownForced);
            self.close(id.slot, Reason::ShutdownForced);
        }
    }
}
