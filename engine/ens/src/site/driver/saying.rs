//! What the log hears of losses and strangers.

use super::SiteDriver;

/// What is to be looked at, by what a trouble says.
const ADVICE: [(&str, &str); 9] = [
    ("Permissions", "brokers need all rights at ens.SITE.>"),
    (
        "authorization",
        "see ens.nats.credentials, or --nats-credentials",
    ),
    // How servers refuse who shows no certificate, or one that they don't take.
    ("fatal alert: BadCertificate", SHOW_ANOTHER),
    ("fatal alert: Certificate", SHOW_ANOTHER),
    ("fatal alert: UnknownCA", SHOW_ANOTHER),
    (
        "certificate expired",
        "the server needs another certificate, or a clock is wrong",
    ),
    (
        "not valid for name",
        "name the server as its certificate does: ens.nats.url, or --nats",
    ),
    ("certificate", "see ens.nats.ca, or --nats-ca"),
    (
        "corrupt message",
        "a server that speaks no TLS is nats://, not tls://",
    ),
];
const SHOW_ANOTHER: &str = "the server wants to see a certificate that it takes: see \
                            ens.nats.certificate, or --nats-certificate";

fn advice(trouble: &str) -> String {
    let found = ADVICE.iter().find(|(says, _)| trouble.contains(says));
    found.map_or_else(String::new, |(_, advice)| format!("; {advice}"))
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

#[cfg(test)]
mod tests {
    use super::advice;

    #[test]
    fn each_trouble_has_its_own_advice() {
        let tls = |why: &str| advice(&format!("tls://h:4222: IO error: {why}"));
        let peer = |why: &str| tls(&format!("invalid peer certificate: {why}"));
        assert!(peer("UnknownIssuer").contains("ens.nats.ca"));
        assert!(peer("certificate expired").contains("another certificate"));
        let name = "certificate not valid for name \"h\"; certificate is only valid for …";
        assert!(peer(name).contains("ens.nats.url"));
        for alert in ["BadCertificate", "CertificateRequired", "UnknownCA"] {
            assert!(
                tls(&format!("received fatal alert: {alert}")).contains("ens.nats.certificate")
            );
        }
        let plain = "received corrupt message of type InvalidContentType";
        assert!(tls(plain).contains("no TLS"));
        assert!(advice("nats: authorization violation").contains("ens.nats.credentials"));
        assert_eq!(tls("Connection refused (os error 111)"), "");
    }
}
