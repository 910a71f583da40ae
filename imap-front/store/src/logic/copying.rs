//! Messages are copied and moved.

use std::borrow::Cow;
use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;

use mail::request::CopyHow;
use mail::{
    Change, Event, Flags, InView, MailboxId, ModSeq, Refusal, Reply, Rights, Uid, UidRanges,
    UidSet, UidValidity, UserId,
};

use super::changing::{delta, event, remove};
use super::choosing::{self, Flagged, Slice};
use super::depositing::{deposit, room, room_below};
use super::keywords::{Places, introduce};
use super::numbering::Numbering;
use super::quotas::charge;
use super::tables::task;
use super::{
    Applied, Rules, bodies, keeping, keys, metadata, notifications, refused, signing, tables,
};
use crate::Error;
use crate::kv::{Kv, Space, Transaction};
use crate::notification::{How, MessageChange};
use crate::rows::{Batch, Mailbox, MessageRow, u64_row};

const TOO_MANY_KEYWORDS: Refusal = Refusal::Limit("the target has as many keywords as it may have");

/// Batches of a mailbox that may wait to be rewritten.
const BATCHES_MAX: usize = 8;

/// Where messages go, and what who sends them may do there: only flags that they may change come
/// along (RFC 4314 §4).
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub id: MailboxId,
    pub rights: Rights,
}

/// COPY (RFC 3501 §6.4.7) and MOVE (RFC 6851) of few messages.
pub(super) fn copy(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    (from, source): (MailboxId, &Mailbox),
    (some, since): (&[Flagged], ModSeq),
    (to, how): (Target, CopyHow),
) -> Result<Applied, Error> {
    match transfer(txn, rules, from, some, to, how == CopyHow::Move)? {
        Err(refusal) => {
            undo(txn, &refusal);
            refused(refusal)
        }
        Ok(done) => {
            let of_source: Vec<_> = done
                .events
                .iter()
                .filter(|event| event.mailbox == from)
                .cloned()
                .collect();
            let delta = delta(txn, from, since, (source.modseq, &of_source))?;
            let reply = Reply::Copied {
                uid_validity: done.uid_validity,
                from: done.from,
                to: done.to,
                delta,
            };
            Ok((reply, done.events).into())
        }
    }
}

/// Undoes what was done before a refusal. Nothing was, if there was no room: of that others may
/// be notified.
pub(super) fn undo(txn: &mut Transaction<'_>, refusal: &Refusal) {
    if *refusal != Refusal::OverQuota {
        txn.undo();
    }
}

/// Messages of a MOVE: those that are there, in ranges from a UID on.
pub(super) fn leaving(
    kv: &dyn Kv,
    (id, mailbox): (MailboxId, &Mailbox),
    ranges: &UidRanges,
    from: Uid,
    max: usize,
) -> Result<Slice<Flagged>, Error> {
    let (some, next) = choosing::there(kv, (id, mailbox), ranges, from, max)?;
    let flagged = |(uid, row): (Uid, MessageRow)| {
        let flags = row.flags(mailbox);
        (uid, row, flags)
    };
    Ok((some.into_iter().map(flagged).collect(), next))
}

/// Messages are in another mailbox.
pub(super) struct Transferred {
    pub uid_validity: UidValidity,
    /// Their UIDs before and after, in the same order.
    pub from: UidSet,
    pub to: UidSet,
    pub events: Vec<Arc<Event>>,
}

