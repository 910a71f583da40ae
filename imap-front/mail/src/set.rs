//! Sequence sets (RFC 3501 §9 `sequence-set`) as values; their syntax is the protocol's business.

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
