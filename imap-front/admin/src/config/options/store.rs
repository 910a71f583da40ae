//! Options `store.*`.

use super::super::kind::{ConfigOption, Kind};

/// Sorted by name.
pub(super) static STORE: &[ConfigOption] = &[
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
];
