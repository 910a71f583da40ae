//! What is counted for all shards together.

use super::{Metric, counter, gauge, histogram};

/// Commands.
pub const COMMANDS: Metric = counter(
    "ensign_commands",
    &["command", "result"],
    "IMAP commands that ended; by UID or not, and EXAMINE as SELECT",
)
.of(&[
    ("ok", "commands that were done"),
    ("no", "commands that were refused"),
    ("bad", "commands that were wrong or came at the wrong time"),
]);
/// Logins.
pub const AUTHENTICATIONS: Metric = counter(
    "ensign_authentications",
    &["scheme", "result"],
    "IMAP logins, by what was shown (password, scram, token, certificate)",
)
.of(&[
    ("ok", "logins that were right"),
    (
        "failed",
        "logins with a wrong name, password, proof, certificate or token",
    ),
    ("expired", "logins with a token that was right once"),
    ("limited", "logins refused: too many from their address"),
    (
        "unavailable",
        "logins that could not be checked then: users can't be read, or too many wait",
    ),
]);
/// Costly passwords.
pub const PASSWORDS: Metric = counter(
    "ensign_passwords_computed",
    &[],
    "costly passwords that were computed",
);
/// Deliveries.
pub const DELIVERIES: Metric = counter(
    "ensign_deliveries",
    &["result"],
    "messages to mailboxes by LMTP; one to three mailboxes counts three times",
)
.of(&[
    ("ok", "messages that are durable in a mailbox"),
    ("refused", "messages that a mailbox could not take"),
]);
/// Time of deliveries.
pub const DELIVERY: Metric = histogram(
    "ensign_delivery_seconds",
    &[],
    "from a message's last byte until it was durable or refused, each message counted",
);
/// Bytes delivered.
pub const DELIVERED_BYTES: Metric = counter(
    "ensign_delivered_bytes",
    &[],
    "bytes of messages that came by LMTP, each counted once",
);
/// Recipients that were refused.
pub const RECIPIENTS_REFUSED: Metric = counter(
    "ensign_recipients_refused",
    &[],
    "recipients that LMTP refused: unknown, or not here",
);
/// Refusals.
pub const REFUSALS: Metric = counter(
    "ensign_refusals",
    &["reason"],
    "what was refused because of a limit",
)
.of(&[
    (
        "request_refused",
        "requests refused: too many bytes of them wait",
    ),
    (
        "user_work_refused",
        "searches and the like refused: their user has enough waiting",
    ),
    (
        "work_refused",
        "searches and the like refused: too many wait",
    ),
    (
        "address_login_refused",
        "logins refused: too many wait from the same address or user",
    ),
    ("login_refused", "logins refused: too many wait"),
    (
        "delay_refused",
        "failed logins refused at once: too many are kept waiting",
    ),
    (
        "connections",
        "connections refused: there are enough in all (service.imap.maxsessions)",
    ),
    (
        "address_connections",
        "connections refused: their address has enough (service.imap.maxperaddress)",
    ),
    (
        "delivery_connections",
        "LMTP connections refused: there are enough, in all or of their peer",
    ),
    (
        "user_connections",
        "logins refused: their user has enough connections (service.imap.maxperuser)",
    ),
    (
        "login_rate",
        "logins refused: too many from their address (service.imap.loginsperminute)",
    ),
    (
        "proxy_header",
        "connections of proxies closed: no good PROXY header came first",
    ),
    (
        "prelogin_commands",
        "sessions ended: too many commands before login (service.imap.maxprelogin)",
    ),
    (
        "memory",
        "sessions ended: no memory for what they sent (service.imap.maxoutput)",
    ),
    (
        "revoked",
        "sessions ended: their user was deleted, renamed or locked, or has another password",
    ),
]);
/// Drops.
pub const DROPS: Metric = counter(
    "ensign_drops",
    &["reason"],
    "what was dropped or put off, for all shards together",
)
.of(&[
    (
        "reply_delayed",
        "answers that waited for a shard that is behind",
    ),
    ("reply_dropped", "answers dropped: their shard takes none"),
    (
        "discard_dropped",
        "unwanted uploads that stay in the store until it is opened again",
    ),
    (
        "claim_dropped",
        "mailboxes with messages that will be recent once more",
    ),
    (
        "work_abandoned",
        "requests dropped: their sessions had left",
    ),
    ("log_lines", "lines of the log that found no room"),
]);
/// Stalls.
pub const STALLS: Metric = counter(
    "ensign_stalls",
    &["plane", "call"],
    "calls that held up a plane (data, control, writer, worker) for longer than service.stallms",
);
/// Whether IDLE is offered.
pub const IDLE_OFFERED: Metric = gauge(
    "ensign_idle_offered",
    &[],
    "1 while IDLE is offered: its four conditions hold",
);
/// When certificates end.
pub const CERTIFICATE_EXPIRY: Metric = gauge(
    "ensign_certificate_expiry_timestamp_seconds",
    &["file"],
    "when a certificate of config/tls/ ends, in seconds since 1970",
);
/// Requests of this door.
pub const HTTP_REQUESTS: Metric = counter(
    "ensign_http_requests",
    &["path", "code"],
    "requests to the door of the status page, by path (other: none that there is) and answer",
);

pub(super) const ALL: &[&Metric] = &[
    &COMMANDS,
    &AUTHENTICATIONS,
    &PASSWORDS,
    &DELIVERIES,
    &DELIVERY,
    &DELIVERED_BYTES,
    &RECIPIENTS_REFUSED,
    &REFUSALS,
    &DROPS,
    &STALLS,
    &IDLE_OFFERED,
    &CERTIFICATE_EXPIRY,
    &HTTP_REQUESTS,
];
