//! Restores and imports: see [`crate::put`].
//!
//! A mailbox that is being filled has no row among mailboxes: its figures are the value of its
//! task, so that nobody finds it, and what is left of it at the next start is removed.

use std::sync::Arc;

use bytes::Bytes;
use mail::{
    Acl, AclEntry, Became, Event, Flags, Grantee, MailboxId, MailboxName, ModSeq, NameChange,
    Refusal, Reply, Uid, UidValidity, UserId,
};

use super::depositing::{self, room_below, size_of};
use super::filling::Filling;
use super::keywords::introduce;
use super::naming::{next_uid_validity, reserve_uid_validity};
use super::tables::task;
use super::{Applied, Operation, Rules, access, acl, backing_up, ensure_user, keys, refused};
use super::{metadata, news, notifications, numbers, quotas, renaming, tables};
use crate::Error;
use crate::kv::{Kv, Space, Transaction};
use crate::notification::{How, MessageChange, What};
use crate::put::{NewMailbox, Placing, Put, PutDone, PutEntry, PutMessage, PutName};
use crate::rows::{Mailbox, MessageRow, Name};

/// Messages that may come to a mailbox while its successor is being filled.
const TAKEN_OVER_MAX: u32 = 128;

/// Carries it out.
///
/// # Errors
/// If the disk fails or a row is damaged; the caller undoes it.
pub(crate) fn put(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    put: &Put,
    done: &mut Option<PutDone>,
) -> Result<Applied, Error> {
    match put {
        Put::Begin(new) => begin(txn, rules, new, done),
        Put::Stage(id, messages) => stage(txn, rules, *id, messages, done),
        Put::Place(placing) => place(txn, rules, placing, done),
        Put::Abandon(id) => {
            let key = keys::task(task::PLACING, id.0);
            if txn.get(Space::Tasks, &key)?.is_none() {
                return refused(Refusal::NoMailbox);
            }
            let applied = plain(done, 0)?;
            Ok(Applied {
                then: Some(Operation::drop_mailbox(*id)),
                ..applied
            })
        }
        Put::Add(id, messages) => add(txn, rules, *id, messages, done),
        Put::Name(name) => put_name(txn, rules, name, done),
        Put::Limits(user, limits) => {
            quotas::restore(txn, *user, limits)?;
            plain(done, 0)
        }
        Put::Entries(mailbox, entries) => put_entries(txn, *mailbox, entries, done),
        Put::SpoolAs(was) => {
            *done = Some(PutDone::Spool(numbers::spool_as(txn, rules.block(), *was)?));
            Ok((Reply::Done, vec![]).into())
        }
        Put::Backup(backup, commit) => {
            backing_up::note_backup(txn, *backup, *commit)?;
            plain(done, 0)
        }
        Put::Expire(expiring) => {
            plain(done, 0)?;
            Ok(Operation::expire((**expiring).clone()).into())
        }
    }
}

fn plain(done: &mut Option<PutDone>, without_keywords: u32) -> Result<Applied, Error> {
    *done = Some(PutDone::Put { without_keywords });
    Ok((Reply::Done, vec![]).into())
}

/// A mailbox that never had a message.
fn is_fresh(row: &Mailbox) -> bool {
    row.uid_next == Uid(1) && row.staging.is_none()
}

/// Whether a mailbox may have it here: later ones need some above it.
fn can_be_kept(wanted: &UidValidity) -> bool {
    wanted.0 != 0 && wanted.0 < u32::MAX - (1 << 24)
}

