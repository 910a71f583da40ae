//! What happened to a mailbox since a mod-sequence, and what it was then.

use std::collections::BTreeMap;
use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;

use mail::{Change, Delta, Event, Flags, MailboxId, ModSeq, Uid};

use super::numbering::{Numbering, scanned};
use super::{access, keys, tables};
use crate::Error;
use crate::index::MailboxIndex;
use crate::kv::{Kv, Space};
use crate::rows::{Mailbox, MessageRow, u64_row};

/// When a message went, which it was, and when it had come.
pub(super) type Gone = (ModSeq, (Uid, ModSeq));

/// Messages that came at once and are told one by one, with their flags.
const SINGLE_MAX: u32 = 256;

/// The end of a mailbox that an asker at `since` hasn't heard of.
pub(super) fn end(id: MailboxId, since: ModSeq) -> Delta {
    let gone = Event {
        mailbox: id,
        prev: since,
        seq: ModSeq(since.0 + 1),
        changes: vec![],
        deleted: true,
    };
    vec![Arc::new(gone)]
}

/// What happened since `since`, but for more than about `max` changes only the first of them, or
/// with `whole` nothing: then the asker is told to ask again ([`Event::more`]).
pub(super) fn delta(
    kv: &dyn Kv,
    id: MailboxId,
    mailbox: &Mailbox,
    since: ModSeq,
    numbering: &Numbering,
    (max, whole): (usize, bool),
) -> Result<Delta, Error> {
    if mailbox.modseq <= since {
        return Ok(vec![]);
    }
    if since < mailbox.horizon {
        // It is refused when it is asked for alone.
        return Ok(vec![Event::more(id, since)]);
    }
    let limit = if whole { max } else { usize::MAX };
    let gone = gone_after(kv, id, since, limit)?;
    let changed = changed_after(kv, id, since, max)?;
    let fresh = first_after(kv, id, mailbox, numbering, since)?;
    let upto = cut(&gone, max)
        .into_iter()
        .chain(cut(&changed, max))
        .fold(mailbox.modseq, ModSeq::min);
    if whole && upto < mailbox.modseq {
        return Ok(vec![Event::more(id, since)]);
    }
    let piece = Piece {
        kv,
        id,
        mailbox,
        numbering,
        since,
        upto,
        fresh,
    };
    let event = Event {
        mailbox: id,
        prev: since,
        seq: upto,
        changes: piece.changes(&gone, &changed)?,
        deleted: false,
    };
    let mut delta = vec![Arc::new(event)];
    if upto < mailbox.modseq {
        delta.push(Event::more(id, upto));
    }
    Ok(delta)
}

/// The mod-sequence up to which about `max` rows are; none if there are no more than that.
fn cut<T>(rows: &[(ModSeq, T)], max: usize) -> Option<ModSeq> {
    let &(last, _) = rows.get(max)?;
    let first = rows[0].0;
    // Those of one mod-sequence belong together.
    Some(ModSeq(last.0 - 1).max(first))
}

/// What happened from a mod-sequence to another.
struct Piece<'a> {
    kv: &'a dyn Kv,
    id: MailboxId,
    mailbox: &'a Mailbox,
    numbering: &'a Numbering,
    since: ModSeq,
    upto: ModSeq,
    /// Messages with this UID or a higher one came after `since`.
    fresh: Uid,
}

