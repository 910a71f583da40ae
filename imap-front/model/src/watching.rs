//! Which mailboxes a session watches beside the one that it has selected, and what is announced.

use std::sync::Arc;

use mail::acl::Audience;
use mail::metadata::{Entry, private_and_shared};
use mail::namespace::Place;
use mail::watched::Where;
use mail::{
    Acl, Became, Event, Events, Figures, MailboxId, MailboxInfo, MailboxName, NameChange, News,
    Reply, Rights, Scope, UserId, Watched, WatchedMailbox,
};

use crate::state::State;
use crate::{access, listing};

/// Mailboxes that are found though they can't be looked up.
const FEW: usize = 4;

pub(crate) fn watched(
    state: &State,
    user: UserId,
    scope: &Scope,
    (only, needs): (&[MailboxId], Rights),
    max: usize,
) -> Reply {
    let mut watched = Watched::default();
    let infos = match (1..=FEW).contains(&only.len()) {
        true => some(state, user, only),
        false => listing::mailboxes(state, user),
    };
    for info in infos {
        let is_own = state.namespaces.place(&info.name) == Place::Own;
        if !is_own && !scope.may_mean_others() || !info.selectable {
            continue;
        }
        let events = scope.events(&info.name, is_own, info.subscribed) & Events::OF_MESSAGES;
        let place = access::place(state, user, &info.name);
        let id = place.and_then(|(owner, name)| state.named(owner, &name));
        let Some(id) = id.filter(|id| !events.is_empty() && (only.is_empty() || only.contains(id)))
        else {
            continue;
        };
        let rights = access::rights(state, id, user);
        if !rights.contains(needs) {
            let named = |filter: &mail::watched::Filter| match &filter.mailboxes {
                Where::Subtree(names) | Where::Near(names) | Where::Mailboxes(names) => {
                    names.contains(&info.name)
                }
                _ => false,
            };
            if rights.contains(Rights::LOOKUP) && scope.filters.iter().any(named) {
                watched.no_access.push(info.name);
            }
            continue;
        }
        let Some(figures) = figures(state, id) else {
            continue;
        };
        watched.mailboxes.push(WatchedMailbox {
            mailbox: id,
            name: info.name,
            events,
            figures: Arc::new(figures),
        });
    }
    if watched.mailboxes.len() > max {
        watched = Watched {
            too_many: true,
            ..Watched::default()
        };
    }
    Reply::Watched(watched)
}

/// What a user calls these mailboxes, in the order of their names.
fn some(state: &State, user: UserId, ids: &[MailboxId]) -> Vec<MailboxInfo> {
    let info = |id: &MailboxId| {
        let figures = figures(state, *id)?;
        let name = match figures.owner == user {
            true => figures.name,
            false => for_others(state, figures.owner, &figures.name)?,
        };
        let account = state.accounts.get(&user);
        Some(MailboxInfo {
            subscribed: account.is_some_and(|it| it.subscribed.contains(&name)),
            exists: true,
            selectable: true,
            special_use: None,
            name,
        })
    };
    let mut infos: Vec<MailboxInfo> = ids.iter().filter_map(info).collect();
    infos.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    infos
}

fn figures(state: &State, id: MailboxId) -> Option<Figures> {
    let mailbox = state.mailbox(id)?;
    let names = &state.accounts.get(&mailbox.user)?.names;
    let (name, _) = names.iter().find(|(_, row)| row.mailbox == Some(id))?;
    let others = (mailbox.acl_at.0 > 0).then(|| for_others(state, mailbox.user, name));
    Some(Figures {
        mailbox: id,
        owner: mailbox.user,
        name: name.clone(),
        others: others.flatten(),
        messages: mailbox.messages.len() as u32,
        uid_next: mailbox.uid_next,
        uid_validity: mailbox.uid_validity,
        modseq: mailbox.modseq,
    })
}

/// What others call a mailbox, if they have a name for it.
fn for_others(state: &State, owner: UserId, name: &MailboxName) -> Option<MailboxName> {
    let name = access::name_for_others(state, owner, name);
    (state.namespaces.place(&name) != Place::Own).then_some(name)
}

/// What is announced of events that have just happened, and of names that have changed.
pub(crate) fn news(state: &mut State, events: Vec<Arc<Event>>) -> Vec<News> {
    let mut news: Vec<News> = events
        .into_iter()
        .map(|event| {
            let figures = figures(state, event.mailbox).map(Arc::new);
            News::Mailbox(event, figures)
        })
        .collect();
    let changes = state.name_changes.take().into_iter();
    news.extend(changes.map(|change| News::Name(Arc::new(change))));
    news
}

/// A mailbox has got a name, or another, or has it no more.
pub(crate) fn name_changed(
    state: &mut State,
    acl: &Acl,
    name: &MailboxName,
    was: Option<&MailboxName>,
) {
    own_name_changed(state, acl.owner, name, was);
    name_changed_for(state, acl.owner, acl.who_has(Rights::LOOKUP), (name, was));
}

pub(crate) fn name_changed_for(
    state: &mut State,
    owner: UserId,
    audience: Audience,
    (name, was): (&MailboxName, Option<&MailboxName>),
) {
    let Some(name) = for_others(state, owner, name) else {
        return;
    };
    let was = was.and_then(|was| for_others(state, owner, was));
    tell(state, audience, Became::changed(name, was));
}

/// Notes what became of a name for all of an audience.
fn tell(state: &mut State, audience: Audience, what: Became) {
    for user in audience.users {
        note(state, user, what.clone());
    }
    if let Some(except) = audience.others {
        let user = NameChange::ANYONE;
        state.name_changes.note(NameChange { user, except, what });
    }
}

pub(crate) fn own_name_changed(
    state: &mut State,
    user: UserId,
    name: &MailboxName,
    was: Option<&MailboxName>,
) {
    let (name, was) = (name.clone(), was.cloned());
    note(state, user, Became::changed(name, was));
}

/// Notes what became of a name.
pub(crate) fn note(state: &mut State, user: UserId, what: Became) {
    state.name_changes.note(NameChange::of(user, what));
}

/// A user has set entries of a mailbox's metadata, or the server's.
pub(crate) fn annotated(
    state: &mut State,
    user: UserId,
    mailbox: Option<MailboxId>,
    entries: &[Entry],
) {
    let (own, shared) = private_and_shared(entries);
    let annotated = |name, entries| Became::Annotated { name, entries };
    let place = mailbox.and_then(|id| Some((figures(state, id)?, state.mailbox(id)?.acl.clone())));
    let (figures, acl) = match (mailbox, place) {
        (None, _) => {
            for (whose, entries) in [(user, own), (NameChange::ANYONE, shared)] {
                if !entries.is_empty() {
                    note(state, whose, annotated(None, entries));
                }
            }
            return;
        }
        (Some(_), None) => return,
        (Some(_), Some(place)) => place,
    };
    if !own.is_empty() {
        let name = figures.name_for(user).cloned();
        note(state, user, annotated(name, own));
    }
    if shared.is_empty() {
        return;
    }
    if acl.rights_of(acl.owner).contains(Rights::SIGHT) {
        let name = Some(figures.name.clone());
        note(state, acl.owner, annotated(name, shared.clone()));
    }
    if figures.others.is_some() {
        let what = annotated(figures.others, shared);
        tell(state, acl.who_has(Rights::SIGHT), what);
    }
}