fn begin(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    new: &NewMailbox,
    done: &mut Option<PutDone>,
) -> Result<Applied, Error> {
    if let Err(why) = new.name.creatable()
        && !new.name.is_inbox()
    {
        return refused(Refusal::Name(why));
    }
    let there = tables::named_mailbox(txn, new.user, &new.name)?;
    let mut object = new.object.filter(|_| new.uid_validity.is_some());
    if let Some(known_by) = object
        && !numbers::can_keep(txn, rules.block(), known_by)?
    {
        object = None;
    }
    // As it is to be, but for what it could still be known by.
    let is_same = |row: &Mailbox| {
        new.uid_next <= Uid(1) && new.uid_validity == Some(row.uid_validity) && object.is_none()
    };
    if let Some((id, row)) = &there
        && (!is_fresh(row) || is_same(row))
    {
        *done = Some(PutDone::InUse(*id));
        return Ok((Reply::Done, vec![]).into());
    }
    let id = numbers::mailbox(txn)?;
    let uid_validity = match new.uid_validity.filter(can_be_kept) {
        Some(wanted) => {
            reserve_uid_validity(txn, wanted)?;
            wanted
        }
        None => next_uid_validity(txn, rules)?,
    };
    let filling = Filling {
        row: Mailbox {
            user: new.user,
            uid_validity,
            uid_next: Uid(1),
            modseq: ModSeq(1),
            recent_from: Uid(1),
            keywords: new.keywords.clone(),
            object: object.filter(|_| new.uid_validity == Some(uid_validity)),
            ..Mailbox::default()
        },
        replaces: there.map(|(id, _)| id),
        name: new.name.as_str().to_owned(),
    };
    filling.write(txn, id);
    *done = Some(PutDone::Begun(id));
    Ok((Reply::Done, vec![]).into())
}

/// Places of a message's keywords, and whether some were left out.
fn places(row: &mut Mailbox, flags: &Flags, max: usize) -> (Vec<u8>, bool) {
    let (mut places, mut is_short) = (Vec::new(), false);
    for keyword in flags.keywords() {
        let is_it = |have: &Arc<str>| have.eq_ignore_ascii_case(keyword);
        let place = row.keywords.iter().position(is_it).or_else(|| {
            let has_room = row.keywords.len() < max.min(usize::from(u8::MAX));
            has_room.then(|| {
                row.keywords.push(keyword.clone());
                row.keywords_at = Mailbox::UNTOLD;
                row.keywords.len() - 1
            })
        });
        match place.and_then(|place| u8::try_from(place).ok()) {
            Some(place) => places.push(place),
            None => is_short = true,
        }
    }
    (places, is_short)
}

