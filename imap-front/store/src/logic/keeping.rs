//! What was expunged: messages that can be read for a while, and UIDs that are known for longer.
//!
//! Another session may have an expunged message in view: it is not told before a command allows it
//! (RFC 3501 §7.4.1), and what it asks by number meanwhile is answered from what is kept (RFC 2180
//! §4.1). An expunge moves the rows of its messages to [`Space::Kept`] and enters itself in
//! [`Space::Departed`], in the same commit. From there it is worked off by age, in slices: first
//! the kept messages and their bodies go, and much later the UIDs ([`Space::Expunged`]), which
//! moves the mailbox's horizon.

use std::ops::ControlFlow::{Break, Continue};

use mail::{MailboxId, ModSeq, Uid};

use super::{Rules, bodies, keys, tables};
use crate::Error;
use crate::kv::{Kv, Space, Transaction};
use crate::rows::{Kept, Mailbox, MessageRow, u64_row};

/// What an expunge waits for: to give its messages up, and then to be forgotten.
const GIVEN_UP: u8 = 0;
const FORGOTTEN: u8 = 1;

/// The row of [`Space::Meta`] with the bytes that are kept.
pub(crate) const BYTES: &[u8] = b"kept";
/// Rows of [`Space::Meta`] with the time up to which expunges were worked off: a look for the
/// oldest begins there, not among rows that were removed.
const WORKED_OFF: [&[u8]; 2] = [b"given_up", b"forgotten"];
/// The row of [`Space::Meta`] with the key in [`Space::Expunged`] up to which it is known that each
/// expunge waits to be forgotten; empty once that holds for all. In bases of versions that forgot
/// nothing, none does.
const ENTERED: &[u8] = b"expunges_entered";
/// Rows that are looked at for that, for each message of a slice.
const ENTERED_A_MESSAGE: usize = 4;

/// Bytes that a kept message counts for besides its body, about.
const ROW_BYTES: u64 = 256;

fn counter(kv: &dyn Kv, name: &[u8]) -> Result<u64, Error> {
    let row = kv.get(Space::Meta, name)?;
    row.map_or(Ok(0), |row| u64_row(&row))
}

/// Adds to the bytes that are kept.
fn count(txn: &mut Transaction<'_>, more: u64, less: u64) -> Result<(), Error> {
    let bytes = (counter(txn, BYTES)? + more).saturating_sub(less);
    txn.put(Space::Meta, BYTES, keys::number(bytes));
    Ok(())
}

/// Keeps messages that an operation takes out of a mailbox. Their bodies are theirs from now on if
/// `release`; else they share them with the messages they became.
pub(super) fn keep(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    (id, mailbox): (MailboxId, &Mailbox),
    leaving: &[(Uid, MessageRow)],
    release: bool,
) -> Result<(), Error> {
    let keeps = rules.options.kept_s > 0 && rules.options.kept_bytes_max > 0;
    let mut bytes = 0;
    for (uid, row) in leaving {
        match (keeps, release) {
            (false, true) => bodies::release(txn, row)?,
            (false, false) => {}
            (true, _) => {
                let cost = ROW_BYTES + if release { row.size } else { 0 };
                bytes += cost;
                let kept = Kept {
                    message: row.clone(),
                    keywords: row.flags(mailbox).keywords().to_vec(),
                    gone: mailbox.modseq,
                    cost,
                };
                txn.put(Space::Kept, &keys::message(id, *uid), kept.encode());
                if !release {
                    bodies::share(txn, row.body)?;
                }
            }
        }
    }
    if keeps {
        count(txn, bytes, 0)?;
    }
    let waits = if keeps { GIVEN_UP } else { FORGOTTEN };
    let now = u64::try_from(rules.now.unix_s).unwrap_or(0);
    // A clock that goes back changes no order.
    let since = now.max(counter(txn, WORKED_OFF[usize::from(waits)])?);
    let key = keys::departed(waits, since, id, mailbox.modseq);
    txn.put(Space::Departed, &key, Vec::new());
    if counter(txn, BYTES)? > rules.options.kept_bytes_max
        && let Some(oldest) = oldest(txn, GIVEN_UP, |_| true)?
    {
        give_up(txn, rules, oldest)?;
    }
    Ok(())
}