/// Copies or moves some messages as one operation. What was done before a refusal is to be undone.
pub(super) fn transfer(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    from: MailboxId,
    leaving: &[Flagged],
    Target { id, rights }: Target,
    take_out: bool,
) -> Result<Result<Transferred, Refusal>, Error> {
    let (Some(mut source), Some(mut target)) =
        (tables::mailbox(txn, from)?, tables::mailbox(txn, id)?)
    else {
        return Ok(Err(Refusal::NoMailbox));
    };
    let uid_validity = target.uid_validity;
    let mut done = Transferred {
        uid_validity,
        from: UidSet::default(),
        to: UidSet::default(),
        events: vec![],
    };
    if leaving.is_empty() {
        return Ok(Ok(done));
    }
    let keeps_use = take_out && source.user == target.user;
    let bytes = leaving.iter().map(|(_, row, _)| row.size).sum();
    let count = leaving.len() as u64;
    if !keeps_use && !charge(txn, rules, target.user, bytes, count)? {
        return Ok(Err(Refusal::OverQuota));
    }
    let mut arriving = Vec::with_capacity(leaving.len());
    let mut places = Places::new(rules.options.keywords_max);
    for (_, row, flags) in leaving {
        let flags = stored_flags(rights, flags);
        let Ok(keywords) = places.of(txn, id, &mut target, &flags)? else {
            return Ok(Err(TOO_MANY_KEYWORDS));
        };
        if !take_out {
            bodies::share(txn, row.body)?;
        }
        arriving.push(MessageRow {
            system: flags.system_bits(),
            keywords,
            saved_s: rules.now_s(),
            ..row.clone()
        });
    }
    if let Err(refusal) = room_below(&target, arriving.len())? {
        return Ok(Err(refusal));
    }
    let (appended, event) = deposit(txn, id, &mut target, arriving, (How::Copied, None));
    done.events.push(event);
    done.from = leaving.iter().map(|(uid, ..)| *uid).collect();
    done.to = (appended.uid.0..).map(Uid).take(leaving.len()).collect();
    if take_out {
        if from == id {
            source = target;
        }
        let numbering = Numbering::of(txn, from, &source)?;
        let rows = leaving.iter().map(|(uid, row, _)| (*uid, row.clone()));
        let rows: Vec<_> = rows.collect();
        let gone = remove(txn, rules, (from, &mut source), &numbering, &rows, false)?;
        done.events.extend(gone);
        if !keeps_use {
            tables::refund(txn, source.user, bytes, count)?;
        }
    }
    Ok(Ok(done))
}

/// The flags that come along (RFC 4314 §4).
fn stored_flags(rights: Rights, flags: &Flags) -> Cow<'_, Flags> {
    match rights.contains(Rights::FLAGS) {
        true => Cow::Borrowed(flags),
        false => Cow::Owned(rights.changeable(flags)),
    }
}

/// The target's UIDVALIDITY, and what to announce.
pub(super) type Published = (UidValidity, Vec<Arc<Event>>);

/// A large COPY: its messages are staged out of sight, at UIDs that leave room for what comes
/// meanwhile, and published by one change of the mailbox's row.
pub(super) struct Staging {
    pub from: MailboxId,
    pub id: MailboxId,
    rights: Rights,
    messages: InView,
    pub since: ModSeq,
    how: CopyHow,
    /// Where to go on among them; none if all are staged.
    pub at: Option<Uid>,
    /// UIDs of what is staged, and where it was.
    pub source_uids: UidSet,
    pub uids: UidSet,
    /// Where the next one goes; none before the first.
    next: Option<Uid>,
    /// The figures of what is staged.
    figures: Mailbox,
}

impl Staging {
    pub fn new(
        from: MailboxId,
        Target { id, rights }: Target,
        (messages, since): (InView, ModSeq),
        how: CopyHow,
    ) -> Self {
        Self {
            from,
            id,
            rights,
            messages,
            since,
            how,
            at: Some(Uid(0)),
            source_uids: UidSet::default(),
            uids: UidSet::default(),
            next: None,
            figures: Mailbox::default(),
        }
    }

    /// Whether something is staged that has to be removed if it comes to nothing.
    pub fn has_begun(&self) -> bool {
        self.next.is_some()
    }

