//! Connections that were accepted and wait until they are opened: so many a turn, so that a crowd
//! of them holds up nobody who is there already.

use std::collections::VecDeque;
use std::net::SocketAddr;

use reactor::{Conn, Reactor};

use super::Shard;
use crate::protocol::Protocol;
use crate::secure::Tls;

/// Those who wait, in the order in which they came. Nothing is read of them yet. The reactor's
/// tables bound how many there are.
pub(super) type Arriving = VecDeque<Arrived>;

/// A connection that was accepted.
pub(super) struct Arrived {
    pub listener: u8,
    pub conn: Conn,
    /// Who that is, where the protocol wants to know it.
    pub peer: Option<SocketAddr>,
}

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    /// A connection was accepted. Its peer's address has come with it, and can be had for less now
    /// than later.
    pub(super) fn arrived(&mut self, listener: u8, conn: Conn) {
        let mut peer = None;
        if self.protocol.needs_peer(listener) {
            self.reactor.expect_peers(listener);
            peer = self.reactor.peer(conn).ok();
        }
        self.arriving.push_back(Arrived {
            listener,
            conn,
            peer,
        });
    }

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
            if let Some(arrived) = self.arriving.pop_front() {
                self.accepted(arrived);
            }
        }
    }
}
