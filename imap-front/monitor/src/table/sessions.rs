//! What shards tell: connections, sessions, who is told what.

use super::{Metric, counter, gauge, histogram};

const SHARD: &[&str] = &["shard"];

/// Sessions of IMAP, by what they are doing.
pub const SESSIONS: Metric = gauge(
    "ensign_sessions",
    &["shard", "state"],
    "IMAP sessions there are now",
)
.of(&[
    ("login", "sessions that have not logged in now"),
    (
        "active",
        "sessions that have logged in and have their state in memory now",
    ),
    (
        "parked",
        "sessions that are packed away now, in IDLE or quiet",
    ),
]);
/// Sessions in IDLE.
pub const IDLING: Metric = gauge(
    "ensign_idling_sessions",
    SHARD,
    "sessions that are in IDLE now, packed away or not",
);
/// Connections of all kinds.
pub const CONNECTIONS: Metric = gauge(
    "ensign_connections",
    SHARD,
    "connections that are open now, of IMAP and LMTP",
);
/// Their places.
pub const CONNECTIONS_MAX: Metric = gauge(
    "ensign_connections_max",
    SHARD,
    "connections that fit into the shard's rings, each with a descriptor in a table",
);
/// Connections by what they are encrypted with.
pub const TLS_CONNECTIONS: Metric = gauge(
    "ensign_tls_connections",
    &["shard", "version"],
    "connections that are open now, by their version of TLS",
)
.of(&[
    (
        "none",
        "connections in clear text or with a handshake under way now",
    ),
    ("1.2", "connections of TLS 1.2 now"),
    ("1.3", "connections of TLS 1.3 now"),
]);
/// Compressed connections.
pub const COMPRESSED: Metric = gauge(
    "ensign_compressed_connections",
    SHARD,
    "connections that are compressed now (RFC 4978)",
);
/// Topics that are watched.
pub const TOPICS: Metric = gauge(
    "ensign_watched_topics",
    SHARD,
    "mailboxes, and users' names of mailboxes, that sessions of the shard watch now",
);
/// Watches of NOTIFY.
pub const FURTHER_WATCHES: Metric = gauge(
    "ensign_further_watches",
    SHARD,
    "watches beyond their session's first (NOTIFY) now",
);
/// The time from a commit until who watches was told.
pub const TOLD: Metric = histogram(
    "ensign_told_seconds",
    SHARD,
    "from the moment at which a change was durable until it was given to the kernel for a session \
     that is packed away, each session counted",
);
/// Connections that came.
pub const ACCEPTED: Metric = counter(
    "ensign_connections_accepted",
    SHARD,
    "connections that came, of IMAP and LMTP",
);
/// Connections for which there was no place.
pub const TURNED_AWAY: Metric = counter(
    "ensign_connections_refused",
    SHARD,
    "connections refused: there are enough (service.imap.maxsessions)",
);
/// Connections that ended.
pub const ENDED: Metric = counter(
    "ensign_connections_ended",
    &["shard", "reason"],
    "connections that ended",
)
.of(&[
    ("hangup", "connections that their clients ended"),
    ("broken", "connections that broke"),
    (
        "closed",
        "connections that the server closed after a last word",
    ),
    (
        "write_timeout",
        "clients cut: they took nothing for service.imap.writetimeout",
    ),
    ("outbox_full", "sessions cut: too much waited for them"),
    ("shutdown_forced", "connections cut at the end of a stop"),
    (
        "output_full",
        "clients cut: they took nothing while all was full (service.imap.maxoutput)",
    ),
    (
        "handshake_failed",
        "TLS handshakes that failed or took too long",
    ),
    (
        "tls_fault",
        "TLS connections whose clients broke the rules or told of a fault",
    ),
    (
        "truncated",
        "TLS connections that ended without a last word",
    ),
    (
        "deflate_fault",
        "compressed connections whose clients sent no DEFLATE stream",
    ),
    (
        "windows_full",
        "compressed connections cut: no memory for their streams (service.imap.maxcompressed)",
    ),
]);
/// TLS handshakes.
pub const HANDSHAKES: Metric = counter(
    "ensign_tls_handshakes",
    SHARD,
    "TLS handshakes that were finished",
);
/// Sessions packed away.
pub const PARKS: Metric = counter("ensign_parks", SHARD, "times a session was packed away");
/// And inflated again.
pub const UNPARKS: Metric = counter(
    "ensign_unparks",
    SHARD,
    "times a session was inflated again",
);
/// Events.
pub const EVENTS: Metric = counter(
    "ensign_events",
    SHARD,
    "changes of mailboxes that this shard owns",
);
/// Events given to shards.
pub const FORWARDED: Metric = counter(
    "ensign_events_forwarded",
    SHARD,
    "changes given to shards that watch, this one included",
);
/// Announcements.
pub const ANNOUNCED: Metric = counter(
    "ensign_announcements",
    SHARD,
    "announcements to sessions that are packed away",
);
/// Renderings.
pub const RENDERED: Metric = counter("ensign_renderings", SHARD, "texts made for announcements");
/// Slow readers.
pub const CAUGHT_UP: Metric = counter(
    "ensign_catch_ups",
    SHARD,
    "slow readers that were told several changes at once",
);
/// Sessions that asked the store.
pub const RESYNCS: Metric = counter(
    "ensign_resyncs",
    SHARD,
    "times a session had to catch up from the store",
);
/// Sends that were cut short.
pub const UNSENT: Metric = counter(
    "ensign_unsent",
    SHARD,
    "sends that the kernel refused or cut short, to be sent later",
);
/// Bytes out.
pub const SENT_BYTES: Metric = counter("ensign_sent_bytes", SHARD, "bytes given to the kernel");
/// Bytes in.
pub const RECEIVED_BYTES: Metric = counter(
    "ensign_received_bytes",
    SHARD,
    "bytes received from clients",
);
/// Replies.
pub const REPLIES: Metric = counter("ensign_replies", SHARD, "answers given to sessions");
/// Deadlines.
pub const DEADLINES: Metric = counter("ensign_deadlines", SHARD, "deadlines of sessions that came");
/// Posts.
pub const POSTS: Metric = counter("ensign_posts", SHARD, "messages between sessions");
/// Turns.
pub const TURNS: Metric = counter("ensign_turns", SHARD, "turns of the shard's loop");
/// What a shard dropped.
pub const SHARD_DROPS: Metric = counter(
    "ensign_shard_drops",
    &["shard", "reason"],
    "what a shard dropped, put off or had no use for",
)
.of(&[
    (
        "events_queue_full",
        "changes beyond the queue: their mailboxes' sessions caught up",
    ),
    (
        "shard_queue_full",
        "changes beyond the queue between shards: sessions caught up",
    ),
    ("nobody_watches", "changes of mailboxes that nobody watches"),
    ("late_reply", "answers to sessions that had left"),
    (
        "replies_queue_full",
        "answers that waited beside the full queue",
    ),
    (
        "posts_full",
        "messages to sessions for which too much waited",
    ),
]);

pub(super) const ALL: &[&Metric] = &[
    &SESSIONS,
    &IDLING,
    &CONNECTIONS,
    &CONNECTIONS_MAX,
    &TLS_CONNECTIONS,
    &COMPRESSED,
    &TOPICS,
    &FURTHER_WATCHES,
    &TOLD,
    &ACCEPTED,
    &TURNED_AWAY,
    &ENDED,
    &HANDSHAKES,
    &PARKS,
    &UNPARKS,
    &EVENTS,
    &FORWARDED,
    &ANNOUNCED,
    &RENDERED,
    &CAUGHT_UP,
    &RESYNCS,
    &UNSENT,
    &SENT_BYTES,
    &RECEIVED_BYTES,
    &REPLIES,
    &DEADLINES,
    &POSTS,
    &TURNS,
    &SHARD_DROPS,
];
