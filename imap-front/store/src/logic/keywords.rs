//! Keywords: their places in a mailbox's list, which messages' rows refer to.
//!
//! The list is bounded. When it is full, a keyword that no message has gives up its place to a
//! new one. What was expunged is kept with its keywords in full (`Kept`): it takes on no others.

use std::sync::Arc;

use mail::{Change, Flags, MailboxId, Refusal};
use roaring::RoaringBitmap;

use super::{keys, numbering};
use crate::Error;
use crate::kv::{Space, Transaction};
use crate::rows::{Mailbox, MessageRow};

/// Places in a list: rows have a byte for each.
const PLACES_MAX: usize = 256;

/// Places of keywords for the messages of one operation.
pub(super) struct Places {
    max: usize,
    /// Given to keywords by this operation: its rows are not to be seen yet.
    given: [bool; PLACES_MAX],
    /// Of messages, if that had to be asked.
    used: Option<[bool; PLACES_MAX]>,
}

impl Places {
    /// In a list of so many keywords at most.
    pub fn new(max: usize) -> Self {
        Self {
            max: max.min(PLACES_MAX),
            given: [false; PLACES_MAX],
            used: None,
        }
    }

    /// The places of a message's keywords in the list, which gets those that are new.
    ///
    /// # Errors
    /// [`Error::Cold`] if the list is full and the mailbox's index has to be built before.
    pub fn of(
        &mut self,
        txn: &Transaction<'_>,
        id: MailboxId,
        mailbox: &mut Mailbox,
        flags: &Flags,
    ) -> Result<Result<Vec<u8>, Refusal>, Error> {
        let mut places = Vec::with_capacity(flags.keywords().len());
        for keyword in flags.keywords() {
            let is_it = |have: &Arc<str>| have.eq_ignore_ascii_case(keyword);
            let known = mailbox.keywords.iter().position(is_it);
            let place = match known {
                Some(place) => place,
                None => {
                    let Some(place) = self.free(txn, id, mailbox)? else {
                        let why = "the mailbox has as many keywords as it may have";
                        return Ok(Err(Refusal::Limit(why)));
                    };
                    match mailbox.keywords.get_mut(place) {
                        Some(former) => *former = keyword.clone(),
                        None => mailbox.keywords.push(keyword.clone()),
                    }
                    mailbox.keywords_at = Mailbox::UNTOLD;
                    place
                }
            };
            self.given[place] = true;
            places.push(place as u8);
        }
        Ok(Ok(places))
    }

    /// A place for a new keyword.
    fn free(
        &mut self,
        txn: &Transaction<'_>,
        id: MailboxId,
        mailbox: &Mailbox,
    ) -> Result<Option<usize>, Error> {
        let len = mailbox.keywords.len();
        if len < self.max {
            return Ok(Some(len));
        }
        let used = match self.used {
            Some(used) => used,
            None => *self.used.insert(used(txn, id, mailbox)?),
        };
        Ok((0..len).find(|&place| !used[place] && !self.given[place]))
    }
}

/// Which places messages refer to, staged ones too.
fn used(
    txn: &Transaction<'_>,
    id: MailboxId,
    mailbox: &Mailbox,
) -> Result<[bool; PLACES_MAX], Error> {
    let numbering = numbering::Numbering::of(txn, id, mailbox)?;
    let mut used = [false; PLACES_MAX];
    let mut changed = RoaringBitmap::new();
    let (from, to) = keys::rows(id);
    for (key, row) in txn.changed(Space::Messages, &from, &to) {
        changed.insert(keys::uid_of(key).0);
        let row = row.map(|row| MessageRow::decode(row)).transpose()?;
        for place in row.map(|row| row.keywords).unwrap_or_default() {
            used[usize::from(place)] = true;
        }
    }
    for bits in numbering.index.with_keywords() {
        for (place, bits) in bits.iter().enumerate().take(PLACES_MAX) {
            used[place] |= !bits.is_subset(&changed);
        }
    }
    Ok(used)
}

/// What an operation that has brought a mailbox to its mod-sequence has to tell of keywords, before
/// all else.
pub(super) fn introduce(mailbox: &mut Mailbox, changes: &mut Vec<Change>) {
    if mailbox.keywords_at == Mailbox::UNTOLD {
        mailbox.keywords_at = mailbox.modseq;
        changes.push(Change::Keywords(mailbox.keywords.clone().into()));
    }
}
