//! Users and mailbox names (RFC 3501 §6.3.3–§6.3.7).

use std::ops::ControlFlow::Continue;
use std::sync::Arc;

use mail::SpecialUse;
use mail::namespace::Place;
use mail::{
    Acl, Became, Event, MailboxId, MailboxName, ModSeq, NameChange, Refusal, Reply, Rights, Uid,
    UidValidity, UserId,
};

use super::access::{self, ForOthers, denied};
use super::copying::Target;
use super::renaming::{self, Renaming};
use super::{
    Applied, Operation, Rules, acl, copying, keys, limits, news, notifications, numbers, refused,
    tables,
};
use crate::Error;
use crate::kv::{Kv, Space, Transaction};
use crate::notification::What;
use crate::rows::{Account, Mailbox, Name, u64_row};

pub(super) fn make_user(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    name: &str,
) -> Result<UserId, Error> {
    let user = UserId(tables::next(txn, "user")?);
    txn.put(Space::Users, name.as_bytes(), keys::number(user.0));
    let account = Account {
        name: name.to_owned(),
        names: Some(0),
        ..Account::default()
    };
    tables::put_account(txn, user, &account);
    let acl = Acl {
        owner: user,
        entries: vec![],
    };
    make_mailbox(txn, rules, &acl, &MailboxName::inbox(), None)?;
    Ok(user)
}

/// Makes the mailbox of a name that has none, with such an access control list.
fn make_mailbox(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    acl: &Acl,
    name: &MailboxName,
    special_use: Option<SpecialUse>,
) -> Result<MailboxId, Error> {
    let user = acl.owner;
    let id = numbers::mailbox(txn)?;
    let uid_validity = next_uid_validity(txn, rules)?;
    let row = Mailbox {
        user,
        uid_validity,
        uid_next: Uid(1),
        modseq: ModSeq(1),
        recent_from: Uid(1),
        acl_at: ModSeq(u64::from(!acl.entries.is_empty())),
        ..Mailbox::default()
    };
    tables::put_mailbox(txn, id, &row);
    if !acl.entries.is_empty() {
        acl::inherit(txn, id, name, acl)?;
    }
    let subscribed = tables::name(txn, user, name)?.subscribed;
    let row = Name {
        exists: true,
        mailbox: Some(id),
        subscribed,
        special_use,
    };
    tables::put_name(txn, user, name, &row)?;
    news::name_changed(txn, rules, acl, name, None)?;
    Ok(id)
}

/// The row of [`Space::Meta`] with the last UIDVALIDITY that was given.
const UID_VALIDITY: &[u8] = b"uid_validity";

/// The time in seconds, or one more than the last: never the same twice (RFC 3501 §2.3.1.1).
pub(super) fn next_uid_validity(
    txn: &mut Transaction<'_>,
    rules: &Rules,
) -> Result<UidValidity, Error> {
    let last = match txn.get(Space::Meta, UID_VALIDITY)? {
        Some(row) => u64_row(&row)?,
        None => 0,
    };
    let next = u64::try_from(rules.now.unix_s).unwrap_or(0).max(last + 1);
    txn.put(Space::Meta, UID_VALIDITY, keys::number(next));
    Ok(UidValidity(next as u32))
}

/// What a mailbox has elsewhere is its UIDVALIDITY here, and no other mailbox's later.
pub(super) fn reserve_uid_validity(
    txn: &mut Transaction<'_>,
    wanted: UidValidity,
) -> Result<(), Error> {
    let last = match txn.get(Space::Meta, UID_VALIDITY)? {
        Some(row) => u64_row(&row)?,
        None => 0,
    };
    if last < u64::from(wanted.0) {
        let key = keys::number(u64::from(wanted.0));
        txn.put(Space::Meta, UID_VALIDITY, key);
    }
    Ok(())
}