/// The row of a message, whose body is kept.
fn message_row(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    mailbox: &mut Mailbox,
    message: &PutMessage,
) -> Result<Result<(MessageRow, bool), Refusal>, Error> {
    let size = match size_of(txn, rules, &message.body)? {
        Ok(size) => size,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let body = (message.body.clone(), message.was);
    let stored = depositing::keep_as(txn, rules, body, size)?;
    let (keywords, is_short) = places(mailbox, &message.flags, rules.options.keywords_max);
    let row = MessageRow {
        system: message.flags.system_bits(),
        keywords,
        date: message.date,
        saved_s: match message.saved_s {
            0 => rules.now_s(),
            saved_s => saved_s,
        },
        submitter: message.submitter.clone(),
        size,
        body: stored.body,
        ..MessageRow::default()
    };
    Ok(Ok((row, is_short)))
}

const NOT_ASCENDING: Refusal = Refusal::Cannot("UIDs must ascend");
const NO_UIDS: Refusal = Refusal::Limit("the mailbox has no UIDs left");

fn stage(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    id: MailboxId,
    messages: &[PutMessage],
    done: &mut Option<PutDone>,
) -> Result<Applied, Error> {
    let Some(mut filling) = Filling::read(txn, id)? else {
        return refused(Refusal::NoMailbox);
    };
    let mut short = 0;
    let modseq = ModSeq(filling.row.modseq.0 + 1);
    for message in messages {
        let uid = message.uid.unwrap_or(filling.row.uid_next);
        if uid < filling.row.uid_next || uid.0 == u32::MAX {
            txn.undo();
            return refused(match uid.0 {
                u32::MAX => NO_UIDS,
                _ => NOT_ASCENDING,
            });
        }
        let (mut row, is_short) = match message_row(txn, rules, &mut filling.row, message)? {
            Ok(row) => row,
            Err(refusal) => {
                txn.undo();
                return refused(refusal);
            }
        };
        short += u32::from(is_short);
        (row.modseq, row.created) = message.modseqs.unwrap_or((modseq, modseq));
        // 0 is for rows of a batch.
        row.created = row.created.max(ModSeq(1));
        row.modseq = row.modseq.max(row.created);
        filling.row.modseq = filling.row.modseq.max(row.modseq);
        filling.row.uid_next = Uid(uid.0 + 1);
        filling.row.add(&row);
        txn.put(Space::Messages, &keys::message(id, uid), row.encode());
        if row.modseq != row.created {
            let key = keys::changed(id, row.modseq, uid);
            txn.put(Space::Changes, &key, Bytes::new());
        }
    }
    filling.write(txn, id);
    plain(done, short)
}

fn place(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    placing: &Placing,
    done: &mut Option<PutDone>,
) -> Result<Applied, Error> {
    let id = placing.mailbox;
    let Some(Filling {
        mut row,
        replaces,
        name,
    }) = Filling::read(txn, id)?
    else {
        return refused(Refusal::NoMailbox);
    };
    let (user, name) = (row.user, MailboxName::new(&name));
    renaming::await_others(txn, user)?;
    row.uid_next = row.uid_next.max(placing.uid_next);
    row.modseq = row.modseq.max(placing.modseq);
    if let Some(gone) = tables::gone(txn, user)?
        && row.uid_validity <= gone.uid_validity
    {
        // It may have been here before, with more than is known elsewhere.
        row.uid_next = row.uid_next.max(gone.uid_next);
        row.modseq = row.modseq.max(gone.modseq);
    }
    row.recent_from = placing.recent_from.min(row.uid_next).max(Uid(1));
    // What went before is not known here.
    row.horizon = row.modseq;
    if !row.keywords.is_empty() {
        row.keywords_at = row.modseq;
    }
    let there = tables::named_mailbox(txn, user, &name)?;
    let mut taken_over = 0;
    let mut old = None;
    if let Some((there, theirs)) = there {
        if Some(there) != replaces || theirs.messages > TAKEN_OVER_MAX {
            *done = Some(PutDone::InUse(there));
            return Ok((Reply::Done, vec![]).into());
        }
        if theirs.staging.is_some() {
            return Err(Error::Waits);
        }
        taken_over = take_over(txn, (there, &theirs), (id, &mut row))?;
        old = Some((there, theirs));
    }
    numbers::place(txn, rules.block(), (id, &mut row), replaces)?;
    make_names_above(txn, user, &name)?;
    let (bytes, messages) = (row.size, u64::from(row.messages));
    let before = old.as_ref().map(|(id, row)| (*id, row));
    set_acl(txn, rules, (id, &mut row), &name, (placing, before))?;
    if let Some((old, _)) = &old {
        metadata::take_over(txn, (*old, id))?;
    }
    txn.delete(Space::Tasks, &keys::task(task::PLACING, id.0));
    tables::put_mailbox(txn, id, &row);
    let named = tables::name(txn, user, &name)?;
    let named = Name {
        exists: true,
        mailbox: Some(id),
        ..named
    };
    tables::put_name(txn, user, &name, &named)?;
    let acl = access::acl(txn, id, &row)?;
    news::name_changed(txn, rules, &acl, &name, None)?;
    match &old {
        Some((old, _)) => rules.names.forget(*old),
        None => notifications::name(txn, user, || What::Created(name.clone())),
    }
    let had = old
        .as_ref()
        .map_or((0, 0), |(_, it)| (it.size, it.messages));
    let mut account = tables::account(txn, user)?;
    account.bytes = (account.bytes + bytes).saturating_sub(had.0);
    account.messages = (account.messages + messages).saturating_sub(u64::from(had.1));
    tables::put_account(txn, user, &account);
    *done = Some(PutDone::Placed { taken_over });
    let mut applied: Applied = (Reply::Done, vec![]).into();
    if let Some((old, theirs)) = old {
        remove(txn, (old, &theirs), &mut applied)?;
    }
    Ok(applied)
}

/// Names above one that are not there exist from now on, and can't be selected.
fn make_names_above(
    txn: &mut Transaction<'_>,
    user: UserId,
    name: &MailboxName,
) -> Result<(), Error> {
    let mut above = name.parent();
    while let Some(name) = above {
        let mut row = tables::name(txn, user, &name)?;
        if !row.exists {
            row.exists = true;
            tables::put_name(txn, user, &name, &row)?;
        }
        above = name.parent();
    }
    Ok(())
}

/// Messages that came to a mailbox go to its successor, behind what that has. Gives how many.
fn take_over(
    txn: &mut Transaction<'_>,
    (from, theirs): (MailboxId, &Mailbox),
    (id, row): (MailboxId, &mut Mailbox),
) -> Result<u32, Error> {
    let mut came = Vec::new();
    tables::messages(txn, from, theirs, |uid, message| came.push((uid, message)))?;
    let count = came.len() as u32;
    if count > 0 {
        row.modseq = ModSeq(row.modseq.0 + 1);
        row.horizon = row.modseq;
    }
    for (uid, mut message) in came {
        let flags = message.flags(theirs);
        // All places there are may be taken: a keyword is less than a message.
        (message.keywords, _) = places(row, &flags, usize::from(u8::MAX));
        (message.created, message.modseq) = (row.modseq, row.modseq);
        txn.delete(Space::Messages, &keys::message(from, uid));
        let to = row.uid_next;
        row.uid_next = Uid(to.0.saturating_add(1));
        row.add(&message);
        txn.put(Space::Messages, &keys::message(id, to), message.encode());
    }
    if row.keywords_at == Mailbox::UNTOLD {
        row.keywords_at = row.modseq;
    }
    Ok(count)
}

fn set_acl(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    (id, row): (MailboxId, &mut Mailbox),
    name: &MailboxName,
    (placing, replaced): (&Placing, Option<(MailboxId, &Mailbox)>),
) -> Result<(), Error> {
    let owner = row.user;
    let entries = match (&placing.acl, replaced) {
        (Some(list), _) => {
            let mut entries = Vec::with_capacity(list.len());
            for (account, negative, rights) in list {
                let grantee = match account {
                    None => Grantee::Anyone,
                    Some(account) => Grantee::User(ensure_user(txn, rules, account)?),
                };
                entries.push(AclEntry {
                    grantee,
                    negative: *negative,
                    rights: *rights,
                });
            }
            entries
        }
        (None, Some((old, theirs))) => access::acl(txn, old, theirs)?.entries,
        // RFC 4314 §3: as a mailbox that is made there.
        (None, None) => match access::may_make(txn, owner, owner, name)? {
            Ok(above) => above.entries,
            Err(_) => vec![],
        },
    };
    row.acl_at = placing.acl_at;
    if !entries.is_empty() {
        row.acl_at = row.acl_at.max(ModSeq(1));
        acl::inherit(txn, id, name, &Acl { owner, entries })?;
    }
    Ok(())
}

fn put_entries(
    txn: &mut Transaction<'_>,
    mailbox: Option<MailboxId>,
    entries: &[PutEntry],
    done: &mut Option<PutDone>,
) -> Result<Applied, Error> {
    let owner = match mailbox {
        None => UserId(0),
        Some(id) => match Filling::read(txn, id)? {
            Some(filling) => filling.row.user,
            None => return refused(Refusal::NoMailbox),
        },
    };
    metadata::restore(txn, (mailbox, owner), entries)?;
    plain(done, 0)
}

/// A mailbox has given its name up: who has it selected is told, and its rows go.
fn remove(
    txn: &mut Transaction<'_>,
    (id, row): (MailboxId, &Mailbox),
    applied: &mut Applied,
) -> Result<(), Error> {
    let list = access::acl(txn, id, row)?;
    if !list.entries.is_empty() {
        acl::forget(txn, id, &list)?;
    }
    txn.delete(Space::Mailboxes, &keys::number(id.0));
    txn.put(Space::Tasks, &keys::task(task::DROP, id.0), vec![]);
    applied.events.push(Arc::new(Event {
        mailbox: id,
        prev: row.modseq,
        seq: ModSeq(row.modseq.0 + 1),
        changes: vec![],
        deleted: true,
    }));
    applied.then = Some(Operation::drop_mailbox(id));
    Ok(())
}

fn add(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    id: MailboxId,
    messages: &[PutMessage],
    done: &mut Option<PutDone>,
) -> Result<Applied, Error> {
    let Some(mut row) = tables::mailbox(txn, id)? else {
        return refused(Refusal::NoMailbox);
    };
    if let Err(refusal) = room_below(&row, messages.len())? {
        return refused(refusal);
    }
    let (prev, mut short, mut added) = (row.modseq, 0, Vec::new());
    row.modseq = ModSeq(prev.0 + 1);
    let (mut bytes, mut changes) = (0, Vec::new());
    for message in messages {
        let (mut new, is_short) = match message_row(txn, rules, &mut row, message)? {
            Ok(new) => new,
            Err(refusal) => {
                txn.undo();
                return refused(refusal);
            }
        };
        short += u32::from(is_short);
        // Nothing gets between what a COPY has staged.
        let wanted = message.uid.filter(|_| row.staging.is_none());
        let uid = wanted.map_or(row.uid_next, |uid| uid.max(row.uid_next));
        if uid.0 == u32::MAX {
            txn.undo();
            return refused(NO_UIDS);
        }
        (new.modseq, new.created) = (row.modseq, row.modseq);
        bytes += new.size;
        row.uid_next = Uid(uid.0 + 1);
        row.add(&new);
        txn.put(Space::Messages, &keys::message(id, uid), new.encode());
        let flags = Arc::new(new.flags(&row));
        added.push((uid, new.size));
        changes.push(mail::Change::New {
            uid,
            exists: row.messages,
            flags,
        });
    }
    let mut all = Vec::with_capacity(changes.len() + 1);
    introduce(&mut row, &mut all);
    all.append(&mut changes);
    tables::put_mailbox(txn, id, &row);
    for (uid, size) in added {
        let (how, header) = (How::Appended, None);
        let came = MessageChange::Came { how, size, header };
        notifications::message(txn, id, &row, uid, came);
    }
    let mut account = tables::account(txn, row.user)?;
    account.bytes += bytes;
    account.messages += messages.len() as u64;
    tables::put_account(txn, row.user, &account);
    let event = Event {
        mailbox: id,
        prev,
        seq: row.modseq,
        changes: all,
        deleted: false,
    };
    let applied = plain(done, short)?;
    Ok(Applied {
        events: vec![Arc::new(event)],
        ..applied
    })
}

fn put_name(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    put: &PutName,
    done: &mut Option<PutDone>,
) -> Result<Applied, Error> {
    if let Err(why) = put.name.creatable()
        && put.exists
        && !put.name.is_inbox()
    {
        return refused(Refusal::Name(why));
    }
    renaming::await_others(txn, put.user)?;
    let mut row = tables::name(txn, put.user, &put.name)?;
    let before = (row.exists, row.subscribed);
    row.exists |= put.exists;
    row.subscribed |= put.subscribed;
    row.special_use = row.special_use.or(put.special_use).filter(|_| row.exists);
    if before != (row.exists, row.subscribed) {
        let (name, on) = (put.name.clone(), row.subscribed);
        let what = match before.1 == on {
            true => Became::changed(name, None),
            false => Became::Subscribed { name, on },
        };
        news::note(txn, rules, NameChange::of(put.user, what));
    }
    tables::put_name(txn, put.user, &put.name, &row)?;
    plain(done, 0)
}
