//! Options `oauth.*`.

use super::super::kind::{ConfigOption, Kind};

/// Sorted by name.
pub(super) static OAUTH: &[ConfigOption] = &[
    ConfigOption {
        name: "oauth.audience",
        kind: Kind::Text,
        default: "",
        refreshable: false,
        help: "whom a token must be for (its claim aud): one or more, with blanks between them. \
               Without any, tokens that are for somebody are refused",
    },
    ConfigOption {
        name: "oauth.configuration",
        kind: Kind::Text,
        default: "",
        refreshable: false,
        help: "URL at which the issuer of tokens describes itself \
               (.well-known/openid-configuration), told to clients whose token is refused",
    },
    ConfigOption {
        name: "oauth.issuer",
        kind: Kind::Text,
        default: "",
        refreshable: false,
        help: "who must have issued a token (its claim iss): one or more, with blanks between \
               them; none means that whoever has a key of oauth.keys may",
    },
    ConfigOption {
        name: "oauth.keys",
        kind: Kind::Path,
        default: "",
        refreshable: false,
        help: "file of the keys that sign the tokens (JWT) by which clients may log in with \
               OAUTHBEARER and XOAUTH2: PEM public keys, or a JWKS as issuers publish it. \
               refresh reads it again. Tokens may have some 6,000 bytes; sessions outlive them. \
               None means no tokens",
    },
    ConfigOption {
        name: "oauth.leeway",
        kind: Kind::Number { min: 0, max: 600 },
        default: "30",
        refreshable: false,
        help: "seconds that the issuer's clock may be wrong",
    },
    ConfigOption {
        name: "oauth.scope",
        kind: Kind::Text,
        default: "",
        refreshable: false,
        help: "scopes that a token must have, with blanks between them; none means any will do",
    },
    ConfigOption {
        name: "oauth.userclaim",
        kind: Kind::Text,
        default: "sub",
        refreshable: false,
        help: "claim of a token that is the user's name here, as sub, email or \
               preferred_username. Take email only if the issuer has made sure that it is the \
               user's",
    },
];