impl Piece<'_> {
    fn changes(&self, gone: &[Gone], changed: &[(ModSeq, Uid)]) -> Result<Vec<Change>, Error> {
        let mut leaving: Vec<Uid> = Vec::new();
        // There at `upto`, but not any more.
        let mut later: Vec<Uid> = Vec::new();
        for &(modseq, (uid, created)) in gone {
            if modseq > self.upto && created <= self.upto {
                later.push(uid);
            } else if modseq <= self.upto && created <= self.since {
                leaving.push(uid);
            }
        }
        leaving.sort_unstable();
        later.sort_unstable();
        let number = |uid: Uid| {
            self.numbering.number(uid) + later.partition_point(|have| *have <= uid) as u32
        };
        let mut changes = Vec::new();
        if self.since < self.mailbox.acl_at {
            let acl = access::acl(self.kv, self.id, self.mailbox)?;
            changes.push(Change::Acl(Arc::new(acl)));
        }
        if let Some((at, user)) = self.mailbox.key_reset
            && self.since < at
        {
            changes.push(Change::KeyReset(user));
        }
        if self.since < self.mailbox.keywords_at && self.mailbox.keywords_at != Mailbox::UNTOLD {
            changes.push(Change::Keywords(self.mailbox.keywords.clone().into()));
        }
        changes.extend(leaving.iter().map(|&uid| Change::Expunged {
            uid,
            number: number(uid) + 1,
        }));
        self.push_new(&mut changes, &number, &later)?;
        let mut rows = BTreeMap::new();
        let changed = changed.iter().filter(|(modseq, _)| *modseq <= self.upto);
        for &(_, uid) in changed {
            if let Some(row) = tables::message(self.kv, self.id, self.mailbox, uid)?
                && row.created <= self.since
            {
                rows.insert(uid, row);
            }
        }
        // Most of them have the same flags.
        let mut known: BTreeMap<(u8, Vec<u8>), Arc<Flags>> = BTreeMap::new();
        for (uid, row) in rows {
            let flags = known
                .entry((row.system, row.keywords.clone()))
                .or_insert_with(|| Arc::new(row.flags(self.mailbox)));
            changes.push(Change::Flags {
                uid,
                number: number(uid),
                flags: flags.clone(),
                modseq: row.modseq,
            });
        }
        Ok(changes)
    }

    /// Messages that came, as they are at `upto`.
    fn push_new(
        &self,
        changes: &mut Vec<Change>,
        number: &impl Fn(Uid) -> u32,
        later: &[Uid],
    ) -> Result<(), Error> {
        if self.fresh >= self.mailbox.uid_next && later.is_empty() {
            return Ok(());
        }
        let end = match self.upto == self.mailbox.modseq {
            true => self.mailbox.uid_next,
            false => first_after(self.kv, self.id, self.mailbox, self.numbering, self.upto)?,
        };
        let before = Uid(self.fresh.0.saturating_sub(1));
        let exists = number(before);
        let last = Uid(end.0.saturating_sub(1));
        let count = number(last).saturating_sub(exists);
        let mut uids = self.numbering.between(self.fresh, end);
        uids.extend(later.iter().filter(|uid| (self.fresh..end).contains(uid)));
        uids.sort_unstable();
        if count > SINGLE_MAX {
            push_runs(changes, &uids, exists);
            return Ok(());
        }
        for (uid, exists) in uids.into_iter().zip(exists + 1..) {
            let row = tables::message(self.kv, self.id, self.mailbox, uid)?;
            let flags = row.map(|row| row.flags(self.mailbox)).unwrap_or_default();
            let flags = Arc::new(flags);
            changes.push(Change::New { uid, exists, flags });
        }
        Ok(())
    }
}

/// Many new messages, their UIDs ascending: a change a run of UIDs.
pub(super) fn push_runs(changes: &mut Vec<Change>, uids: &[Uid], before: u32) {
    let mut exists = before;
    for run in uids.chunk_by(|uid, next| next.0 == uid.0 + 1) {
        exists += run.len() as u32;
        changes.push(Change::NewRun {
            first: run[0],
            last: run[run.len() - 1],
            exists,
        });
    }
}

/// UIDs expunged after `since` and the mod-sequences at which they came, by when they went; at
/// most one more than `max`.
pub(super) fn gone_after(
    kv: &dyn Kv,
    id: MailboxId,
    since: ModSeq,
    max: usize,
) -> Result<Vec<Gone>, Error> {
    let mut gone = Vec::new();
    let mut outcome = Ok(());
    let (from, to) = keys::changed_after(id, since);
    kv.scan(Space::Expunged, &from, &to, false, &mut |key, value| {
        match u64_row(value) {
            Ok(created) => gone.push((keys::modseq_of(key), (keys::uid_of(key), ModSeq(created)))),
            Err(error) => {
                outcome = Err(error);
                return Break(());
            }
        }
        if gone.len() > max {
            Break(())
        } else {
            Continue(())
        }
    })?;
    outcome?;
    Ok(gone)
}

/// UIDs whose flags changed after `since`, by when that was. If there are more than `max`, those
/// of the first mod-sequences, and one more.
pub(super) fn changed_after(
    kv: &dyn Kv,
    id: MailboxId,
    since: ModSeq,
    max: usize,
) -> Result<Vec<(ModSeq, Uid)>, Error> {
    let mut changed: Vec<(ModSeq, Uid)> = Vec::new();
    let (from, to) = keys::changed_after(id, since);
    kv.scan(Space::Changes, &from, &to, false, &mut |key, _| {
        let modseq = keys::modseq_of(key);
        changed.push((modseq, keys::uid_of(key)));
        // The first mod-sequence is never cut.
        if changed.len() > max && modseq > changed[0].0 {
            Break(())
        } else {
            Continue(())
        }
    })?;
    Ok(changed)
}

