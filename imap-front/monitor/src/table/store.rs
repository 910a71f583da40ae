//! What the store tells.

use super::{Metric, counter, gauge, histogram};

/// Commits.
pub const COMMITS: Metric = counter(
    "ensign_commits",
    &[],
    "groups of operations that were made durable",
);
/// Operations in them.
pub const OPERATIONS: Metric = counter(
    "ensign_commit_operations",
    &[],
    "operations in groups that were made durable",
);
/// Time of commits.
pub const COMMIT: Metric = histogram(
    "ensign_commit_seconds",
    &[],
    "how long a group took to be written and synced to the disk",
);
/// Syncs.
pub const SYNCS: Metric = counter("ensign_syncs", &[], "times the disk was synced");
/// Time for which the writer was busy.
pub const WRITER_BUSY: Metric = counter(
    "ensign_writer_busy_seconds",
    &[],
    "seconds for which the store's writer was busy",
);
/// Sort keys that were not made.
pub const SORT_KEYS_LEFT: Metric = counter(
    "ensign_sort_keys_left",
    &[],
    "times that sort keys of new messages were left to the first sort",
);
/// Indexes.
pub const INDEXES: Metric = counter(
    "ensign_indexes_built",
    &["how"],
    "indexes of mailboxes that were made",
)
.of(&[
    ("loaded", "indexes made of what was saved"),
    ("scanned", "indexes made by a look at all rows"),
    ("distrusted", "saved indexes that could not be trusted"),
]);
/// Whether the store works.
pub const STORE_UP: Metric = gauge(
    "ensign_store_up",
    &[],
    "1 while the store takes what is written; 0 after a failure",
);
/// Room on its disk.
pub const FREE_BYTES: Metric = gauge(
    "ensign_store_free_bytes",
    &[],
    "bytes that are free on the store's disk",
);
/// Memory.
pub const MEMORY: Metric = gauge(
    "ensign_memory_bytes",
    &["kind"],
    "bytes of memory by what they are for; their bounds are in docs/million.md",
)
.of(&[
    (
        "output",
        "what clients are sent and have not taken, and handshakes under way",
    ),
    (
        "windows",
        "what compressed connections may still refer to (service.imap.maxcompressed)",
    ),
    (
        "input",
        "what clients sent and was not worked on, and requests that wait",
    ),
    ("indexes", "bitmaps of mailboxes"),
    (
        "structures",
        "structures of messages that were fetched lately",
    ),
    (
        "headers",
        "headers of messages of which only these were fetched lately",
    ),
    ("sort_keys", "sort keys of messages that were sorted lately"),
    ("header_texts", "texts of headers that were searched lately"),
]);

pub(super) const ALL: &[&Metric] = &[
    &COMMITS,
    &OPERATIONS,
    &COMMIT,
    &SYNCS,
    &WRITER_BUSY,
    &SORT_KEYS_LEFT,
    &INDEXES,
    &STORE_UP,
    &FREE_BYTES,
    &MEMORY,
];