/// A message that was expunged and is kept.
pub(super) fn message(kv: &dyn Kv, id: MailboxId, uid: Uid) -> Result<Option<Kept>, Error> {
    let row = kv.get(Space::Kept, &keys::message(id, uid))?;
    row.map(|row| Kept::decode(&row)).transpose()
}

/// The oldest expunge that waits for something, and since when, if it has waited for long enough.
fn oldest(
    kv: &dyn Kv,
    waits: u8,
    due: impl Fn(u64) -> bool,
) -> Result<Option<(u64, MailboxId, ModSeq)>, Error> {
    let since = counter(kv, WORKED_OFF[usize::from(waits)])?;
    let from = keys::departed(waits, since, MailboxId(0), ModSeq(0));
    let mut found = None;
    kv.scan(
        Space::Departed,
        &from,
        &[waits + 1],
        false,
        &mut |key, _| {
            found = keys::departed_parts(key);
            Break(())
        },
    )?;
    Ok(found
        .map(|(_, since, id, modseq)| (since, id, modseq))
        .filter(|(since, ..)| due(*since)))
}

/// Some of the UIDs that an expunge took out.
fn uids(kv: &dyn Kv, id: MailboxId, at: ModSeq, max: usize) -> Result<Vec<Uid>, Error> {
    let (from, to) = keys::changed_at(id, at);
    let mut uids = Vec::new();
    kv.scan(Space::Expunged, &from, &to, false, &mut |key, _| {
        uids.push(keys::uid_of(key));
        if uids.len() < max {
            Continue(())
        } else {
            Break(())
        }
    })?;
    Ok(uids)
}

/// Enters some of the expunges of a base that is older than the queue to be forgotten. True if that
/// was done before. What is entered twice is forgotten twice, which changes nothing.
fn enter_old(txn: &mut Transaction<'_>, rules: &Rules) -> Result<bool, Error> {
    let from = txn.get(Space::Meta, ENTERED)?;
    if from.as_ref().is_some_and(|from| from.is_empty()) {
        return Ok(true);
    }
    let max = rules.options.slice_messages * ENTERED_A_MESSAGE;
    let (mut found, mut next, mut rows) = (Vec::new(), Vec::new(), 0);
    let from = from.unwrap_or_default();
    txn.scan(Space::Expunged, &from, &[0xff; 9], false, &mut |key, _| {
        rows += 1;
        if rows > max {
            next = key.to_vec();
            return Break(());
        }
        let id = key
            .first_chunk()
            .map(|id| MailboxId(u64::from_be_bytes(*id)));
        let expunge = (id.unwrap_or_default(), keys::modseq_of(key));
        if found.last() != Some(&expunge) {
            found.push(expunge);
        }
        Continue(())
    })?;
    let now = u64::try_from(rules.now.unix_s).unwrap_or(0);
    let since = now.max(counter(txn, WORKED_OFF[usize::from(FORGOTTEN)])?);
    for (id, at) in found {
        let key = keys::departed(FORGOTTEN, since, id, at);
        txn.put(Space::Departed, &key, Vec::new());
    }
    txn.put(Space::Meta, ENTERED, next);
    Ok(false)
}

/// Does a slice of what is due. True if nothing is.
pub(super) fn work_off(txn: &mut Transaction<'_>, rules: &Rules) -> Result<bool, Error> {
    if !enter_old(txn, rules)? {
        return Ok(false);
    }
    let now = u64::try_from(rules.now.unix_s).unwrap_or(0);
    let is_full = counter(txn, BYTES)? > rules.options.kept_bytes_max;
    let is_old = |since: u64| since.saturating_add(rules.options.kept_s) <= now;
    if let Some(oldest) = oldest(txn, GIVEN_UP, |since| is_full || is_old(since))? {
        give_up(txn, rules, oldest)?;
        return Ok(false);
    }
    let is_old = |since: u64| since.saturating_add(rules.options.horizon_s) <= now;
    if let Some(oldest) = oldest(txn, FORGOTTEN, is_old)? {
        forget(txn, rules, oldest)?;
        return Ok(false);
    }
    Ok(true)
}

