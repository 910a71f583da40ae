//! What is counted of the other hosts' brokers, where this host's broker has joined them
//! (`ens.nats.url`), be it imapd itself (`ens.embedded`) or `enpd`, which imapd asks.

use super::{Metric, counter, gauge};

/// Whether the bus is there.
pub const SITE_CONNECTED: Metric = gauge(
    "ensign_site_connected",
    &[],
    "1 while the bus of the site's brokers is there; nothing without ens.nats.url, or enpd",
);
/// The other brokers.
pub const SITE_BROKERS: Metric = gauge(
    "ensign_site_brokers",
    &[],
    "other brokers of the site that this one hears of",
);
/// Connections to the bus.
pub const SITE_CONNECTS: Metric = counter(
    "ensign_site_connects",
    &[],
    "connections to the bus that were made; more than one is what was lost in between",
);
/// Events.
pub const SITE_EVENTS: Metric = counter(
    "ensign_site_events",
    &["way"],
    "events that crossed between this host's broker and others",
)
.of(&[
    ("sent", "events of this host that were given to the bus"),
    ("heard", "events of other hosts that came"),
]);
/// Events that were lost.
pub const SITE_LOST: Metric = counter(
    "ensign_site_events_lost",
    &["reason"],
    "events that were lost between hosts; subscribers were told",
)
.of(&[
    (
        "dropped",
        "events of this host: ens.nats.maxpending had no room",
    ),
    (
        "too_large",
        "events of this host that are larger than NATS takes",
    ),
    ("missed", "events of other hosts that did not come"),
    ("unknown", "how often nobody knows how many did not come"),
    (
        "crowded",
        "events of other hosts that a shard here had no room for",
    ),
]);

/// Messages that were dropped.
pub const SITE_MESSAGES_DROPPED: Metric = counter(
    "ensign_site_messages_dropped",
    &["way"],
    "messages between hosts that were not taken, or not sent",
)
.of(&[
    (
        "in",
        "of other hosts, more than ens.nats.maxpending at a time: the events in them are among the \
         missed ones",
    ),
    (
        "out",
        "of this host, beyond the same bound, about pools and acknowledgements, not events; they \
         are said again",
    ),
    (
        "strange",
        "that no broker of this version says, or not under that subject",
    ),
]);

pub(super) const ALL: &[&Metric] = &[
    &SITE_CONNECTED,
    &SITE_BROKERS,
    &SITE_CONNECTS,
    &SITE_EVENTS,
    &SITE_LOST,
    &SITE_MESSAGES_DROPPED,
];
