//! Users and mailbox names (RFC 3501 §6.3.3 to §6.3.7).

use std::sync::Arc;

use mail::SpecialUse;
use mail::namespace::Place;
use mail::{
    Acl, Became, Event, InternalDate, MailboxName, ModSeq, ObjectId, Refusal, Reply, Rights, UserId,
};

use crate::making::make_mailbox;
use crate::state::{Name, State};
use crate::{Outcome, access, changing, refused, watching};

/// Why no mailbox can have a name.
fn nowhere(state: &State, name: &MailboxName) -> Refusal {
    match state.namespaces.place(name) {
        Place::Above => ABOVE_OTHERS,
        _ => Refusal::NoMailbox,
    }
}

const ABOVE_OTHERS: Refusal = Refusal::Cannot("other users' mailboxes lie below that name");

/// What naming goes by besides the names.
#[derive(Clone, Copy)]
pub(crate) struct Context {
    pub now: InternalDate,
    pub names_max: usize,
}

impl Context {
    /// Why a user may not have one more name, if so.
    fn room(self, state: &State, user: UserId) -> Result<(), Refusal> {
        let Some(account) = state.accounts.get(&user) else {
            return Ok(());
        };
        let set = account.limits.and_then(|limits| limits.mailboxes);
        let most = set.map_or(self.names_max as u64, |set| set.min(self.names_max as u64));
        match account.count() as u64 >= most {
            true => Err(Refusal::OverQuota),
            false => Ok(()),
        }
    }
}

pub(crate) fn create(
    state: &mut State,
    context: Context,
    user: UserId,
    name: &MailboxName,
    special_use: Option<SpecialUse>,
) -> Outcome {
    if let Err(why) = name.creatable() {
        return refused(Refusal::Name(why));
    }
    let Some((owner, name)) = access::place(state, user, name) else {
        return refused(nowhere(state, name));
    };
    if let Err(why) = name.creatable() {
        return refused(Refusal::Name(why));
    }
    let acl = match access::may_make(state, user, owner, &name) {
        Ok(acl) => acl,
        Err(refusal) => return refused(refusal),
    };
    if state.named(owner, &name).is_some() {
        return refused(Refusal::Exists);
    }
    if let Err(refusal) = context.room(state, owner) {
        return refused(refusal);
    }
    make_parents(state, context.now, &acl, &name);
    let id = make_mailbox(state, context.now, &acl, &name, special_use);
    (Reply::Created(ObjectId(id.0)), vec![])
}

/// Superior names that don't exist are made as well, the nearest first.
fn make_parents(state: &mut State, now: InternalDate, acl: &Acl, name: &MailboxName) {
    let mut parent = name.parent();
    while let Some(name) = parent {
        if state.name(acl.owner, &name).is_none() {
            make_mailbox(state, now, acl, &name, None);
        }
        parent = name.parent();
    }
}

fn children(state: &State, user: UserId, parent: &MailboxName) -> Vec<MailboxName> {
    let Some(account) = state.accounts.get(&user) else {
        return vec![];
    };
    account
        .names
        .keys()
        .filter(|name| name.is_below(parent))
        .cloned()
        .collect()
}

pub(crate) fn delete(state: &mut State, user: UserId, name: &MailboxName) -> Outcome {
    let asker = user;
    let Some((user, name)) = access::place(state, asker, name) else {
        return refused(Refusal::NoMailbox);
    };
    let name = &name;
    let Some(row) = state.name(user, name).cloned() else {
        return refused(Refusal::NoMailbox);
    };
    match row.mailbox.map(|id| access::rights(state, id, asker)) {
        Some(rights) if !rights.contains(Rights::DELETE) => {
            return refused(access::denied(rights));
        }
        None if user != asker => return refused(Refusal::NoMailbox),
        _ => {}
    }
    if name.is_inbox() {
        return refused(Refusal::Cannot("INBOX can't be deleted"));
    }
    let has_children = !children(state, user, name).is_empty();
    if row.mailbox.is_none() && has_children {
        return refused(Refusal::HasInferiors);
    }
    match row.mailbox.and_then(|id| state.mailbox(id)) {
        Some(mailbox) => {
            let acl = mailbox.acl.clone();
            watching::name_changed(state, &acl, name, None);
        }
        None => watching::own_name_changed(state, user, name, None),
    }
    let names = &mut state.account(user).names;
    if has_children {
        names.insert(
            name.clone(),
            Name {
                mailbox: None,
                special_use: None,
            },
        );
    } else {
        names.remove(name);
    }
    let Some(id) = row.mailbox else {
        return (Reply::Done, vec![]);
    };
    let mailbox = state
        .mailboxes
        .remove(&id)
        .expect("a name's mailbox exists");
    state.metadata.retain(|(of, ..), _| *of != Some(id));
    state.keys.retain(|(of, _), _| *of != id);
    let account = state.account(mailbox.user);
    account.bytes -= mailbox.size();
    account.messages -= mailbox.messages.len() as u64;
    let (prev, seq) = (mailbox.modseq, ModSeq(mailbox.modseq.0 + 1));
    let end = Event {
        mailbox: id,
        prev,
        seq,
        changes: vec![],
        deleted: true,
    };
    (Reply::Done, vec![Arc::new(end)])
}

