//! Quotas: what there is room for, GETQUOTA and SETQUOTA (RFC 9208).

use mail::{QuotaLimits, QuotaOf, QuotaRoot, Refusal, Reply, Rights, UserId};

use super::limits::limits;
use super::{Applied, Rules, access, notifications, refused, tables};
use crate::Error;
use crate::kv::{Kv, Transaction};
use crate::put::SetLimits;
use crate::rows::SetQuota;

/// Whether a user has room for more; charges it if so.
pub(super) fn charge(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    bytes: u64,
    messages: u64,
) -> Result<bool, Error> {
    let mut account = tables::account(txn, user)?;
    let limits = limits(rules, &account);
    account.bytes += bytes;
    account.messages += messages;
    let over = |used, limit: Option<u64>| limit.is_some_and(|limit| used > limit);
    if over(account.bytes, limits.bytes) || over(account.messages, limits.messages) {
        account.bytes -= bytes;
        account.messages -= messages;
        notifications::usage(txn, rules, user, &account, true);
        return Ok(false);
    }
    tables::put_account(txn, user, &account);
    Ok(true)
}

/// GETQUOTA and GETQUOTAROOT. Nobody but an administrator sees what others have.
pub(super) fn get(
    kv: &dyn Kv,
    rules: &Rules,
    user: UserId,
    of: &QuotaOf,
    is_admin: bool,
) -> Result<Reply, Error> {
    let whose = match of {
        // RFC 9208 §4.1.2: it need not exist.
        QuotaOf::Mailbox(name) => match access::may(kv, rules, user, name, Rights::READ)? {
            Ok(found) => found.row.user,
            Err(Refusal::NoMailbox) => user,
            Err(refusal) => return Ok(Reply::Refused(refusal)),
        },
        QuotaOf::User(name) => match tables::lookup_user(kv, name)? {
            Some(whose) if is_admin || whose == user => whose,
            _ => return Ok(Reply::Refused(Refusal::NoQuotaRoot)),
        },
    };
    root(kv, rules, whose).map(Reply::Quota)
}

fn root(kv: &dyn Kv, rules: &Rules, user: UserId) -> Result<QuotaRoot, Error> {
    let account = tables::account(kv, user)?;
    let names = match account.names {
        Some(names) => names,
        None => tables::count_names(kv, user)?,
    };
    Ok(QuotaRoot {
        limits: limits(rules, &account),
        bytes: account.bytes,
        messages: account.messages,
        mailboxes: u64::from(names),
        user: account.name.into(),
    })
}

/// SETQUOTA, by an administrator: limits that are not given are none.
pub(super) fn set(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    whose: &str,
    limits: QuotaLimits,
    is_admin: bool,
) -> Result<Applied, Error> {
    if !is_admin {
        return refused(Refusal::Denied("only administrators may set a quota"));
    }
    let Some(user) = tables::lookup_user(txn, whose)? else {
        return refused(Refusal::NoQuotaRoot);
    };
    let mut account = tables::account(txn, user)?;
    account.set_quota = Some(SetQuota {
        limits,
        instead_of: (rules.options.quota)(&account.name),
    });
    tables::put_account(txn, user, &account);
    Ok((Reply::Quota(root(txn, rules, user)?), vec![]).into())
}

/// Limits that were set by SETQUOTA where a backup comes from, unless others were set here.
pub(super) fn restore(
    txn: &mut Transaction<'_>,
    user: UserId,
    set: &SetLimits,
) -> Result<(), Error> {
    let mut account = tables::account(txn, user)?;
    account.set_quota.get_or_insert(SetQuota {
        limits: set.limits,
        instead_of: set.instead_of,
    });
    tables::put_account(txn, user, &account);
    Ok(())
}
