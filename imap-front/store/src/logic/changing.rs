//! Flags change, messages leave.

use std::sync::Arc;

use mail::request::{FlagChange, StoreMode};
use mail::{
    Change, Delta, Event, Flags, MailboxId, ModSeq, Refusal, SystemFlag, Uid, UidRanges, UidSet,
};

use super::keywords::{Places, introduce};
use super::numbering::Numbering;
use super::{Rules, bodies, catch_up, choosing, keeping, keys, notifications, tables};
use crate::Error;
use crate::kv::{Space, Transaction};
use crate::notification::MessageChange;
use crate::rows::{Mailbox, MessageRow};

const DELETED: u8 = SystemFlag::Deleted as u8;

/// Changes that the writer looks for at most when it answers: who missed more asks again.
const CAUGHT_UP_MAX: usize = 512;

/// Some messages' flags were changed, by one operation.
pub(super) struct Stored {
    /// Left alone because of UNCHANGEDSINCE.
    pub modified: UidSet,
    /// The operation's mod-sequence, if it changed anything.
    pub own: Option<ModSeq>,
    /// Others have changed these since the asker's mod-sequence.
    pub crossed: UidSet,
    pub before: ModSeq,
    pub events: Vec<Arc<Event>>,
    /// Where to go on, if there may be more.
    pub next: Option<Uid>,
}

/// What happened since `since`, when an operation has taken the mailbox on from `before`.
pub(super) fn delta(
    txn: &Transaction<'_>,
    id: MailboxId,
    since: ModSeq,
    (before, events): (ModSeq, &[Arc<Event>]),
) -> Result<Delta, Error> {
    // A MOVE within a mailbox makes two events, which the asker gets as one.
    if since == before && events.len() <= 1 {
        return Ok(events.to_vec());
    }
    let Some(mailbox) = tables::mailbox(txn, id)? else {
        return Ok(catch_up::end(id, since));
    };
    let numbering = Numbering::of(txn, id, &mailbox)?;
    let limit = (CAUGHT_UP_MAX, true);
    catch_up::delta(txn, id, &mailbox, since, &numbering, limit)
}

