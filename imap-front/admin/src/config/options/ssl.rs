//! Options `ssl.*`.

use super::super::kind::{ConfigOption, Kind};

/// Sorted by name.
pub(super) static SSL: &[ConfigOption] = &[
    ConfigOption {
        name: "ssl.clientca",
        kind: Kind::Path,
        default: "",
        refreshable: false,
        help: "PEM file of the authorities whose certificates clients of IMAP may show; refresh \
               reads it again. There are no lists of revoked ones: msguser lock keeps a user out",
    },
    ConfigOption {
        name: "ssl.clientcerts",
        kind: Kind::Word(&["no", "optional", "required"]),
        default: "no",
        refreshable: false,
        help: "whether clients of IMAP are asked for a certificate by ssl.clientca, with which \
               they may log in (EXTERNAL): no, optional, or required: then TLS needs one, \
               TLS that ends at a proxy does not count, and clear text from this host needs \
               none. With either, clients don't resume sessions: \
               each handshake is a whole one",
    },
    ConfigOption {
        name: "ssl.clientname",
        kind: Kind::Word(&["email", "cn"]),
        default: "email",
        refreshable: false,
        help: "what in a client's certificate is the user's name here: email, its first mail \
               address (subjectAltName, or else emailAddress), or cn, its common name",
    },
    ConfigOption {
        name: "ssl.minversion",
        kind: Kind::Word(&["tls1.2", "tls1.3"]),
        default: "tls1.2",
        refreshable: false,
        help: "oldest version of TLS that is spoken: tls1.2 or tls1.3",
    },
];
