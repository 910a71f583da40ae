//! RENAME of a name with many below it (RFC 3501 §6.3.5), slice by slice.
//!
//! First all names below are looked at, and nothing is changed. Then each slice moves some of them;
//! until the last one is moved the old name stays without a mailbox, as after a DELETE. So every
//! mailbox has one name at any time. Requests that change names of this user wait meanwhile.

use std::ops::ControlFlow::{Break, Continue};

use mail::{Became, MailboxName, NameChange, Refusal, Reply, Rights, UserId};

use super::tables::{self, task};
use super::{Rules, access, keys, news, notifications};
use crate::Error;
use crate::kv::{Kv, Space, Transaction};
use crate::notification::What;
use crate::rows::Name;

/// A RENAME that takes more than a slice.
pub(super) struct Renaming {
    pub user: UserId,
    pub from: MailboxName,
    pub to: MailboxName,
    /// Names are moved; before that they are looked at.
    moves: bool,
    /// The key from which on names were not looked at, or not moved.
    next: Vec<u8>,
}

/// Some of the names below one that exist, and the key of the next one, if there are more.
pub(super) type Names = (Vec<(MailboxName, Name)>, Option<Vec<u8>>);

/// Names below one, from a key on: looks at so many rows.
pub(super) fn names_below(
    kv: &dyn Kv,
    user: UserId,
    parent: &MailboxName,
    next: &[u8],
    max: usize,
) -> Result<Names, Error> {
    let (from, to) = keys::names_below(user, parent);
    let from = from.as_slice().max(next);
    let (mut rows, mut more) = (Vec::new(), None);
    kv.scan(Space::Names, from, &to, false, &mut |key, value| {
        if rows.len() == max {
            more = Some(key.to_vec());
            return Break(());
        }
        rows.push((key[8..].to_vec(), value.to_vec()));
        Continue(())
    })?;
    let mut names = Vec::with_capacity(rows.len());
    for (name, row) in rows {
        let row = Name::decode(&row)?;
        if row.exists {
            names.push((MailboxName::new(&String::from_utf8_lossy(&name)), row));
        }
    }
    Ok((names, more))
}

/// Whether any name below one exists.
pub(super) fn has_names_below(
    kv: &dyn Kv,
    user: UserId,
    parent: &MailboxName,
) -> Result<bool, Error> {
    let (from, to) = keys::names_below(user, parent);
    let mut found = Ok(false);
    kv.scan(Space::Names, &from, &to, false, &mut |_, value| {
        found = Name::decode(value).map(|row| row.exists);
        match found {
            Ok(false) => Continue(()),
            _ => Break(()),
        }
    })?;
    found
}

/// Why a name below can't get its new name, if so.
pub(super) fn check(from: &MailboxName, to: &MailboxName, name: &MailboxName) -> Option<Refusal> {
    let is_bad = renamed(from, to, name).creatable().is_err();
    is_bad.then_some(Refusal::Name(
        "an inferior mailbox's name would be too long",
    ))
}

/// The new name of a name below.
fn renamed(from: &MailboxName, to: &MailboxName, name: &MailboxName) -> MailboxName {
    MailboxName::new(&format!("{to}{}", &name.as_str()[from.as_str().len()..]))
}

/// Moves a name below.
pub(super) fn move_below(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    (from, to): (&MailboxName, &MailboxName),
    (name, row): (MailboxName, Name),
) -> Result<(), Error> {
    let to = renamed(from, to, &name);
    let is_mailbox = row.mailbox.is_some();
    move_name(txn, rules, user, (&name, &to), (row, true))?;
    if is_mailbox {
        notifications::name(txn, user, || What::Renamed { from: name, to });
    }
    Ok(())
}

/// Subscriptions stay with the names (RFC 3501 §6.3.9). A name below another `follows` it.
pub(super) fn move_name(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    (from, to): (&MailboxName, &MailboxName),
    (row, follows): (Name, bool),
) -> Result<(), Error> {
    let subscribed = tables::name(txn, user, to)?.subscribed;
    let left = Name {
        subscribed: row.subscribed,
        ..Name::default()
    };
    tables::put_name(txn, user, from, &left)?;
    let what = Became::Changed {
        name: to.clone(),
        was: Some(from.clone()),
        follows,
    };
    news::note(txn, rules, NameChange::of(user, what));
    if let Some(id) = row.mailbox {
        rules.names.forget(id);
        if let Some(acl) = access::renamed(txn, id, to)? {
            let others = acl.who_has(Rights::LOOKUP);
            news::name_changed_for(txn, rules, user, others, (to, Some(from)))?;
        }
    }
    tables::put_name(txn, user, to, &Name { subscribed, ..row })?;
    Ok(())
}

