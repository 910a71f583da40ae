//! SORT (RFC 5256, RFC 5957): by what, and the keys that a message's header gives for it.
//!
//! In reading order: this (criteria), [`keys`] (what is kept with a message), `subject` (base
//! subjects), `message_ids`, [`order`] (the sorting itself, in steps).

pub mod keys;
mod message_ids;
pub mod order;
mod subject;

pub use keys::SortKeys;
pub use order::Sorter;

use crate::Uid;

/// What messages are sorted by (RFC 5256 §3 `sort-key`, RFC 5957 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortField {
    /// `ARRIVAL`: internal date and time.
    Arrival,
    /// `CC`: mailbox of the first Cc address.
    Cc,
    /// `DATE`: sent date and time.
    Date,
    /// `FROM`: mailbox of the first From address.
    From,
    /// `SIZE`
    Size,
    /// `SUBJECT`: base subject.
    Subject,
    /// `TO`: mailbox of the first To address.
    To,
    /// `DISPLAYFROM`: what a client shows of the first From address.
    DisplayFrom,
    /// `DISPLAYTO`: what a client shows of the first To address.
    DisplayTo,
}

/// A field, ascending or descending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Criterion {
    /// By what.
    pub field: SortField,
    /// `REVERSE`
    pub reverse: bool,
}

/// What is known of a message that is sorted.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Its UID: among equals the lowest comes first.
    pub uid: Uid,
    /// Its internal date, in seconds since 1970-01-01T00:00:00Z.
    pub arrival_s: i64,
    /// Its size in bytes.
    pub size: u64,
    /// What its header gives.
    pub keys: SortKeys<'a>,
}

impl Facts<'_> {
    /// When it was sent, or received if it does not say so (RFC 5256 §2.2).
    pub fn sent_s(&self) -> i64 {
        self.keys.sent_s.unwrap_or(self.arrival_s)
    }

    /// Appends bytes that compare as the messages do, by these criteria.
    pub fn append_key(&self, criteria: &[Criterion], key: &mut Vec<u8>) {
        for criterion in criteria {
            let from = key.len();
            let keys = &self.keys;
            match criterion.field {
                SortField::Arrival => key.extend(ascending(self.arrival_s)),
                SortField::Date => key.extend(ascending(self.sent_s())),
                SortField::Size => key.extend(self.size.to_be_bytes()),
                SortField::Cc => append_text(key, keys.cc),
                SortField::From => append_text(key, keys.from),
                SortField::Subject => append_text(key, keys.subject),
                SortField::To => append_text(key, keys.to),
                SortField::DisplayFrom => append_text(key, keys.display_from),
                SortField::DisplayTo => append_text(key, keys.display_to),
            }
            if criterion.reverse {
                key[from..].iter_mut().for_each(|byte| *byte = !*byte);
            }
        }
    }
}

/// A number as bytes that compare as numbers do.
fn ascending(number: i64) -> [u8; 8] {
    (number as u64 ^ 1 << 63).to_be_bytes()
}

/// A text, which has no NUL, with an end: a beginning of a text comes before it.
fn append_text(key: &mut Vec<u8>, text: &[u8]) {
    key.extend_from_slice(text);
    key.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(keys: &[u8], arrival_s: i64, criteria: &[(SortField, bool)]) -> Vec<u8> {
        let facts = Facts {
            uid: Uid(1),
            arrival_s,
            size: 5,
            keys: SortKeys::read(keys).expect("just made"),
        };
        let criteria: Vec<Criterion> = criteria
            .iter()
            .map(|&(field, reverse)| Criterion { field, reverse })
            .collect();
        let mut key = Vec::new();
        facts.append_key(&criteria, &mut key);
        key
    }

    #[test]
    fn keys_compare_as_messages_do() {
        use SortField::{Arrival, Date, Size, Subject};
        let keys = |header: &str| keys::of_header(header.as_bytes());
        let (ab, abc) = (keys("Subject: ab\r\n\r\n"), keys("Subject: Abc\r\n\r\n"));
        let by = |first: &[u8], second: &[u8], criteria: &[(SortField, bool)]| {
            key(first, -5, criteria).cmp(&key(second, 7, criteria))
        };
        use std::cmp::Ordering::{Equal, Greater, Less};
        assert_eq!(by(&ab, &abc, &[(Subject, false)]), Less);
        assert_eq!(by(&ab, &abc, &[(Subject, true)]), Greater);
        assert_eq!(by(&ab, &ab, &[(Subject, false), (Size, true)]), Equal);
        assert_eq!(by(&ab, &ab, &[(Subject, true), (Arrival, false)]), Less);
        assert_eq!(by(&ab, &ab, &[(Arrival, true)]), Greater);
        // Without a Date field it is the internal date.
        assert_eq!(by(&ab, &ab, &[(Date, false)]), Less);
        let dated = keys("Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n\r\n");
        assert_eq!(by(&dated, &ab, &[(Date, false)]), Less);
        assert_eq!(by(&ab, &dated, &[(Date, false)]), Less);
    }
}
