//! What is announced of a commit: events of mailboxes, and what became of names.

use std::collections::HashMap;
use std::sync::Arc;

use crate::metadata::EntryName;
use crate::{Event, MailboxId, MailboxName, ModSeq, Uid, UidValidity, UserId};

/// Something that is announced.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// An operation on a mailbox, and its figures then, if somebody may want them.
    Mailbox(Arc<Event>, Option<Arc<Figures>>),
    /// Something became of a name.
    Name(Arc<NameChange>),
}

impl News {
    /// What happened to a mailbox, if it is that.
    pub fn event(&self) -> Option<&Arc<Event>> {
        match self {
            Self::Mailbox(event, _) => Some(event),
            Self::Name(_) => None,
        }
    }
}

/// A mailbox's figures, for those who have not selected it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Whose it is.
    pub owner: UserId,
    /// What its owner calls it.
    pub name: MailboxName,
    /// What others call it, if any may look it up.
    pub others: Option<MailboxName>,
    /// Messages.
    pub messages: u32,
    /// The next UID.
    pub uid_next: Uid,
    /// UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// HIGHESTMODSEQ.
    pub modseq: ModSeq,
}

impl Figures {
    /// What a user calls it.
    pub fn name_for(&self, user: UserId) -> Option<&MailboxName> {
        match self.owner == user {
            true => Some(&self.name),
            false => self.others.as_ref(),
        }
    }
}

/// Something became of a name. What it is now is to be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameChange {
    /// Whose name it is; [`NameChange::ANYONE`] for one that all but its mailbox's owner have.
    pub user: UserId,
    /// Of all, those who are not to hear of it: they may not know of it, or are told apart. In
    /// order.
    pub except: Arc<[UserId]>,
    /// What became of it.
    pub what: Became,
}

impl NameChange {
    /// Everybody.
    pub const ANYONE: UserId = UserId(0);

    /// A change for one user, or for all.
    pub fn of(user: UserId, what: Became) -> Self {
        Self {
            user,
            except: Arc::default(),
            what,
        }
    }

    /// Whether somebody who hears of the names of [`NameChange::user`] is to hear of it.
    pub fn is_for(&self, user: UserId) -> bool {
        self.except.binary_search(&user).is_err()
    }
}

/// What became of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Became {
    /// A mailbox has it, or has it no more; or the user's rights have changed.
    Changed {
        /// The name.
        name: MailboxName,
        /// What the mailbox was called before.
        was: Option<MailboxName>,
        /// It was renamed because the mailbox above it was, which the user is told too.
        follows: bool,
    },
    /// It was subscribed, or is not any more.
    Subscribed {
        /// The name.
        name: MailboxName,
        /// Whether it is.
        on: bool,
    },
    /// Entries of its metadata were set or removed (RFC 5464).
    Annotated {
        /// The name; none if they are the server's.
        name: Option<MailboxName>,
        /// The entries' names.
        entries: Arc<[EntryName]>,
    },
    /// Many names have changed, and which is not told.
    Many,
}

impl Became {
    /// A name has changed by itself.
    pub fn changed(name: MailboxName, was: Option<MailboxName>) -> Self {
        Self::Changed {
            name,
            was,
            follows: false,
        }
    }

    /// What it takes in memory, in bytes, about.
    pub fn bytes(&self) -> usize {
        let of = |name: &Option<MailboxName>| name.as_ref().map_or(0, |it| it.as_str().len());
        let more = match self {
            Self::Changed { name, was, .. } => name.as_str().len() + of(was),
            Self::Subscribed { name, .. } => name.as_str().len(),
            Self::Annotated { name, entries } => {
                let each = |it: &EntryName| size_of::<EntryName>() + it.as_str().len();
                of(name) + entries.iter().map(each).sum::<usize>()
            }
            Self::Many => 0,
        };
        size_of::<Self>() + more
    }
}

/// Changes of names that one operation tells a user one by one.
pub const NAME_CHANGES_MAX: usize = 64;

/// What became of names by one operation.
#[derive(Clone, Debug, Default)]
pub struct NameChanges {
    list: Vec<NameChange>,
    /// How many a user has, and where the last of them is.
    of: HashMap<UserId, (usize, usize)>,
}

impl NameChanges {
    /// Notes one. Of many that a user has only that is noted.
    pub fn note(&mut self, mut change: NameChange) {
        let (count, last) = self.of.get(&change.user).copied().unwrap_or_default();
        if count >= NAME_CHANGES_MAX {
            change = NameChange::of(change.user, Became::Many);
        }
        if count > 0 && self.list[last] == change {
            return;
        }
        self.of.insert(change.user, (count + 1, self.list.len()));
        self.list.push(change);
    }

    /// All that was noted, and forgets it.
    pub fn take(&mut self) -> Vec<NameChange> {
        self.of.clear();
        std::mem::take(&mut self.list)
    }

    /// Forgets what was noted.
    pub fn clear(&mut self) {
        self.of.clear();
        self.list.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_changes_only_that_is_told() {
        let (ann, bob) = (UserId(1), UserId(2));
        let change = |user, number: usize| {
            let name = MailboxName::new(&format!("f{number}"));
            NameChange::of(user, Became::changed(name, None))
        };
        let mut changes = NameChanges::default();
        for number in 0..10 * NAME_CHANGES_MAX {
            changes.note(change(ann, number));
            changes.note(change(bob, number / NAME_CHANGES_MAX));
        }
        let all = changes.take();
        let of = |user| all.iter().filter(move |it| it.user == user);
        assert_eq!(of(ann).count(), NAME_CHANGES_MAX + 1);
        assert_eq!(of(ann).next_back().map(|it| &it.what), Some(&Became::Many));
        assert_eq!(of(bob).count(), 10, "the same is noted once");
        assert!(changes.take().is_empty());
    }
}
