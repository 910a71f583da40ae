//! What the log hears of losses and strangers.

use super::SiteDriver;

/// What is to be looked at.
fn advice(trouble: &str) -> &'static str {
    if trouble.contains("Permissions") {
        "; brokers need all rights at ens.SITE.>"
    } else if trouble.contains("authorization") {
        "; see ens.nats.credentials, or --nats-credentials"
    } else if trouble.contains("certificate") {
        "; see ens.nats.ca, or --nats-ca"
    } else {
        ""
    }
}

/// What was lost is said at most as often, and what is wrong.
const SAY_LOST_NS: u64 = 10_000_000_000;

impl SiteDriver {
    /// Why there is no bus, or what it complains of: each is said once until something else
    /// happens, and others not too often. Nobody waits for the bus any longer.
    pub(super) fn say_trouble(&mut self, trouble: String) {
        if !self.is_connected {
            self.parts.meeting.end();
        }
        let (said, said_ns) = &self.trouble;
        let now_ns = self.now_ns();
        if trouble != *said && now_ns >= *said_ns {
            let site = &self.parts.site;
            let advice = advice(&trouble);
            tracing::warn!(target: "ens::site", site, "NATS: {trouble}{advice}");
            self.trouble = (trouble, now_ns + SAY_LOST_NS);
        }
    }

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
