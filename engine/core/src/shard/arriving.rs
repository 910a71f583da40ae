//! Connections that were accepted and wait until they are opened: so many a turn, so that a crowd
//! of them holds up nobody who is there already.

use std::collections::VecDeque;

use reactor::{Conn, Reactor};

use super::Shard;
use crate::protocol::Protocol;
use crate::secure::Tls;

/// Listeners and connections, in the order in which they came. Nothing is read of them yet. The
/// reactor's tables bound how many there are.
pub(super) type Arriving = VecDeque<(u8, Conn)>;

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    /// Opens some of those that wait; all, if the others come to rest or are to leave: then nobody
    /// may be forgotten here.
    pub(super) fn open_some(&mut self) {
        let all = self.is_settling() || self.stopping.is_some();
        let max = if all {
            usize::MAX
        } else {
            self.limits.openings_per_turn
        };
        for _ in 0..max.min(self.arriving.len()) {
            if let Some((listener, conn)) = self.arriving.pop_front() {
                self.accepted(listener, conn);
            }
        }
    }
}
