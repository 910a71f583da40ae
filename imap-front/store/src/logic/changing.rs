//! Flags change, messages leave, messages are copied and moved.

use std::sync::Arc;

use mail::request::StoreMode;
use mail::{Event, Flags, MailboxId, MailboxName, ModSeq, Refusal, Reply, SystemFlag, Uid, UserId};

use super::depositing::{NO_UIDS, charge, deposit, has_uids, keyword_indexes};
use super::{Outcome, Rules, catch_up, keys, notifications, reading, refused, tables};
use crate::Error;
use crate::kv::{Kv, Space, Transaction};
use crate::notification::{How, MessageChange};
use crate::rows::{Mailbox, MessageRow, u64_row};

const DELETED: u8 = SystemFlag::Deleted as u8;

/// SELECT of a mailbox with recent messages: they are this session's.
pub(super) fn open(
    txn: &mut Transaction<'_>,
    user: UserId,
    name: &MailboxName,
    read_only: bool,
) -> Result<Outcome, Error> {
    let Some((id, mut row)) = tables::named_mailbox(txn, user, name)? else {
        return refused(Refusal::NoMailbox);
    };
    let reply = reading::opened(txn, id, &row)?;
    if !read_only {
        row.recent_from = row.uid_next;
        tables::put_mailbox(txn, id, &row);
    }
    Ok((reply, vec![]))
}

/// What STORE does to flags.
pub(super) struct FlagChange {
    pub mode: StoreMode,
    pub flags: Flags,
    pub unchanged_since: Option<ModSeq>,
}

pub(super) fn store(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    id: MailboxId,
    uids: &[Uid],
    change: &FlagChange,
    since: ModSeq,
) -> Result<Outcome, Error> {
    let Some(mut mailbox) = tables::mailbox(txn, id)? else {
        return refused(Refusal::NoMailbox);
    };
    let before = mailbox.modseq;
    let seq = ModSeq(before.0 + 1);
    let wanted = as_spelled(&mailbox, &change.flags);
    let mut modified = Vec::new();
    let mut changed = Vec::new();
    for &uid in uids {
        let Some(row) = tables::message(txn, id, uid)? else {
            continue;
        };
        if change
            .unchanged_since
            .is_some_and(|limit| row.modseq > limit)
        {
            modified.push(uid);
            continue;
        }
        let mut flags = row.flags(&mailbox);
        match change.mode {
            StoreMode::Add => flags.union(&wanted),
            StoreMode::Remove => flags.subtract(&wanted),
            StoreMode::Replace => flags = wanted.clone(),
        }
        if flags != row.flags(&mailbox) {
            changed.push((uid, row, flags));
        }
    }
    for (uid, row, flags) in &changed {
        match keyword_indexes(&mut mailbox, flags, rules.options.keywords_max) {
            Ok(keywords) => {
                let new = MessageRow {
                    modseq: seq,
                    system: flags.system_bits(),
                    keywords,
                    ..row.clone()
                };
                put_changed(txn, id, *uid, &mut mailbox, row, &new);
            }
            Err(refusal) => {
                txn.undo();
                return refused(refusal);
            }
        }
    }
    let mut events = Vec::new();
    if !changed.is_empty() {
        mailbox.modseq = seq;
        tables::put_mailbox(txn, id, &mailbox);
        for (uid, row, flags) in &changed {
            let (old, new, mode) = (row.system, flags.system_bits(), change.mode);
            notifications::message(
                txn,
                id,
                &mailbox,
                *uid,
                MessageChange::Flags { old, new, mode },
            );
        }
        events = catch_up::delta(txn, id, before)?;
    }
    let delta = if since == before {
        events.clone()
    } else {
        catch_up::delta(txn, id, since)?
    };
    Ok((Reply::Stored { modified, delta }, events))
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

pub(super) fn expunge(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    id: MailboxId,
    within: Option<&[(u32, u32)]>,
    since: ModSeq,
) -> Result<Outcome, Error> {
    let Some(mut mailbox) = tables::mailbox(txn, id)? else {
        return refused(Refusal::NoMailbox);
    };
    let in_range = |uid: Uid| {
        within.is_none_or(|ranges| {
            ranges
                .iter()
                .any(|&(low, high)| (low..=high).contains(&uid.0))
        })
    };
    let mut leaving = Vec::new();
    let mut left = mailbox.deleted;
    tables::messages_while(txn, id, |uid, row| {
        if left == 0 {
            return false;
        }
        left -= u32::from(row.system & DELETED != 0);
        if row.system & DELETED != 0 && in_range(uid) {
            leaving.push((uid, row));
        }
        true
    })?;
    let before = mailbox.modseq;
    let events = remove(txn, id, &mut mailbox, &leaving, true)?;
    if !leaving.is_empty() {
        let account = tables::account(txn, mailbox.user)?;
        notifications::usage(txn, rules, mailbox.user, &account, false);
    }
    let delta = if since == before {
        events.clone()
    } else {
        catch_up::delta(txn, id, since)?
    };
    Ok((Reply::Synced(delta), events))
}

/// Takes messages out of a mailbox as one operation; `release` gives up their bodies and the
/// user's use as well.
fn remove(
    txn: &mut Transaction<'_>,
    id: MailboxId,
    mailbox: &mut Mailbox,
    leaving: &[(Uid, MessageRow)],
    release: bool,
) -> Result<Vec<Arc<Event>>, Error> {
    if leaving.is_empty() {
        return Ok(vec![]);
    }
    let before = mailbox.modseq;
    let seq = ModSeq(before.0 + 1);
    mailbox.modseq = seq;
    for (uid, row) in leaving {
        txn.delete(Space::Messages, &keys::message(id, *uid));
        if row.modseq != row.created {
            txn.delete(Space::Changes, &keys::changed(id, row.modseq, *uid));
        }
        let created = keys::number(row.created.0);
        txn.put(Space::Expunged, &keys::changed(id, seq, *uid), created);
        mailbox.subtract(row);
        if release {
            release_body(txn, row)?;
        }
    }
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
        let mut account = tables::account(txn, mailbox.user)?;
        let bytes: u64 = leaving.iter().map(|(_, row)| row.size).sum();
        account.bytes = account.bytes.saturating_sub(bytes);
        account.messages = account.messages.saturating_sub(leaving.len() as u64);
        tables::put_account(txn, mailbox.user, &account);
    }
    catch_up::delta(txn, id, before)
}

