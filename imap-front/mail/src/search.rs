//! Search programs (RFC 3501 §6.4.4, RFC 7162 §3.1.5) as values, and their evaluation.

mod content;
pub mod header_texts;
mod matching;

pub(crate) use content::{decoded_words, text_of};
pub use matching::{Candidate, matches};

use std::sync::Arc;

use crate::{EmailId, ModSeq, SequenceSet, SystemFlag, ThreadId, UidSet};

/// What a message must satisfy. Message numbers have been turned into UIDs before the store sees a
/// program ([`Key::Numbers`] never reaches it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The condition.
    pub key: Key,
}

/// A calendar date: days since 1970-01-01, zone disregarded as RFC 3501 §6.4.4 asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub i32);

/// Which date a date key is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateField {
    /// The internal date: BEFORE, ON, SINCE.
    Internal,
    /// The `Date:` header: SENTBEFORE, SENTON, SENTSINCE.
    Sent,
    /// When it came into the mailbox: SAVEDBEFORE, SAVEDON, SAVEDSINCE (RFC 8514 §4.3).
    Saved,
}

/// A search key. Strings are UTF-8; matching is a case-insensitive substring match on decoded
/// text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// ALL
    All,
    /// All of them.
    And(Vec<Key>),
    /// Either.
    Or(Box<Key>, Box<Key>),
    /// Not.
    Not(Box<Key>),
    /// A set of message numbers; only inside a session.
    Numbers(SequenceSet),
    /// A set of UIDs.
    Uids(SequenceSet),
    /// UIDs as sorted ranges, low end first.
    UidRanges(Vec<(u32, u32)>),
    /// UIDs of a set that several keys may share.
    Among(Arc<UidSet>),
    /// A system flag is set: ANSWERED, DELETED, DRAFT, FLAGGED, SEEN.
    Flag(SystemFlag),
    /// A keyword is set.
    Keyword(Box<str>),
    /// `\Recent` in this session. (NEW is `And[Recent, Not Seen]`, OLD is `Not Recent`.)
    Recent,
    /// The date lies before the day.
    Before(DateField, Day),
    /// The date is the day.
    On(DateField, Day),
    /// The date is the day or later.
    Since(DateField, Day),
    /// Received so many seconds ago, or earlier (RFC 5032): OLDER.
    Older(u32),
    /// Received so many seconds ago, or later: YOUNGER.
    Younger(u32),
    /// More bytes than this.
    Larger(u64),
    /// Fewer bytes than this.
    Smaller(u64),
    /// A header field (name, text) contains the text; an empty text asks for the field itself.
    /// BCC, CC, FROM, SUBJECT and TO are header keys too.
    Header(Box<str>, Box<str>),
    /// The body's text parts contain the text.
    Body(Box<str>),
    /// Header or body contain the text.
    Text(Box<str>),
    /// The message's mod-sequence is this or higher (RFC 7162 §3.1.5).
    ModSeq(ModSeq),
    /// Its content is this (RFC 8474 §6).
    Email(EmailId),
    /// Its thread is this (RFC 8474 §6).
    Thread(ThreadId),
}

impl Program {
    /// Whether any key looks into messages, so that their bytes have to be read.
    pub fn needs_content(&self) -> bool {
        self.key.needs_content()
    }

    /// Whether any key is about what only the messages themselves tell: neither flags nor UIDs.
    pub fn looks_at_messages(&self) -> bool {
        self.key.is_any(&|key| match key {
            Key::Before(..) | Key::On(..) | Key::Since(..) => true,
            Key::Older(_) | Key::Younger(_) => true,
            Key::Larger(_) | Key::Smaller(_) | Key::ModSeq(_) => true,
            Key::Email(_) | Key::Thread(_) => true,
            Key::Header(..) | Key::Body(_) | Key::Text(_) => true,
            Key::All | Key::And(_) | Key::Or(..) | Key::Not(_) => false,
            Key::Numbers(_) | Key::Uids(_) | Key::UidRanges(_) | Key::Among(_) => false,
            Key::Flag(_) | Key::Keyword(_) | Key::Recent => false,
        })
    }

    /// Whether any key is about mod-sequences, so that the answer tells those of the hits
    /// (RFC 7162 §3.1.5).
    pub fn asks_for_modseqs(&self) -> bool {
        self.key.is_any(&|key| matches!(key, Key::ModSeq(_)))
    }

    /// Its keys about header fields: names and texts.
    pub fn header_keys(&self) -> Vec<(&str, &str)> {
        let mut keys = Vec::new();
        self.key
            .visit_header_keys(&mut |name, text| keys.push((name, text)));
        keys
    }

    /// How many keys it has.
    pub fn keys(&self) -> usize {
        let count = std::cell::Cell::new(0);
        self.key.is_any(&|_| {
            count.set(count.get() + 1);
            false
        });
        count.get()
    }

    /// What it takes in memory, in bytes, about.
    pub fn bytes(&self) -> usize {
        self.key.bytes()
    }
}

impl Key {
    fn bytes(&self) -> usize {
        let more = match self {
            Self::And(keys) => keys.iter().map(Self::bytes).sum(),
            Self::Or(first, second) => first.bytes() + second.bytes(),
            Self::Not(key) => key.bytes(),
            Self::Uids(set) | Self::Numbers(set) => set.bytes(),
            Self::UidRanges(ranges) => size_of_val(&ranges[..]),
            Self::Keyword(text) | Self::Body(text) | Self::Text(text) => text.len(),
            Self::Header(name, text) => name.len() + text.len(),
            _ => 0,
        };
        size_of::<Self>() + more
    }

    /// Whether something holds for it or a key within it.
    fn is_any(&self, holds: &dyn Fn(&Self) -> bool) -> bool {
        let within = match self {
            Self::And(keys) => keys.iter().any(|key| key.is_any(holds)),
            Self::Or(first, second) => first.is_any(holds) || second.is_any(holds),
            Self::Not(key) => key.is_any(holds),
            _ => false,
        };
        within || holds(self)
    }

    /// Tells of it, if it is about a header field, and of such keys within it.
    fn visit_header_keys<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a str)) {
        match self {
            Self::And(keys) => keys.iter().for_each(|key| key.visit_header_keys(visit)),
            Self::Or(first, second) => {
                first.visit_header_keys(visit);
                second.visit_header_keys(visit);
            }
            Self::Not(key) => key.visit_header_keys(visit),
            Self::Header(name, text) => visit(name, text),
            _ => {}
        }
    }

    fn needs_content(&self) -> bool {
        self.is_any(&|key| match key {
            Self::Header(..) | Self::Body(_) | Self::Text(_) => true,
            Self::Before(field, _) | Self::On(field, _) | Self::Since(field, _) => {
                *field == DateField::Sent
            }
            _ => false,
        })
    }
}