/// Gives every mailbox a new UIDVALIDITY: clients forget what they know of it.
pub(crate) fn renew_uid_validities(txn: &mut Transaction<'_>, rules: &Rules) -> Result<(), Error> {
    let mut rows = Vec::new();
    txn.scan(
        Space::Mailboxes,
        &[],
        &[0xff; 9],
        false,
        &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            Continue(())
        },
    )?;
    for (key, row) in rows {
        let uid_validity = next_uid_validity(txn, rules)?;
        let row = Mailbox {
            uid_validity,
            ..Mailbox::decode(&row)?
        };
        txn.put(Space::Mailboxes, &key, row.encode());
    }
    Ok(())
}

pub(super) fn create(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    name: &MailboxName,
    special_use: Option<SpecialUse>,
) -> Result<Applied, Error> {
    if let Err(why) = name.creatable() {
        return refused(Refusal::Name(why));
    }
    let Some((owner, name)) = access::place(txn, rules, user, name)? else {
        return refused(nowhere(rules, name));
    };
    if let Err(why) = name.creatable() {
        return refused(Refusal::Name(why));
    }
    renaming::await_others(txn, owner)?;
    let acl = match access::may_make(txn, user, owner, &name)? {
        Ok(acl) => acl,
        Err(refusal) => return refused(refusal),
    };
    if tables::name(txn, owner, &name)?.mailbox.is_some() {
        return refused(Refusal::Exists);
    }
    if !has_room(txn, rules, owner)? {
        return refused(Refusal::OverQuota);
    }
    make_parents(txn, rules, &acl, &name)?;
    let id = make_mailbox(txn, rules, &acl, &name, special_use)?;
    notifications::name(txn, owner, || What::Created(name));
    // No mailbox was ever known by it.
    let object = rules.block().object(id, &Mailbox::default());
    Ok((Reply::Created(object), vec![]).into())
}

/// Why no mailbox can have a name: nothing is told of who there is.
fn nowhere(rules: &Rules, name: &MailboxName) -> Refusal {
    match rules.options.namespaces.place(name) {
        Place::Above => ABOVE_OTHERS,
        _ => Refusal::NoMailbox,
    }
}

const ABOVE_OTHERS: Refusal = Refusal::Cannot("other users' mailboxes lie below that name");

const NO_ROOM: Refusal = Refusal::Limit("you have as many mailboxes and subscriptions as you may");

/// Whether a user may have one more name. Superior names that come along are not looked at.
fn has_room(txn: &mut Transaction<'_>, rules: &Rules, user: UserId) -> Result<bool, Error> {
    let names = tables::names(txn, user)? as u64;
    let account = tables::account(txn, user)?;
    let most = limits::limits(rules, &account).mailboxes;
    Ok(most.is_none_or(|most| names < most))
}

/// RFC 3501 §6.3.3: superior names that don't exist are made as well.
fn make_parents(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    acl: &Acl,
    name: &MailboxName,
) -> Result<(), Error> {
    let user = acl.owner;
    let mut made = Vec::new();
    let mut parent = name.parent();
    while let Some(name) = parent {
        if !tables::name(txn, user, &name)?.exists {
            make_mailbox(txn, rules, acl, &name, None)?;
            made.push(name.clone());
        }
        parent = name.parent();
    }
    // The uppermost first.
    for name in made.into_iter().rev() {
        notifications::name(txn, user, || What::Created(name));
    }
    Ok(())
}

