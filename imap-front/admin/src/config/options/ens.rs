//! Options `ens.*`.

use super::super::kind::{ConfigOption, Kind};
use super::PORT;

/// Sorted by name.
pub(super) static ENS: &[ConfigOption] = &[
    ConfigOption {
        name: "ens.embedded",
        kind: Kind::Switch,
        default: "no",
        refreshable: false,
        help: "imapd is the event notification broker itself, on ens.port; no enpd is started",
    },
    ConfigOption {
        name: "ens.keepalive",
        kind: Kind::Number { min: 0, max: 3600 },
        default: "120",
        refreshable: false,
        help: "seconds of silence after which an ENS client is sent a PING; 0 is never",
    },
    ConfigOption {
        name: "ens.maxallsubscriptionbytes",
        kind: Kind::Bytes {
            unlimited: false,
            min: 4096,
        },
        default: "512M",
        refreshable: false,
        help: "bytes that the subscriptions of all ENS clients together may take; more are refused",
    },
    ConfigOption {
        name: "ens.maxallsubscriptions",
        kind: Kind::Number {
            min: 1,
            max: 100_000_000,
        },
        default: "1000000",
        refreshable: false,
        help: "subscriptions of all ENS clients together; more are refused",
    },
    ConfigOption {
        name: "ens.maxconnections",
        kind: Kind::Number {
            min: 1,
            max: 10_000_000,
        },
        default: "100000",
        refreshable: false,
        help: "connections the broker holds at a time; more are told to come back later",
    },
    ConfigOption {
        name: "ens.maxpending",
        kind: Kind::Bytes {
            unlimited: false,
            min: 4096,
        },
        default: "1M",
        refreshable: false,
        help: "bytes that may wait for a subscriber; with more it is told what it missed",
    },
    ConfigOption {
        name: "ens.maxsubscriptionbytes",
        kind: Kind::Bytes {
            unlimited: false,
            min: 4096,
        },
        default: "64M",
        refreshable: false,
        help: "bytes that the subscriptions of one ENS client may take; more are refused",
    },
    ConfigOption {
        name: "ens.maxsubscriptions",
        kind: Kind::Number {
            min: 1,
            max: 100_000_000,
        },
        default: "100000",
        refreshable: false,
        help: "subscriptions of one ENS client; more are refused",
    },
    ConfigOption {
        name: "ens.nats.ca",
        kind: Kind::Path,
        default: "",
        refreshable: false,
        help: "file of certificates of authorities, PEM, one of which has signed those of the NATS \
               servers; without it those of the system",
    },
    ConfigOption {
        name: "ens.nats.certificate",
        kind: Kind::Path,
        default: "",
        refreshable: false,
        help: "file with a certificate of the broker's, its chain and its private key, PEM, for \
               NATS servers that want to see one (verify)",
    },
    ConfigOption {
        name: "ens.nats.credentials",
        kind: Kind::Path,
        default: "",
        refreshable: false,
        help: "file with what the NATS servers know the broker by: an nkey's seed, or \
               user:password",
    },
    ConfigOption {
        name: "ens.nats.maxpending",
        kind: Kind::Bytes {
            unlimited: false,
            min: 65536,
        },
        default: "16M",
        refreshable: false,
        help: "bytes of events that may wait for the NATS servers, and as many that came from \
               them; what is more is lost, and whoever misses it is told",
    },
    ConfigOption {
        name: "ens.nats.scope",
        kind: Kind::Word(&["site", "local"]),
        default: "site",
        refreshable: false,
        help: "what ENS subscriptions hear that don't say: site is what is published at any broker \
               of the site, local at this one. What is published here the others hear either way",
    },
    ConfigOption {
        name: "ens.nats.site",
        kind: Kind::Text,
        default: "ensign",
        refreshable: false,
        help: "the site that the broker joins: those with the same one hear each other's events. \
               Up to 64 letters, digits, - and _",
    },
    ConfigOption {
        name: "ens.nats.url",
        kind: Kind::Text,
        default: "",
        refreshable: false,
        help: "NATS servers by which brokers of several hosts are one, nats://HOST:4222 or \
               tls://HOST:4222, with commas between them; none is a broker that is alone. \
               docs/site.md",
    },
    ConfigOption {
        name: "ens.port",
        kind: PORT,
        default: "7997",
        refreshable: false,
        help: "TCP port of the event notification broker; 0 turns the listener off",
    },
    ConfigOption {
        name: "ens.shards",
        kind: Kind::Number { min: 0, max: 64 },
        default: "0",
        refreshable: false,
        help: "threads of the broker; 0 is as many as cores",
    },
    ConfigOption {
        name: "ens.socket",
        kind: Kind::Path,
        default: "",
        refreshable: false,
        help: "Unix socket on which the broker listens as well; none by default",
    },
    ConfigOption {
        name: "ens.spin",
        kind: Kind::Number { min: 0, max: 1000 },
        default: "0",
        refreshable: false,
        help: "microseconds for which the broker looks for work before it sleeps; costs cores",
    },
    ConfigOption {
        name: "ens.sslport",
        kind: PORT,
        default: "0",
        refreshable: false,
        help: "TCP port on which the broker speaks TLS, with the certificates of config/tls/, for \
               clients on other hosts (asub enps://HOST PORT); 0 turns the listener off. Who may \
               connect is in ENS_ACCESS all the same",
    },
    ConfigOption {
        name: "ens.writetimeout",
        kind: Kind::Number { min: 5, max: 3600 },
        default: "120",
        refreshable: false,
        help: "seconds after which a subscriber that takes nothing is disconnected",
    },
];
