//! What is announced of an operation: its events with figures, and names that have changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mail::{
    Acl, Became, Event, Figures, Grantee, MailboxId, MailboxName, ModSeq, NameChange, News, UserId,
};

use super::access::ForOthers;
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
    /// Names have changed, or what was looked at came to nothing.
    pub fn clear(&self) {
        self.lock().clear();
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
    if !changes.is_empty() {
        rules.names.clear();
    }
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
    own_name_changed(txn, acl.owner, name, was);
    let grantees: Vec<Grantee> = acl.grantees().collect();
    name_changed_for(txn, rules, acl.owner, &grantees, (name, was))
}

/// The same, for these alone.
pub(super) fn name_changed_for(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    owner: UserId,
    grantees: &[Grantee],
    (name, was): (&MailboxName, Option<&MailboxName>),
) -> Result<(), Error> {
    if grantees.is_empty() {
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
    for grantee in grantees {
        let user = match grantee {
            Grantee::User(user) => *user,
            Grantee::Anyone => NameChange::ANYONE,
        };
        own_name_changed(txn, user, &name, was.as_ref());
    }
    Ok(())
}

/// Something became of a name that a user has.
pub(super) fn own_name_changed(
    txn: &mut Transaction<'_>,
    user: UserId,
    name: &MailboxName,
    was: Option<&MailboxName>,
) {
    let (name, was) = (name.clone(), was.cloned());
    let what = Became::Changed { name, was };
    txn.name_change(NameChange { user, what });
}
