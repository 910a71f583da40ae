//! What users and mailboxes are called, for lines.

use std::sync::Arc;

use admin::Users;
use mail::{MailboxId, MailboxName, UserId};
use store::Store;

/// What users and mailboxes are called.
pub trait Names {
    /// A user of the store; none if it has no such.
    fn user(&self, user: UserId) -> Option<Box<str>>;
    /// The user to whom an account belongs.
    fn account(&self, account: &str) -> Box<str>;
    /// Whether a mailbox is the one that an account has under a name.
    fn is_named(&self, mailbox: MailboxId, account: &str, name: &MailboxName) -> bool;
}

/// Names as the store and the user directory have them.
pub struct Directory {
    /// The store.
    pub store: Store,
    /// The user directory.
    pub users: Arc<Users>,
}

impl Names for Directory {
    fn user(&self, user: UserId) -> Option<Box<str>> {
        let account = self.store.user_name(user).ok()?;
        Some(self.users.name_of(&account))
    }

    fn account(&self, account: &str) -> Box<str> {
        self.users.name_of(account)
    }

    fn is_named(&self, mailbox: MailboxId, account: &str, name: &MailboxName) -> bool {
        let named = self.store.mailbox_named(account, name);
        named.is_ok_and(|it| it == Some(mailbox))
    }
}
