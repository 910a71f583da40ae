//! What a server got wrong, counted by kind, the first few in words.

use std::fmt;

/// Faults kept with their text; more are only counted.
const TEXTS_MAX: usize = 10;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A reply that can't be read, or that answers nothing.
    Syntax,
    /// EXISTS that shrinks or says the same again, a number of no message.
    Count,
    /// EXPUNGE where it may not come (RFC 3501 §7.4.1), or that nobody asked for.
    Expunge,
    /// A UID that changed, went back or was used again; a UIDVALIDITY that changed.
    Uid,
    /// A message that should be there and is not.
    Lost,
    /// A message that nobody sent, that is there twice or came back.
    Doubled,
    /// Flags other than those that were stored.
    Flags,
    /// SoakEvent or a reply that did not come in time.
    Late,
    /// NO, BAD or a refused delivery without a reason.
    Refused,
    /// A connection that the server ended or did not accept.
    Dropped,
    /// Sessions open at the server that should not be, or the other way round.
    Sessions,
}

/// All kinds, with what they are called.
pub const KINDS: [(Kind, &str); 11] = [
    (Kind::Syntax, "syntax"),
    (Kind::Count, "counts"),
    (Kind::Expunge, "expunges"),
    (Kind::Uid, "UIDs"),
    (Kind::Lost, "lost messages"),
    (Kind::Doubled, "doubled messages"),
    (Kind::Flags, "flags"),
    (Kind::Late, "late or never"),
    (Kind::Refused, "refusals"),
    (Kind::Dropped, "dropped connections"),
    (Kind::Sessions, "open sessions"),
];

/// One fault, for whoever knows where it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What kind.
    pub kind: Kind,
    /// What was seen and what was expected.
    pub text: String,
}

impl Wrong {
    /// A fault in words.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }
}

/// All faults of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    counts: [u64; KINDS.len()],
    /// The first few, in words.
    pub texts: Vec<String>,
}

impl Faults {
    /// Counts one, seen by `who`.
    pub fn add(&mut self, who: impl fmt::Display, wrong: &Wrong) {
        self.counts[wrong.kind as usize] += 1;
        if self.texts.len() < TEXTS_MAX {
            self.texts.push(format!("{who}: {}", wrong.text));
        }
    }

    /// How many of a kind.
    pub fn count(&self, kind: Kind) -> u64 {
        self.counts[kind as usize]
    }

    /// How many.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted_apart_and_texts_are_bounded() {
        let mut faults = Faults::default();
        for (place, (kind, _)) in KINDS.iter().enumerate() {
            assert_eq!(*kind as usize, place, "KINDS is in the order of Kind");
            faults.add("session 1", &Wrong::new(*kind, "bad"));
        }
        assert_eq!((faults.total(), faults.count(Kind::Lost)), (11, 1));
        assert_eq!(faults.texts.len(), TEXTS_MAX);
        assert_eq!(faults.texts[0], "session 1: bad");
    }
}
