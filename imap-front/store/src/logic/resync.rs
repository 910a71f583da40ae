//! What a client that was away has missed (RFC 7162 §3.2.5, §3.2.6).
//!
//! What went is told by its tombstones. Where these are not kept any more, or are very many, it is
//! what the client knows and the mailbox doesn't have: the index tells that, in runs.

use mail::{MailboxId, ModSeq, Refusal, Reply, Uid, UidRanges};
use roaring::RoaringBitmap;

use super::catch_up::{changed_after, first_after, gone_after};
use super::reading::{CHANGES_MAX, numbering};
use super::{Rules, tables};
use crate::Error;
use crate::kv::Kv;

/// Which of the messages in `known` came, changed or went after `since`, for a session that stands
/// at `upto`.
pub(super) fn changes(
    kv: &dyn Kv,
    rules: &Rules,
    id: MailboxId,
    (since, upto): (ModSeq, ModSeq),
    known: &UidRanges,
    vanished: Option<Uid>,
) -> Result<Reply, Error> {
    let Some(mailbox) = tables::mailbox(kv, id)? else {
        return Ok(Reply::Refused(Refusal::NoMailbox));
    };
    let last = Uid(mailbox.uid_next.0.saturating_sub(1));
    if mailbox.modseq <= since || last == Uid(0) {
        let (vanished, changed) = Default::default();
        return Ok(Reply::Changes { vanished, changed });
    }
    let known = known.intersection(&[(Uid(1), last)].into_iter().collect());
    let numbering = numbering(kv, rules, id, &mailbox)?;
    let changed = changed_after(kv, id, since, CHANGES_MAX)?;
    let changed = match changed.len() > CHANGES_MAX {
        true => known.clone(),
        false => {
            let fresh = first_after(kv, id, &mailbox, &numbering, since)?;
            let mut uids: Vec<Uid> = changed.into_iter().map(|(_, uid)| uid).collect();
            uids.sort_unstable();
            uids.dedup();
            uids.truncate(uids.partition_point(|uid| *uid < fresh));
            let ranges: UidRanges = uids.into_iter().collect();
            let fresh = (fresh <= last).then_some((fresh, last));
            known.intersection(&ranges.into_iter().chain(fresh).collect())
        }
    };
    let Some(heard) = vanished else {
        let vanished = UidRanges::default();
        return Ok(Reply::Changes { vanished, changed });
    };
    let gone = match since < mailbox.horizon {
        true => None,
        false => Some(gone_after(kv, id, since, CHANGES_MAX)?),
    };
    let vanished = match gone.filter(|gone| gone.len() <= CHANGES_MAX) {
        Some(gone) => {
            let gone = gone.into_iter().filter(|(at, _)| *at <= upto);
            let mut uids: Vec<Uid> = gone.map(|(_, (uid, _))| uid).collect();
            uids.sort_unstable();
            uids.retain(|uid| known.contains(*uid));
            uids.into_iter().collect()
        }
        None => {
            let mut there = numbering.index.uids().clone();
            let later = gone_after(kv, id, upto, usize::MAX)?;
            there.extend(later.iter().map(|(_, (uid, _))| uid.0));
            let above = Uid(heard.0.saturating_add(1));
            missing(
                &known.intersection(&[(above, last)].into_iter().collect()),
                &there,
            )
        }
    };
    Ok(Reply::Changes { vanished, changed })
}

/// What of the ranges is not there, run by run.
fn missing(ranges: &UidRanges, there: &RoaringBitmap) -> UidRanges {
    let mut missing = Vec::new();
    let mut runs = there.iter();
    for &(low, high) in ranges {
        let mut next = Some(low);
        runs.advance_to(low.0);
        while let Some(from) = next {
            // A run may reach beyond the range: what is left of it is there for the next.
            let mut ahead = runs.clone();
            let run = ahead.next_range().filter(|run| *run.start() <= high.0);
            let Some(run) = run else {
                missing.push((from, high));
                break;
            };
            if from.0 < *run.start() {
                missing.push((from, Uid(run.start() - 1)));
            }
            if *run.end() >= high.0 {
                break;
            }
            runs = ahead;
            next = run.end().checked_add(1).map(Uid);
        }
    }
    missing.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_lies_between_the_runs() {
        let there: RoaringBitmap = [3, 4, 5, 9, 10, 70_000].into_iter().collect();
        let cases: [&[(u32, u32)]; 6] = [
            &[(1, 12)],
            &[(1, 1), (3, 4), (5, 5), (7, 9)],
            &[(4, 4), (6, 6), (10, 10)],
            &[(10, 70_001)],
            &[(70_000, 70_000)],
            &[(80_000, 80_010)],
        ];
        for ranges in cases {
            let ranges: UidRanges = ranges
                .iter()
                .map(|&(low, high)| (Uid(low), Uid(high)))
                .collect();
            let all = ranges.iter().flat_map(|(low, high)| low.0..=high.0);
            let expected: Vec<u32> = all.filter(|uid| !there.contains(*uid)).collect();
            let found = missing(&ranges, &there);
            let found = found.iter().flat_map(|(low, high)| low.0..=high.0);
            assert_eq!(found.collect::<Vec<u32>>(), expected, "{ranges:?}");
        }
    }
}
