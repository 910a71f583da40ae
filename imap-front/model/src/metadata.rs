//! Metadata of mailboxes and of the server (RFC 5464).

use mail::metadata::{Entry, MetadataQuery};
use mail::{MailboxId, MailboxName, Refusal, Reply, Rights, UserId};

use crate::state::{Entries, Key, State};
use crate::{Limits, Outcome, access, refused, watching};

/// Who pays for an entry; nobody for what all share of the server's.
fn payer(state: &State, (mailbox, whose, _): &Key) -> Option<UserId> {
    let owner = |id| state.mailbox(id).map(|mailbox| mailbox.user);
    whose.or_else(|| mailbox.and_then(owner))
}

fn place(
    state: &State,
    user: UserId,
    mailbox: Option<&MailboxName>,
    sets_shared: bool,
) -> Result<Option<MailboxId>, Refusal> {
    let Some(name) = mailbox else {
        return Ok(None);
    };
    let id = access::may(state, user, name, Rights::LOOKUP)?;
    let rights = access::rights(state, id, user);
    let is_enough = match sets_shared {
        true => rights.contains(Rights::WRITE),
        false => rights.intersects(Rights::ANNOTATIONS),
    };
    match is_enough {
        true => Ok(Some(id)),
        false => Err(Refusal::NoPermission),
    }
}

pub(crate) fn get(
    state: &State,
    user: UserId,
    mailbox: Option<&MailboxName>,
    query: &MetadataQuery,
) -> Reply {
    let mailbox = match place(state, user, mailbox, false) {
        Ok(mailbox) => mailbox,
        Err(refusal) => return Reply::Refused(refusal),
    };
    let is_seen = |(of, whose, _): &Key| *of == mailbox && whose.is_none_or(|whose| whose == user);
    let entries = state.metadata.iter().filter(|(key, _)| is_seen(key));
    Reply::Metadata(query.answer(entries.map(|(_, entry)| entry.clone()).collect()))
}

pub(crate) fn set(
    state: &mut State,
    limits: &Limits,
    user: UserId,
    mailbox: Option<&MailboxName>,
    entries: Vec<Entry>,
    is_admin: bool,
) -> Outcome {
    let sets_shared = entries.iter().any(|entry| !entry.name.is_private());
    let place = match place(state, user, mailbox, sets_shared) {
        Ok(place) => place,
        Err(refusal) => return refused(refusal),
    };
    let max = limits.metadata_value_bytes_max;
    for Entry { name, value } in &entries {
        let is_shared_by_all = place.is_none() && !name.is_private();
        if name.is_bare() {
            return refused(Refusal::Cannot(
                "an entry has a name below /private or /shared",
            ));
        }
        if place.is_none() && name.key() == "/shared/admin" {
            return refused(Refusal::Cannot(
                "/shared/admin is what the configuration says",
            ));
        }
        if is_shared_by_all && !is_admin {
            return refused(Refusal::Denied(
                "only administrators may set what all share",
            ));
        }
        if value.as_ref().is_some_and(|value| value.len() as u64 > max) {
            return refused(Refusal::MetadataTooBig(max));
        }
    }
    let (before, mut after) = (state.metadata.clone(), state.metadata.clone());
    let mut payers = vec![];
    let told = entries.clone();
    for entry in entries {
        let whose = entry.name.is_private().then_some(user);
        let key = (place, whose, entry.name.key());
        payers.push(payer(state, &key));
        match entry.value {
            None => after.remove(&key),
            Some(_) => after.insert(key, entry),
        };
    }
    let paid = |entries: &Entries, who| {
        let theirs = entries.iter().filter(|(key, _)| payer(state, key) == who);
        theirs.map(|(_, entry)| entry.cost()).sum::<u64>()
    };
    let is_over = |who: Option<UserId>| {
        let (before, after) = (paid(&before, who), paid(&after, who));
        after > before && after > limits.metadata_bytes_max
    };
    if payers.into_iter().any(is_over) {
        return refused(Refusal::MetadataTooMany);
    }
    state.metadata = after;
    watching::annotated(state, user, place, &told);
    (Reply::Done, vec![])
}
