//! Who the users are, as the store asks: where other users' mailboxes are named, and in access
//! control lists.

use std::sync::Arc;

use admin::Users;
use admin::users::canonical;
use store::Directory;

/// The user directory, as it is known. A lookup reads one line of its file, which is in the page
/// cache, and never all of it: the store's writer asks.
pub struct Accounts(pub Arc<Users>);

impl Directory for Accounts {
    /// Nobody, if the directory can't be read: who watches it hears of that.
    fn account(&self, name: &str) -> Option<Box<str>> {
        let name = canonical(name).ok()?;
        let user = self.0.find_known(&name).ok().flatten();
        user.map(|user| user.account)
    }

    fn name(&self, account: &str) -> Box<str> {
        self.0.name_of(account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_named_by_account() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let hash = admin::password::hash(admin::password::Scheme::Ssha256, b"x").unwrap();
        std::fs::write(&path, format!("ann:{hash}\nbob:{hash}:::eve#k3\n")).unwrap();
        let accounts = Accounts(Arc::new(Users::open(path).unwrap()));
        assert_eq!(accounts.account("Ann").as_deref(), Some("ann"));
        assert_eq!(
            accounts.account("bob").as_deref(),
            Some("eve#k3"),
            "renamed"
        );
        assert_eq!(&*accounts.name("eve#k3"), "bob");
        assert_eq!(accounts.account("eve"), None);
        assert_eq!(accounts.account("a/b"), None, "no name");
    }
}
