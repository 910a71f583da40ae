//! Access control lists change (RFC 4314).

use std::sync::Arc;

use mail::acl::split_identifier;
use mail::{
    Acl, Change, Event, Grantee, MailboxId, MailboxName, Refusal, Reply, Rights, RightsMode, UserId,
};

use crate::state::State;
use crate::{Limits, Outcome, access, refused, watching};

/// SETACL and DELETEACL.
pub(crate) fn set(
    state: &mut State,
    limits: &Limits,
    (user, name): (UserId, &MailboxName),
    identifier: &str,
    (mode, rights): (RightsMode, Rights),
) -> Outcome {
    let id = match access::may(state, user, name, Rights::ADMINISTER) {
        Ok(id) => id,
        Err(refusal) => return refused(refusal),
    };
    let (who, negative) = split_identifier(identifier);
    let Some(grantee) = access::grantee(state, who) else {
        return refused(Refusal::Cannot("there is no user of that name"));
    };
    let before = state.changing(id).acl.clone();
    let mut acl = before.clone();
    acl.set((grantee, negative), mode, rights);
    if acl == before {
        return (Reply::Done, vec![]);
    }
    let of_anyone = |acl: &Acl| acl.entry(Grantee::Anyone, false).map(|entry| entry.rights);
    let (had, has) = (of_anyone(&before), of_anyone(&acl));
    if !limits.anyone && !had.unwrap_or_default().contains(has.unwrap_or_default()) {
        return refused(Refusal::Cannot("rights can't be given to anyone here"));
    }
    if acl.entries.len() > limits.acl_entries_max && acl.entries.len() > before.entries.len() {
        let why = "the access control list has as many entries as it may have";
        return refused(Refusal::Limit(why));
    }
    let mailbox = state.changing(id);
    let prev = mailbox.modseq;
    let seq = mailbox.step();
    (mailbox.acl, mailbox.acl_at) = (acl.clone(), seq);
    tell_names(state, id, &before, &acl);
    let event = Event {
        mailbox: id,
        prev,
        seq,
        changes: vec![Change::Acl(Arc::new(acl))],
        deleted: false,
    };
    (Reply::Done, vec![Arc::new(event)])
}

/// Whoever may look a mailbox up or read it now, and could not before, or the other way round.
fn tell_names(state: &mut State, id: MailboxId, before: &Acl, after: &Acl) {
    let owner = after.owner;
    let names = &state.account(owner).names;
    let found = names.iter().find(|(_, row)| row.mailbox == Some(id));
    let Some(name) = found.map(|(name, _)| name.clone()) else {
        return;
    };
    if before.rights_of(owner) & Rights::SIGHT != after.rights_of(owner) & Rights::SIGHT {
        watching::own_name_changed(state, owner, &name, None);
    }
    let concerned = before.whose_sight_changes(after);
    watching::name_changed_for(state, owner, concerned, (&name, None));
}
