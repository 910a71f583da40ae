//! GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208).

use std::collections::BTreeSet;

use mail::{QuotaLimits, QuotaOf, QuotaRoot, Refusal, Reply, Rights, UserId};

use crate::state::{Account, State};
use crate::{Limits, Outcome, access, refused};

/// What a user may have.
pub(crate) fn limits(limits: &Limits, account: &Account) -> QuotaLimits {
    let limited = |most: u64| (most != 0).then_some(most);
    let mut most = account.limits.unwrap_or(QuotaLimits {
        bytes: limited(limits.quota_bytes),
        messages: limited(limits.quota_messages),
        mailboxes: None,
    });
    let names_max = limits.names_max as u64;
    most.mailboxes = Some(most.mailboxes.map_or(names_max, |it| it.min(names_max)));
    most
}

fn root(state: &State, limits: &Limits, user: UserId) -> QuotaRoot {
    let account = state.accounts.get(&user).cloned().unwrap_or_default();
    let name = state.users.iter().find(|(_, id)| **id == user);
    QuotaRoot {
        user: name.map(|(name, _)| name.clone()).unwrap_or_default(),
        bytes: account.bytes,
        messages: account.messages,
        mailboxes: account.count() as u64,
        limits: self::limits(limits, &account),
    }
}

pub(crate) fn get(
    state: &State,
    limits: &Limits,
    user: UserId,
    of: &QuotaOf,
    is_admin: bool,
) -> Reply {
    let whose = match of {
        // RFC 9208 §4.1.2: it need not exist.
        QuotaOf::Mailbox(name) => match access::may(state, user, name, Rights::READ) {
            Ok(id) => state.mailbox(id).map_or(user, |mailbox| mailbox.user),
            Err(Refusal::NoMailbox) => user,
            Err(refusal) => return Reply::Refused(refusal),
        },
        QuotaOf::User(name) => match state.users.get(name) {
            Some(whose) if is_admin || *whose == user => *whose,
            _ => return Reply::Refused(Refusal::NoQuotaRoot),
        },
    };
    Reply::Quota(root(state, limits, whose))
}

pub(crate) fn set(
    state: &mut State,
    limits: &Limits,
    whose: &str,
    to: QuotaLimits,
    is_admin: bool,
) -> Outcome {
    if !is_admin {
        return refused(Refusal::Denied("only administrators may set a quota"));
    }
    let Some(user) = state.users.get(whose).copied() else {
        return refused(Refusal::NoQuotaRoot);
    };
    state.account(user).limits = Some(to);
    (Reply::Quota(root(state, limits, user)), vec![])
}

/// Whether a user is one of the administrators.
pub(crate) fn is_admin(state: &State, admins: &BTreeSet<Box<str>>, user: UserId) -> bool {
    let mut users = state.users.iter();
    users.any(|(name, id)| *id == user && admins.contains(name))
}
