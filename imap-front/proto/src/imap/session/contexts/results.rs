//! The results of searches that are followed, and what differs between two of them (RFC 5267
//! §4.3.3, §4.3.4).

use std::ops::RangeInclusive;

use mail::sort::Criterion;
use mail::{Uid, UidSet};

/// What the client knows of the result.
pub(super) enum Results {
    /// In the mailbox's order.
    Found(UidSet),
    /// In the order of criteria.
    Sorted(Box<[Criterion]>, Vec<Uid>),
}

impl Results {
    pub fn bytes(&self) -> usize {
        match self {
            Self::Found(uids) => uids.bytes(),
            Self::Sorted(criteria, uids) => size_of_val(&criteria[..]) + size_of_val(&uids[..]),
        }
    }
}

/// What is found by a search that is to be followed.
pub(in crate::imap::session) enum FollowedResults<'a> {
    Found(&'a UidSet),
    Sorted(&'a [Criterion], &'a [Uid]),
}

impl FollowedResults<'_> {
    /// As they are kept.
    pub(super) fn kept(&self) -> Results {
        match *self {
            Self::Found(found) => Results::Found(found.clone()),
            Self::Sorted(criteria, uids) => Results::Sorted(criteria.into(), uids.to_vec()),
        }
    }
}

/// Runs of messages, each with the place of its first: 0 where the order is the mailbox's.
pub(super) type Runs = Vec<(usize, Vec<Uid>)>;

/// What is to be removed from one result, and then to be added, to make another of it.
pub(super) fn difference(had: &Results, now: &Results) -> (Runs, Runs) {
    match (had, now) {
        (Results::Found(had), Results::Found(now)) => {
            let run = |uids: UidSet| match uids.is_empty() {
                true => vec![],
                false => vec![(0, uids.into_iter().collect())],
            };
            let removed = UidSet::from(had.bits() - now.bits());
            let added = UidSet::from(now.bits() - had.bits());
            (run(removed), run(added))
        }
        (Results::Sorted(_, had), Results::Sorted(_, now)) => sorted_difference(had, now),
        _ => (vec![], vec![]),
    }
}

fn sorted_difference(had: &[Uid], now: &[Uid]) -> (Runs, Runs) {
    let set = |uids: &[Uid]| uids.iter().copied().collect::<UidSet>();
    let (was_there, is_there) = (set(had), set(now));
    let left = had.iter().filter(|uid| is_there.contains(**uid));
    let stays = left.eq(now.iter().filter(|uid| was_there.contains(**uid)));
    // Messages don't change. If their order did, all of them have another place.
    let is_kept = |uid: Uid| stays && was_there.contains(uid) && is_there.contains(uid);
    // What is removed does not count for the places behind it; what is added does.
    let (mut removed, mut place) = (Runs::new(), 1);
    for uid in had {
        match is_kept(*uid) {
            true => place += 1,
            false => push_run(&mut removed, place..=place, *uid),
        }
    }
    let mut added = Runs::new();
    for (before, uid) in now.iter().enumerate() {
        if !is_kept(*uid) {
            let run = added
                .last()
                .map_or(0, |(_, run): &(usize, Vec<Uid>)| run.len());
            push_run(&mut added, before + 1 - run..=before + 1, *uid);
        }
    }
    (removed, added)
}

/// Adds a message to the last run, if that began at the first of these places; else it begins one
/// at the last.
fn push_run(runs: &mut Runs, places: RangeInclusive<usize>, uid: Uid) {
    match runs.last_mut() {
        Some((place, run)) if *place == *places.start() => run.push(uid),
        _ => runs.push((*places.end(), vec![uid])),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uids(numbers: &[u32]) -> Vec<Uid> {
        numbers.iter().copied().map(Uid).collect()
    }

    /// What a client makes of it (RFC 5267 §4.3.3, §4.3.4).
    fn applied(had: &[Uid], (removed, added): &(Runs, Runs)) -> Vec<Uid> {
        let mut list = had.to_vec();
        for (place, run) in removed {
            for uid in run {
                assert_eq!(list.remove(place - 1), *uid);
            }
        }
        for (place, run) in added {
            for (nth, uid) in run.iter().enumerate() {
                list.insert(place - 1 + nth, *uid);
            }
        }
        list
    }

    #[test]
    fn neighbours_are_told_together() {
        let (had, now) = (uids(&[5, 3, 9, 4]), uids(&[5, 7, 8, 4, 6]));
        let told = sorted_difference(&had, &now);
        assert_eq!(told.0, [(2, uids(&[3, 9]))]);
        assert_eq!(told.1, [(2, uids(&[7, 8])), (5, uids(&[6]))]);
    }

    proptest! {
        #[test]
        fn a_client_comes_to_the_same_result(
            order in Just((1..=12u32).collect::<Vec<_>>()).prop_shuffle(),
            another in proptest::option::of(
                Just((1..=12u32).collect::<Vec<_>>()).prop_shuffle()
            ),
            had in any::<[bool; 13]>(),
            now in any::<[bool; 13]>(),
        ) {
            let of = |order: &[u32], is_in: &[bool; 13]| {
                let some = order.iter().copied().filter(|it| is_in[*it as usize]);
                some.map(Uid).collect::<Vec<_>>()
            };
            let before = of(&order, &had);
            let after = of(another.as_deref().unwrap_or(&order), &now);
            let told = sorted_difference(&before, &after);
            prop_assert_eq!(applied(&before, &told), after);
        }
    }
}
