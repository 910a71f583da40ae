//! What happened to a mailbox since a mod-sequence, and what it was then.

use std::collections::BTreeMap;
use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;

use mail::{Change, Delta, Event, MailboxId, ModSeq, Uid};

use super::{keys, tables, uids};
use crate::Error;
use crate::kv::{Kv, Space};
use crate::rows::{Mailbox, MessageRow, u64_row};

/// The events since `since`: none, or one that spans all.
pub(super) fn delta(kv: &dyn Kv, id: MailboxId, since: ModSeq) -> Result<Delta, Error> {
    let Some(mailbox) = tables::mailbox(kv, id)? else {
        let seq = ModSeq(since.0 + 1);
        let gone = Event {
            mailbox: id,
            prev: since,
            seq,
            changes: vec![],
            deleted: true,
        };
        return Ok(vec![Arc::new(gone)]);
    };
    if mailbox.modseq <= since {
        return Ok(vec![]);
    }
    let changes = changes(kv, id, &mailbox, since)?;
    let event = Event {
        mailbox: id,
        prev: since,
        seq: mailbox.modseq,
        changes,
        deleted: false,
    };
    Ok(vec![Arc::new(event)])
}

fn changes(
    kv: &dyn Kv,
    id: MailboxId,
    mailbox: &Mailbox,
    since: ModSeq,
) -> Result<Vec<Change>, Error> {
    let gone = gone_since(kv, id, since)?;
    let fresh = messages_after(kv, id, since)?;
    let changed = changed_after(kv, id, since)?;
    let mut changes = Vec::with_capacity(gone.len() + fresh.len() + changed.len());
    if gone.is_empty() && changed.is_empty() {
        push_new(&mut changes, mailbox, &fresh);
        return Ok(changes);
    }
    let mut view = uids_at(kv, id, mailbox, since)?;
    for (removed, &uid) in gone.iter().enumerate() {
        let index = view.partition_point(|&have| have < uid);
        changes.push(Change::Expunged {
            uid,
            number: (index + 1 - removed) as u32,
        });
    }
    view.retain(|uid| gone.binary_search(uid).is_err());
    push_new(&mut changes, mailbox, &fresh);
    for (uid, row) in changed {
        let number = view.partition_point(|&have| have < uid) as u32 + 1;
        let flags = Arc::new(row.flags(mailbox));
        changes.push(Change::Flags {
            uid,
            number,
            flags,
            modseq: row.modseq,
        });
    }
    Ok(changes)
}

fn push_new(changes: &mut Vec<Change>, mailbox: &Mailbox, fresh: &[(Uid, MessageRow)]) {
    let before = mailbox.messages - fresh.len() as u32;
    changes.extend(
        fresh
            .iter()
            .zip(before + 1..)
            .map(|((uid, row), exists)| Change::New {
                uid: *uid,
                exists,
                flags: Arc::new(row.flags(mailbox)),
            }),
    );
}

/// UIDs expunged after `since` that were there then, ascending.
fn gone_since(kv: &dyn Kv, id: MailboxId, since: ModSeq) -> Result<Vec<Uid>, Error> {
    let mut uids = Vec::new();
    let mut outcome = Ok(());
    let (from, to) = keys::changed_after(id, since);
    kv.scan(
        Space::Expunged,
        &from,
        &to,
        false,
        &mut |key, value| match u64_row(value) {
            Ok(created) => {
                if created <= since.0 {
                    uids.push(keys::uid_of(key));
                }
                Continue(())
            }
            Err(error) => {
                outcome = Err(error);
                Break(())
            }
        },
    )?;
    outcome?;
    uids.sort_unstable();
    Ok(uids)
}

/// Messages that came after `since`, ascending.
fn messages_after(
    kv: &dyn Kv,
    id: MailboxId,
    since: ModSeq,
) -> Result<Vec<(Uid, MessageRow)>, Error> {
    let mut messages = Vec::new();
    let mut outcome = Ok(());
    let (from, to) = keys::rows(id);
    // UIDs and mod-sequences are given in the same order, so the newest stand at the end.
    kv.scan(Space::Messages, &from, &to, true, &mut |key, value| {
        match MessageRow::decode(value) {
            Ok(row) if row.created > since => messages.push((keys::uid_of(key), row)),
            Ok(_) => return Break(()),
            Err(error) => {
                outcome = Err(error);
                return Break(());
            }
        }
        Continue(())
    })?;
    outcome?;
    messages.reverse();
    Ok(messages)
}

/// Messages whose flags changed after `since` and that were there at `since`, ascending.
fn changed_after(
    kv: &dyn Kv,
    id: MailboxId,
    since: ModSeq,
) -> Result<BTreeMap<Uid, MessageRow>, Error> {
    let mut uids = Vec::new();
    let (from, to) = keys::changed_after(id, since);
    kv.scan(Space::Changes, &from, &to, false, &mut |key, _| {
        uids.push(keys::uid_of(key));
        Continue(())
    })?;
    let mut rows = BTreeMap::new();
    for uid in uids {
        if let Some(row) = tables::message(kv, id, uid)?
            && row.created <= since
        {
            rows.insert(uid, row);
        }
    }
    Ok(rows)
}

/// The UIDs that were in the mailbox at a mod-sequence, ascending.
pub(super) fn uids_at(
    kv: &dyn Kv,
    id: MailboxId,
    mailbox: &Mailbox,
    at: ModSeq,
) -> Result<Vec<Uid>, Error> {
    let mut uids = uids::uids(kv, id, mailbox)?.to_vec();
    if at >= mailbox.modseq {
        return Ok(uids);
    }
    // UIDs and mod-sequences are given in the same order, so the newest stand at the end.
    if let Some((first, _)) = messages_after(kv, id, at)?.first() {
        uids.truncate(uids.partition_point(|uid| uid < first));
    }
    let gone = gone_since(kv, id, at)?;
    if !gone.is_empty() {
        uids.extend(gone);
        uids.sort_unstable();
    }
    Ok(uids)
}
