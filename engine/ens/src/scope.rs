//! What a subscription hears of other hosts.

use std::fmt;
use std::str::FromStr;

/// Whose events a subscription hears. It is about subscriptions alone: what is published crosses to
/// whoever wants it, whatever the scope of its broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Scope {
    /// What was published at its own broker. A pool has members of this broker only.
    Local = 1,
    /// What was published at any broker of the site.
    #[default]
    Site = 2,
}

impl Scope {
    /// All, by the words for them.
    pub const WORDS: [(&str, Self); 2] = [("site", Self::Site), ("local", Self::Local)];

    /// From its byte in a frame.
    pub fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Local),
            2 => Some(Self::Site),
            _ => None,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Site => "site",
        })
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let known = Self::WORDS.iter().find(|(known, _)| *known == word);
        let scope = known.map(|(_, scope)| *scope);
        scope.ok_or_else(|| format!("{word:?} is no scope: it is site or local"))
    }
}