/// Changes the flags of some messages as one operation.
pub(super) fn store_some(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    id: MailboxId,
    (ranges, from): (&UidRanges, Uid),
    change: &FlagChange,
    since: ModSeq,
) -> Result<Result<Stored, Refusal>, Error> {
    let Some(mut mailbox) = tables::mailbox(txn, id)? else {
        return Ok(Err(Refusal::NoMailbox));
    };
    let before = mailbox.modseq;
    let seq = ModSeq(before.0 + 1);
    let wanted = as_spelled(&mailbox, &change.flags);
    let (mut modified, mut crossed) = (UidSet::default(), UidSet::default());
    let mut changed = Vec::new();
    let max = rules.options.slice_messages;
    let (some, next) = choosing::there(txn, (id, &mailbox), ranges, from, max)?;
    for (uid, row) in some {
        if row.modseq > since {
            crossed.insert(uid);
        }
        if change
            .unchanged_since
            .is_some_and(|limit| row.modseq > limit)
        {
            modified.insert(uid);
            continue;
        }
        let old = row.flags(&mailbox);
        let mut flags = old.clone();
        match change.mode {
            StoreMode::Add => flags.union(&wanted),
            StoreMode::Remove => flags.subtract(&wanted),
            StoreMode::Replace => flags = wanted.clone(),
            StoreMode::ReplaceSome(rights) => flags = rights.replaced(&old, &wanted),
        }
        if flags != old {
            changed.push((uid, row, Arc::new(flags)));
        }
    }
    let mut events = Vec::new();
    if !changed.is_empty() {
        let numbering = Numbering::of(txn, id, &mailbox)?;
        let mut changes = Vec::with_capacity(changed.len());
        let mut places = Places::new(rules.options.keywords_max);
        mailbox.modseq = seq;
        let mut keywords = Vec::with_capacity(changed.len());
        for (_, _, flags) in &changed {
            match places.of(txn, id, &mut mailbox, flags)? {
                Ok(places) => keywords.push(places),
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        introduce(&mut mailbox, &mut changes);
        for ((uid, row, flags), keywords) in changed.iter().zip(keywords) {
            let new = MessageRow {
                modseq: seq,
                system: flags.system_bits(),
                keywords,
                ..row.clone()
            };
            put_changed(txn, id, *uid, &mut mailbox, row, &new);
            changes.push(Change::Flags {
                uid: *uid,
                number: numbering.number(*uid),
                flags: flags.clone(),
                modseq: seq,
            });
        }
        tables::put_mailbox(txn, id, &mailbox);
        for (uid, row, flags) in &changed {
            let (old, new, mode) = (row.system, flags.system_bits(), change.mode);
            let change = MessageChange::Flags { old, new, mode };
            notifications::message(txn, id, &mailbox, *uid, change);
        }
        events.push(event(id, before, seq, changes));
    }
    Ok(Ok(Stored {
        modified,
        own: (!events.is_empty()).then_some(seq),
        crossed,
        before,
        events,
        next,
    }))
}

/// Flags with keywords in the mailbox's own spelling where it knows them.
fn as_spelled(mailbox: &Mailbox, flags: &Flags) -> Flags {
    let spelled = |word: &Arc<str>| {
        let known = mailbox
            .keywords
            .iter()
            .find(|have| have.eq_ignore_ascii_case(word));
        known.unwrap_or(word).clone()
    };
    Flags::new(flags.system_bits(), flags.keywords().iter().map(spelled))
}

/// Replaces a message's row by one with other flags.
fn put_changed(
    txn: &mut Transaction<'_>,
    id: MailboxId,
    uid: Uid,
    mailbox: &mut Mailbox,
    old: &MessageRow,
    new: &MessageRow,
) {
    if old.modseq != old.created {
        txn.delete(Space::Changes, &keys::changed(id, old.modseq, uid));
    }
    txn.put(
        Space::Changes,
        &keys::changed(id, new.modseq, uid),
        Vec::new(),
    );
    txn.put(Space::Messages, &keys::message(id, uid), new.encode());
    mailbox.add_flags(new);
    mailbox.subtract_flags(old);
}

/// Some messages were expunged, by one operation.
pub(super) struct Expunged {
    pub before: ModSeq,
    pub events: Vec<Arc<Event>>,
    /// Where to go on, if there may be more.
    pub next: Option<Uid>,
}

/// Takes some of the messages with `\Deleted` from a UID on out, those in the ranges if there are
/// any.
pub(super) fn expunge_some(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    id: MailboxId,
    within: Option<&UidRanges>,
    from: Uid,
) -> Result<Result<Expunged, Refusal>, Error> {
    let Some(mut mailbox) = tables::mailbox(txn, id)? else {
        return Ok(Err(Refusal::NoMailbox));
    };
    let numbering = Numbering::of(txn, id, &mailbox)?;
    let max = rules.options.slice_messages;
    let mut candidates = deleted(txn, id, &mailbox, &numbering, (within, from, max))?;
    let mut next = candidates.get(max).copied();
    candidates.truncate(max);
    let mut leaving = Vec::with_capacity(candidates.len());
    let mut cost = 0;
    for uid in candidates {
        if cost > max * bodies::PIECES_A_MESSAGE {
            next = Some(uid);
            break;
        }
        if let Some(row) = tables::message(txn, id, &mailbox, uid)?
            && row.system & DELETED != 0
        {
            cost += bodies::pieces(&row);
            leaving.push((uid, row));
        }
    }
    let before = mailbox.modseq;
    let events = remove(txn, rules, (id, &mut mailbox), &numbering, &leaving, true)?;
    if !leaving.is_empty() {
        let account = tables::account(txn, mailbox.user)?;
        notifications::usage(txn, rules, mailbox.user, &account, false);
    }
    Ok(Ok(Expunged {
        before,
        events,
        next,
    }))
}

/// Messages that may have `\Deleted`, ascending: one more than `max`, if there are so many.
fn deleted(
    txn: &Transaction<'_>,
    id: MailboxId,
    mailbox: &Mailbox,
    numbering: &Numbering,
    (within, from, max): (Option<&UidRanges>, Uid, usize),
) -> Result<Vec<Uid>, Error> {
    let bits = numbering
        .index
        .with_system(DELETED.trailing_zeros() as usize);
    let all = [(Uid(1), Uid(u32::MAX))];
    let ranges = within.map_or(&all[..], |within| within.from(from));
    let known = ranges
        .iter()
        .flat_map(|(low, high)| bits.range(low.0.max(from.0)..=high.0));
    let mut found: Vec<Uid> = known.take(max + 1).map(Uid).collect();
    let (first, to) = (keys::message(id, from), keys::message(id, mailbox.uid_next));
    let in_ranges = |uid: Uid| within.is_none_or(|within| within.contains(uid));
    for (key, row) in txn.changed(Space::Messages, &first, &to) {
        let uid = keys::uid_of(key);
        if let Some(row) = row
            && in_ranges(uid)
            && MessageRow::decode(row)?.system & DELETED != 0
        {
            found.push(uid);
        }
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(max + 1);
    Ok(found)
}

/// Takes messages out of a mailbox as one operation; with `release` they go nowhere else, and the
/// user has the use of them no more.
pub(super) fn remove(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    (id, mailbox): (MailboxId, &mut Mailbox),
    numbering: &Numbering,
    leaving: &[(Uid, MessageRow)],
    release: bool,
) -> Result<Vec<Arc<Event>>, Error> {
    if leaving.is_empty() {
        return Ok(vec![]);
    }
    let before = mailbox.modseq;
    let seq = ModSeq(before.0 + 1);
    mailbox.modseq = seq;
    let mut changes = Vec::with_capacity(leaving.len());
    for (removed, (uid, row)) in leaving.iter().enumerate() {
        txn.delete(Space::Messages, &keys::message(id, *uid));
        if row.modseq != row.created {
            txn.delete(Space::Changes, &keys::changed(id, row.modseq, *uid));
        }
        let created = keys::number(row.created.0);
        txn.put(Space::Expunged, &keys::changed(id, seq, *uid), created);
        mailbox.subtract(row);
        changes.push(Change::Expunged {
            uid: *uid,
            number: numbering.number(*uid) - removed as u32,
        });
    }
    keeping::keep(txn, rules, (id, mailbox), leaving, release)?;
    tables::put_mailbox(txn, id, mailbox);
    for (uid, _) in leaving {
        let change = if release {
            MessageChange::Expunged
        } else {
            MessageChange::Moved
        };
        notifications::message(txn, id, mailbox, *uid, change);
    }
    if release {
        let bytes = leaving.iter().map(|(_, row)| row.size).sum();
        tables::refund(txn, mailbox.user, bytes, leaving.len() as u64)?;
    }
    Ok(vec![event(id, before, seq, changes)])
}

/// The event of one operation.
pub(super) fn event(id: MailboxId, prev: ModSeq, seq: ModSeq, changes: Vec<Change>) -> Arc<Event> {
    Arc::new(Event {
        mailbox: id,
        prev,
        seq,
        changes,
        deleted: false,
    })
}
