//! Flags change, messages leave, messages are copied and moved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mail::request::{CopyHow, FlagChange, StoreMode};
use mail::{
    Change, Event, InView, MailboxId, MailboxName, ModSeq, Refusal, Reply, Rights, SystemFlag, Uid,
    UidRanges, UidSet, UserId,
};

use crate::depositing::{charge, deposit};
use crate::state::{Expunged, State};
use crate::{Limits, Outcome, access, catch_up, refused};

/// STORE (RFC 3501 §6.4.6, RFC 7162 §3.1.3). What leaves the flags as they are is no operation.
pub(crate) fn store(
    state: &mut State,
    limits: &Limits,
    id: MailboxId,
    ranges: &UidRanges,
    change: &FlagChange,
    since: ModSeq,
) -> Outcome {
    if state.mailbox(id).is_none() {
        return refused(Refusal::NoMailbox);
    }
    let mut mailbox = state.changing(id).clone();
    let known = mailbox.keywords.clone();
    let (mut own, mut crossed) = (vec![], UidSet::default());
    let mut adopted = BTreeSet::new();
    let mut modified = UidSet::default();
    let mut changed = Vec::new();
    let known_uids = mailbox.messages.keys().copied();
    let meant: Vec<Uid> = known_uids.filter(|uid| ranges.contains(*uid)).collect();
    for uid in meant {
        let message = &mailbox.messages[&uid];
        if message.modseq > since {
            crossed.insert(uid);
        }
        if change
            .unchanged_since
            .is_some_and(|limit| message.modseq > limit)
        {
            modified.insert(uid);
            continue;
        }
        let old = message.flags.clone();
        let mut new = (*old).clone();
        match change.mode {
            StoreMode::Add => new.union(&change.flags),
            StoreMode::Remove => new.subtract(&change.flags),
            StoreMode::Replace => new = change.flags.clone(),
            StoreMode::ReplaceSome(rights) => new = rights.replaced(&old, &change.flags),
        }
        let new = mailbox.spelled(&new);
        if new == *old {
            continue;
        }
        let Some(new) = mailbox.adopt(&new, limits.keywords_max, &mut adopted) else {
            return refused(Refusal::Limit(
                "the mailbox has as many keywords as it may have",
            ));
        };
        changed.push((uid, Arc::new(new)));
    }
    let mut events = Vec::new();
    if !changed.is_empty() {
        let prev = mailbox.modseq;
        let seq = mailbox.step();
        let mut changes = Vec::new();
        for (uid, flags) in changed {
            let number = mailbox.number(uid);
            let message = mailbox.messages.get_mut(&uid).expect("it was there");
            (message.flags, message.modseq) = (flags.clone(), seq);
            changes.push(Change::Flags {
                uid,
                number,
                flags,
                modseq: seq,
            });
        }
        mailbox.introduce(&known, &mut changes);
        own.push((seq, seq));
        events.push(Arc::new(Event {
            mailbox: id,
            prev,
            seq,
            changes,
            deleted: false,
        }));
        *state.changing(id) = mailbox;
    }
    (
        Reply::Stored {
            modified,
            own,
            crossed,
            delta: catch_up::delta(state, id, since),
        },
        events,
    )
}

/// EXPUNGE (RFC 3501 §6.4.3) and UID EXPUNGE (RFC 4315 §2.1).
pub(crate) fn expunge(
    state: &mut State,
    id: MailboxId,
    within: Option<&UidRanges>,
    since: ModSeq,
) -> Outcome {
    let Some(mailbox) = state.mailbox(id) else {
        return refused(Refusal::NoMailbox);
    };
    let is_in = |uid: Uid| within.is_none_or(|within| within.contains(uid));
    let leaving: Vec<Uid> = mailbox
        .messages
        .iter()
        .filter(|(uid, message)| message.flags.has(SystemFlag::Deleted) && is_in(**uid))
        .map(|(uid, _)| *uid)
        .collect();
    let events = remove(state, id, &leaving);
    (Reply::Synced(catch_up::delta(state, id, since)), events)
}

/// CLOSE (RFC 3501 §6.4.2, RFC 4314 §4).
pub(crate) fn close(state: &mut State, id: MailboxId, user: UserId) -> Outcome {
    let Some(mailbox) = state.mailbox(id) else {
        return refused(Refusal::NoMailbox);
    };
    if !mailbox.acl.rights_of(user).contains(Rights::EXPUNGE) {
        return (Reply::Done, vec![]);
    }
    let since = mailbox.modseq;
    let (_, events) = expunge(state, id, None, since);
    let delta = catch_up::delta(state, id, since);
    (Reply::Synced(delta), events)
}

/// Takes messages out as one operation.
pub(crate) fn remove(state: &mut State, id: MailboxId, leaving: &[Uid]) -> Vec<Arc<Event>> {
    if leaving.is_empty() {
        return vec![];
    }
    let mailbox = state.changing(id);
    let prev = mailbox.modseq;
    let seq = mailbox.step();
    let mut changes = Vec::new();
    let mut bytes = 0;
    for &uid in leaving {
        let number = mailbox.number(uid);
        let message = mailbox
            .messages
            .remove(&uid)
            .expect("the caller has seen it");
        bytes += message.size();
        mailbox.expunged.push(Expunged {
            uid,
            created: message.created,
            gone: seq,
        });
        mailbox.kept.insert(uid, message);
        changes.push(Change::Expunged { uid, number });
    }
    let user = mailbox.user;
    let account = state.account(user);
    account.bytes -= bytes;
    account.messages -= leaving.len() as u64;
    vec![Arc::new(Event {
        mailbox: id,
        prev,
        seq,
        changes,
        deleted: false,
    })]
}

