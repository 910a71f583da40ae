//! A mailbox's messages as bitmaps: which UIDs there are, and which of them have which flag.
//!
//! Message numbers are ranks in it; SELECT, SEARCH by flags and EXPUNGE need no scan of the rows.

use std::sync::Arc;

use mail::{ModSeq, SystemFlag, Uid, UidValidity};
use roaring::RoaringBitmap;

use crate::rows::{Mailbox, MessageRow};

/// UIDs, and those of them with each flag.
#[derive(Clone, Debug, Default, PartialEq)]
struct Bits {
    uids: RoaringBitmap,
    /// One for each bit of [`MessageRow::system`].
    system: [RoaringBitmap; 5],
    /// One for each keyword of the mailbox's list, as far as any was used.
    keywords: Vec<RoaringBitmap>,
}

impl Bits {
    fn all(&mut self) -> impl Iterator<Item = &mut RoaringBitmap> {
        let flags = self.system.iter_mut().chain(&mut self.keywords);
        std::iter::once(&mut self.uids).chain(flags)
    }

    fn remove(&mut self, uid: u32) {
        if self.uids.contains(uid) {
            self.all().for_each(|bits| {
                bits.remove(uid);
            });
        }
    }

    fn set(&mut self, uid: u32, row: &MessageRow) {
        self.remove(uid);
        self.uids.insert(uid);
        for (bit, bits) in self.system.iter_mut().enumerate() {
            if row.system >> bit & 1 != 0 {
                bits.insert(uid);
            }
        }
        for &keyword in &row.keywords {
            let keyword = usize::from(keyword);
            if self.keywords.len() <= keyword {
                self.keywords.resize_with(keyword + 1, Default::default);
            }
            self.keywords[keyword].insert(uid);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.uids |= &other.uids;
        for (mine, others) in self.system.iter_mut().zip(&other.system) {
            *mine |= others;
        }
        if self.keywords.len() < other.keywords.len() {
            self.keywords
                .resize_with(other.keywords.len(), Default::default);
        }
        for (mine, others) in self.keywords.iter_mut().zip(&other.keywords) {
            *mine |= others;
        }
    }

    fn bytes(&self) -> usize {
        let flags = self.system.iter().chain(&self.keywords);
        let bitmaps = std::iter::once(&self.uids).chain(flags);
        bitmaps
            .map(|bits| size_of::<RoaringBitmap>() + bits.serialized_size())
            .sum()
    }
}

/// What a mailbox's row says of its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub modseq: ModSeq,
    pub uid_validity: UidValidity,
    pub uid_next: Uid,
    pub is_staging: bool,
    pub messages: u32,
    pub unseen: u32,
    pub deleted: u32,
    pub seen_deleted: u32,
}

impl From<&Mailbox> for Figures {
    fn from(mailbox: &Mailbox) -> Self {
        Self {
            modseq: mailbox.modseq,
            uid_validity: mailbox.uid_validity,
            uid_next: mailbox.uid_next,
            is_staging: mailbox.staging.is_some(),
            messages: mailbox.messages,
            unseen: mailbox.unseen,
            deleted: mailbox.deleted,
            seen_deleted: mailbox.seen_deleted,
        }
    }
}

/// The messages of a mailbox as of a mod-sequence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MailboxIndex {
    figures: Figures,
    visible: Bits,
    /// Of a COPY that is not yet published.
    staged: Bits,
}

impl MailboxIndex {
    /// The mod-sequence as of which it is.
    pub(crate) fn modseq(&self) -> ModSeq {
        self.figures.modseq
    }

    /// What the mailbox's row said then.
    pub(crate) fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Whether it comes out as the mailbox's figures say.
    pub(crate) fn is_as_counted(&self) -> bool {
        const SEEN: usize = (SystemFlag::Seen as u8).trailing_zeros() as usize;
        const DELETED: usize = (SystemFlag::Deleted as u8).trailing_zeros() as usize;
        let Bits { uids, system, .. } = &self.visible;
        let (seen, deleted) = (&system[SEEN], &system[DELETED]);
        let counted = [
            (uids.len(), self.figures.messages),
            (uids.difference_len(seen), self.figures.unseen),
            (deleted.len(), self.figures.deleted),
            (seen.intersection_len(deleted), self.figures.seen_deleted),
        ];
        counted.iter().all(|(have, want)| *have == u64::from(*want))
    }

    /// Whether it holds messages of a COPY that is not yet published.
    pub(crate) fn has_staged(&self) -> bool {
        self.figures.is_staging || !self.staged.uids.is_empty()
    }

    /// The bitmaps of the messages that can be seen: UIDs, flags, keywords.
    pub(crate) fn bitmaps(&self) -> impl Iterator<Item = &RoaringBitmap> {
        let flags = self.visible.system.iter().chain(&self.visible.keywords);
        std::iter::once(&self.visible.uids).chain(flags)
    }

