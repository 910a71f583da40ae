//! Metadata of mailboxes and of the server (RFC 5464). An entry is a row beside its mailbox's: it
//! keeps to the mailbox's id, and so through a RENAME.

use std::collections::BTreeMap;
use std::ops::ControlFlow::{Break, Continue};

use bytes::Bytes;
use mail::metadata::{Entry, EntryName, MetadataQuery};
use mail::{MailboxId, MailboxName, Refusal, Reply, Rights, UserId};

use super::access::Found;
use super::{Applied, Rules, access, keys, news, refused, tables};
use crate::Error;
use crate::kv::{Kv, Space, Transaction};
use crate::put::PutEntry;
use crate::rows::MetadataRow;

/// In the place of a mailbox: the server.
const SERVER: MailboxId = MailboxId(0);
/// In the place of a user: what all share.
const ALL: UserId = UserId(0);
/// The entry that tells how the administrator is reached (RFC 5464 §6.2.1).
const ADMIN: &str = "/shared/admin";

/// Where entries are, and who pays for those that all share; nobody pays for the server's.
struct Place {
    mailbox: MailboxId,
    owner: UserId,
    /// If it is a mailbox.
    found: Option<Found>,
}

/// The place of a mailbox's entries, or the server's, if the user may read them, and with
/// `sets_shared` set those that all share (RFC 5464 §3.3).
fn place(
    kv: &dyn Kv,
    rules: &Rules,
    user: UserId,
    mailbox: Option<&MailboxName>,
    sets_shared: bool,
) -> Result<Result<Place, Refusal>, Error> {
    let Some(name) = mailbox else {
        return Ok(Ok(Place {
            mailbox: SERVER,
            owner: ALL,
            found: None,
        }));
    };
    let found = match access::may(kv, rules, user, name, Rights::LOOKUP)? {
        Ok(found) => found,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let is_enough = match sets_shared {
        true => found.rights.contains(Rights::WRITE),
        false => found.rights.intersects(Rights::ANNOTATIONS),
    };
    Ok(match is_enough {
        true => Ok(Place {
            mailbox: found.id,
            owner: found.row.user,
            found: Some(found),
        }),
        false => Err(Refusal::NoPermission),
    })
}

/// GETMETADATA and GETANNOTATION.
pub(super) fn get(
    kv: &dyn Kv,
    rules: &Rules,
    user: UserId,
    mailbox: Option<&MailboxName>,
    query: &MetadataQuery,
) -> Result<Reply, Error> {
    let place = match place(kv, rules, user, mailbox, false)? {
        Ok(place) => place,
        Err(refusal) => return Ok(Reply::Refused(refusal)),
    };
    let mut entries = match query.exact() {
        Some(names) => {
            let mut entries = Vec::with_capacity(names.len());
            for name in names {
                let key = key(&place, user, name);
                if let Some(row) = kv.get(Space::Metadata, &key)? {
                    entries.push(MetadataRow::decode(&row)?.entry()?);
                }
            }
            entries
        }
        None => {
            let mut entries = all_of(kv, place.mailbox, ALL)?;
            entries.extend(all_of(kv, place.mailbox, user)?);
            entries
        }
    };
    let contact = &rules.options.contact;
    if place.mailbox == SERVER && !contact.is_empty() {
        entries.push(Entry {
            name: EntryName::new(ADMIN.as_bytes()).map_err(|_| damaged())?,
            value: Some(Bytes::copy_from_slice(contact.as_bytes())),
        });
    }
    Ok(Reply::Metadata(query.answer(entries)))
}

fn damaged() -> Error {
    Error::Damaged {
        space: Space::Metadata.name(),
        what: "not an entry's name",
    }
}

fn key(place: &Place, user: UserId, name: &EntryName) -> Vec<u8> {
    let user = if name.is_private() { user } else { ALL };
    keys::entry(place.mailbox, user, &name.key())
}

fn all_of(kv: &dyn Kv, mailbox: MailboxId, user: UserId) -> Result<Vec<Entry>, Error> {
    let (from, to) = keys::entries(mailbox, user);
    let mut rows = Vec::new();
    kv.scan(Space::Metadata, &from, &to, false, &mut |_, row| {
        rows.push(MetadataRow::decode(row).and_then(|row| row.entry()));
        Continue(())
    })?;
    rows.into_iter().collect()
}

/// SETMETADATA and SETANNOTATION: all of it or nothing.
pub(super) fn set(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    mailbox: Option<&MailboxName>,
    entries: Vec<Entry>,
    is_admin: bool,
) -> Result<Applied, Error> {
    let sets_shared = entries.iter().any(|entry| !entry.name.is_private());
    let place = match place(txn, rules, user, mailbox, sets_shared)? {
        Ok(place) => place,
        Err(refusal) => return refused(refusal),
    };
    let max = rules.options.metadata_value_bytes_max;
    let is_servers = place.mailbox == SERVER;
    for Entry { name, value } in &entries {
        if name.is_bare() {
            return refused(Refusal::Cannot(
                "an entry has a name below /private or /shared",
            ));
        }
        if is_servers && name.key() == ADMIN {
            return refused(Refusal::Cannot(
                "/shared/admin is what the configuration says",
            ));
        }
        if is_servers && !name.is_private() && !is_admin {
            return refused(Refusal::Denied(
                "only administrators may set what all share",
            ));
        }
        if value.as_ref().is_some_and(|value| value.len() as u64 > max) {
            return refused(Refusal::MetadataTooBig(max));
        }
    }
    let told = entries.clone();
    // What each who pays had before, and what is added and taken.
    let mut costs: BTreeMap<UserId, (u64, u64)> = BTreeMap::new();
    for entry in entries {
        let payer = if entry.name.is_private() {
            user
        } else {
            place.owner
        };
        let key = key(&place, user, &entry.name);
        if let Some(row) = txn.get(Space::Metadata, &key)? {
            let row = MetadataRow::decode(&row)?;
            costs.entry(row.payer).or_default().1 += row.entry()?.cost();
        }
        match &entry.value {
            None => txn.delete(Space::Metadata, &key),
            Some(value) => {
                costs.entry(payer).or_default().0 += entry.cost();
                let row = MetadataRow {
                    payer,
                    name: entry.name.as_str().into(),
                    value: value.clone(),
                };
                txn.put(Space::Metadata, &key, row.encode());
            }
        }
    }
    for (payer, (added, taken)) in costs {
        if !settle(txn, rules, payer, added, taken)? {
            txn.undo();
            return refused(Refusal::MetadataTooMany);
        }
    }
    match &place.found {
        None => news::server_annotated(txn, rules, user, &told),
        Some(Found { id, row, name, .. }) => {
            news::annotated_mailbox(txn, rules, user, (*id, row, name), &told)?;
        }
    }
    Ok((Reply::Done, vec![]).into())
}

/// What a backup has, of a mailbox without a name or of the server. Entries that are there stay,
/// and no limit refuses any.
pub(super) fn restore(
    txn: &mut Transaction<'_>,
    (mailbox, owner): (Option<MailboxId>, UserId),
    entries: &[PutEntry],
) -> Result<(), Error> {
    let place = Place {
        mailbox: mailbox.unwrap_or(SERVER),
        owner,
        found: None,
    };
    for PutEntry { user, entry } in entries {
        let Some(value) = &entry.value else {
            continue;
        };
        let payer = user.unwrap_or(place.owner);
        let key = key(&place, payer, &entry.name);
        if txn.get(Space::Metadata, &key)?.is_some() {
            continue;
        }
        let row = MetadataRow {
            payer,
            name: entry.name.as_str().into(),
            value: value.clone(),
        };
        txn.put(Space::Metadata, &key, row.encode());
        if payer != ALL {
            let mut account = tables::account(txn, payer)?;
            account.metadata_bytes += entry.cost();
            tables::put_account(txn, payer, &account);
        }
    }
    Ok(())
}

/// A mailbox takes the place of another, and with that its entries, but for those that it has.
pub(super) fn take_over(
    txn: &mut Transaction<'_>,
    (from, to): (MailboxId, MailboxId),
) -> Result<(), Error> {
    let (first, end) = keys::rows(from);
    let mut rows = Vec::new();
    txn.scan(Space::Metadata, &first, &end, false, &mut |key, row| {
        rows.push((key.to_vec(), Bytes::copy_from_slice(row)));
        Continue(())
    })?;
    for (key, row) in rows {
        let new = [&keys::number(to.0)[..], &key[8..]].concat();
        // What stays is removed with its mailbox, and given back.
        if txn.get(Space::Metadata, &new)?.is_none() {
            txn.delete(Space::Metadata, &key);
            txn.put(Space::Metadata, &new, row);
        }
    }
    Ok(())
}

/// Charges a user for what was added and gives back what was taken. False if they may not have so
/// much more.
fn settle(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    payer: UserId,
    added: u64,
    taken: u64,
) -> Result<bool, Error> {
    let max = rules.options.metadata_bytes_max;
    let grows = added > taken;
    if payer == ALL {
        // Nobody's row has it: few are there, and only administrators add to them.
        let is_full = grows && {
            let there = all_of(txn, SERVER, ALL)?;
            there.iter().map(Entry::cost).sum::<u64>() > max
        };
        return Ok(!is_full);
    }
    let mut account = tables::account(txn, payer)?;
    account.metadata_bytes = (account.metadata_bytes + added).saturating_sub(taken);
    if grows && account.metadata_bytes > max {
        return Ok(false);
    }
    tables::put_account(txn, payer, &account);
    Ok(true)
}

/// Removes some entries of a mailbox that has lost its name. True if none is left.
pub(super) fn drop_some(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    id: MailboxId,
) -> Result<bool, Error> {
    let (from, to) = keys::rows(id);
    let max = rules.options.slice_messages;
    let mut rows = Vec::new();
    txn.scan(Space::Metadata, &from, &to, false, &mut |key, row| {
        rows.push((key.to_vec(), MetadataRow::decode(row)));
        match rows.len() < max {
            true => Continue(()),
            false => Break(()),
        }
    })?;
    let is_done = rows.is_empty();
    let mut costs: BTreeMap<UserId, u64> = BTreeMap::new();
    for (key, row) in rows {
        let row = row?;
        *costs.entry(row.payer).or_default() += row.entry()?.cost();
        txn.delete(Space::Metadata, &key);
    }
    for (payer, cost) in costs {
        settle(txn, rules, payer, 0, cost)?;
    }
    Ok(is_done)
}
