//! Sequence sets (RFC 3501 §9 `sequence-set`) as values; their syntax is the protocol's business.
//! And sets of UIDs as the store and sessions exchange them.

use roaring::RoaringBitmap;

use crate::Uid;

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetNumber {
    /// A message number or UID, never 0.
    Value(u32),
    /// `*`: the largest in the mailbox.
    Largest,
}

/// A set of message numbers or UIDs as a client wrote it: ranges in any order, either end first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SequenceSet(pub Vec<(SetNumber, SetNumber)>);

impl SequenceSet {
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

impl UidSet {
    /// Whether one is there.
    pub fn contains(&self, uid: Uid) -> bool {
        self.0.contains(uid.0)
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
