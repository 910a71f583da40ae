//! What the answer to a SEARCH, or SORT, is to have.

use super::fetch_item::FetchItem;

/// SEARCH return options (RFC 4731 §3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchReturn {
    /// `MIN`
    Min,
    /// `MAX`
    Max,
    /// `ALL`
    All,
    /// `COUNT`
    Count,
    /// `SAVE` (RFC 5182 §2.1)
    Save,
    /// `PARTIAL n:m` (RFC 9394 §3.1)
    Partial(PartialRange),
    /// `CONTEXT` (RFC 5267 §4.2): more of the kind will be asked for.
    Context,
    /// `UPDATE` (RFC 5267 §4.3): changes of the result are to be told, and these items of new
    /// messages in it (RFC 5465 §7).
    Update(Vec<FetchItem>),
}

/// Places in a result, the first is 1 (RFC 9394 §4 `partial-range`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialRange {
    /// Counted from the end: `-n:-m`.
    pub from_end: bool,
    /// The lower, and the higher, which is included.
    pub places: (u32, u32),
    /// The higher was given first.
    pub turned: bool,
}

impl PartialRange {
    /// How many places it has.
    pub fn count(self) -> u32 {
        (self.places.1 - self.places.0).saturating_add(1)
    }

    /// Places counted from the front, the first is 0, in a result of so many; none if it has
    /// none there.
    pub fn of(self, count: usize) -> Option<(usize, usize)> {
        let (low, high) = (self.places.0 as usize, self.places.1 as usize);
        if low > count {
            return None;
        }
        let high = high.min(count);
        Some(match self.from_end {
            false => (low - 1, high - 1),
            true => (count - high, count - low),
        })
    }
}

impl std::fmt::Display for PartialRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.from_end { "-" } else { "" };
        match (self.places, self.turned) {
            ((low, high), false) => write!(f, "{sign}{low}:{sign}{high}"),
            ((low, high), true) => write!(f, "{sign}{high}:{sign}{low}"),
        }
    }
}
