//! A review: the protocol says of each session whether it may stay, some a turn.

use std::sync::atomic::Ordering;

use reactor::Reactor;

use super::Shard;
use crate::protocol::Protocol;
use crate::row::State;
use crate::secure::Tls;

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    /// Whether a review is under way, or was asked for.
    pub(super) fn is_reviewing(&self) -> bool {
        self.review.is_some() || self.port().review.load(Ordering::Relaxed)
    }

    /// Goes on with a review, and begins one that was asked for.
    pub(super) fn review_some(&mut self) {
        if self.port().review.load(Ordering::Relaxed) {
            self.port().review.store(false, Ordering::SeqCst);
            self.protocol.begin_review();
            self.review = Some(0);
        }
        let Some(first) = self.review else { return };
        let all = self.rows.len();
        let end = all.min(first as usize + self.limits.shutdown_rows_per_turn);
        for slot in first..end as u32 {
            let Some(row) = self.rows.get(slot) else {
                continue;
            };
            let must_end = match &row.state {
                State::Active(session) => self.protocol.must_end(session),
                State::Parked(parked) => self.protocol.must_end_parked(parked),
                State::Free | State::Taken => false,
            };
            if must_end {
                self.call(slot, |protocol, session, cx| {
                    protocol.handle_must_end(session, cx)
                });
            }
        }
        self.review = (end < all).then_some(end as u32);
        if self.review.is_none() {
            self.protocol.end_review();
        }
    }
}
