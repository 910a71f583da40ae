//! Which messages a request means: those in ranges of UIDs, a slice of them at a time.
//!
//! What it costs is bounded by the slice, whatever the ranges hold: a look at a range counts as
//! well as a row.

use std::ops::ControlFlow::{Break, Continue};

use mail::{Flags, InView, MailboxId, ModSeq, Uid, UidRanges};

use super::{keeping, keys, tables};
use crate::Error;
use crate::kv::{Kv, Space};
use crate::rows::{Kept, Mailbox, MessageRow};

/// A message with its flags.
pub(super) type Flagged = (Uid, MessageRow, Flags);

/// A slice, ascending, and where the next begins if there may be more.
pub(super) type Slice<T> = (Vec<T>, Option<Uid>);

/// Kept messages that are looked at for each message of a slice: not all are in view.
const KEPT_A_MESSAGE: usize = 2;

/// Messages that are there, in ranges from a UID on.
pub(super) fn there(
    kv: &dyn Kv,
    of: (MailboxId, &Mailbox),
    ranges: &UidRanges,
    from: Uid,
    max: usize,
) -> Result<Slice<(Uid, MessageRow)>, Error> {
    let mut found = Vec::new();
    for (place, &(low, high)) in ranges.from(from).iter().enumerate() {
        let low = low.max(from);
        if place == max {
            return Ok((found, Some(low)));
        }
        let room = max + 1 - found.len();
        found.extend(rows(kv, of, (low, high), room)?);
        if found.len() > max {
            let next = found.pop().map(|(uid, _)| uid);
            return Ok((found, next));
        }
    }
    Ok((found, None))
}

/// Messages that a session has in view, which is complete up to `since`: those that are there, and
/// those that are gone but kept.
pub(super) fn in_view(
    kv: &dyn Kv,
    (id, mailbox): (MailboxId, &Mailbox),
    (messages, since): (&InView, ModSeq),
    from: Uid,
    max: usize,
) -> Result<Slice<Flagged>, Error> {
    let mut found: Vec<Flagged> = Vec::new();
    let mut left = max * KEPT_A_MESSAGE;
    for (place, &(low, high)) in messages.ranges.from(from).iter().enumerate() {
        let low = low.max(from);
        if place == max {
            return Ok((found, Some(low)));
        }
        let room = max + 1 - found.len();
        let rows = rows(kv, (id, mailbox), (low, high), room)?;
        // The kept ones, as far as those that are there go; these, as far as the kept ones go.
        let to = rows.get(room - 1).map_or(high, |(uid, _)| *uid);
        let view = View {
            messages,
            since,
            is_behind: since < mailbox.modseq,
        };
        let (kept, to) = match (low == high, rows.is_empty()) {
            (true, false) => (vec![], to),
            _ => view.kept(kv, id, (low, to), &mut left)?,
        };
        let rows = rows.into_iter().filter(|(uid, _)| *uid <= to);
        found.extend(rows.map(|(uid, row)| {
            let flags = row.flags(mailbox);
            (uid, row, flags)
        }));
        found.extend(kept.into_iter().map(|(uid, kept)| {
            let flags = kept.flags();
            (uid, kept.message, flags)
        }));
        found.sort_unstable_by_key(|(uid, ..)| *uid);
        if found.len() > max {
            let next = found[max].0;
            found.truncate(max);
            return Ok((found, Some(next)));
        }
        if to < high {
            return Ok((found, Some(Uid(to.0 + 1))));
        }
    }
    Ok((found, None))
}

struct View<'a> {
    messages: &'a InView,
    since: ModSeq,
    /// Whether anything happened in the mailbox that the view does not know.
    is_behind: bool,
}

impl View<'_> {
    /// Kept messages of a range that are in view, and up to where they were looked for: `left` is
    /// how many may be.
    fn kept(
        &self,
        kv: &dyn Kv,
        id: MailboxId,
        (low, high): (Uid, Uid),
        left: &mut usize,
    ) -> Result<(Vec<(Uid, Kept)>, Uid), Error> {
        let is_in_view = |uid: Uid, kept: &Kept| {
            let at = (kept.message.created, kept.gone);
            self.messages.has_gone(uid, at, self.since)
        };
        let (mut found, mut to) = (Vec::new(), high);
        let mut is_enough = |uid: Uid| {
            *left = left.saturating_sub(1);
            if *left == 0 {
                to = uid;
            }
            *left == 0
        };
        if low == high || !self.is_behind {
            let known = self.messages.withheld.range(low..=high);
            let single = (low == high && self.is_behind).then_some(low);
            for uid in single
                .into_iter()
                .chain(known.filter(|uid| Some(*uid) != single))
            {
                let kept = keeping::message(kv, id, uid)?;
                found.extend(
                    kept.filter(|kept| is_in_view(uid, kept))
                        .map(|it| (uid, it)),
                );
                if is_enough(uid) {
                    break;
                }
            }
            return Ok((found, to));
        }
        let (from, end) = keys::messages(id, low, high);
        let mut outcome = Ok(());
        kv.scan(Space::Kept, &from, &end, false, &mut |key, row| {
            let uid = keys::uid_of(key);
            match Kept::decode(row) {
                Ok(kept) if is_in_view(uid, &kept) => found.push((uid, kept)),
                Ok(_) => {}
                Err(error) => {
                    outcome = Err(error);
                    return Break(());
                }
            }
            if is_enough(uid) {
                Break(())
            } else {
                Continue(())
            }
        })?;
        outcome.map(|()| (found, to))
    }
}

/// Rows of a range that can be seen, at most `max`.
fn rows(
    kv: &dyn Kv,
    (id, mailbox): (MailboxId, &Mailbox),
    (low, high): (Uid, Uid),
    max: usize,
) -> Result<Vec<(Uid, MessageRow)>, Error> {
    if low == high || low >= mailbox.uid_next {
        let row = tables::message(kv, id, mailbox, low)?;
        return Ok(row.map(|row| (low, row)).into_iter().collect());
    }
    let mut found = Vec::new();
    let (_, to) = keys::messages(id, low, high.min(Uid(mailbox.uid_next.0 - 1)));
    tables::rows(kv, id, low, &to, |uid, row| {
        found.push((uid, mailbox.resolved(uid, row)));
        found.len() < max
    })?;
    Ok(found)
}
