//! Sequence sets (RFC 3501 §9 `sequence-set`) as values; their syntax is the protocol's business.
//! And sets and ranges of UIDs as the store and sessions exchange them.

use std::ops::RangeInclusive;
use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::{ModSeq, Uid};

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetNumber {
    /// A message number or UID, never 0.
    Value(u32),
    /// `*`: the largest in the mailbox.
    Largest,
}

/// A set of message numbers or UIDs as a client wrote it: ranges in any order, either end first.
/// None at all: `$`, what a SEARCH has saved (RFC 5182).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SequenceSet(pub Vec<(SetNumber, SetNumber)>);

impl SequenceSet {
    /// `$`
    pub const SAVED: Self = Self(Vec::new());

    /// Whether it is `$`.
    pub fn is_saved(&self) -> bool {
        self.0.is_empty()
    }

    /// What it takes in memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&self.0[..])
    }

    /// The ranges with `*` replaced by `largest`, low end first, sorted, merged.
    pub fn resolve(&self, largest: u32) -> Vec<(u32, u32)> {
        let value = |n: SetNumber| match n {
            SetNumber::Value(v) => v,
            SetNumber::Largest => largest,
        };
        let mut ranges: Vec<(u32, u32)> = self
            .0
            .iter()
            .map(|&(a, b)| (value(a).min(value(b)), value(a).max(value(b))))
            .collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match merged.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        merged
    }
}

/// UIDs, ascending: at most a bit each, whatever they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UidSet(RoaringBitmap);

impl Eq for UidSet {}

impl UidSet {
    /// As a bitmap.
    pub fn bits(&self) -> &RoaringBitmap {
        &self.0
    }

    /// Whether one is there.
    pub fn contains(&self, uid: Uid) -> bool {
        self.0.contains(uid.0)
    }

    /// Those in a range.
    pub fn range(&self, range: RangeInclusive<Uid>) -> impl Iterator<Item = Uid> + '_ {
        self.0.range(range.start().0..=range.end().0).map(Uid)
    }

    /// Adds one.
    pub fn insert(&mut self, uid: Uid) {
        self.0.insert(uid.0);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len() as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lowest.
    pub fn first(&self) -> Option<Uid> {
        self.0.min().map(Uid)
    }

    /// The highest.
    pub fn last(&self) -> Option<Uid> {
        self.0.max().map(Uid)
    }

    /// Those at some places, of which the lowest has 0; the last place is included.
    pub fn at(&self, first: usize, last: usize) -> Self {
        let at = |place| {
            u32::try_from(place)
                .ok()
                .and_then(|place| self.0.select(place))
        };
        let mut uids = RoaringBitmap::new();
        if let Some(low) = at(first) {
            uids.insert_range(low..=at(last).or(self.0.max()).unwrap_or(low));
            uids &= &self.0;
        }
        Self(uids)
    }

    /// Adds those of another set.
    pub fn union(&mut self, other: &Self) {
        self.0 |= &other.0;
    }

    /// Runs of UIDs without a gap, ascending: the first and the last of each. Each costs about the
    /// same, however long it is.
    pub fn into_ranges(self) -> impl Iterator<Item = (Uid, Uid)> + Send {
        let mut uids = self.0.into_iter();
        std::iter::from_fn(move || {
            let range = uids.next_range()?;
            Some((Uid(*range.start()), Uid(*range.end())))
        })
    }

    /// What it takes in memory, in bytes, about.
    pub fn bytes(&self) -> usize {
        self.0.serialized_size()
    }
}

impl From<RoaringBitmap> for UidSet {
    fn from(uids: RoaringBitmap) -> Self {
        Self(uids)
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        Self(uids.into_iter().map(|uid| uid.0).collect())
    }
}

impl Extend<Uid> for UidSet {
    fn extend<I: IntoIterator<Item = Uid>>(&mut self, uids: I) {
        self.0.extend(uids.into_iter().map(|uid| uid.0));
    }
}

impl IntoIterator for UidSet {
    type Item = Uid;
    type IntoIter = std::iter::Map<roaring::bitmap::IntoIter, fn(u32) -> Uid>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(Uid)
    }
}

/// Ranges of UIDs, low end first, both ends included: ascending and apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UidRanges(Vec<(Uid, Uid)>);

impl UidRanges {
    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, (Uid, Uid)> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that don't end below a UID.
    pub fn from(&self, uid: Uid) -> &[(Uid, Uid)] {
        &self.0[self.0.partition_point(|(_, high)| *high < uid)..]
    }

    /// Whether a UID lies in one of them.
    pub fn contains(&self, uid: Uid) -> bool {
        self.from(uid).first().is_some_and(|(low, _)| *low <= uid)
    }

    /// How many UIDs lie in them, whether there are such messages or not.
    pub fn span(&self) -> u64 {
        let span = |(low, high): &(Uid, Uid)| u64::from(high.0 - low.0) + 1;
        self.0.iter().map(span).sum()
    }

