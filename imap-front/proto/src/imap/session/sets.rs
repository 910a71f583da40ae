//! Sets of message numbers and UIDs, as ranges of UIDs in the view.

use mail::set::SetNumber;
use mail::{SequenceSet, Uid, UidRanges};

use super::Session;

impl Session {
    /// Turns a set of numbers or UIDs into ranges of UIDs in the view, ascending.
    ///
    /// # Errors
    /// If a message number is beyond the last (RFC 3501 §6.4.8 allows that for UIDs only).
    pub(super) fn resolve(
        &mut self,
        set: &SequenceSet,
        uid: bool,
    ) -> Result<UidRanges, &'static str> {
        if uid {
            Ok(self.resolve_uids(set))
        } else {
            self.resolve_numbers(set, false)
        }
    }

    pub(super) fn resolve_uids(&mut self, set: &SequenceSet) -> UidRanges {
        if set.is_saved() {
            return self.saved_ranges();
        }
        let last = self.view().last_uid();
        set.resolve(last.0)
            .into_iter()
            .map(|(low, high)| (Uid(low), Uid(high).min(last)))
            .filter(|(low, high)| low <= high)
            .collect()
    }

    /// Numbers beyond the last are an error, or left out if `lenient`. A range with `*` ends at the
    /// last message, be there one or none.
    pub(super) fn resolve_numbers(
        &mut self,
        set: &SequenceSet,
        lenient: bool,
    ) -> Result<UidRanges, &'static str> {
        if set.is_saved() {
            return Ok(self.saved_ranges());
        }
        let view = self.view();
        let count = view.exists();
        let mut there = Vec::with_capacity(set.0.len());
        for &(one, other) in &set.0 {
            let open = one == SetNumber::Largest || other == SetNumber::Largest;
            let clipped = |n| match n {
                SetNumber::Value(n) if n <= count => Some(SetNumber::Value(n)),
                SetNumber::Value(_) if open || lenient => Some(SetNumber::Value(count)),
                SetNumber::Value(_) => None,
                SetNumber::Largest => Some(SetNumber::Value(count)),
            };
            let beyond = |n| matches!(n, SetNumber::Value(n) if n > count);
            let (Some(one_clipped), Some(other_clipped)) = (clipped(one), clipped(other)) else {
                return Err("a message number is beyond the last message");
            };
            let outside = lenient && !open && beyond(one) && beyond(other);
            if count > 0 && !outside {
                there.push((one_clipped, other_clipped));
            }
        }
        Ok(view.uids_of_numbers(&SequenceSet(there).resolve(count)))
    }
}
