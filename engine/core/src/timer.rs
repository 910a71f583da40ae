//! One coarse deadline a row, a few bytes each, for a million rows that mostly move it.

use std::collections::BTreeMap;

use crate::limits::SECOND_NS;

/// Rows filed by the second in which they are to be looked at.
///
/// A filing is a promise to look, not a deadline: the row holds its deadline, and the second of its
/// earliest filing. Moving a deadline later costs nothing; the row is filed again when its second
/// comes. Moving it earlier files it once more, and the later filing is then void.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    buckets: BTreeMap<u32, Vec<u32>>,
}

impl Timer {
    /// Files a slot.
    pub fn file(&mut self, second: u32, slot: u32) {
        self.buckets.entry(second).or_default().push(slot);
    }

    /// When to look next, in nanoseconds.
    pub fn next_ns(&self) -> Option<u64> {
        self.buckets
            .first_key_value()
            .map(|(second, _)| u64::from(*second) * SECOND_NS)
    }

    /// A filing that is due, oldest second first: its second and slot.
    pub fn pop_due(&mut self, now_ns: u64) -> Option<(u32, u32)> {
        let mut bucket = self.buckets.first_entry()?;
        let second = *bucket.key();
        if u64::from(second) * SECOND_NS > now_ns {
            return None;
        }
        let slot = bucket.get_mut().pop().expect("no bucket is kept empty");
        if bucket.get().is_empty() {
            bucket.remove();
        }
        Some((second, slot))
    }
}

/// The second at which a deadline is due: never before it, and never 0, which means none.
pub(crate) fn second_of(at_ns: u64) -> u32 {
    u32::try_from(at_ns.div_ceil(SECOND_NS))
        .unwrap_or(u32::MAX)
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_by_second_and_not_before() {
        let mut timer = Timer::default();
        for (second, slot) in [(5, 50), (3, 30), (3, 31)] {
            timer.file(second, slot);
        }
        assert_eq!(timer.next_ns(), Some(3 * SECOND_NS));
        assert_eq!(timer.pop_due(3 * SECOND_NS - 1), None);
        assert_eq!(timer.pop_due(3 * SECOND_NS), Some((3, 31)));
        assert_eq!(timer.pop_due(9 * SECOND_NS), Some((3, 30)));
        assert_eq!(timer.pop_due(9 * SECOND_NS), Some((5, 50)));
        assert_eq!(timer.pop_due(9 * SECOND_NS), None);
        assert_eq!(timer.next_ns(), None);
    }

    #[test]
    fn seconds_round_up() {
        assert_eq!(
            [0, 1, SECOND_NS, SECOND_NS + 1].map(second_of),
            [1, 1, 1, 2]
        );
        assert_eq!(second_of(u64::MAX), u32::MAX);
    }
}
