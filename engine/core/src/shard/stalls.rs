//! What holds up a shard: calls and phases of a turn that take too long are told to the protocol.

use reactor::Reactor;

use super::Shard;
use crate::protocol::Protocol;
use crate::secure::Tls;

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    /// How long it is since the last time, or since the turn's completions came, if that is too
    /// long. One look at the clock.
    pub(super) fn lap(&mut self) -> Option<u64> {
        if self.limits.stall_ns == 0 {
            return None;
        }
        let now_ns = self.reactor.clock_ns();
        let took_ns = now_ns.saturating_sub(self.lap_ns);
        self.lap_ns = now_ns;
        (took_ns > self.limits.stall_ns).then_some(took_ns)
    }

    /// A phase of the turn has ended: what its calls have not taken is its own.
    pub(super) fn end_phase(&mut self, name: &'static str) {
        if let Some(ns) = self.lap() {
            self.protocol.handle_stall(None, name, ns);
        }
    }
}