    /// The UIDs that lie in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = Vec::new();
        let (mut ours, mut theirs) = (self.iter().peekable(), other.iter().peekable());
        while let (Some(&&(low, high)), Some(&&(from, to))) = (ours.peek(), theirs.peek()) {
            let (first, last) = (low.max(from), high.min(to));
            if first <= last {
                both.push((first, last));
            }
            match high <= to {
                true => ours.next(),
                false => theirs.next(),
            };
        }
        Self(both)
    }

    /// What they take in memory, in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.0[..])
    }
}

/// From ranges that are ascending and apart.
impl FromIterator<(Uid, Uid)> for UidRanges {
    fn from_iter<I: IntoIterator<Item = (Uid, Uid)>>(ranges: I) -> Self {
        Self(ranges.into_iter().collect())
    }
}

/// From UIDs that are ascending.
impl FromIterator<Uid> for UidRanges {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        let mut ranges: Vec<(Uid, Uid)> = Vec::new();
        for uid in uids {
            match ranges.last_mut() {
                Some((_, high)) if high.0.checked_add(1) == Some(uid.0) => *high = uid,
                _ => ranges.push((uid, uid)),
            }
        }
        Self(ranges)
    }
}

impl<'a> IntoIterator for &'a UidRanges {
    type Item = &'a (Uid, Uid);
    type IntoIter = std::slice::Iter<'a, (Uid, Uid)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl IntoIterator for UidRanges {
    type Item = (Uid, Uid);
    type IntoIter = std::vec::IntoIter<(Uid, Uid)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Messages of a session's view as it asks for them: it has so many of them, and who answers finds
/// out which they are. A message that is there is in the view if it lies in the ranges; one that is
/// gone as [`InView::has_gone`] says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InView {
    /// Where they lie; none ends beyond the view's last message.
    pub ranges: UidRanges,
    /// How many messages the view has there.
    pub count: u32,
    /// Messages of the view, anywhere in it, that are gone without that the client was told.
    pub withheld: Arc<UidSet>,
}

impl InView {
    /// Whether a message in the ranges that is gone is in the view still: because it is known to be
    /// withheld, or went after `since`, up to which the view is complete.
    pub fn has_gone(&self, uid: Uid, (created, gone): (ModSeq, ModSeq), since: ModSeq) -> bool {
        self.withheld.contains(uid) || (created <= since && since < gone)
    }

    /// What it takes in memory, in bytes, about.
    pub fn bytes(&self) -> usize {
        self.ranges.bytes() + self.withheld.bytes()
    }
}

/// From ascending UIDs: each is in the view, there or gone.
impl FromIterator<Uid> for InView {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        let uids: Vec<Uid> = uids.into_iter().collect();
        Self {
            count: uids.len() as u32,
            ranges: uids.iter().copied().collect(),
            withheld: Arc::new(uids.into_iter().collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_become_ranges() {
        let ranges: UidRanges = [1, 2, 3, 7, 9, 10].map(Uid).into_iter().collect();
        let expected = [(1, 3), (7, 7), (9, 10)].map(|(low, high)| (Uid(low), Uid(high)));
        assert_eq!(ranges, expected.into_iter().collect());
        assert_eq!(ranges.span(), 6);
        let there: Vec<u32> = (0..12).filter(|uid| ranges.contains(Uid(*uid))).collect();
        assert_eq!(there, [1, 2, 3, 7, 9, 10]);
        assert_eq!(ranges.from(Uid(8)), &expected[2..]);
        assert_eq!(ranges.from(Uid(11)), &[]);
    }

    #[test]
    fn ranges_have_in_common_what_lies_in_both() {
        let ranges = |ranges: &[(u32, u32)]| -> UidRanges {
            ranges
                .iter()
                .map(|&(low, high)| (Uid(low), Uid(high)))
                .collect()
        };
        let ours = ranges(&[(1, 5), (8, 8), (10, 20), (30, u32::MAX)]);
        let theirs = ranges(&[(2, 3), (5, 9), (15, 40), (50, 60)]);
        let both = ranges(&[(2, 3), (5, 5), (8, 8), (15, 20), (30, 40), (50, 60)]);
        assert_eq!(ours.intersection(&theirs), both);
        assert_eq!(theirs.intersection(&ours), both);
        assert_eq!(ours.intersection(&ranges(&[])), ranges(&[]));
    }

    #[test]
    fn what_is_gone_is_in_view_while_the_session_does_not_know() {
        let view: InView = [Uid(5)].into_iter().collect();
        let at = |created, gone| (ModSeq(created), ModSeq(gone));
        assert!(view.has_gone(Uid(5), at(1, 2), ModSeq(9)), "withheld");
        assert!(!view.has_gone(Uid(6), at(1, 2), ModSeq(9)), "told");
        assert!(view.has_gone(Uid(6), at(9, 10), ModSeq(9)), "not known");
        assert!(!view.has_gone(Uid(6), at(10, 11), ModSeq(9)), "never seen");
    }
}
