//! The UIDs that a view has numbers for: a shared list, and what came after it.

use std::sync::Arc;

use mail::Uid;
use roaring::RoaringBitmap;

/// Ascending UIDs; a message's position, its slot, stays the same for the view's life.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    shared: Arc<[Uid]>,
    later: Vec<Uid>,
}

impl Slots {
    pub fn new(shared: Arc<[Uid]>) -> Self {
        let later = Vec::new();
        Self { shared, later }
    }

    pub fn len(&self) -> u32 {
        (self.shared.len() + self.later.len()) as u32
    }

    /// Adds a message, unless its UID is not above all others.
    pub fn push(&mut self, uid: Uid) {
        let last = self.later.last().or(self.shared.last());
        if last.is_none_or(|last| *last < uid) {
            self.later.push(uid);
        }
    }

    pub fn uid(&self, slot: u32) -> Uid {
        let slot = slot as usize;
        match self.shared.get(slot) {
            Some(uid) => *uid,
            None => self.later[slot - self.shared.len()],
        }
    }

    /// The first slot whose UID is not below `uid`.
    pub fn lower_bound(&self, uid: Uid) -> u32 {
        let in_shared = self.shared.partition_point(|have| *have < uid);
        if in_shared < self.shared.len() {
            return in_shared as u32;
        }
        (in_shared + self.later.partition_point(|have| *have < uid)) as u32
    }

    /// The slot after the last whose UID is not above `uid`.
    pub fn upper_bound(&self, uid: Uid) -> u32 {
        match uid.0.checked_add(1) {
            Some(next) => self.lower_bound(Uid(next)),
            None => self.len(),
        }
    }

    pub fn find(&self, uid: Uid) -> Option<u32> {
        let slot = self.lower_bound(uid);
        (slot < self.len() && self.uid(slot) == uid).then_some(slot)
    }

    /// As [`Slots::find`], fast if the slot lies soon after `near`, which is moved to it.
    pub fn find_from(&self, near: &mut u32, uid: Uid) -> Option<u32> {
        let len = self.len();
        let mut step = 1;
        let mut low = *near;
        if low >= len || self.uid(low) > uid {
            low = 0;
        }
        let mut high = low;
        while high < len && self.uid(high) < uid {
            low = high + 1;
            high = high.saturating_add(step);
            step *= 2;
        }
        let mut high = high.min(len);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.uid(middle) < uid {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        *near = low;
        (low < len && self.uid(low) == uid).then_some(low)
    }
}

/// So many are looked up one by one; more in one pass over the slots without a number.
const LOOKED_UP_MAX: usize = 16;

/// From message numbers, asked for in ascending order, to slots.
pub(super) struct Seek<'a> {
    unnumbered: &'a RoaringBitmap,
    pass: Option<roaring::bitmap::Iter<'a>>,
    next: Option<u32>,
    skipped: u32,
}

impl<'a> Seek<'a> {
    /// For about so many numbers.
    pub fn new(unnumbered: &'a RoaringBitmap, numbers: usize) -> Self {
        let mut pass = (numbers > LOOKED_UP_MAX).then(|| unnumbered.iter());
        let next = pass.as_mut().and_then(Iterator::next);
        Self {
            unnumbered,
            pass,
            next,
            skipped: 0,
        }
    }

    /// The slot of a number that there is.
    pub fn slot(&mut self, number: u32) -> u32 {
        let Some(pass) = &mut self.pass else {
            return self.looked_up(number);
        };
        while self.next.is_some_and(|next| next < number + self.skipped) {
            self.skipped += 1;
            self.next = pass.next();
        }
        number - 1 + self.skipped
    }

    fn looked_up(&self, number: u32) -> u32 {
        // The slot has `number - 1` slots with a number below it, and perhaps all without one.
        let (mut low, mut high) = (number - 1, number - 1 + self.unnumbered.len() as u32);
        while low < high {
            let middle = low + (high - low) / 2;
            if middle + 1 - (self.unnumbered.rank(middle) as u32) < number {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_to_slots_either_way() {
        let unnumbered: RoaringBitmap = [0, 1, 5, 6, 7, 100].into_iter().collect();
        let numbered: Vec<u32> = (0..300).filter(|n| !unnumbered.contains(*n)).collect();
        for ranges in [1, 1000] {
            let mut seek = Seek::new(&unnumbered, ranges);
            for (slot, number) in numbered.iter().zip(1..) {
                assert_eq!(seek.slot(number), *slot, "{ranges} ranges, number {number}");
            }
        }
    }

    #[test]
    fn uids_are_found_from_anywhere() {
        let mut slots = Slots::new((1..=50).map(|n| Uid(n * 3)).collect());
        (51..=60).for_each(|n| slots.push(Uid(n * 3)));
        slots.push(Uid(7));
        assert_eq!(slots.len(), 60, "only above all others");
        for start in 0..62 {
            for uid in 0..185 {
                let found = slots.find(Uid(uid));
                assert_eq!(found.is_some(), uid % 3 == 0 && (3..=180).contains(&uid));
                assert_eq!(slots.find_from(&mut start.clone(), Uid(uid)), found);
            }
        }
        assert_eq!(
            (slots.lower_bound(Uid(4)), slots.upper_bound(Uid(6))),
            (1, 2)
        );
        assert_eq!(slots.upper_bound(Uid(u32::MAX)), 60);
    }
}