pub(crate) fn rename(
    state: &mut State,
    context: Context,
    user: UserId,
    from: &MailboxName,
    to: &MailboxName,
) -> Outcome {
    if let Err(why) = to.creatable() {
        return refused(Refusal::Name(why));
    }
    let (acl, from, to) = match may_rename(state, user, from, to) {
        Ok(may) => may,
        Err(refusal) => return refused(refusal),
    };
    let (user, from, to) = (acl.owner, &from, &to);
    if state.name(user, to).is_some() {
        return refused(Refusal::Exists);
    }
    let parent_is_missing = to
        .parent()
        .is_some_and(|parent| state.name(user, &parent).is_none());
    let room = context.room(state, user);
    if let (true, Err(refusal)) = (from.is_inbox() || parent_is_missing, room) {
        return refused(refusal);
    }
    let now = context.now;
    if from.is_inbox() {
        make_parents(state, now, &acl, to);
        let target = make_mailbox(state, now, &acl, to, None);
        let inbox = state.named(user, from).expect("INBOX can't be deleted");
        return (Reply::Done, changing::move_all(state, inbox, target));
    }
    if to.is_below(from) {
        return refused(Refusal::Cannot("a mailbox can't be moved below itself"));
    }
    let renamed = |name: &MailboxName| {
        MailboxName::new(&format!("{to}{}", &name.as_str()[from.as_str().len()..]))
    };
    let children = children(state, user, from);
    if children
        .iter()
        .any(|child| renamed(child).creatable().is_err())
    {
        return refused(Refusal::Name(
            "an inferior mailbox's name would be too long",
        ));
    }
    make_parents(state, now, &acl, to);
    for name in [from].into_iter().chain(&children) {
        let names = &mut state.account(user).names;
        let row = names.remove(name).expect("it was listed");
        let mailbox = row.mailbox;
        names.insert(renamed(name), row);
        let what = Became::Changed {
            name: renamed(name),
            was: Some(name.clone()),
            follows: name != from,
        };
        watching::note(state, user, what);
        if let Some(acl) = mailbox.and_then(|id| Some(state.mailbox(id)?.acl.clone())) {
            let others = acl.who_has(Rights::LOOKUP);
            watching::name_changed_for(state, user, others, (&renamed(name), Some(name)));
        }
    }
    (Reply::Done, vec![])
}

/// The list that mailboxes above the new name inherit, and the two names as their owner has them.
fn may_rename(
    state: &State,
    asker: UserId,
    from: &MailboxName,
    to: &MailboxName,
) -> Result<(Acl, MailboxName, MailboxName), Refusal> {
    let (user, from) = access::place(state, asker, from).ok_or(Refusal::NoMailbox)?;
    let row = state.name(user, &from).ok_or(Refusal::NoMailbox)?;
    match row.mailbox.map(|id| access::rights(state, id, asker)) {
        Some(rights) if !rights.contains(Rights::DELETE) => return Err(access::denied(rights)),
        None if user != asker => return Err(Refusal::NoMailbox),
        _ => {}
    }
    let (new_owner, to) = access::place(state, asker, to).ok_or_else(|| nowhere(state, to))?;
    if new_owner != user {
        let why = "a mailbox stays its owner's; copy its messages instead";
        return Err(Refusal::Cannot(why));
    }
    if user != asker && from.is_inbox() {
        return Err(Refusal::Cannot("another's INBOX can't be renamed"));
    }
    to.creatable().map_err(Refusal::Name)?;
    let acl = access::may_make(state, asker, user, &to)?;
    Ok((acl, from, to))
}

pub(crate) fn subscribe(
    state: &mut State,
    context: Context,
    user: UserId,
    name: &MailboxName,
    on: bool,
) -> Outcome {
    let mut name = name.clone();
    let place = access::place(state, user, &name);
    let is_own = place.as_ref().is_some_and(|(owner, _)| *owner == user);
    if on
        && !is_own
        && let Err(refusal) = access::may(state, user, &name, Rights::LOOKUP)
    {
        return refused(refusal);
    }
    match place {
        Some((_, own)) if is_own => name = own,
        Some((owner, theirs)) => name = access::name_for_others(state, owner, &theirs),
        None => {}
    }
    let name = &name;
    let exists = state.name(user, name).is_some();
    if on
        && !exists
        && is_own
        && let Err(why) = name.creatable()
    {
        return refused(Refusal::Name(why));
    }
    let is_new = on && !exists && !state.account(user).subscribed.contains(name);
    if is_new && context.room(state, user).is_err() {
        let why = "you have as many mailboxes and subscriptions as you may";
        return refused(Refusal::Limit(why));
    }
    if state.account(user).subscribed.contains(name) != on {
        let name = name.clone();
        watching::note(state, user, Became::Subscribed { name, on });
    }
    let subscribed = &mut state.account(user).subscribed;
    if on {
        subscribed.insert(name.clone());
    } else {
        subscribed.remove(name);
    }
    (Reply::Done, vec![])
}
