//! MESSAGELIMIT and SAVELIMIT (RFC 9738): how many messages one command may work on. One that is
//! for more works on those with the highest UIDs and says so, or is refused if it does all or none.

use std::borrow::Cow;

use mail::search::Key;
use mail::{Uid, UidRanges, UidSet};

use super::Session;
use crate::imap::config::MessageLimit;

/// Of a command that is not done.
const TOO_MANY: &str = "That is for more messages than a command may work on";
/// Of one that is done for some.
const SOME: &str = "Only the last of the messages were looked at";

/// The lowest UID that a command came to which was for more messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    max: u32,
    lowest: Uid,
}

impl Cut {
    fn code(self) -> String {
        format!("[MESSAGELIMIT {} {}]", self.max, self.lowest)
    }
}

impl Session {
    /// How many messages a command may read or change.
    fn message_limit(&self) -> Option<u32> {
        match self.config.message_limit {
            Some(MessageLimit::All(max)) => Some(max.get()),
            Some(MessageLimit::Saves(_)) | None => None,
        }
    }

    /// How many it may copy or append.
    pub(super) fn save_limit(&self) -> Option<u32> {
        let (MessageLimit::All(max) | MessageLimit::Saves(max)) = self.config.message_limit?;
        Some(max.get())
    }

    /// The last messages of ranges, if there are more than so many.
    fn last_of(&mut self, ranges: &UidRanges, max: u32) -> Option<(UidRanges, Cut)> {
        let most = max as usize;
        let after = |count: usize| count.checked_sub(most).filter(|before| *before > 0);
        let places = |count| after(count).map(|before| (before, count - 1));
        let last = self.view().places(ranges, places);
        let lowest = last.iter().next().map(|(low, _)| *low)?;
        Some((last, Cut { max, lowest }))
    }

    /// The messages of ranges that a command may work on.
    pub(super) fn limited(&mut self, ranges: UidRanges) -> (UidRanges, Option<Cut>) {
        let max = self.message_limit();
        match max.and_then(|max| self.last_of(&ranges, max)) {
            Some((last, cut)) => (last, Some(cut)),
            None => (ranges, None),
        }
    }

    /// Why messages can't be copied by one command, if they are too many: it does all or none.
    pub(super) fn refuses_copies(&mut self, ranges: &UidRanges) -> Option<String> {
        let max = self.save_limit()?;
        let (_, cut) = self.last_of(ranges, max)?;
        Some(format!("NO {} {TOO_MANY}", cut.code()))
    }

    /// Why a part of a result can't be fetched by one command, if it has too many places.
    pub(super) fn refuses_places(&self, count: u32) -> Option<String> {
        let max = self.message_limit()?;
        (count > max).then(|| format!("NO [MESSAGELIMIT {max}] {TOO_MANY}"))
    }

    /// Why no more messages can be appended by one command, once there are so many.
    pub(super) fn refuses_appended(&self, count: usize) -> Option<String> {
        let max = self.save_limit()?;
        (count >= max as usize).then(|| format!("NO [MESSAGELIMIT {max}] {TOO_MANY}"))
    }

    /// A key that looks at no more messages than a command may, those that it leaves out by their
    /// UIDs or numbers not counted.
    pub(super) fn limited_key(&mut self, key: Key) -> (Key, Option<Cut>) {
        match self.looked_at(&key) {
            Some((some, cut)) => {
                let some = some.into_iter().map(|(low, high)| (low.0, high.0));
                (
                    Key::And(vec![Key::UidRanges(some.collect()), key]),
                    Some(cut),
                )
            }
            None => (key, None),
        }
    }

    /// Why a key can't be sorted or threaded by, if it is for too many messages (RFC 9738 §3.3).
    pub(super) fn refuses_to_arrange(&mut self, key: &Key) -> Option<String> {
        let (_, cut) = self.looked_at(key)?;
        Some(format!("NO [MESSAGELIMIT {}] {TOO_MANY}", cut.max))
    }

    /// The last messages that a key may be for, if it may be for more than a command.
    fn looked_at(&mut self, key: &Key) -> Option<(UidRanges, Cut)> {
        let max = self.message_limit()?;
        let last = self.view().last_uid();
        let mut ranges: UidRanges = [(Uid(1), last)].into_iter().collect();
        narrow(key, &mut ranges);
        self.last_of(&ranges, max)
    }

    /// How a command ends, by `text`. One that has another code has this one before it.
    pub(super) fn ending<'a>(&mut self, text: &'a str, cut: Option<Cut>) -> Cow<'a, str> {
        let Some(cut) = cut else {
            return text.into();
        };
        match text.strip_prefix("OK ") {
            Some(rest) if !rest.starts_with('[') => format!("OK {} {rest}", cut.code()).into(),
            _ => {
                self.say(&format!("* NO {} {SOME}", cut.code()));
                text.into()
            }
        }
    }

    /// What is said before a command ends that ends with another code.
    pub(super) fn before_ending(&self, cut: Option<Cut>) -> String {
        match cut {
            Some(cut) => format!("* NO {} {}\r\n", cut.code(), self.worded(SOME)),
            None => String::new(),
        }
    }
}

/// Leaves of the ranges what a key does not leave out by UIDs.
fn narrow(key: &Key, ranges: &mut UidRanges) {
    match key {
        Key::And(keys) => keys.iter().for_each(|key| narrow(key, ranges)),
        Key::UidRanges(some) => {
            let some = some.iter().map(|&(low, high)| (Uid(low), Uid(high)));
            *ranges = ranges.intersection(&some.collect());
        }
        Key::Among(saved) => {
            let saved = UidSet::clone(saved).into_ranges().collect();
            *ranges = ranges.intersection(&saved);
        }
        _ => {}
    }
}