/// # Errors
/// [`Error::Waits`] if names of this user are being moved.
pub(super) fn await_others(kv: &dyn Kv, user: UserId) -> Result<(), Error> {
    match kv.get(Space::Tasks, &keys::task(task::RENAME, user.0))? {
        Some(_) => Err(Error::Waits),
        None => Ok(()),
    }
}

impl Renaming {
    /// A RENAME of names that are there to one that is not; nobody else may change names of this
    /// user until it is done.
    pub fn begin(
        txn: &mut Transaction<'_>,
        user: UserId,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Self {
        let renaming = Self {
            user,
            from: from.clone(),
            to: to.clone(),
            moves: false,
            next: vec![],
        };
        renaming.note(txn);
        renaming
    }

    fn note(&self, txn: &mut Transaction<'_>) {
        let text = format!("{}\0{}", self.from, self.to);
        let row = [&[u8::from(self.moves)], text.as_bytes()].concat();
        txn.put(Space::Tasks, &keys::task(task::RENAME, self.user.0), row);
    }

    /// What was cut off, if anything was.
    pub fn resume(kv: &dyn Kv, user: UserId) -> Result<Option<Self>, Error> {
        let row = kv.get(Space::Tasks, &keys::task(task::RENAME, user.0))?;
        let renaming = |row: &[u8]| {
            let (moves, names) = row.split_first()?;
            let (from, to) = std::str::from_utf8(names).ok()?.split_once('\0')?;
            Some(Self {
                user,
                from: MailboxName::new(from),
                to: MailboxName::new(to),
                moves: *moves != 0,
                next: vec![],
            })
        };
        Ok(row.as_deref().and_then(renaming))
    }

    /// Goes on. Gives the answer once it is done. One that was cut off before it has moved anything
    /// comes to nothing.
    pub fn go_on(
        &mut self,
        txn: &mut Transaction<'_>,
        rules: &Rules,
        is_awaited: bool,
    ) -> Result<Option<Reply>, Error> {
        let (user, max) = (self.user, rules.options.slice_messages);
        if !self.moves && !is_awaited {
            return Ok(Some(self.end(txn, Reply::Done)));
        }
        let (names, next) = names_below(txn, user, &self.from, &self.next, max)?;
        if !self.moves {
            let mut refusals = names
                .iter()
                .map(|(name, _)| check(&self.from, &self.to, name));
            if let Some(refusal) = refusals.find_map(|refusal| refusal) {
                return Ok(Some(self.end(txn, Reply::Refused(refusal))));
            }
            match next {
                Some(next) => self.next = next,
                None => self.begin_to_move(txn, rules)?,
            }
            return Ok(None);
        }
        for name in names {
            move_below(txn, rules, user, (&self.from, &self.to), name)?;
        }
        match next {
            Some(next) => {
                self.next = next;
                Ok(None)
            }
            None => {
                let row = tables::name(txn, user, &self.from)?;
                let left = Name {
                    subscribed: row.subscribed,
                    ..Name::default()
                };
                tables::put_name(txn, user, &self.from, &left)?;
                Ok(Some(self.end(txn, Reply::Done)))
            }
        }
    }

    /// The name itself is moved; it stays, without a mailbox, as long as there are names below it.
    fn begin_to_move(&mut self, txn: &mut Transaction<'_>, rules: &Rules) -> Result<(), Error> {
        let (user, row) = (self.user, tables::name(txn, self.user, &self.from)?);
        let (exists, subscribed) = (true, row.subscribed);
        move_name(txn, rules, user, (&self.from, &self.to), (row, false))?;
        let stays = Name {
            exists,
            subscribed,
            ..Name::default()
        };
        tables::put_name(txn, user, &self.from, &stays)?;
        let (from, to) = (self.from.clone(), self.to.clone());
        notifications::name(txn, user, || What::Renamed { from, to });
        (self.moves, self.next) = (true, vec![]);
        self.note(txn);
        Ok(())
    }

    fn end(&self, txn: &mut Transaction<'_>, reply: Reply) -> Reply {
        txn.delete(Space::Tasks, &keys::task(task::RENAME, self.user.0));
        reply
    }
}