/// The first UID of those that came after `since`; UIDs and mod-sequences are given in the same
/// order.
pub(super) fn first_after(
    kv: &dyn Kv,
    id: MailboxId,
    mailbox: &Mailbox,
    numbering: &Numbering,
    since: ModSeq,
) -> Result<Uid, Error> {
    if numbering.is_changed() {
        return newest_after(kv, id, mailbox, since);
    }
    let uids = numbering.index.uids();
    // Of the messages all below `low` came before, all from `high` on after.
    let (mut low, mut high) = (0, uids.len() as u32);
    while low < high {
        let middle = low + (high - low) / 2;
        let uid = Uid(uids.select(middle).unwrap_or_default());
        match tables::message(kv, id, mailbox, uid)? {
            Some(row) if row.created > since => high = middle,
            _ => low = middle + 1,
        }
    }
    Ok(uids.select(low).map_or(mailbox.uid_next, Uid))
}

/// The same, by a look at the newest rows.
fn newest_after(
    kv: &dyn Kv,
    id: MailboxId,
    mailbox: &Mailbox,
    since: ModSeq,
) -> Result<Uid, Error> {
    let mut first = mailbox.uid_next;
    let each = |uid, _: &MessageRow| first = uid;
    newest(kv, id, mailbox, since, each)?;
    Ok(first)
}

/// Messages that came after `since`, the newest first.
fn newest(
    kv: &dyn Kv,
    id: MailboxId,
    mailbox: &Mailbox,
    since: ModSeq,
    mut each: impl FnMut(Uid, &MessageRow),
) -> Result<(), Error> {
    let mut outcome = Ok(());
    let (from, _) = keys::rows(id);
    let to = keys::message(id, mailbox.uid_next);
    kv.scan(Space::Messages, &from, &to, true, &mut |key, value| {
        let uid = keys::uid_of(key);
        match MessageRow::decode(value).map(|row| mailbox.resolved(uid, row)) {
            Ok(row) if row.created > since => each(uid, &row),
            Ok(_) => return Break(()),
            Err(error) => {
                outcome = Err(error);
                return Break(());
            }
        }
        Continue(())
    })?;
    outcome
}

/// Which message has which number, as what can be read is.
///
/// # Errors
/// [`Error::Cold`] if the index has to be built before, [`Error::Moved`] if what is read is older
/// than the index.
pub(super) fn numbering(
    kv: &dyn Kv,
    id: MailboxId,
    mailbox: &Mailbox,
    min: u32,
) -> Result<Numbering, Error> {
    let kept = kv.indexes().map(|indexes| indexes.get(id));
    let index = match kept {
        Some(Some(index)) if index.modseq() == mailbox.modseq => index,
        Some(Some(index)) if index.modseq() < mailbox.horizon => {
            Arc::new(scanned(kv, id, mailbox)?)
        }
        Some(Some(index)) if index.modseq() < mailbox.modseq => {
            Arc::new(bring(kv, id, mailbox, &index)?)
        }
        Some(Some(_)) => return Err(Error::Moved),
        Some(None) if mailbox.messages >= min => return Err(Error::Cold(id)),
        _ => Arc::new(scanned(kv, id, mailbox)?),
    };
    Ok(Numbering::of_index(index))
}

/// An index brought up to date.
fn bring(
    kv: &dyn Kv,
    id: MailboxId,
    mailbox: &Mailbox,
    index: &MailboxIndex,
) -> Result<MailboxIndex, Error> {
    let since = index.modseq();
    let mut now = index.clone();
    for (_, uid) in changed_after(kv, id, since, usize::MAX)? {
        let row = tables::message(kv, id, mailbox, uid)?;
        now.apply(uid, row.as_ref(), false);
    }
    newest(kv, id, mailbox, since, |uid, row| {
        now.apply(uid, Some(row), false)
    })?;
    for (_, (uid, _)) in gone_after(kv, id, since, usize::MAX)? {
        now.apply(uid, None, false);
    }
    now.advance(mailbox);
    Ok(now)
}

/// The UIDs that were in the mailbox at a mod-sequence, ascending.
pub(super) fn uids_at(
    kv: &dyn Kv,
    id: MailboxId,
    mailbox: &Mailbox,
    at: ModSeq,
    numbering: &Numbering,
) -> Result<Arc<[Uid]>, Error> {
    if at >= mailbox.modseq {
        return Ok(list(kv, id, &numbering.index));
    }
    let fresh = first_after(kv, id, mailbox, numbering, at)?;
    let mut uids = numbering.between(Uid(0), fresh);
    let gone = gone_after(kv, id, at, usize::MAX)?;
    uids.extend(
        gone.iter()
            .filter(|(_, (_, created))| *created <= at)
            .map(|(_, (uid, _))| *uid),
    );
    uids.sort_unstable();
    Ok(uids.into())
}

/// The UIDs of an index; shared with others who ask, if such lists are kept.
pub(super) fn list(kv: &dyn Kv, id: MailboxId, index: &MailboxIndex) -> Arc<[Uid]> {
    match kv.indexes() {
        Some(indexes) => indexes.list(id, index),
        None => index.list(),
    }
}
