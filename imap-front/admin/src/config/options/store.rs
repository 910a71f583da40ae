//! Options `store.*`.

use super::super::kind::{ConfigOption, Kind};

/// Sorted by name.
pub(super) static STORE: &[ConfigOption] = &[
    ConfigOption {
        name: "store.aclanyone",
        kind: Kind::Switch,
        default: "yes",
        refreshable: false,
        help: "whether users may give rights on their mailboxes to anyone (SETACL, RFC 4314); \
               rights that anyone has already stay until they are taken away",
    },
    ConfigOption {
        name: "store.admins",
        kind: Kind::Text,
        default: "",
        refreshable: false,
        help: "users with commas or blanks between them who may act as any other: they log in \
               with AUTHENTICATE, by their own name and password, token or certificate, and the \
               other's name (authzid). They set quotas (SETQUOTA) and the server's shared \
               metadata, too",
    },
    ConfigOption {
        name: "store.cachesize",
        kind: Kind::Bytes {
            unlimited: false,
            min: 1 << 20,
        },
        default: "32M",
        refreshable: false,
        help: "bytes of memory the store uses to cache what it read",
    },
    ConfigOption {
        name: "store.defaultmailboxquota",
        kind: Kind::Bytes {
            unlimited: true,
            min: 1,
        },
        default: "-1",
        refreshable: false,
        help: "bytes of mail a user may have whose entry gives no other number; -1 means no limit",
    },
    ConfigOption {
        name: "store.defaultmessagequota",
        kind: Kind::Limit,
        default: "-1",
        refreshable: false,
        help: "messages a user may have whose entry gives no other number; -1 means no limit",
    },
    ConfigOption {
        name: "store.expungedbytes",
        kind: Kind::Bytes {
            unlimited: false,
            min: 0,
        },
        default: "256M",
        refreshable: false,
        help: "bytes of expunged messages that are kept for sessions that have them in view; \
               with more the oldest go first",
    },
    ConfigOption {
        name: "store.expungeddays",
        kind: Kind::Number {
            min: 1,
            max: 36_500,
        },
        default: "90",
        refreshable: false,
        help: "days for which the store knows which messages were expunged; a client away for \
               longer looks at its mailboxes anew",
    },
    ConfigOption {
        name: "store.expungedminutes",
        kind: Kind::Number { min: 0, max: 1440 },
        default: "60",
        refreshable: false,
        help: "minutes for which an expunged message can be read by sessions that have it in \
               view; 0: not at all",
    },
    ConfigOption {
        name: "store.maxaclentries",
        kind: Kind::Number { min: 1, max: 1000 },
        default: "64",
        refreshable: false,
        help: "entries that a mailbox's access control list may have",
    },
    ConfigOption {
        name: "store.maxkeywords",
        kind: Kind::Number {
            min: 1,
            max: 10_000,
        },
        default: "128",
        refreshable: false,
        help: "different keywords a mailbox may have",
    },
    ConfigOption {
        name: "store.maxmessagesize",
        kind: Kind::Bytes {
            unlimited: false,
            min: 64 * 1024,
        },
        default: "50M",
        refreshable: false,
        help: "bytes of the largest message that is taken, over LMTP and IMAP",
    },
    ConfigOption {
        name: "store.maxmetadata",
        kind: Kind::Bytes {
            unlimited: false,
            min: 4096,
        },
        default: "1M",
        refreshable: false,
        help: "bytes that the metadata of a user may take in all (RFC 5464): its own, and what it \
               shares of its mailboxes; names count too, and 64 bytes for each entry; 8M at most",
    },
    ConfigOption {
        name: "store.maxmetadatasize",
        kind: Kind::Bytes {
            unlimited: false,
            min: 1024,
        },
        default: "16K",
        refreshable: false,
        help: "bytes of the largest value of an entry of metadata; a command has 64K at most, all \
               its values included; 32K at most",
    },
    ConfigOption {
        name: "store.otherusers",
        kind: Kind::Text,
        default: "Other Users/",
        refreshable: false,
        help: "where a user finds other users' mailboxes (NAMESPACE, RFC 2342): what stands before \
               the other's name, with a / at its end; empty: nowhere",
    },
    ConfigOption {
        name: "store.sharedfolders",
        kind: Kind::Text,
        default: "Shared Folders/",
        refreshable: false,
        help: "where users find the shared mailboxes, with a / at its end; see store.sharedowner",
    },
    ConfigOption {
        name: "store.sharedowner",
        kind: Kind::Text,
        default: "",
        refreshable: false,
        help: "the user whose mailboxes are the shared ones, as far as their access control lists \
               let others in; empty: there are none",
    },
];
