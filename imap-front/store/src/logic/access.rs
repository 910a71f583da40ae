//! Whose a mailbox is that somebody names, and what they may do with it (RFC 4314 §4).

use mail::namespace::Place;
use mail::{Acl, MailboxId, MailboxName, ModSeq, Refusal, Rights, UserId};

use super::{Rules, keys, tables};
use crate::Error;
use crate::kv::{Kv, Space, Transaction};
use crate::rows::{AclRow, Mailbox};

/// A mailbox, and what who named it may do.
pub(super) struct Found {
    /// Whose it is, and what that one calls it.
    pub owner: UserId,
    pub name: MailboxName,
    pub id: MailboxId,
    pub row: Mailbox,
    pub rights: Rights,
}

/// Who has an account under a name, if they ever logged in or got mail.
pub(super) fn user_named(kv: &dyn Kv, rules: &Rules, name: &str) -> Result<Option<UserId>, Error> {
    match rules.account(name) {
        Some(account) => tables::lookup_user(kv, &account),
        None => Ok(None),
    }
}

/// Whose a name is, and what that one calls it; none if nobody's mailbox can have it.
pub(super) fn place(
    kv: &dyn Kv,
    rules: &Rules,
    user: UserId,
    name: &MailboxName,
) -> Result<Option<(UserId, MailboxName)>, Error> {
    let namespaces = &rules.options.namespaces;
    let (owner, theirs) = match namespaces.place(name) {
        Place::Own => return Ok(Some((user, name.clone()))),
        // It was made before others' mailboxes lay there.
        _ if tables::name(kv, user, name)?.exists => return Ok(Some((user, name.clone()))),
        Place::Above => return Ok(None),
        Place::Of(owner, theirs) => (user_named(kv, rules, owner)?, theirs),
        Place::Shared(theirs) => {
            let owner = user_named(kv, rules, &namespaces.shared_owner)?;
            return Ok(owner.map(|owner| (owner, theirs)));
        }
    };
    // Shared mailboxes have one name.
    let is_shared = match namespaces.has_shared() {
        true => owner == user_named(kv, rules, &namespaces.shared_owner)?,
        false => false,
    };
    Ok(owner.filter(|_| !is_shared).map(|owner| (owner, theirs)))
}

/// What others call the mailboxes of users.
pub(super) struct ForOthers<'a> {
    rules: &'a Rules,
    /// The account whose mailboxes are the shared ones.
    shared: Option<Box<str>>,
    /// The owner last asked about: their account, and the name they log in by, if they do.
    last: Option<(UserId, String, Option<Box<str>>)>,
}

impl<'a> ForOthers<'a> {
    pub fn new(rules: &'a Rules) -> Self {
        let namespaces = &rules.options.namespaces;
        let shared = namespaces.has_shared();
        Self {
            rules,
            shared: shared
                .then(|| rules.account(&namespaces.shared_owner))
                .flatten(),
            last: None,
        }
    }

    /// What others call a mailbox; none if they can't name it.
    pub fn name(
        &mut self,
        kv: &dyn Kv,
        owner: UserId,
        name: &MailboxName,
    ) -> Result<Option<MailboxName>, Error> {
        let namespaces = &self.rules.options.namespaces;
        let (account, login) = match &self.last {
            Some((last, account, login)) if *last == owner => (account, login),
            _ => {
                let account = tables::user_name(kv, owner)?;
                let login = self.rules.present_name(&account);
                let (_, account, login) = self.last.insert((owner, account, login));
                (&*account, &*login)
            }
        };
        let is_shared = self.shared.as_deref() == Some(&**account);
        Ok(match (is_shared, namespaces.others.is_empty()) {
            (true, _) => Some(namespaces.shared_name(name)),
            (false, true) => None,
            // Who is gone has no name that leads there.
            (false, false) => login.as_ref().map(|login| namespaces.name_of(login, name)),
        })
    }
}