pub(super) fn delete(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    name: &MailboxName,
) -> Result<Applied, Error> {
    let asker = user;
    let Some((user, name)) = access::place(txn, rules, asker, name)? else {
        return refused(Refusal::NoMailbox);
    };
    renaming::await_others(txn, user)?;
    let mut acl = None;
    if let Some((id, mailbox)) = tables::named_mailbox(txn, user, &name)? {
        let list = access::acl(txn, id, &mailbox)?;
        let rights = list.rights_of(asker);
        if !rights.contains(Rights::DELETE) {
            return refused(denied(rights));
        }
        acl = Some(list).filter(|list| !list.entries.is_empty());
    } else if user != asker {
        return refused(Refusal::NoMailbox);
    }
    if name.is_inbox() {
        return refused(Refusal::Cannot("INBOX can't be deleted"));
    }
    let name = &name;
    let mut row = tables::name(txn, user, name)?;
    let has_children = renaming::has_names_below(txn, user, name)?;
    let Some(id) = row.mailbox.take() else {
        if row.exists && !has_children {
            row.exists = false;
            tables::put_name(txn, user, name, &row)?;
            news::own_name_changed(txn, rules, user, name, None);
            return Ok((Reply::Done, vec![]).into());
        }
        return refused(match row.exists {
            true => Refusal::HasInferiors,
            false => Refusal::NoMailbox,
        });
    };
    row.exists = has_children;
    row.special_use = None;
    tables::put_name(txn, user, name, &row)?;
    let modseq = match tables::mailbox(txn, id)? {
        Some(mailbox) => {
            let messages = u64::from(mailbox.messages);
            tables::refund(txn, mailbox.user, mailbox.size, messages)?;
            tables::note_gone(txn, &mailbox)?;
            mailbox.modseq
        }
        None => ModSeq(1),
    };
    match acl {
        Some(acl) => {
            news::name_changed(txn, rules, &acl, name, None)?;
            acl::forget(txn, id, &acl)?;
        }
        None => news::own_name_changed(txn, rules, user, name, None),
    }
    rules.names.forget(id);
    txn.delete(Space::Mailboxes, &keys::number(id.0));
    txn.put(Space::Tasks, &keys::task(tables::task::DROP, id.0), vec![]);
    notifications::name(txn, user, || What::Deleted(name.clone()));
    let event = Event {
        mailbox: id,
        prev: modseq,
        seq: ModSeq(modseq.0 + 1),
        changes: vec![],
        deleted: true,
    };
    Ok(Applied {
        reply: Some(Reply::Done),
        events: vec![Arc::new(event)],
        then: Some(Operation::drop_mailbox(id)),
    })
}

pub(super) fn rename(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    from: &MailboxName,
    to: &MailboxName,
) -> Result<Applied, Error> {
    if let Err(why) = to.creatable() {
        return refused(Refusal::Name(why));
    }
    let asker = user;
    let (user, from, to, acl) = match may_rename(txn, rules, asker, from, to)? {
        Ok(may) => may,
        Err(refusal) => return refused(refusal),
    };
    let (from, to) = (&from, &to);
    let row = tables::name(txn, user, from)?;
    if tables::name(txn, user, to)?.exists {
        return refused(Refusal::Exists);
    }
    let adds = from.is_inbox()
        || match to.parent() {
            Some(parent) => !tables::name(txn, user, &parent)?.exists,
            None => false,
        };
    if adds && !has_room(txn, rules, user)? {
        return refused(Refusal::OverQuota);
    }
    if from.is_inbox() {
        // RFC 3501 §6.3.5: INBOX itself stays, and so does who has it selected.
        make_parents(txn, rules, &acl, to)?;
        let target = make_mailbox(txn, rules, &acl, to, None)?;
        notifications::name(txn, user, || What::Created(to.clone()));
        return empty_inbox(txn, rules, row.mailbox, target);
    }
    if to.is_below(from) {
        return refused(Refusal::Cannot("a mailbox can't be moved below itself"));
    }
    let max = rules.options.slice_messages;
    let (names, more) = renaming::names_below(txn, user, from, &[], max)?;
    let mut refusals = names
        .iter()
        .map(|(name, _)| renaming::check(from, to, name));
    if let Some(refusal) = refusals.find_map(|refusal| refusal) {
        return refused(refusal);
    }
    make_parents(txn, rules, &acl, to)?;
    if more.is_some() {
        return Ok(Operation::rename(Renaming::begin(txn, user, from, to)).into());
    }
    renaming::move_name(txn, rules, user, (from, to), (row, false))?;
    let was = || What::Renamed {
        from: from.clone(),
        to: to.clone(),
    };
    notifications::name(txn, user, was);
    for name in names {
        renaming::move_below(txn, rules, user, (from, to), name)?;
    }
    Ok((Reply::Done, vec![]).into())
}

/// Whose names a RENAME is about, the two names, and the list that new mailboxes above inherit.
type MayRename = (UserId, MailboxName, MailboxName, Acl);

