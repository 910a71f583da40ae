//! Names of users and mailboxes as events carry them (reference chapter 3.4).

use std::collections::HashMap;
use std::sync::Arc;

use admin::Users;
use mail::{MailboxId, MailboxName, UserId};
use store::Store;

/// Names kept; more are looked up again.
const KEPT_MAX: usize = 16 * 1024;

/// A mailbox: `user` for INBOX, else `user/Folder`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxLocation {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it is INBOX.
    pub inbox: bool,
}

impl MailboxLocation {
    /// A user's mailbox.
    pub fn new(user: &str, mailbox: &MailboxName) -> Self {
        let inbox = mailbox.is_inbox();
        let name = if inbox {
            user.into()
        } else {
            format!("{user}/{}", mailbox.as_str()).into()
        };
        Self { name, inbox }
    }
}

/// Names looked up lately.
pub struct Names {
    directory: Arc<Users>,
    /// Of the directory, when the names were looked up.
    version: u64,
    users: HashMap<UserId, Arc<str>>,
    mailboxes: HashMap<MailboxId, MailboxLocation>,
}

impl Names {
    /// Those of the directory's users.
    pub fn new(directory: Arc<Users>) -> Self {
        Self {
            version: directory.version(),
            directory,
            users: HashMap::default(),
            mailboxes: HashMap::default(),
        }
    }

    /// Forgets all names if the directory was read again: users may have been renamed.
    fn look_at_directory(&mut self) {
        let version = self.directory.version();
        if std::mem::replace(&mut self.version, version) != version {
            self.users.clear();
            self.forget_mailboxes();
        }
    }

    /// A user's name; none if there is no such user.
    pub fn user(&mut self, store: &Store, id: UserId) -> Option<Arc<str>> {
        self.look_at_directory();
        if let Some(name) = self.users.get(&id) {
            return Some(name.clone());
        }
        if self.users.len() >= KEPT_MAX {
            self.users.clear();
        }
        let account = store.user_name(id).ok()?;
        let name: Arc<str> = self.directory.name_of(&account).into();
        self.users.insert(id, name.clone());
        Some(name)
    }

    /// A mailbox's name; none if it is gone.
    pub fn mailbox(&mut self, store: &Store, id: MailboxId) -> Option<MailboxLocation> {
        self.look_at_directory();
        if let Some(location) = self.mailboxes.get(&id) {
            return Some(location.clone());
        }
        if self.mailboxes.len() >= KEPT_MAX {
            self.forget_mailboxes();
        }
        let (user, name) = store.name_of(id).ok()??;
        let location = MailboxLocation::new(&self.user(store, user)?, &name);
        self.mailboxes.insert(id, location.clone());
        Some(location)
    }

    /// Mailboxes have other names now.
    pub fn forget_mailboxes(&mut self) {
        self.mailboxes.clear();
    }
}