/// Gives up some of the messages of an expunge.
fn give_up(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    (since, id, at): (u64, MailboxId, ModSeq),
) -> Result<(), Error> {
    let pieces_max = rules.options.slice_messages * bodies::PIECES_A_MESSAGE;
    let (mut pieces, mut cost) = (0, 0);
    for uid in uids(txn, id, at, usize::MAX)? {
        let Some(kept) = message(txn, id, uid)? else {
            continue;
        };
        if pieces > pieces_max {
            return count(txn, 0, cost);
        }
        pieces += bodies::pieces(&kept.message);
        cost += release(txn, (id, uid), &kept)?;
    }
    txn.delete(Space::Departed, &keys::departed(GIVEN_UP, since, id, at));
    txn.put(Space::Meta, WORKED_OFF[0], keys::number(since));
    let since = since.max(counter(txn, WORKED_OFF[1])?);
    let key = keys::departed(FORGOTTEN, since, id, at);
    txn.put(Space::Departed, &key, Vec::new());
    count(txn, 0, cost)
}

/// Removes a kept message; gives what it counted for.
fn release(
    txn: &mut Transaction<'_>,
    (id, uid): (MailboxId, Uid),
    kept: &Kept,
) -> Result<u64, Error> {
    txn.delete(Space::Kept, &keys::message(id, uid));
    bodies::release(txn, &kept.message)?;
    Ok(kept.cost)
}

/// Forgets some of the UIDs that an expunge took out.
fn forget(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    (since, id, at): (u64, MailboxId, ModSeq),
) -> Result<(), Error> {
    let max = rules.options.slice_messages;
    let uids = uids(txn, id, at, max)?;
    for uid in &uids {
        txn.delete(Space::Expunged, &keys::changed(id, at, *uid));
    }
    if let Some(mut mailbox) = tables::mailbox(txn, id)?
        && mailbox.horizon < at
    {
        mailbox.horizon = at;
        tables::put_mailbox(txn, id, &mailbox);
    }
    if uids.len() < max {
        txn.delete(Space::Departed, &keys::departed(FORGOTTEN, since, id, at));
        txn.put(Space::Meta, WORKED_OFF[1], keys::number(since));
    }
    Ok(())
}

/// Removes some of what is kept of a mailbox that has lost its name. True if nothing is left.
pub(super) fn drop_some(
    txn: &mut Transaction<'_>,
    id: MailboxId,
    max: usize,
) -> Result<bool, Error> {
    let (from, to) = keys::rows(id);
    let (mut found, mut pieces) = (Vec::new(), 0);
    let mut outcome = Ok(());
    txn.scan(Space::Kept, &from, &to, false, &mut |key, row| {
        match Kept::decode(row) {
            Ok(kept) => {
                pieces += 1 + bodies::pieces(&kept.message);
                found.push((keys::uid_of(key), kept));
            }
            Err(error) => {
                outcome = Err(error);
                return Break(());
            }
        }
        let has_room = found.len() < max && pieces < max * bodies::PIECES_A_MESSAGE;
        if has_room { Continue(()) } else { Break(()) }
    })?;
    outcome?;
    let mut cost = 0;
    for (uid, kept) in &found {
        cost += release(txn, (id, *uid), kept)?;
    }
    if found.is_empty() {
        return Ok(true);
    }
    count(txn, 0, cost)?;
    Ok(false)
}

/// The expunges whose messages are still kept.
pub(crate) fn keeping(kv: &dyn Kv) -> Result<Vec<(MailboxId, ModSeq)>, Error> {
    let mut found = Vec::new();
    kv.scan(
        Space::Departed,
        &[GIVEN_UP],
        &[FORGOTTEN],
        false,
        &mut |key, _| {
            found.extend(keys::departed_parts(key).map(|(_, _, id, modseq)| (id, modseq)));
            Continue(())
        },
    )?;
    Ok(found)
}
