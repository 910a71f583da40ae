//! Users and mailbox names (RFC 3501 §6.3.3 to §6.3.7).

use std::sync::Arc;

use mail::SpecialUse;
use mail::{Event, InternalDate, MailboxName, ModSeq, Refusal, Reply, UserId};

use crate::making::make_mailbox;
use crate::state::{Name, State};
use crate::{Outcome, changing, refused};

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
        let bare = account
            .subscribed
            .iter()
            .filter(|name| !account.names.contains_key(name));
        if account.names.len() + bare.count() >= self.names_max {
            let why = "you have as many mailboxes and subscriptions as you may";
            return Err(Refusal::Limit(why));
        }
        Ok(())
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
    if state.named(user, name).is_some() {
        return refused(Refusal::Exists);
    }
    if let Err(refusal) = context.room(state, user) {
        return refused(refusal);
    }
    make_parents(state, context.now, user, name);
    make_mailbox(state, context.now, user, name, special_use);
    (Reply::Done, vec![])
}

/// Superior names that don't exist are made as well, the nearest first.
fn make_parents(state: &mut State, now: InternalDate, user: UserId, name: &MailboxName) {
    let mut parent = name.parent();
    while let Some(name) = parent {
        if state.name(user, &name).is_none() {
            make_mailbox(state, now, user, &name, None);
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
    if name.is_inbox() {
        return refused(Refusal::Cannot("INBOX can't be deleted"));
    }
    let Some(row) = state.name(user, name).cloned() else {
        return refused(Refusal::NoMailbox);
    };
    let has_children = !children(state, user, name).is_empty();
    if row.mailbox.is_none() && has_children {
        return refused(Refusal::Cannot(
            "the name has inferior names; delete these first",
        ));
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
    if state.name(user, from).is_none() {
        return refused(Refusal::NoMailbox);
    }
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
        make_parents(state, now, user, to);
        let target = make_mailbox(state, now, user, to, None);
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
    make_parents(state, now, user, to);
    let names = &mut state.account(user).names;
    for name in children.iter().chain([from]) {
        let row = names.remove(name).expect("it was listed");
        names.insert(renamed(name), row);
    }
    (Reply::Done, vec![])
}

pub(crate) fn subscribe(
    state: &mut State,
    context: Context,
    user: UserId,
    name: &MailboxName,
    on: bool,
) -> Outcome {
    let exists = state.name(user, name).is_some();
    if on
        && !exists
        && let Err(why) = name.creatable()
    {
        return refused(Refusal::Name(why));
    }
    let is_new = on && !exists && !state.account(user).subscribed.contains(name);
    if is_new && let Err(refusal) = context.room(state, user) {
        return refused(refusal);
    }
    let subscribed = &mut state.account(user).subscribed;
    if on {
        subscribed.insert(name.clone());
    } else {
        subscribed.remove(name);
    }
    (Reply::Done, vec![])
}
