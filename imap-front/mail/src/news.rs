//! What is announced of a commit: events of mailboxes, and what became of names.

use std::sync::Arc;

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
    /// What became of it.
    pub what: Became,
}

impl NameChange {
    /// Everybody.
    pub const ANYONE: UserId = UserId(0);
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
    },
    /// It was subscribed, or is not any more.
    Subscribed {
        /// The name.
        name: MailboxName,
        /// Whether it is.
        on: bool,
    },
    /// Many names have changed, and which is not told.
    Many,
}

/// Changes of names that one operation tells one by one.
pub const NAME_CHANGES_MAX: usize = 64;
