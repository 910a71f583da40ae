//! What a backup reads.

use std::ops::ControlFlow::{Break, Continue};

use bytes::Bytes;
use mail::{Grantee, MailboxId, MailboxName, ModSeq, Uid, UidSet, UserId};

use super::limits::limits;
use super::numbers::Block;
use super::{Rules, access, keys, tables};
use crate::frozen::{
    FrozenEntry, FrozenMailbox, FrozenMessage, FrozenMetadata, FrozenName, FrozenUser,
};
use crate::kv::{Kv, Space, Transaction};
use crate::progress::{COMMITS, Progress};
use crate::put::SetLimits;
use crate::rows::{Account, Mailbox, MessageRow, MetadataRow, Name, u64_row};
use crate::{Error, Quota};

/// The number of the last commit.
pub(crate) fn commit_of(kv: &dyn Kv) -> Result<u64, Error> {
    match kv.get(Space::Meta, COMMITS)? {
        Some(row) => Ok(Progress::decode(&row)?.commit),
        None => Ok(0),
    }
}

/// Backups that are known; the oldest are forgotten.
const BACKUPS_MAX: u64 = 1 << 16;
/// The row of [`Space::Meta`] with how many backups were noted.
const BACKUPS: &[u8] = b"backups";

/// The row of a backup: the commit that it is as of.
fn backup_key(backup: u128) -> Vec<u8> {
    [b"backup/", &backup.to_be_bytes()[..]].concat()
}

/// The row with the backup that was noted in a place.
fn place_key(number: u64) -> Vec<u8> {
    let place = (number % BACKUPS_MAX).to_be_bytes();
    [b"backup-at/", &place[..]].concat()
}

/// Notes a backup after the commit that it is as of. A store that goes back behind that forgets it,
/// so that nothing is added to a backup that has what the store doesn't.
pub(super) fn note_backup(
    txn: &mut Transaction<'_>,
    backup: u128,
    commit: u64,
) -> Result<(), Error> {
    let number = match txn.get(Space::Meta, BACKUPS)? {
        Some(row) => u64_row(&row)?,
        None => 0,
    };
    let place = place_key(number);
    if let Some(oldest) = txn.get(Space::Meta, &place)? {
        txn.delete(Space::Meta, &[b"backup/", &oldest[..]].concat());
    }
    txn.put(Space::Meta, &place, backup.to_be_bytes().to_vec());
    txn.put(Space::Meta, &backup_key(backup), keys::number(commit));
    txn.put(Space::Meta, BACKUPS, keys::number(number + 1));
    Ok(())
}

/// The commit that a backup is as of, if it is known.
pub(crate) fn backed_up(kv: &dyn Kv, backup: u128) -> Result<Option<u64>, Error> {
    let row = kv.get(Space::Meta, &backup_key(backup))?;
    row.map(|row| u64_row(&row)).transpose()
}

/// Limits that were set by SETQUOTA.
pub(crate) fn frozen_limits(kv: &dyn Kv, user: UserId) -> Result<Option<SetLimits>, Error> {
    let set = tables::account(kv, user)?.set_quota;
    Ok(set.map(|set| SetLimits {
        limits: set.limits,
        instead_of: set.instead_of,
    }))
}

/// Metadata of a mailbox, or of one user of it; the server's is in the place of a mailbox.
pub(crate) fn frozen_entries(
    kv: &dyn Kv,
    id: MailboxId,
    user: Option<UserId>,
) -> Result<Vec<FrozenMetadata>, Error> {
    let (from, to) = match user {
        Some(user) => keys::entries(id, user),
        None => keys::rows(id),
    };
    let mut rows = Vec::new();
    kv.scan(Space::Metadata, &from, &to, false, &mut |key, row| {
        rows.push((keys::user_of_entry(key), MetadataRow::decode(row)));
        Continue(())
    })?;
    let mut entries = Vec::with_capacity(rows.len());
    for (user, row) in rows {
        let account = match user {
            UserId(0) => None,
            user => Some(tables::user_name(kv, user)?),
        };
        let entry = row?.entry()?;
        entries.push(FrozenMetadata { account, entry });
    }
    Ok(entries)
}

pub(crate) fn user_after(kv: &dyn Kv, after: UserId) -> Result<Option<FrozenUser>, Error> {
    let mut found = None;
    let from = keys::number(after.0.saturating_add(1));
    kv.scan(
        Space::Accounts,
        &from,
        &[0xff; 9],
        false,
        &mut |key, row| {
            found = Some((u64_row(key), Account::decode(row)));
            Break(())
        },
    )?;
    let Some((user, account)) = found else {
        return Ok(None);
    };
    let account = account?;
    Ok(Some(FrozenUser {
        user: UserId(user?),
        account: account.name,
    }))
}

/// What a user has, and what they may have.
pub(crate) fn usage(kv: &dyn Kv, rules: &Rules, user: UserId) -> Result<(Quota, Quota), Error> {
    let account = tables::account(kv, user)?;
    let used = Quota {
        bytes: account.bytes,
        messages: account.messages,
    };
    let limits = limits(rules, &account);
    let quota = Quota {
        bytes: limits.bytes.unwrap_or(0),
        messages: limits.messages.unwrap_or(0),
    };
    Ok((used, quota))
}

