//! Access control lists (RFC 4314): SETACL, what can be asked of them, and who is let in where.

use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;

use mail::acl::{is_anyone, split_identifier};
use mail::reply::AclAnswer;
use mail::request::AclQuestion;
use mail::{
    Acl, Change, Event, Grantee, MailboxId, MailboxName, ModSeq, Refusal, Reply, Rights,
    RightsMode, UserId,
};

use super::access::{self, ForOthers, denied, may};
use super::{Applied, Rules, damage, ensure_user, keys, news, refused, renaming, tables};
use crate::Error;
use crate::kv::{Kv, Space, Transaction};
use crate::rows::{AclRow, u64_row};

const NO_SUCH_USER: Refusal = Refusal::Cannot("there is no user of that name");
const TOO_MANY_ENTRIES: Refusal =
    Refusal::Limit("the access control list has as many entries as it may have");
const TOO_MANY_GRANTS: Refusal =
    Refusal::Limit("they are let into as many mailboxes as they may be");
const NOT_TO_ANYONE: Refusal = Refusal::Cannot("rights can't be given to anyone here");

/// SETACL and DELETEACL.
pub(super) fn set(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    (user, name): (UserId, &MailboxName),
    identifier: &str,
    (mode, rights): (RightsMode, Rights),
) -> Result<Applied, Error> {
    let mut found = match may(txn, rules, user, name, Rights::ADMINISTER)? {
        Ok(found) => found,
        Err(refusal) => return refused(refusal),
    };
    renaming::await_others(txn, found.owner)?;
    let (who, negative) = split_identifier(identifier);
    let before = access::acl(txn, found.id, &found.row)?;
    let max = rules.options.acl_entries_max.max(before.entries.len());
    let grantee = match grantee(txn, rules, who, (&before, negative))? {
        Named::Grantee(grantee) => grantee,
        Named::Nobody => return refused(NO_SUCH_USER),
        // There is no entry of theirs yet.
        Named::NewUser(_) if mode == RightsMode::Remove || rights.is_empty() => {
            return Ok((Reply::Done, vec![]).into());
        }
        Named::NewUser(_) if before.entries.len() >= max => return refused(TOO_MANY_ENTRIES),
        Named::NewUser(account) => Grantee::User(ensure_user(txn, rules, &account)?),
    };
    let mut acl = before.clone();
    acl.set((grantee, negative), mode, rights);
    if acl == before {
        return Ok((Reply::Done, vec![]).into());
    }
    let of_anyone = |acl: &Acl| {
        let entry = acl.entry(Grantee::Anyone, false);
        entry.map_or(Rights::NONE, |entry| entry.rights)
    };
    if !rules.options.anyone && !of_anyone(&before).contains(of_anyone(&acl)) {
        return refused(NOT_TO_ANYONE);
    }
    if acl.entries.len() > max {
        return refused(TOO_MANY_ENTRIES);
    }
    let most = rules.options.grants_max / OWNERS;
    if let Err(refusal) = put(txn, found.id, &found.name, (&before, &acl), most)? {
        txn.undo();
        return refused(refusal);
    }
    let (prev, row) = (found.row.modseq, &mut found.row);
    row.modseq = ModSeq(prev.0 + 1);
    row.acl_at = row.modseq;
    tables::put_mailbox(txn, found.id, row);
    let owners = |acl: &Acl| acl.rights_of(found.owner) & Rights::SIGHT;
    if owners(&before) != owners(&acl) {
        news::own_name_changed(txn, rules, found.owner, &found.name, None);
    }
    let others = before.whose_sight_changes(&acl);
    news::name_changed_for(txn, rules, found.owner, others, (&found.name, None))?;
    let event = Event {
        mailbox: found.id,
        prev,
        seq: found.row.modseq,
        changes: vec![Change::Acl(Arc::new(acl))],
        deleted: false,
    };
    Ok((Reply::Done, vec![Arc::new(event)]).into())
}

/// Who an identifier is.
enum Named {
    Grantee(Grantee),
    /// A user whom the store doesn't know yet: their account.
    NewUser(Box<str>),
    Nobody,
}