    /// An index of bitmaps in that order; none if there are too few.
    pub(crate) fn of_bitmaps(figures: Figures, bitmaps: Vec<RoaringBitmap>) -> Option<Self> {
        let mut bitmaps = bitmaps.into_iter();
        let mut visible = Bits {
            uids: bitmaps.next()?,
            ..Bits::default()
        };
        for bits in &mut visible.system {
            *bits = bitmaps.next()?;
        }
        visible.keywords = bitmaps.collect();
        Some(Self {
            figures,
            visible,
            staged: Bits::default(),
        })
    }

    /// The UIDs of the messages.
    pub(crate) fn uids(&self) -> &RoaringBitmap {
        &self.visible.uids
    }

    /// The same as a list, which may be long: it is made where it stays.
    pub(crate) fn list(&self) -> Arc<[Uid]> {
        let mut runs = self.visible.uids.iter();
        let mut run = (0..0).chain(None);
        let mut next = move || loop {
            if let Some(uid) = run.next() {
                return Uid(uid);
            }
            match runs.next_range() {
                Some(next) => run = (*next.start()..*next.end()).chain(Some(*next.end())),
                None => return Uid(u32::MAX),
            }
        };
        (0..self.visible.uids.len() as usize)
            .map(|_| next())
            .collect()
    }

    /// Those with a system flag, by the number of its bit.
    pub(crate) fn with_system(&self, bit: usize) -> &RoaringBitmap {
        &self.visible.system[bit]
    }

    /// Those with each keyword of the mailbox's list, of messages that can be seen, and of those
    /// that are staged.
    pub(crate) fn with_keywords(&self) -> [&[RoaringBitmap]; 2] {
        [&self.visible.keywords, &self.staged.keywords]
    }

    /// How many messages have this UID or a lower one.
    pub(crate) fn rank(&self, uid: Uid) -> u32 {
        self.visible.uids.rank(uid.0) as u32
    }

    /// Memory that it takes, in bytes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.visible.bytes() + self.staged.bytes()
    }

    /// Takes over a message's row as it is now; none if there is none any more.
    pub(crate) fn apply(&mut self, uid: Uid, row: Option<&MessageRow>, hidden: bool) {
        match row {
            Some(row) if hidden => self.staged.set(uid.0, row),
            Some(row) => self.visible.set(uid.0, row),
            None => {
                self.visible.remove(uid.0);
                self.staged.remove(uid.0);
            }
        }
    }

    /// The mailbox has come to these figures; unless messages are still staged, those that were
    /// are there now.
    pub(crate) fn advance(&mut self, figures: impl Into<Figures>) {
        self.figures = figures.into();
        if !self.figures.is_staging && !self.staged.uids.is_empty() {
            let staged = std::mem::take(&mut self.staged);
            self.visible.merge(&staged);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(system: u8, keywords: &[u8]) -> MessageRow {
        MessageRow {
            system,
            keywords: keywords.to_vec(),
            ..MessageRow::default()
        }
    }

    #[test]
    fn flags_follow_the_rows() {
        let mut index = MailboxIndex::default();
        index.apply(Uid(7), Some(&row(8, &[2])), false);
        index.apply(Uid(9), Some(&row(4, &[])), false);
        assert_eq!((index.rank(Uid(8)), index.rank(Uid(9))), (1, 2));
        assert_eq!(index.with_system(3).iter().collect::<Vec<_>>(), [7]);
        index.apply(Uid(7), Some(&row(0, &[0])), false);
        assert!(index.with_system(3).is_empty());
        assert!(index.visible.keywords[2].is_empty());
        assert!(index.visible.keywords[0].contains(7));
        index.apply(Uid(7), None, false);
        assert_eq!(index.uids().iter().collect::<Vec<_>>(), [9]);
    }

    #[test]
    fn the_list_has_all_uids() {
        let mut index = MailboxIndex::default();
        assert!(index.list().is_empty());
        let uids = [1, 2, 3, 7, 65_535, 65_536, 65_537, 200_000, u32::MAX - 1];
        for uid in uids {
            index.apply(Uid(uid), Some(&row(0, &[])), false);
        }
        assert_eq!(*index.list(), uids.map(Uid));
    }

    #[test]
    fn staged_messages_are_seen_once_they_are_published() {
        let mut index = MailboxIndex::default();
        index.apply(Uid(100), Some(&row(8, &[])), true);
        index.advance(Figures {
            is_staging: true,
            ..Figures::default()
        });
        assert!(index.uids().is_empty());
        index.advance(Figures::default());
        assert_eq!(index.rank(Uid(100)), 1);
        assert_eq!(index.with_system(3).len(), 1);
    }
}