pub(crate) fn frozen_names(
    kv: &dyn Kv,
    block: Block,
    user: UserId,
) -> Result<Vec<FrozenName>, Error> {
    let mut rows = Vec::new();
    let (from, to) = keys::names(user);
    kv.scan(Space::Names, &from, &to, false, &mut |key, row| {
        let name = String::from_utf8_lossy(&key[8..]).into_owned();
        rows.push((name, Name::decode(row)));
        Continue(())
    })?;
    let mut names = Vec::with_capacity(rows.len());
    for (name, row) in rows {
        let row = row?;
        let mailbox = match row.mailbox {
            Some(id) => frozen_mailbox(kv, block, id)?,
            None => None,
        };
        names.push(FrozenName {
            name: MailboxName::new(&name),
            exists: row.exists,
            subscribed: row.subscribed,
            special_use: row.special_use,
            mailbox,
        });
    }
    Ok(names)
}

pub(crate) fn frozen_mailbox(
    kv: &dyn Kv,
    block: Block,
    id: MailboxId,
) -> Result<Option<FrozenMailbox>, Error> {
    let Some(row) = tables::mailbox(kv, id)? else {
        return Ok(None);
    };
    let mut acl = Vec::new();
    for entry in access::acl(kv, id, &row)?.entries {
        let account = match entry.grantee {
            Grantee::Anyone => None,
            Grantee::User(user) => Some(tables::user_name(kv, user)?),
        };
        acl.push(FrozenEntry {
            account,
            negative: entry.negative,
            rights: entry.rights,
        });
    }
    Ok(Some(FrozenMailbox {
        id,
        object: block.object(id, &row),
        uid_validity: row.uid_validity,
        uid_next: row.uid_next,
        modseq: row.modseq,
        horizon: row.horizon,
        recent_from: row.recent_from,
        messages: row.messages,
        bytes: row.size,
        keywords: row.keywords,
        acl_at: row.acl_at,
        acl,
    }))
}

fn frozen_message(mailbox: &Mailbox, uid: Uid, row: &MessageRow) -> FrozenMessage {
    FrozenMessage {
        uid,
        modseq: row.modseq,
        created: row.created,
        flags: row.flags(mailbox),
        date: row.date,
        saved_s: row.saved_s,
        submitter: row.submitter.clone(),
        size: row.size,
        body: row.body,
    }
}

pub(crate) fn frozen_messages(
    kv: &dyn Kv,
    id: MailboxId,
    from: Uid,
    max: usize,
) -> Result<Vec<FrozenMessage>, Error> {
    let mut found = Vec::new();
    let Some(mailbox) = tables::mailbox(kv, id)? else {
        return Ok(found);
    };
    // What a COPY has staged lies beyond.
    let to = keys::message(id, mailbox.uid_next);
    tables::rows(kv, id, from, &to, |uid, row| {
        let row = mailbox.resolved(uid, row);
        found.push(frozen_message(&mailbox, uid, &row));
        found.len() < max
    })?;
    Ok(found)
}

pub(crate) fn frozen_changes(
    kv: &dyn Kv,
    id: MailboxId,
    (modseq, uid): (ModSeq, Uid),
    max: usize,
) -> Result<Vec<FrozenMessage>, Error> {
    let mut found = Vec::new();
    let Some(mailbox) = tables::mailbox(kv, id)? else {
        return Ok(found);
    };
    let from = match uid.0.checked_add(1) {
        Some(next) => keys::changed(id, modseq, Uid(next)),
        None => keys::changed(id, ModSeq(modseq.0 + 1), Uid(0)),
    };
    let (_, to) = keys::rows(id);
    let mut uids = Vec::new();
    kv.scan(Space::Changes, &from, &to, false, &mut |key, _| {
        uids.push(keys::uid_of(key));
        match uids.len() < max {
            true => Continue(()),
            false => Break(()),
        }
    })?;
    for uid in uids {
        if let Some(row) = tables::message(kv, id, &mailbox, uid)? {
            found.push(frozen_message(&mailbox, uid, &row));
        }
    }
    Ok(found)
}

pub(crate) fn frozen_expunges(
    kv: &dyn Kv,
    id: MailboxId,
    since: ModSeq,
) -> Result<Option<UidSet>, Error> {
    let is_known = tables::mailbox(kv, id)?.is_some_and(|row| row.horizon <= since);
    if !is_known {
        return Ok(None);
    }
    let (from, to) = keys::changed_after(id, since);
    let mut uids = UidSet::default();
    kv.scan(Space::Expunged, &from, &to, false, &mut |key, _| {
        uids.insert(keys::uid_of(key));
        Continue(())
    })?;
    Ok(Some(uids))
}

pub(crate) fn frozen_bytes(kv: &dyn Kv, message: &FrozenMessage, at: u64) -> Result<Bytes, Error> {
    let end = (at / tables::PIECE_BYTES + 1) * tables::PIECE_BYTES;
    tables::body(kv, message.body, at..end.min(message.size))
}