/// Who an identifier is. Whose user is gone is known by their account, as GETACL shows it, as long
/// as there is an entry of theirs.
fn grantee(
    kv: &dyn Kv,
    rules: &Rules,
    identifier: &str,
    (acl, negative): (&Acl, bool),
) -> Result<Named, Error> {
    if is_anyone(identifier) {
        return Ok(Named::Grantee(Grantee::Anyone));
    }
    if let Some(account) = rules.account(identifier) {
        let user = tables::lookup_user(kv, &account)?;
        return Ok(match (user, rules.options.directory.is_some()) {
            (Some(user), _) => Named::Grantee(Grantee::User(user)),
            (None, true) => Named::NewUser(account),
            (None, false) => Named::Nobody,
        });
    }
    let gone = tables::lookup_user(kv, identifier)?.map(Grantee::User);
    let gone = gone.filter(|gone| acl.entry(*gone, negative).is_some());
    Ok(gone.map_or(Named::Nobody, Named::Grantee))
}

/// Owners who together may let somebody into as many mailboxes as LIST looks at: one alone can't
/// fill it.
const OWNERS: usize = 10;
/// Bytes of names of mailboxes that a user is let into, and of those that all are, that LIST shows.
const LISTED_BYTES_MAX: usize = 1 << 20;

/// Sets a mailbox's list, and notes who is let in and who is not any more; no more than so many
/// mailboxes of this owner's each. What was done before a refusal is to be undone.
pub(super) fn put(
    txn: &mut Transaction<'_>,
    id: MailboxId,
    name: &MailboxName,
    (before, after): (&Acl, &Acl),
    most: usize,
) -> Result<Result<(), Refusal>, Error> {
    let key = keys::acl(id);
    if after.entries.is_empty() {
        txn.delete(Space::Acls, &key);
    } else {
        let row = AclRow {
            acl: after.clone(),
            name: name.as_str().to_owned(),
        };
        txn.put(Space::Acls, &key, row.encode());
    }
    let owner = after.owner;
    let (was, is): (Vec<_>, Vec<_>) = (before.grantees().collect(), after.grantees().collect());
    for grantee in was.iter().filter(|grantee| !is.contains(grantee)) {
        txn.delete(Space::Acls, &keys::grant(*grantee, owner, id));
        count(txn, *grantee, owner, false)?;
    }
    for grantee in is.iter().filter(|grantee| !was.contains(grantee)) {
        txn.put(Space::Acls, &keys::grant(*grantee, owner, id), vec![]);
        if count(txn, *grantee, owner, true)? > most as u64 {
            return Ok(Err(TOO_MANY_GRANTS));
        }
    }
    Ok(Ok(()))
}

/// Sets the list of a new mailbox, which it inherits: nobody is refused a mailbox for it.
pub(super) fn inherit(
    txn: &mut Transaction<'_>,
    id: MailboxId,
    name: &MailboxName,
    acl: &Acl,
) -> Result<(), Error> {
    let none = Acl {
        owner: acl.owner,
        entries: vec![],
    };
    put(txn, id, name, (&none, acl), usize::MAX).map(drop)
}

/// Counts one more or less of what a grantee was given by an owner; gives how much that is now.
fn count(
    txn: &mut Transaction<'_>,
    grantee: Grantee,
    owner: UserId,
    is_more: bool,
) -> Result<u64, Error> {
    let key = keys::grant_count(grantee, owner);
    let had = match txn.get(Space::Acls, &key)? {
        Some(row) => u64_row(&row)?,
        None => 0,
    };
    let has = match is_more {
        true => had + 1,
        false => had.saturating_sub(1),
    };
    match has {
        0 => txn.delete(Space::Acls, &key),
        has => txn.put(Space::Acls, &key, keys::number(has)),
    }
    Ok(has)
}

/// A mailbox goes, and so does its list (RFC 4314 §4 DELETE).
pub(super) fn forget(txn: &mut Transaction<'_>, id: MailboxId, before: &Acl) -> Result<(), Error> {
    let none = Acl {
        owner: before.owner,
        entries: vec![],
    };
    put(txn, id, &MailboxName::inbox(), (before, &none), usize::MAX).map(drop)
}

