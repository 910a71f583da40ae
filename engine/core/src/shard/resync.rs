//! After events were lost: rows resynchronise, a few a turn and as fast as the slow side takes
//! their requests, so that neither the shard nor the store is held up by all of them at once.

use std::collections::VecDeque;

use reactor::Reactor;

use super::Shard;
use crate::event::SessionId;
use crate::protocol::Protocol;
use crate::queue::Lost;
use crate::row::{Row, State};
use crate::secure::Tls;
use crate::topic::TopicId;

/// While the slow side takes no more requests, it is asked again after this time.
const LATER_NS: u64 = 1_000_000;

/// Who has still to resynchronise.
#[derive(Default)]
pub(super) struct Resync {
    topics: VecDeque<TopicId>,
    /// All rows from this slot on.
    slot: Option<u32>,
    /// Those that have to and could not until now.
    pub rows: VecDeque<SessionId>,
}

impl Resync {
    /// Whether nobody has to.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.slot.is_none() && self.rows.is_empty()
    }
}

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    /// Events of these topics were lost.
    pub(super) fn resynchronise(&mut self, lost: Lost) {
        if lost.all {
            self.resync.topics = VecDeque::new();
            self.resync.slot = Some(0);
        } else {
            self.resync.topics.extend(lost.topics);
        }
    }

    /// The time to look again, if something waits for the slow side or to resynchronise.
    pub(super) fn waits_until_ns(&self) -> Option<u64> {
        let later_ns = self.reactor.now_ns() + LATER_NS;
        let resync = !self.resync.is_empty();
        if resync && self.protocol.takes_requests() {
            return Some(0);
        }
        (resync || self.protocol_waits).then_some(later_ns)
    }

    /// Has some more rows resynchronise.
    pub(super) fn resynchronise_some(&mut self) {
        let mut left = self.limits.items_per_turn;
        while left > 0
            && self.protocol.takes_requests()
            && let Some(id) = self.resync.rows.pop_front()
        {
            left -= 1;
            let row = self.rows.of_mut(id);
            if let Some(row) = row.filter(|row| row.has(Row::<P>::STALE)) {
                let waits = row.outbox.is_some();
                row.set(Row::<P>::STALE, waits);
                match row.topic.0 == 0 && !waits {
                    // It watched others beside.
                    true => self.make_stale(id.slot),
                    false => self.resynchronise_row(id.slot),
                }
            }
        }
        while left > 0
            && self.protocol.takes_requests()
            && let Some(id) = self.resync.topics.pop_front()
        {
            for slot in self.topics.rows(id, self.rows.watched()) {
                self.resynchronise_row(slot);
                left = left.saturating_sub(1);
            }
            left = left.saturating_sub(self.lose_further(id));
        }
        while left > 0
            && self.protocol.takes_requests()
            && let Some(slot) = self.resync.slot
        {
            left -= 1;
            self.resync.slot = ((slot as usize) < self.rows.len()).then_some(slot + 1);
            self.resynchronise_row(slot);
            self.lose_all_further(slot);
        }
    }

    /// A row that waits resynchronises at once; one that is busy will, when it looks.
    fn resynchronise_row(&mut self, slot: u32) {
        let row = self.rows.get_mut(slot);
        let Some(row) = row.filter(|row| row.is_open() && row.topic.0 != 0) else {
            return;
        };
        if matches!(row.state, State::Parked(_)) && row.outbox.is_none() {
            self.make_stale(slot);
        } else {
            row.set(Row::<P>::STALE, true);
            self.notify_missed(slot);
        }
    }
}
