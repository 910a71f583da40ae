//! What passes from a process to the one that follows it, and when.

use super::SiteDriver;

/// A process that follows another thinks so long, without the bus, that pools elsewhere are there.
const FOLLOWS_WITHIN_NS: u64 = 2_000_000_000;

impl SiteDriver {
    /// Knows what the process before did.
    pub(super) fn follow(&mut self, now_ns: u64) {
        if let Some(known) = self.parts.following.take() {
            if !self.machine.take_pools_over(now_ns, known) {
                tracing::warn!(
                    target: "ens::site",
                    "what the process before knew of pools on other hosts can't be read: others \
                     will say it again"
                );
            }
            let until_ns = now_ns + FOLLOWS_WITHIN_NS;
            self.follows_until_ns = (!self.is_connected).then_some(until_ns);
            self.is_following_told = false;
        }
        if self.follows_until_ns.is_some_and(|it| it <= now_ns) {
            self.follows_until_ns = None;
            self.machine.disconnected();
        }
    }

    /// Nobody waits any longer for it to know which pools others have.
    pub(super) fn meet(&mut self, now_ns: u64) {
        if self.machine.known_ns().is_some_and(|it| it <= now_ns) {
            self.parts.meeting.end();
        }
    }

    /// Whether it is known that members here are for no other host. What came before is with the
    /// shards then, and the process that follows may know the rest.
    pub(super) fn retire(&mut self, retires: bool) {
        let has_retired = retires && self.untold.is_empty();
        if has_retired && !self.parts.retiring.is_done() {
            let mut known = vec![];
            self.machine.hand_over_pools(self.now_ns(), &mut known);
            self.parts.following.leave(known);
        }
        self.parts.retiring.set_done(has_retired);
    }
}