/// GETACL, LISTRIGHTS and MYRIGHTS.
pub(super) fn answer(
    kv: &dyn Kv,
    rules: &Rules,
    (user, name): (UserId, &MailboxName),
    question: &AclQuestion,
) -> Result<Reply, Error> {
    let Some(found) = access::find(kv, rules, user, name)? else {
        return Ok(Reply::Refused(Refusal::NoMailbox));
    };
    if *question == AclQuestion::Mine {
        return Ok(match found.rights.may_know() {
            true => Reply::Acl(AclAnswer::Mine(found.rights)),
            false => Reply::Refused(Refusal::NoMailbox),
        });
    }
    if !found.rights.contains(Rights::ADMINISTER) {
        return Ok(Reply::Refused(denied(found.rights)));
    }
    if let AclQuestion::Grantable(identifier) = question {
        return grantable(kv, rules, found.owner, identifier).map(Reply::Acl);
    }
    let acl = access::acl(kv, found.id, &found.row)?;
    let owner = Grantee::User(found.owner);
    let own = acl.entry(owner, false).map_or(Rights::ALL, |it| it.rights);
    let mut entries = vec![(identifier(kv, rules, owner, false)?, own)];
    for entry in &acl.entries {
        if (entry.grantee, entry.negative) != (owner, false) {
            let identifier = identifier(kv, rules, entry.grantee, entry.negative)?;
            entries.push((identifier, entry.rights));
        }
    }
    Ok(Reply::Acl(AclAnswer::Entries(entries)))
}

fn identifier(
    kv: &dyn Kv,
    rules: &Rules,
    grantee: Grantee,
    negative: bool,
) -> Result<Box<str>, Error> {
    let name = match grantee {
        Grantee::Anyone => "anyone".into(),
        Grantee::User(user) => {
            let account = tables::user_name(kv, user)?;
            // Another may have the name by now: then only the account says who it is.
            rules
                .present_name(&account)
                .unwrap_or_else(|| account.into())
        }
    };
    let dash = if negative { "-" } else { "" };
    Ok(format!("{dash}{name}").into())
}

/// What an identifier can be given (RFC 4314 §3.4).
fn grantable(
    kv: &dyn Kv,
    rules: &Rules,
    owner: UserId,
    identifier: &str,
) -> Result<AclAnswer, Error> {
    let (who, negative) = split_identifier(identifier);
    let nobody = (Rights::NONE, Rights::NONE);
    let (always, optional) = if is_anyone(who) {
        match negative || rules.options.anyone {
            true => (Rights::NONE, Rights::ALL),
            false => nobody,
        }
    } else {
        match rules.account(who) {
            None => nobody,
            Some(account) => match tables::lookup_user(kv, &account)? {
                Some(user) if user == owner && !negative => {
                    (Rights::OWNERS, Rights::ALL - Rights::OWNERS)
                }
                None if rules.options.directory.is_none() => nobody,
                _ => (Rights::NONE, Rights::ALL),
            },
        }
    };
    Ok(AclAnswer::Grantable { always, optional })
}

/// The mailboxes of others that a user may look up: what they call each, in no order, until
/// `enough` says so of one.
pub(super) fn visible(
    kv: &dyn Kv,
    rules: &Rules,
    user: UserId,
    mut enough: impl FnMut(MailboxName) -> bool,
) -> Result<(), Error> {
    let mut names = ForOthers::new(rules);
    for grantee in [Grantee::User(user), Grantee::Anyone] {
        let mut given = Vec::new();
        let (from, to) = keys::grants(grantee);
        kv.scan(Space::Acls, &from, &to, false, &mut |key, _| {
            let parts = keys::grant_parts(key);
            given.extend(parts.filter(|(owner, _)| *owner != user));
            // More than there may be: the limit was lowered.
            match given.len() < rules.options.grants_max {
                true => Continue(()),
                false => Break(()),
            }
        })?;
        let mut bytes = 0;
        for (owner, id) in given {
            let Some(row) = kv.get(Space::Acls, &keys::acl(id))? else {
                continue;
            };
            let row = match AclRow::decode(&row) {
                Ok(row) => row,
                Err(error) => {
                    damage::report_list(kv, id, &error);
                    continue;
                }
            };
            bytes += row.name.len();
            if bytes > LISTED_BYTES_MAX {
                break;
            }
            if !row.acl.rights_of(user).contains(Rights::LOOKUP) {
                continue;
            }
            let theirs = MailboxName::new(&row.name);
            if let Some(name) = names.name(kv, owner, &theirs)?
                && enough(name)
            {
                return Ok(());
            }
        }
    }
    Ok(())
}