/// From where, what, and whether it stays there.
pub(crate) struct CopyOrMove<'a> {
    pub from: MailboxId,
    pub messages: &'a InView,
    pub how: CopyHow,
    pub since: ModSeq,
}

/// Where a COPY or MOVE goes, and what who asks may do there, if they have what it needs in the
/// source.
fn target(
    state: &State,
    has: Rights,
    how: CopyHow,
    user: UserId,
    to: &MailboxName,
) -> Result<(MailboxId, Rights), Refusal> {
    let needed = match how {
        CopyHow::Move => Rights::READ | Rights::DELETE_MESSAGES | Rights::EXPUNGE,
        _ => Rights::READ,
    };
    if !has.contains(needed) {
        return Err(access::denied(has));
    }
    let id = access::may(state, user, to, Rights::INSERT)?;
    Ok((id, access::rights(state, id, user)))
}

/// COPY (RFC 3501 §6.4.7) and MOVE (RFC 6851), all or nothing. A MOVE is two operations: messages
/// come to the target, then they leave the source.
pub(crate) fn copy(
    state: &mut State,
    limits: &Limits,
    copy: &CopyOrMove<'_>,
    user: UserId,
    to: &MailboxName,
) -> Outcome {
    let &CopyOrMove {
        from,
        messages: asked,
        how,
        since,
    } = copy;
    let take_out = how == CopyHow::Move;
    let Some(source) = state.mailbox(from) else {
        return refused(Refusal::NoMailbox);
    };
    let (id, rights) = match target(state, source.acl.rights_of(user), how, user, to) {
        Ok(target) => target,
        Err(refusal) => return refused(refusal),
    };
    // RFC 3501 §6.4.8: UIDs that don't exist are ignored.
    let mut meant: BTreeMap<&Uid, _> = source.messages.iter().collect();
    if how != CopyHow::Move {
        let is_in_view =
            |gone: &&Expunged| asked.has_gone(gone.uid, (gone.created, gone.gone), since);
        for gone in source.expunged.iter().filter(is_in_view) {
            meant.extend(source.kept.get_key_value(&gone.uid));
        }
    }
    let meant = meant
        .into_iter()
        .filter(|(uid, _)| asked.ranges.contains(**uid));
    let (found, messages): (Vec<Uid>, Vec<_>) =
        meant.map(|(uid, message)| (*uid, message.clone())).unzip();
    if how == CopyHow::Whole && found.len() < asked.count as usize {
        return refused(Refusal::NoMessage);
    }
    let from_owner = source.user;
    let mut target = state.changing(id).clone();
    let owner = target.user;
    let keeps_use = take_out && from_owner == owner;
    let (mut adopted, mut places) = (Vec::new(), BTreeSet::new());
    for message in &messages {
        let flags = rights.changeable(&message.flags);
        adopted.push(target.adopt(&flags, limits.keywords_max, &mut places));
    }
    let bytes = messages.iter().map(|message| message.size()).sum();
    let before = state.clone();
    if !keeps_use && !charge(state, limits, owner, bytes, messages.len() as u64) {
        return refused(Refusal::OverQuota);
    }
    if adopted.iter().any(Option::is_none) {
        *state = before;
        return refused(Refusal::Limit(
            "the target has as many keywords as it may have",
        ));
    }
    if keeps_use {
        // Counted twice until it is taken out of the source.
        let account = state.account(owner);
        account.bytes += bytes;
        account.messages += messages.len() as u64;
    }
    let uid_validity = target.uid_validity;
    let (mut came, mut events) = (UidSet::default(), vec![]);
    if !messages.is_empty() {
        let known = std::mem::replace(&mut state.changing(id).keywords, target.keywords);
        let arriving = messages
            .into_iter()
            .zip(adopted.into_iter().flatten())
            .map(|(message, flags)| message.with(flags))
            .collect();
        let (appended, event) = deposit(state, id, arriving, &known);
        came = (appended.uid.0..).map(Uid).take(found.len()).collect();
        events.push(event);
    }
    if take_out {
        events.extend(remove(state, from, &found));
    }
    (
        Reply::Copied {
            uid_validity,
            from: found.iter().copied().collect(),
            to: came,
            delta: catch_up::delta(state, from, since),
        },
        events,
    )
}

/// RENAME of INBOX: its messages go to a new, empty mailbox of the same user.
pub(crate) fn move_all(state: &mut State, from: MailboxId, to: MailboxId) -> Vec<Arc<Event>> {
    let source = state.changing(from).clone();
    if source.messages.is_empty() {
        return vec![];
    }
    let account = state.account(source.user);
    account.bytes += source.size();
    account.messages += source.messages.len() as u64;
    state.changing(to).keywords = source.keywords.clone();
    let arriving = source.messages.values().cloned().collect();
    let (_, came) = deposit(state, to, arriving, &source.keywords);
    let leaving: Vec<Uid> = source.messages.keys().copied().collect();
    let mut events = vec![came];
    events.extend(remove(state, from, &leaving));
    events
}
