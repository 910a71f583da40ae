//! What is measured over what, and which charts are drawn of it.

use super::Sizes;

/// Runs that differ in one thing.
pub(super) struct Curve {
    /// In names of folders.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// What differs.
    pub(super) over: &'static str,
    pub(super) xs: fn(&Sizes) -> &'static [usize],
    /// The server's option that is set to it, if it is one.
    pub(super) option: Option<&'static str>,
    /// What the load generator is told, without the server's address.
    pub(super) words: fn(usize, &Sizes) -> String,
    /// Measures of the table.
    pub(super) measures: &'static [&'static str],
    pub(super) charts: &'static [Chart],
}

/// One picture; what differs goes to the right, logarithmic.
pub(super) struct Chart {
    /// Of its file.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// What goes upwards, and the load generator's word for its unit.
    pub(super) up: &'static str,
    pub(super) unit: &'static str,
    pub(super) is_log: bool,
    /// Measures, and what they are called here.
    pub(super) series: &'static [(&'static str, &'static str)],
}

const LAST: &str = "crowd: 250 → last EXISTS p50";
const DURABLE: &str = "burst: DATA end → 250 p50";
/// The bare send loop's own process needs a file for each connection.
const SEND_LOOP_MAX: usize = 10_000;
/// Crowds larger than this hear of fewer deliveries.
const LARGE: usize = 10_000;
const SHARDS: Option<&str> = Some("service.imap.shards");

/// In the order in which they are measured: options of the server stay as the last have set them.
pub(super) const CURVES: [Curve; 5] = [
    Curve {
        name: "sessions",
        title: "Sessions, a mailbox each",
        over: "sessions",
        xs: |sizes| sizes.each,
        option: None,
        words: each,
        measures: &[
            "server user memory",
            "kernel memory",
            "set-up",
            "set-up server CPU",
            "250 → EXISTS p50",
            "250 → EXISTS p99",
            "DATA end → 250 p50",
            "DATA end → 250 p99",
            "idle server CPU",
        ],
        charts: &[
            Chart {
                name: "memory",
                title: "Memory of the server a parked session, by how many there are",
                up: "memory a session",
                unit: "B",
                is_log: true,
                series: &[("server user memory", "growth of Pss_Anon")],
            },
            Chart {
                name: "set-up",
                title: "Sessions set up a second (connect, LOGIN, SELECT, IDLE)",
                up: "sessions a second",
                unit: "",
                is_log: false,
                series: &[("set-up", "set-up")],
            },
            Chart {
                name: "latency",
                title: "One message for one of so many idle sessions: durable, and heard of",
                up: "time",
                unit: "µs",
                is_log: true,
                series: &[
                    ("DATA end → 250 p50", "DATA end → 250, p50"),
                    ("DATA end → 250 p99", "DATA end → 250, p99"),
                    ("250 → EXISTS p50", "250 → EXISTS, p50"),
                    ("250 → EXISTS p99", "250 → EXISTS, p99"),
                ],
            },
            Chart {
                name: "idle",
                title: "CPU of the server while everybody idles",
                up: "of one core",
                unit: "%",
                is_log: false,
                series: &[("idle server CPU", "server")],
            },
        ],
    },
    Curve {
        name: "watchers",
        title: "Sessions in one mailbox",
        over: "sessions in one mailbox",
        xs: |sizes| sizes.watchers,
        option: None,
        words: crowd,
        measures: &[
            LAST,
            "crowd: 250 → last EXISTS p99",
            "notification server CPU",
            "send loop: begin → last received p50",
        ],
        charts: &[
            Chart {
                name: "fan-out",
                title: "One delivery until the last of the crowd has heard of it, p50",
                up: "time",
                unit: "µs",
                is_log: true,
                series: &[
                    (LAST, "Ensign: 250 → last EXISTS"),
                    ("send loop: begin → last received p50", "bare send loop"),
                ],
            },
            Chart {
                name: "notification",
                title: "CPU of the server a notification, by how many watch the mailbox",
                up: "time",
                unit: "µs",
                is_log: false,
                series: &[("notification server CPU", "server")],
            },
        ],
    },
    Curve {
        name: "connections",
        title: "LMTP connections of a burst",
        over: "LMTP connections",
        xs: |sizes| sizes.connections,
        option: None,
        words: |connections, sizes| burst(connections, sizes),
        measures: &[
            "durable deliveries",
            "operations a commit",
            DURABLE,
            "burst: DATA end → 250 p99",
            "delivery server CPU",
            "store writer busy",
            "store writer committing",
        ],
        charts: &[
            Chart {
                name: "deliveries",
                title: "Durable deliveries a second, by LMTP connections",
                up: "deliveries a second",
                unit: "",
                is_log: false,
                series: &[("durable deliveries", "deliveries")],
            },
            Chart {
                name: "commits",
                title: "Deliveries that share a commit",
                up: "operations a commit",
                unit: "",
                is_log: false,
                series: &[("operations a commit", "mean")],
            },
        ],
    },
    Curve {
        name: "shards-crowd",
        title: "Cores, one mailbox",
        over: "shards",
        xs: |sizes| sizes.shards,
        option: SHARDS,
        words: |_, sizes| crowd(sizes.sessions, sizes),
        measures: &[
            LAST,
            "crowd: 250 → last EXISTS p99",
            "notification server CPU",
            "set-up",
        ],
        charts: &[],
    },
    Curve {
        name: "shards-burst",
        title: "Cores, a mailbox each",
        over: "shards",
        xs: |sizes| sizes.shards,
        option: SHARDS,
        words: |_, sizes| burst(16, sizes),
        measures: &[
            "durable deliveries",
            "operations a commit",
            DURABLE,
            "delivery server CPU",
            "set-up",
        ],
        charts: &[],
    },
];

fn each(sessions: usize, sizes: &Sizes) -> String {
    let (deliveries, rest) = (sizes.deliveries, sizes.rest_s);
    format!(
        "--sessions {sessions} --deliveries {deliveries} --lmtp-connections 1 \
         --idle-seconds {rest} --settle-seconds {rest}"
    )
}

fn crowd(sessions: usize, sizes: &Sizes) -> String {
    let crowds = if sessions > LARGE {
        sizes.crowds / 3
    } else {
        sizes.crowds
    };
    let rounds = if sessions > SEND_LOOP_MAX {
        0
    } else {
        sizes.crowds
    };
    format!(
        "--sessions {sessions} --mailboxes one --deliveries {crowds} --rate 4 \
         --lmtp-connections 1 --baseline-sendloop {rounds} --settle-seconds {}",
        sizes.rest_s.min(2)
    )
}

fn burst(connections: usize, sizes: &Sizes) -> String {
    let Sizes {
        sessions, burst_s, ..
    } = sizes;
    format!(
        "--sessions {sessions} --deliveries 0 --burst-seconds {burst_s} \
         --lmtp-connections {connections} --settle-seconds {}",
        sizes.rest_s.min(2)
    )
}