/// One message less uses a body.
fn release_body(txn: &mut Transaction<'_>, row: &MessageRow) -> Result<(), Error> {
    let key = keys::number(row.body);
    match txn.get(Space::References, &key)? {
        None => tables::remove_pieces(txn, row.body, row.size),
        Some(count) => match u64_row(&count)? {
            0..=2 => txn.delete(Space::References, &key),
            count => txn.put(Space::References, &key, keys::number(count - 1)),
        },
    }
    Ok(())
}

/// One message more uses a body.
fn share_body(txn: &mut Transaction<'_>, body: u64) -> Result<(), Error> {
    let key = keys::number(body);
    let count = match txn.get(Space::References, &key)? {
        Some(count) => u64_row(&count)?,
        None => 1,
    };
    txn.put(Space::References, &key, keys::number(count + 1));
    Ok(())
}

/// Removes all rows of a mailbox that is no longer named. Gives its last mod-sequence.
pub(super) fn remove_mailbox(txn: &mut Transaction<'_>, id: MailboxId) -> Result<ModSeq, Error> {
    let Some(mut mailbox) = tables::mailbox(txn, id)? else {
        return Ok(ModSeq(1));
    };
    let mut leaving = Vec::new();
    tables::messages(txn, id, |uid, row| leaving.push((uid, row)))?;
    let modseq = mailbox.modseq;
    // That the mailbox goes is noted, and not each message.
    let noted = txn.notifications();
    remove(txn, id, &mut mailbox, &leaving, true)?;
    txn.forget_notifications(noted);
    let (from, to) = keys::rows(id);
    let mut expunged = Vec::new();
    txn.scan(Space::Expunged, &from, &to, false, &mut |key, _| {
        expunged.push(key.to_vec());
        std::ops::ControlFlow::Continue(())
    })?;
    expunged
        .iter()
        .for_each(|key| txn.delete(Space::Expunged, key));
    txn.delete(Space::Mailboxes, &keys::number(id.0));
    Ok(modseq)
}

