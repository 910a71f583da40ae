//! What each user may have.

use mail::QuotaLimits;

use super::Rules;
use crate::Quota;
use crate::rows::Account;

/// What a user may have: what the directory says, or what was set by SETQUOTA since it said so.
/// Of mailboxes no more than the store allows anybody.
pub(super) fn limits(rules: &Rules, account: &Account) -> QuotaLimits {
    let told = (rules.options.quota)(&account.name);
    let mut limits = match &account.set_quota {
        Some(set) if set.instead_of == told => set.limits,
        _ => QuotaLimits {
            bytes: (told.bytes != 0).then_some(told.bytes),
            messages: (told.messages != 0).then_some(told.messages),
            mailboxes: None,
        },
    };
    let most = rules.options.names_max as u64;
    limits.mailboxes = Some(limits.mailboxes.map_or(most, |it| it.min(most)));
    limits
}

/// The limits as those are told who notify others: 0 is without limit, so who may have nothing is
/// told as who may have one.
pub(super) fn as_told(limits: QuotaLimits) -> Quota {
    let told = |limit: Option<u64>| limit.map_or(0, |limit| limit.max(1));
    Quota {
        bytes: told(limits.bytes),
        messages: told(limits.messages),
    }
}
