//! What is announced of an operation: its events with figures, and names that have changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mail::acl::Audience;
use mail::metadata::{Entry, EntryName, private_and_shared};
use mail::{
    Acl, Became, Event, Figures, MailboxId, MailboxName, ModSeq, NameChange, News, Rights, UserId,
};

use super::access::{self, ForOthers};
use super::{Rules, tables};
use crate::Error;
use crate::kv::{Kv, Transaction};
use crate::rows::Mailbox;

/// Names of mailboxes that are kept in memory.
const NAMES_MAX: usize = 16 << 10;

/// What mailboxes are called, of those that changed lately while somebody watched.
#[derive(Default)]
pub(crate) struct NamesKept(Mutex<HashMap<MailboxId, MailboxName>>);

impl NamesKept {
    /// What was looked at came to nothing.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// A mailbox is called otherwise now, or nothing at all.
    pub fn forget(&self, id: MailboxId) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<MailboxId, MailboxName>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a mailbox is called.
    fn of(&self, txn: &Transaction<'_>, id: MailboxId) -> Result<Option<MailboxName>, Error> {
        let noted = txn.noted_name(id);
        if let Some(name) = noted.or_else(|| self.lock().get(&id).cloned()) {
            return Ok(Some(name));
        }
        let found = tables::name_of(txn, id)?;
        if let Some((_, name)) = &found {
            let mut names = self.lock();
            if names.len() >= NAMES_MAX {
                names.clear();
            }
            names.insert(id, name.clone());
        }
        Ok(found.map(|(_, name)| name))
    }
}

/// What is announced of an operation that has made these events.
pub(crate) fn of(txn: &mut Transaction<'_>, rules: &Rules, events: Vec<Arc<Event>>) -> Vec<News> {
    let changes = txn.take_name_changes();
    let is_watched = rules.options.is_watched();
    let mut news: Vec<News> = events
        .into_iter()
        .map(|event| {
            let figures = match is_watched && !event.deleted {
                // Who finds none asks.
                true => figures_after(txn, rules, event.mailbox).ok().flatten(),
                false => None,
            };
            News::Mailbox(event, figures)
        })
        .collect();
    news.extend(changes.into_iter().map(|it| News::Name(Arc::new(it))));
    news
}

fn figures_after(
    txn: &Transaction<'_>,
    rules: &Rules,
    id: MailboxId,
) -> Result<Option<Arc<Figures>>, Error> {
    let Some(row) = tables::mailbox(txn, id)? else {
        return Ok(None);
    };
    let name = rules.names.of(txn, id)?;
    let Some(name) = name else { return Ok(None) };
    figures(txn, &mut ForOthers::new(rules), (id, &row), name).map(|it| Some(Arc::new(it)))
}

/// A mailbox's figures.
pub(super) fn figures(
    kv: &dyn Kv,
    others: &mut ForOthers<'_>,
    (mailbox, row): (MailboxId, &Mailbox),
    name: MailboxName,
) -> Result<Figures, Error> {
    let others = match row.acl_at {
        ModSeq(0) => None,
        _ => others.name(kv, row.user, &name)?,
    };
    Ok(Figures {
        mailbox,
        owner: row.user,
        name,
        others,
        messages: row.messages,
        uid_next: row.uid_next,
        uid_validity: row.uid_validity,
        modseq: row.modseq,
    })
}

/// A mailbox has got a name, or another, or has it no more: all who may look it up hear of it.
pub(super) fn name_changed(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    acl: &Acl,
    name: &MailboxName,
    was: Option<&MailboxName>,
) -> Result<(), Error> {
    own_name_changed(txn, rules, acl.owner, name, was);
    let audience = acl.who_has(Rights::LOOKUP);
    name_changed_for(txn, rules, acl.owner, audience, (name, was))
}

/// The same, for these alone.
pub(super) fn name_changed_for(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    owner: UserId,
    audience: Audience,
    (name, was): (&MailboxName, Option<&MailboxName>),
) -> Result<(), Error> {
    if audience.is_empty() {
        return Ok(());
    }
    let mut others = ForOthers::new(rules);
    let Some(name) = others.name(txn, owner, name)? else {
        return Ok(());
    };
    let was = match was {
        Some(was) => others.name(txn, owner, was)?,
        None => None,
    };
    tell(txn, rules, audience, &Became::changed(name, was));
    Ok(())
}

/// Notes what became of a name for all of an audience.
fn tell(txn: &mut Transaction<'_>, rules: &Rules, audience: Audience, what: &Became) {
    for user in audience.users {
        note(txn, rules, NameChange::of(user, what.clone()));
    }
    if let Some(except) = audience.others {
        let (user, what) = (NameChange::ANYONE, what.clone());
        note(txn, rules, NameChange { user, except, what });
    }
}

/// Something became of a name that a user has.
pub(super) fn own_name_changed(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    name: &MailboxName,
    was: Option<&MailboxName>,
) {
    let (name, was) = (name.clone(), was.cloned());
    note(txn, rules, NameChange::of(user, Became::changed(name, was)));
}

/// Notes what became of a name. While nobody watches, only that something did: who begins to
/// watch before the operation is announced asks again then.
pub(super) fn note(txn: &mut Transaction<'_>, rules: &Rules, change: NameChange) {
    txn.name_change(match rules.options.is_watched() {
        true => change,
        false => NameChange::of(change.user, Became::Many),
    });
}

/// A user has set entries of the server's metadata.
pub(super) fn server_annotated(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    entries: &[Entry],
) {
    let (own, shared) = private_and_shared(entries);
    for (whose, entries) in [(user, own), (NameChange::ANYONE, shared)] {
        if !entries.is_empty() {
            note(txn, rules, NameChange::of(whose, annotated(None, entries)));
        }
    }
}

/// A user has set entries of a mailbox's metadata: they hear of those that are their own, and of
/// those that all share all who may look it up and read it (RFC 5465 §5).
pub(super) fn annotated_mailbox(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    (id, row, name): (MailboxId, &Mailbox, &MailboxName),
    entries: &[Entry],
) -> Result<(), Error> {
    let (own, shared) = private_and_shared(entries);
    let owner = row.user;
    let others = match user == owner && row.acl_at == ModSeq(0) {
        true => None,
        false => ForOthers::new(rules).name(txn, owner, name)?,
    };
    if !own.is_empty() {
        let name = match user == owner {
            true => Some(name.clone()),
            false => others.clone(),
        };
        if name.is_some() {
            note(txn, rules, NameChange::of(user, annotated(name, own)));
        }
    }
    if shared.is_empty() {
        return Ok(());
    }
    let acl = access::acl(txn, id, row)?;
    if acl.rights_of(owner).contains(Rights::SIGHT) {
        let what = annotated(Some(name.clone()), shared.clone());
        note(txn, rules, NameChange::of(owner, what));
    }
    if others.is_some() {
        let what = annotated(others, shared);
        tell(txn, rules, acl.who_has(Rights::SIGHT), &what);
    }
    Ok(())
}

fn annotated(name: Option<MailboxName>, entries: Arc<[EntryName]>) -> Became {
    Became::Annotated { name, entries }
}