/// COPY (RFC 3501 §6.4.7) and MOVE (RFC 6851), all or nothing.
pub(super) fn copy(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    from: MailboxId,
    uids: &[Uid],
    (user, to): (UserId, &MailboxName),
    take_out: bool,
    since: ModSeq,
) -> Result<Outcome, Error> {
    let Some(mut source) = tables::mailbox(txn, from)? else {
        return refused(Refusal::NoMailbox);
    };
    let Some((id, mut target)) = tables::named_mailbox(txn, user, to)? else {
        return refused(Refusal::NoMailbox);
    };
    let mut leaving = Vec::with_capacity(uids.len());
    for &uid in uids {
        match tables::message(txn, from, uid)? {
            Some(row) => leaving.push((uid, row)),
            // RFC 2180 §4.4.1: a copy of messages some of which are gone is refused whole.
            None => return refused(Refusal::NoMessage),
        }
    }
    if take_out && from == id && leaving.is_empty() {
        return refused(Refusal::NoMessage);
    }
    let keeps_use = take_out && source.user == user;
    let bytes = leaving.iter().map(|(_, row)| row.size).sum();
    if !keeps_use && !charge(txn, rules, user, bytes, leaving.len() as u64)? {
        return refused(Refusal::OverQuota);
    }
    let mut arriving = Vec::with_capacity(leaving.len());
    for (_, row) in &leaving {
        let flags = row.flags(&source);
        let Ok(keywords) = keyword_indexes(&mut target, &flags, rules.options.keywords_max) else {
            txn.undo();
            return refused(Refusal::Limit(
                "the target has as many keywords as it may have",
            ));
        };
        if !take_out {
            share_body(txn, row.body)?;
        }
        arriving.push(MessageRow {
            keywords,
            ..row.clone()
        });
    }
    if !has_uids(&target, arriving.len()) {
        txn.undo();
        return refused(NO_UIDS);
    }
    let uid_validity = target.uid_validity;
    let mut events = Vec::new();
    let mut pairs = Vec::new();
    if !arriving.is_empty() {
        let (appended, event) = deposit(txn, id, &mut target, arriving, (How::Copied, None));
        events.push(event);
        pairs = leaving
            .iter()
            .zip(appended.uid.0..)
            .map(|((uid, _), to)| (*uid, Uid(to)))
            .collect();
    }
    if take_out {
        if from == id {
            source = target;
        }
        events.extend(remove(txn, from, &mut source, &leaving, false)?);
        if !keeps_use {
            let mut account = tables::account(txn, source.user)?;
            account.bytes = account.bytes.saturating_sub(bytes);
            account.messages = account.messages.saturating_sub(leaving.len() as u64);
            tables::put_account(txn, source.user, &account);
        }
    }
    let delta = catch_up::delta(txn, from, since)?;
    Ok((
        Reply::Copied {
            uid_validity,
            pairs,
            delta,
        },
        events,
    ))
}

/// RENAME of INBOX: its messages go to an empty mailbox of the same user.
pub(super) fn move_all(
    txn: &mut Transaction<'_>,
    from: MailboxId,
    to: MailboxId,
) -> Result<Vec<Arc<Event>>, Error> {
    let (Some(mut source), Some(mut target)) =
        (tables::mailbox(txn, from)?, tables::mailbox(txn, to)?)
    else {
        return Ok(vec![]);
    };
    let mut leaving = Vec::new();
    tables::messages(txn, from, |uid, row| leaving.push((uid, row)))?;
    if leaving.is_empty() {
        return Ok(vec![]);
    }
    target.keywords.clone_from(&source.keywords);
    let arriving = leaving.iter().map(|(_, row)| row.clone()).collect();
    let (_, came) = deposit(txn, to, &mut target, arriving, (How::Copied, None));
    let mut events = vec![came];
    events.extend(remove(txn, from, &mut source, &leaving, false)?);
    Ok(events)
}
