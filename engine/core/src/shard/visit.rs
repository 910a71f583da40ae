//! Visits: the protocol looks at some of its sessions, a slice a turn.

use std::sync::atomic::Ordering;

use reactor::Reactor;

use super::Shard;
use crate::protocol::{Protocol, Seen};
use crate::row::State;
use crate::secure::Tls;

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    /// Does one visit, if one was asked for.
    pub(super) fn visit_some(&mut self) {
        if !self.port().visit.load(Ordering::Relaxed) {
            return;
        }
        self.port().visit.store(false, Ordering::SeqCst);
        let Some(wanted) = self.protocol.next_visit(self.reactor.now_ns()) else {
            return;
        };
        // There may be more; the next turn sees.
        self.port().visit.store(true, Ordering::SeqCst);
        let all = self.rows.len() as u32;
        for slot in wanted.start.min(all)..wanted.end.min(all) {
            let Some(row) = self.rows.get(slot) else {
                continue;
            };
            let id = self.session_id(slot);
            let must_end = match &row.state {
                State::Active(session) => self.protocol.visit(id, Seen::Active(session)),
                State::Parked(parked) => self.protocol.visit(id, Seen::Parked(parked)),
                State::Free | State::Taken => false,
            };
            if must_end {
                self.call(slot, |protocol, session, cx| {
                    protocol.handle_must_end(session, cx)
                });
            }
        }
        self.protocol.end_visit(all);
    }
}