/// RFC 4314 §4: `x` on the mailbox, and `k` on what the new name lies below.
fn may_rename(
    txn: &Transaction<'_>,
    rules: &Rules,
    asker: UserId,
    from: &MailboxName,
    to: &MailboxName,
) -> Result<Result<MayRename, Refusal>, Error> {
    let Some((user, from)) = access::place(txn, rules, asker, from)? else {
        return Ok(Err(Refusal::NoMailbox));
    };
    renaming::await_others(txn, user)?;
    if let Some((id, row)) = tables::named_mailbox(txn, user, &from)? {
        let rights = access::rights(txn, id, &row, asker)?;
        if !rights.contains(Rights::DELETE) {
            return Ok(Err(denied(rights)));
        }
    } else if user != asker || !tables::name(txn, user, &from)?.exists {
        return Ok(Err(Refusal::NoMailbox));
    }
    let Some((new_owner, to)) = access::place(txn, rules, asker, to)? else {
        return Ok(Err(nowhere(rules, to)));
    };
    if new_owner != user {
        let why = "a mailbox stays its owner's; copy its messages instead";
        return Ok(Err(Refusal::Cannot(why)));
    }
    if user != asker && from.is_inbox() {
        return Ok(Err(Refusal::Cannot("another's INBOX can't be renamed")));
    }
    if let Err(why) = to.creatable() {
        return Ok(Err(Refusal::Name(why)));
    }
    let acl = access::may_make(txn, asker, user, &to)?;
    Ok(acl.map(|acl| (user, from, to, acl)))
}

/// Moves all messages of INBOX to a new mailbox.
fn empty_inbox(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    inbox: Option<MailboxId>,
    target: MailboxId,
) -> Result<Applied, Error> {
    let (Some(id), Some(mut row)) = (inbox, tables::mailbox(txn, target)?) else {
        return Ok((Reply::Done, vec![]).into());
    };
    let to = Target {
        id: target,
        rights: Rights::ALL,
    };
    let Some(source) = tables::mailbox(txn, id)? else {
        return Ok((Reply::Done, vec![]).into());
    };
    row.keywords.clone_from(&source.keywords);
    tables::put_mailbox(txn, target, &row);
    if source.messages as usize > rules.options.slice_messages {
        let then = Some(Operation::move_all(id, to, source.uid_next));
        return Ok(Applied {
            reply: None,
            events: vec![],
            then,
        });
    }
    let mut leaving = Vec::new();
    tables::messages(txn, id, &source, |uid, row| {
        let flags = row.flags(&source);
        leaving.push((uid, row, flags));
    })?;
    match copying::transfer(txn, rules, id, &leaving, to, true)? {
        Ok(done) => Ok((Reply::Done, done.events).into()),
        Err(refusal) => {
            copying::undo(txn, &refusal);
            refused(refusal)
        }
    }
}

pub(super) fn subscribe(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    name: &MailboxName,
    on: bool,
) -> Result<Applied, Error> {
    renaming::await_others(txn, user)?;
    let mut name = name.clone();
    let place = access::place(txn, rules, user, &name)?;
    let is_own = place.as_ref().is_some_and(|(owner, _)| *owner == user);
    if on && !is_own {
        // RFC 4314 §4: it is looked for.
        if let Err(refusal) = access::may(txn, rules, user, &name, Rights::LOOKUP)? {
            return refused(refusal);
        }
    }
    match place {
        Some((_, own)) if is_own => name = own,
        Some((owner, theirs)) => {
            let listed = ForOthers::new(rules).name(txn, owner, &theirs)?;
            name = listed.unwrap_or(name);
        }
        None => {}
    }
    let name = &name;
    let mut row = tables::name(txn, user, name)?;
    if on
        && !row.exists
        && is_own
        && let Err(why) = name.creatable()
    {
        return refused(Refusal::Name(why));
    }
    if on && !row.exists && !row.subscribed && !has_room(txn, rules, user)? {
        return refused(NO_ROOM);
    }
    if row.subscribed != on {
        let name = name.clone();
        let what = Became::Subscribed { name, on };
        news::note(txn, rules, NameChange::of(user, what));
    }
    row.subscribed = on;
    tables::put_name(txn, user, name, &row)?;
    Ok((Reply::Done, vec![]).into())
}