    /// Stages some more.
    pub fn go_on(
        &mut self,
        txn: &mut Transaction<'_>,
        rules: &Rules,
    ) -> Result<Result<(), Refusal>, Error> {
        let (Some(source), Some(mut target)) = (
            tables::mailbox(txn, self.from)?,
            tables::mailbox(txn, self.id)?,
        ) else {
            return Ok(Err(Refusal::NoMailbox));
        };
        let mut next = match self.next {
            Some(next) => next,
            None => match begin(&mut target, self.messages.count as usize) {
                Ok(first) => first,
                Err(refusal) => return Ok(Err(refusal)),
            },
        };
        let (asked, max) = ((&self.messages, self.since), rules.options.slice_messages);
        let from = self.at.unwrap_or(Uid(u32::MAX));
        let (rows, at) = choosing::in_view(txn, (self.from, &source), asked, from, max)?;
        let staged = self.uids.len() + rows.len();
        if staged > self.messages.count as usize {
            tracing::error!("a COPY finds more messages than its session has in view: {staged}");
            return Ok(Err(Refusal::Bug));
        }
        let is_whole = at.is_some() || staged == self.messages.count as usize;
        if self.how == CopyHow::Whole && !is_whole {
            return Ok(Err(Refusal::NoMessage));
        }
        let bytes = rows.iter().map(|(_, row, _)| row.size).sum();
        if !charge(txn, rules, target.user, bytes, rows.len() as u64)? {
            return Ok(Err(Refusal::OverQuota));
        }
        let mut figures = self.figures.clone();
        let mut places = Places::new(rules.options.keywords_max);
        for (_, row, flags) in &rows {
            let flags = stored_flags(self.rights, flags);
            let Ok(keywords) = places.of(txn, self.id, &mut target, &flags)? else {
                return Ok(Err(TOO_MANY_KEYWORDS));
            };
            bodies::share(txn, row.body)?;
            let row = MessageRow {
                modseq: ModSeq(0),
                created: ModSeq(0),
                system: flags.system_bits(),
                keywords,
                saved_s: rules.now_s(),
                ..row.clone()
            };
            figures.add(&row);
            txn.put(Space::Messages, &keys::message(self.id, next), row.encode());
            next = Uid(next.0 + 1);
        }
        tables::put_mailbox(txn, self.id, &target);
        let charged = [
            target.user.0.to_be_bytes(),
            figures.size.to_be_bytes(),
            u64::from(figures.messages).to_be_bytes(),
        ];
        txn.put(
            Space::Tasks,
            &keys::task(task::STAGED, self.id.0),
            charged.concat(),
        );
        self.uids
            .extend((next.0 - rows.len() as u32..next.0).map(Uid));
        self.source_uids.extend(rows.iter().map(|(uid, ..)| *uid));
        (self.at, self.next, self.figures) = (at, Some(next), figures);
        Ok(Ok(()))
    }

    /// Publishes what was staged: a small change, seen at once as a whole.
    pub fn publish(&self, txn: &mut Transaction<'_>) -> Result<Result<Published, Refusal>, Error> {
        let Some(mut target) = tables::mailbox(txn, self.id)? else {
            return Ok(Err(Refusal::NoMailbox));
        };
        txn.delete(Space::Tasks, &keys::task(task::STAGED, self.id.0));
        let first = target
            .staging
            .take()
            .map_or(target.uid_next, |(first, _)| first);
        let end = self.next.unwrap_or(first);
        let mut events = vec![];
        if first < end {
            let prev = target.modseq;
            target.modseq = ModSeq(prev.0 + 1);
            target.uid_next = end;
            target.absorb(&self.figures);
            target.batches.push(Batch {
                first,
                end,
                modseq: target.modseq,
            });
            txn.put(
                Space::Tasks,
                &keys::task(task::SETTLE, self.id.0),
                Vec::new(),
            );
            let change = Change::NewRun {
                first,
                last: Uid(end.0 - 1),
                exists: target.messages,
            };
            let mut changes = vec![];
            introduce(&mut target, &mut changes);
            changes.push(change);
            events.push(event(self.id, prev, target.modseq, changes));
        }
        tables::put_mailbox(txn, self.id, &target);
        Ok(Ok((target.uid_validity, events)))
    }
}

/// Reserves UIDs for a COPY of so many messages, with room below them for what comes meanwhile.
fn begin(target: &mut Mailbox, count: usize) -> Result<Uid, Refusal> {
    if target.staging.is_some() || target.batches.len() >= BATCHES_MAX {
        return Err(Refusal::Unavailable(
            "large COPYs into the mailbox are under way, try again".into(),
        ));
    }
    let gap = 1000 + count / 4;
    room(target, count + gap)?;
    let first = Uid(target.uid_next.0 + gap as u32);
    target.staging = Some((first, Uid(first.0 + count as u32)));
    Ok(first)
}