/// A mailbox's access control list, and what its row says.
pub(super) fn acl(kv: &dyn Kv, id: MailboxId, row: &Mailbox) -> Result<Acl, Error> {
    let stored = match row.acl_at {
        ModSeq(0) => None,
        _ => kv.get(Space::Acls, &keys::acl(id))?,
    };
    match stored {
        Some(stored) => AclRow::decode(&stored).map(|row| row.acl),
        None => Ok(Acl {
            owner: row.user,
            entries: vec![],
        }),
    }
}

/// What a user may do with a mailbox.
pub(super) fn rights(
    kv: &dyn Kv,
    id: MailboxId,
    row: &Mailbox,
    user: UserId,
) -> Result<Rights, Error> {
    if row.acl_at == ModSeq(0) {
        return Ok(match row.user == user {
            true => Rights::ALL,
            false => Rights::NONE,
        });
    }
    Ok(acl(kv, id, row)?.rights_of(user))
}

/// The mailbox of a name, and what a user may do with it.
pub(super) fn find(
    kv: &dyn Kv,
    rules: &Rules,
    user: UserId,
    name: &MailboxName,
) -> Result<Option<Found>, Error> {
    let Some((owner, name)) = place(kv, rules, user, name)? else {
        return Ok(None);
    };
    let Some((id, row)) = tables::named_mailbox(kv, owner, &name)? else {
        return Ok(None);
    };
    let rights = rights(kv, id, &row, user)?;
    Ok(Some(Found {
        owner,
        name,
        id,
        row,
        rights,
    }))
}

/// The mailbox of a name, if the user has these rights. Who may not even look it up hears that it
/// isn't there (RFC 4314 §6).
pub(super) fn may(
    kv: &dyn Kv,
    rules: &Rules,
    user: UserId,
    name: &MailboxName,
    needed: Rights,
) -> Result<Result<Found, Refusal>, Error> {
    Ok(match find(kv, rules, user, name)? {
        None => Err(Refusal::NoMailbox),
        Some(found) if found.rights.contains(needed) => Ok(found),
        Some(found) => Err(denied(found.rights)),
    })
}

/// How somebody with too few rights is refused.
pub(super) fn denied(rights: Rights) -> Refusal {
    match rights.contains(Rights::LOOKUP) {
        true => Refusal::NoPermission,
        false => Refusal::NoMailbox,
    }
}

/// The nearest mailbox above a name, whose list is inherited.
pub(super) fn above(
    kv: &dyn Kv,
    owner: UserId,
    name: &MailboxName,
) -> Result<Option<(MailboxId, Mailbox)>, Error> {
    let mut parent = name.parent();
    while let Some(name) = parent {
        if let Some(found) = tables::named_mailbox(kv, owner, &name)? {
            return Ok(Some(found));
        }
        parent = name.parent();
    }
    Ok(None)
}

/// Whether a user may make a mailbox of a name that an owner has: gives the list that it inherits.
pub(super) fn may_make(
    kv: &dyn Kv,
    user: UserId,
    owner: UserId,
    name: &MailboxName,
) -> Result<Result<Acl, Refusal>, Error> {
    let Some((id, row)) = above(kv, owner, name)? else {
        let acl = Acl {
            owner,
            entries: vec![],
        };
        return Ok(match user == owner {
            true => Ok(acl),
            false => Err(Refusal::NoMailbox),
        });
    };
    let acl = acl(kv, id, &row)?;
    let rights = acl.rights_of(user);
    Ok(match rights.contains(Rights::CREATE) {
        true => Ok(acl),
        false => Err(denied(rights)),
    })
}

/// A mailbox has another name; its list is the same (RFC 4314 §4 RENAME). Gives that, if it has
/// one.
pub(super) fn renamed(
    txn: &mut Transaction<'_>,
    id: MailboxId,
    name: &MailboxName,
) -> Result<Option<Acl>, Error> {
    let key = keys::acl(id);
    let Some(row) = txn.get(Space::Acls, &key)? else {
        return Ok(None);
    };
    let row = AclRow {
        name: name.as_str().to_owned(),
        ..AclRow::decode(&row)?
    };
    txn.put(Space::Acls, &key, row.encode());
    Ok(Some(row.acl))
}
