//! Options `ssl.*`.

use super::super::kind::{ConfigOption, Kind};

/// Sorted by name.
pub(super) static SSL: &[ConfigOption] = &[ConfigOption {
    name: "ssl.minversion",
    kind: Kind::Word(&["tls1.2", "tls1.3"]),
    default: "tls1.2",
    refreshable: false,
    help: "oldest version of TLS that is spoken: tls1.2 or tls1.3",
}];
