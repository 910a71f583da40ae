//! Access control lists (RFC 4314), and whose a mailbox is that somebody names.

use mail::acl::{is_anyone, split_identifier};
use mail::namespace::Place;
use mail::reply::AclAnswer;
use mail::request::AclQuestion;
use mail::{Acl, Grantee, MailboxId, MailboxName, Refusal, Reply, Rights, UserId};

use crate::Limits;
use crate::state::State;

/// Whose a name is, and what that one calls it.
pub(crate) fn place(
    state: &State,
    user: UserId,
    name: &MailboxName,
) -> Option<(UserId, MailboxName)> {
    let shared = match state.namespaces.has_shared() {
        true => state.users.get(&state.namespaces.shared_owner).copied(),
        false => None,
    };
    let place = state.namespaces.place(name);
    if place == Place::Own || state.name(user, name).is_some() {
        return Some((user, name.clone()));
    }
    match place {
        Place::Of(owner, theirs) => {
            let owner = *state.users.get(owner)?;
            (Some(owner) != shared).then_some((owner, theirs))
        }
        Place::Shared(theirs) => Some((shared?, theirs)),
        Place::Own | Place::Above => None,
    }
}

/// What others call a mailbox.
pub(crate) fn name_for_others(state: &State, owner: UserId, name: &MailboxName) -> MailboxName {
    let login = login(state, owner);
    let namespaces = &state.namespaces;
    match namespaces.has_shared() && *login == *namespaces.shared_owner {
        true => namespaces.shared_name(name),
        false => namespaces.name_of(&login, name),
    }
}

fn login(state: &State, user: UserId) -> Box<str> {
    let mut users = state.users.iter();
    let found = users.find(|(_, id)| **id == user);
    found.map(|(name, _)| name.clone()).unwrap_or_default()
}

/// What a user may do with a mailbox.
pub(crate) fn rights(state: &State, id: MailboxId, user: UserId) -> Rights {
    let mailbox = state.mailbox(id);
    mailbox.map_or(Rights::NONE, |mailbox| mailbox.acl.rights_of(user))
}

/// How who has these rights is refused.
pub(crate) fn denied(rights: Rights) -> Refusal {
    if rights.contains(Rights::LOOKUP) {
        Refusal::NoPermission
    } else {
        Refusal::NoMailbox
    }
}

/// The mailbox of a name, if the user has these rights.
pub(crate) fn may(
    state: &State,
    user: UserId,
    name: &MailboxName,
    needed: Rights,
) -> Result<MailboxId, Refusal> {
    let found = place(state, user, name);
    let found = found.and_then(|(owner, name)| state.named(owner, &name));
    let id = found.ok_or(Refusal::NoMailbox)?;
    let rights = rights(state, id, user);
    if rights.contains(needed) {
        Ok(id)
    } else {
        Err(denied(rights))
    }
}

/// The list that a new mailbox of a name inherits, if the user may make it.
pub(crate) fn may_make(
    state: &State,
    user: UserId,
    owner: UserId,
    name: &MailboxName,
) -> Result<Acl, Refusal> {
    let mut parent = name.parent();
    while let Some(name) = parent {
        if let Some(mailbox) = state.named(owner, &name).and_then(|id| state.mailbox(id)) {
            let rights = mailbox.acl.rights_of(user);
            return match rights.contains(Rights::CREATE) {
                true => Ok(mailbox.acl.clone()),
                false => Err(denied(rights)),
            };
        }
        parent = name.parent();
    }
    if user == owner {
        Ok(nobody(owner))
    } else {
        Err(Refusal::NoMailbox)
    }
}

/// The list that lets nobody in but the owner.
pub(crate) fn nobody(owner: UserId) -> Acl {
    Acl {
        owner,
        entries: vec![],
    }
}

pub(crate) fn grantee(state: &State, identifier: &str) -> Option<Grantee> {
    if is_anyone(identifier) {
        return Some(Grantee::Anyone);
    }
    state.users.get(identifier).copied().map(Grantee::User)
}

/// GETACL, LISTRIGHTS and MYRIGHTS.
pub(crate) fn answer(
    state: &State,
    limits: &Limits,
    (user, name): (UserId, &MailboxName),
    question: &AclQuestion,
) -> Reply {
    let found = place(state, user, name);
    let found = found.and_then(|(owner, name)| state.named(owner, &name));
    let Some(mailbox) = found.and_then(|id| state.mailbox(id)) else {
        return Reply::Refused(Refusal::NoMailbox);
    };
    let rights = mailbox.acl.rights_of(user);
    match question {
        AclQuestion::Mine if rights.may_know() => Reply::Acl(AclAnswer::Mine(rights)),
        AclQuestion::Mine => Reply::Refused(Refusal::NoMailbox),
        _ if !rights.contains(Rights::ADMINISTER) => Reply::Refused(denied(rights)),
        AclQuestion::Entries => {
            let owner = Grantee::User(mailbox.user);
            let own = mailbox.acl.entry(owner, false);
            let own = own.map_or(Rights::ALL, |entry| entry.rights);
            let mut entries = vec![(login(state, mailbox.user), own)];
            for entry in &mailbox.acl.entries {
                let name = match entry.grantee {
                    Grantee::Anyone => "anyone".into(),
                    Grantee::User(user) => login(state, user),
                };
                match (entry.negative, entry.grantee == owner) {
                    (false, true) => {}
                    (false, false) => entries.push((name, entry.rights)),
                    (true, _) => entries.push((format!("-{name}").into(), entry.rights)),
                }
            }
            Reply::Acl(AclAnswer::Entries(entries))
        }
        AclQuestion::Grantable(identifier) => {
            let (who, negative) = split_identifier(identifier);
            let (always, optional) = match grantee(state, who) {
                None => (Rights::NONE, Rights::NONE),
                Some(Grantee::Anyone) if !negative && !limits.anyone => {
                    (Rights::NONE, Rights::NONE)
                }
                Some(Grantee::User(user)) if user == mailbox.user && !negative => {
                    (Rights::OWNERS, Rights::ALL - Rights::OWNERS)
                }
                Some(_) => (Rights::NONE, Rights::ALL),
            };
            Reply::Acl(AclAnswer::Grantable { always, optional })
        }
    }
}

/// Others' mailboxes that a user may look up, by what they call them.
pub(crate) fn visible(state: &State, user: UserId) -> Vec<MailboxName> {
    let mut names = Vec::new();
    for (&owner, account) in state.accounts.iter().filter(|(owner, _)| **owner != user) {
        let is_shared =
            state.namespaces.has_shared() && *login(state, owner) == *state.namespaces.shared_owner;
        if !is_shared && state.namespaces.others.is_empty() {
            continue;
        }
        for (name, row) in &account.names {
            let may = row.mailbox.map(|id| rights(state, id, user));
            if may.is_some_and(|may| may.contains(Rights::LOOKUP)) {
                names.push(name_for_others(state, owner, name));
            }
        }
    }
    names
}
