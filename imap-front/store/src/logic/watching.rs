//! Which mailboxes a session watches beside the one that it has selected (RFC 5465 §6).

use std::collections::HashSet;
use std::sync::Arc;

use mail::list::Query;
use mail::namespace::Place;
use mail::watched::Where;
use mail::{
    Events, MailboxId, MailboxInfo, MailboxName, Reply, Rights, Scope, UserId, Watched,
    WatchedMailbox,
};

use super::access::{self, ForOthers};
use super::{Rules, news, reading, tables};
use crate::Error;
use crate::kv::Kv;

/// Mailboxes that are looked up one by one.
const FEW: usize = 4;

/// The mailboxes that a scope means, of those whose messages the user may hear of; only some of
/// them, if that is wanted.
pub(super) fn watched(
    kv: &dyn Kv,
    rules: &Rules,
    (user, scope): (UserId, &Scope),
    (only, needs): (&[MailboxId], Rights),
    max: usize,
) -> Result<Reply, Error> {
    let infos = match (1..=FEW).contains(&only.len()) {
        true => some(kv, rules, user, only)?,
        false if scope.may_mean_others() => reading::mailboxes(kv, rules, user, &everything())?,
        false => reading::own_mailboxes(kv, user)?,
    };
    let only: HashSet<MailboxId> = only.iter().copied().collect();
    let mut watched = Watched::default();
    let mut others = ForOthers::new(rules);
    for info in infos.into_iter().filter(|info| info.selectable) {
        let is_own = rules.options.namespaces.place(&info.name) == Place::Own;
        let events = scope.events(&info.name, is_own, info.subscribed);
        let events = events & Events::OF_MESSAGES;
        if events.is_empty() {
            continue;
        }
        let Some(found) = access::find(kv, rules, user, &info.name)? else {
            continue;
        };
        if !only.is_empty() && !only.contains(&found.id) {
            continue;
        }
        if !found.rights.contains(needs) {
            if found.rights.contains(Rights::LOOKUP) && names(scope, &info.name) {
                watched.no_access.push(info.name);
            }
            continue;
        }
        if watched.mailboxes.len() == max {
            let too_many = true;
            return Ok(Reply::Watched(Watched {
                too_many,
                ..Watched::default()
            }));
        }
        let figures = news::figures(kv, &mut others, (found.id, &found.row), found.name)?;
        watched.mailboxes.push(WatchedMailbox {
            mailbox: found.id,
            name: info.name,
            events,
            figures: Arc::new(figures),
        });
    }
    Ok(Reply::Watched(watched))
}

/// What a user calls these mailboxes, in the order of their names.
fn some(
    kv: &dyn Kv,
    rules: &Rules,
    user: UserId,
    ids: &[MailboxId],
) -> Result<Vec<MailboxInfo>, Error> {
    let mut others = ForOthers::new(rules);
    let mut infos = Vec::with_capacity(ids.len());
    for id in ids {
        let Some((owner, name)) = tables::name_of(kv, *id)? else {
            continue;
        };
        let name = match owner == user {
            true => Some(name),
            false => others.name(kv, owner, &name)?,
        };
        if let Some(name) = name {
            infos.push(MailboxInfo {
                subscribed: tables::name(kv, user, &name)?.subscribed,
                exists: true,
                selectable: true,
                special_use: None,
                name,
            });
        }
    }
    infos.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(infos)
}

fn everything() -> Query {
    Query {
        patterns: vec!["*".into()],
        ..Query::default()
    }
}

/// Whether a scope means a mailbox by its name.
fn names(scope: &Scope, name: &MailboxName) -> bool {
    scope.filters.iter().any(|filter| match &filter.mailboxes {
        Where::Personal | Where::Subscribed => false,
        Where::Subtree(names) | Where::Near(names) | Where::Mailboxes(names) => {
            names.contains(name)
        }
    })
}
