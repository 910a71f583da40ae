//! Users and mailboxes come into being.

use std::collections::BTreeMap;
use std::sync::Arc;

use mail::SpecialUse;
use mail::{Acl, InternalDate, MailboxId, MailboxName, ModSeq, Uid, UidValidity, UserId};

use crate::access::nobody;
use crate::state::{Mailbox, Name, State};
use crate::watching;

pub(crate) fn ensure_user(state: &mut State, now: InternalDate, name: &str) -> UserId {
    if let Some(user) = state.users.get(name) {
        return *user;
    }
    let user = UserId(state.users.len() as u64 + 1);
    state.users.insert(name.into(), user);
    make_mailbox(state, now, &nobody(user), &MailboxName::inbox(), None);
    user
}

pub(crate) fn make_mailbox(
    state: &mut State,
    now: InternalDate,
    acl: &Acl,
    name: &MailboxName,
    special_use: Option<SpecialUse>,
) -> MailboxId {
    let user = acl.owner;
    state.last_mailbox += 1;
    let id = MailboxId(state.last_mailbox);
    let now = u32::try_from(now.unix_s.max(0)).unwrap_or(u32::MAX);
    state.last_uid_validity = now.max(state.last_uid_validity + 1);
    let mailbox = Mailbox {
        user,
        uid_validity: UidValidity(state.last_uid_validity),
        uid_next: Uid(1),
        modseq: ModSeq(1),
        recent_from: Uid(1),
        keywords: vec![],
        keywords_at: ModSeq(0),
        messages: Default::default(),
        expunged: vec![],
        acl: acl.clone(),
        acl_at: ModSeq(u64::from(!acl.entries.is_empty())),
        key_reset: None,
        kept: BTreeMap::new(),
    };
    state.mailboxes.insert(id, Arc::new(mailbox));
    let row = Name {
        mailbox: Some(id),
        special_use,
    };
    state.account(user).names.insert(name.clone(), row);
    watching::name_changed(state, acl, name, None);
    id
}
