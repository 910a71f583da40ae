//! What the log hears of losses and strangers.

use super::SiteDriver;

/// What was lost is said at most as often.
const SAY_LOST_NS: u64 = 10_000_000_000;

impl SiteDriver {
    /// The log hears of losses, not too often.
    pub(super) fn say_lost(&mut self, now_ns: u64) {
        let counters = &self.parts.counters;
        let (dropped, large) = (counters.dropped(), counters.too_large());
        let (missed, unknown) = (counters.missed(), counters.unknown());
        let (crowded, flooded) = (counters.crowded(), counters.flooded());
        let lost = dropped + large + missed + unknown + crowded + flooded;
        let (said, said_ns) = self.said;
        if lost > said && now_ns >= said_ns {
            self.said = (lost, now_ns + SAY_LOST_NS);
            let site = &self.parts.site;
            tracing::warn!(
                target: "ens::site", site, dropped, too_large = large, missed, unknown, crowded,
                flooded,
                "events were lost between hosts, so many since the start; subscribers were told"
            );
        }
    }

    /// The log hears of strangers, too.
    pub(super) fn say_strange(&mut self, now_ns: u64) {
        let strange = self.parts.counters.strange();
        let (said, said_ns) = self.said_strange;
        if strange > said && now_ns >= said_ns {
            self.said_strange = (strange, now_ns + SAY_LOST_NS);
            let site = &self.parts.site;
            tracing::warn!(
                target: "ens::site", site, strange,
                "somebody who is no broker of this version publishes under ens.{site}.>, so many \
                 messages since the start; they are passed over"
            );
        }
    }
}
