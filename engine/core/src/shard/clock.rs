//! Deadlines and the shutdown.

use reactor::Reactor;

use super::Shard;
use crate::protocol::{Parked, Protocol};
use crate::row::{Row, State};
use crate::secure::Tls;
use crate::stats::{Counter, Reason};
use crate::timer::second_of;

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    /// Makes sure that the timer looks at a row at that time, whatever its deadline.
    pub(super) fn look_at(&mut self, slot: u32, at_ns: u64) {
        let second = second_of(at_ns);
        let row = &mut self.rows[slot];
        if row.filed == 0 || second < row.filed {
            row.filed = second;
            self.timer.file(second, slot);
        }
    }

    pub(super) fn take_deadlines(&mut self) {
        let now_ns = self.reactor.now_ns();
        self.looks = super::output::LOOKS_PER_TURN;
        for _ in 0..self.limits.deadlines_per_turn {
            let Some((second, slot)) = self.timer.pop_due(now_ns) else {
                break;
            };
            // The row may be gone, and its slot too.
            let row = self.rows.get_mut(slot);
            let Some(row) = row.filter(|row| row.is_open() && row.filed == second) else {
                continue;
            };
            row.filed = 0;
            if self.cut_if_blocked(slot, now_ns) {
                continue;
            }
            if self.row(slot).has(Row::<P>::SHAKING) && self.cut_if_shaking(slot, now_ns) {
                continue;
            }
            let deadline = self.row(slot).deadline;
            if deadline == 0 {
                continue;
            }
            if deadline > second {
                self.look_at(slot, u64::from(deadline) * crate::limits::SECOND_NS);
                continue;
            }
            self.row(slot).deadline = 0;
            self.port().stats.add(Counter::Deadlines, 1);
            self.due(slot, now_ns);
        }
    }

    fn due(&mut self, slot: u32, now_ns: u64) {
        let row = &mut self.rows[slot];
        let blocked = row.has(Row::<P>::BLOCKED);
        let State::Parked(parked) = &mut row.state else {
            self.call(slot, |protocol, session, cx| {
                protocol.handle_deadline(session, cx)
            });
            return;
        };
        match self.protocol.parked_deadline(parked, now_ns) {
            Parked::Wait { until_ns } => self.set_deadline(slot, until_ns),
            Parked::Send { bytes, until_ns } => {
                // A client that takes nothing hears nothing; its time runs all the same.
                if !blocked {
                    self.emit(slot, bytes);
                }
                self.set_deadline(slot, until_ns);
            }
            Parked::Unpark => {
                self.call(slot, |protocol, session, cx| {
                    protocol.handle_deadline(session, cx)
                });
            }
        }
    }

    /// Whether the shutdown has begun and not everyone has been told yet.
    pub(super) fn is_telling(&self) -> bool {
        self.stopping
            .is_some_and(|(_, next)| (next as usize) < self.rows.len())
    }

    /// Goes on with the shutdown. False once the shard is done.
    pub(super) fn stop_if_asked(&mut self) -> bool {
        if self.stopping.is_none() {
            if !self.port().is_stopping() {
                return true;
            }
            self.reactor.accept(false);
            self.reactor.wind_down();
            self.stopping = Some((self.reactor.now_ns() + self.limits.shutdown_ns, 0));
        }
        let Some((until_ns, mut next)) = self.stopping else {
            return true;
        };
        let end = self
            .rows
            .len()
            .min(next as usize + self.limits.shutdown_rows_per_turn) as u32;
        while next < end {
            let row = self.rows.get_mut(next);
            if let Some(row) = row.filter(|row| row.is_open() && !row.has(Row::<P>::NOTIFIED)) {
                row.set(Row::<P>::NOTIFIED, true);
                self.call(next, |protocol, session, cx| {
                    protocol.handle_shutdown(session, cx)
                });
            }
            next += 1;
        }
        self.stopping = Some((until_ns, next));
        let over = self.reactor.now_ns() >= until_ns;
        if over {
            self.cut_all();
        }
        if self.open == 0 && self.arriving.is_empty() && !self.is_telling() {
            let mut completions = std::mem::take(&mut self.completions);
            self.reactor.turn(Some(0), &mut completions);
            return false;
        }
        true
    }

    fn cut_all(&mut self) {
        for slot in 0..self.rows.len() as u32 {
            if self.rows.get(slot).is_some_and(Row::is_open) {
                self.drop_for(Reason::ShutdownForced);
                self.close(slot, Reason::ShutdownForced);
            }
        }
    }
}