/// Removes some of what a COPY that came to nothing has staged. True if that was all.
pub(super) fn discard_some(
    txn: &mut Transaction<'_>,
    id: MailboxId,
    max: usize,
) -> Result<bool, Error> {
    let key = keys::task(task::STAGED, id.0);
    if let Some(mut target) = tables::mailbox(txn, id)? {
        let Some((first, end)) = target.staging else {
            txn.delete(Space::Tasks, &key);
            return Ok(true);
        };
        let mut staged = Vec::new();
        tables::rows(txn, id, first, &keys::message(id, end), |uid, row| {
            staged.push((uid, row));
            staged.len() < max
        })?;
        for (uid, row) in &staged {
            txn.delete(Space::Messages, &keys::message(id, *uid));
            bodies::release(txn, row)?;
        }
        if staged.len() == max {
            return Ok(false);
        }
        target.staging = None;
        tables::put_mailbox(txn, id, &target);
    }
    // The rows of a mailbox that is gone are removed with it.
    if let Some(charged) = txn.get(Space::Tasks, &key)? {
        let number = |at: usize| u64_row(charged.get(at..at + 8).unwrap_or_default());
        tables::refund(txn, UserId(number(0)?), number(8)?, number(16)?)?;
    }
    txn.delete(Space::Tasks, &key);
    Ok(true)
}

/// Gives some rows of the oldest batch mod-sequences of their own, from `next` on. True if no batch
/// is left.
pub(super) fn settle_some(
    txn: &mut Transaction<'_>,
    id: MailboxId,
    next: &mut Uid,
    max: usize,
) -> Result<bool, Error> {
    let mailbox = tables::mailbox(txn, id)?;
    let batch = mailbox
        .as_ref()
        .and_then(|row| row.batches.first().copied());
    let (Some(mut mailbox), Some(batch)) = (mailbox, batch) else {
        txn.delete(Space::Tasks, &keys::task(task::SETTLE, id.0));
        return Ok(true);
    };
    let mut rows = Vec::new();
    let from = batch.first.max(*next);
    tables::rows(txn, id, from, &keys::message(id, batch.end), |uid, row| {
        rows.push((uid, row));
        rows.len() < max
    })?;
    for (uid, row) in &rows {
        if row.is_of_a_batch() {
            let row = mailbox.resolved(*uid, row.clone());
            txn.put(Space::Messages, &keys::message(id, *uid), row.encode());
            let change = MessageChange::Came {
                how: How::Copied,
                size: row.size,
                header: None,
            };
            notifications::message(txn, id, &mailbox, *uid, change);
        }
    }
    if rows.len() == max {
        *next = rows.last().map_or(from, |(uid, _)| Uid(uid.0 + 1));
        return Ok(false);
    }
    *next = Uid(0);
    mailbox.batches.remove(0);
    tables::put_mailbox(txn, id, &mailbox);
    Ok(false)
}

/// Removes some rows of a mailbox that has lost its name. True if none is left.
pub(super) fn drop_some(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    id: MailboxId,
) -> Result<bool, Error> {
    let max = rules.options.slice_messages;
    let mut messages = Vec::new();
    let mut cost = 0;
    let (from, to) = keys::rows(id);
    tables::rows(txn, id, Uid(0), &to, |uid, row| {
        cost += 1 + bodies::pieces(&row);
        messages.push((uid, row));
        messages.len() < max && cost < max * bodies::PIECES_A_MESSAGE
    })?;
    for (uid, row) in &messages {
        txn.delete(Space::Messages, &keys::message(id, *uid));
        bodies::release(txn, row)?;
    }
    if !messages.is_empty() {
        return Ok(false);
    }
    if !keeping::drop_some(txn, id, max)?
        || !metadata::drop_some(txn, rules, id)?
        || !signing::drop_some(txn, rules, id)?
    {
        return Ok(false);
    }
    for space in [Space::Changes, Space::Expunged] {
        let mut rows = Vec::new();
        txn.scan(space, &from, &to, false, &mut |key, _| {
            rows.push(key.to_vec());
            if rows.len() < max {
                Continue(())
            } else {
                Break(())
            }
        })?;
        rows.iter().for_each(|key| txn.delete(space, key));
        if !rows.is_empty() {
            return Ok(false);
        }
    }
    txn.delete(Space::Tasks, &keys::task(task::PLACING, id.0));
    txn.delete(Space::Tasks, &keys::task(task::DROP, id.0));
    Ok(true)
}
