//! Checking a name and a password.

use std::sync::Arc;

use super::{User, Users, UsersError};
use crate::password::{self, Fingerprint, VerifiedCache};

/// Users and the passwords that verified lately.
pub struct Login {
    users: Arc<Users>,
    cache: VerifiedCache,
}

impl Login {
    /// Checks against `users`, remembering up to about `cache_entries` users.
    pub fn new(users: Arc<Users>, cache_entries: usize) -> Self {
        Self {
            users,
            cache: VerifiedCache::new(cache_entries),
        }
    }

    /// The directory.
    pub fn users(&self) -> &Arc<Users> {
        &self.users
    }

    /// Names a check without telling what is checked: the same name and password have the same
    /// fingerprint in this process, and nobody else can compute it.
    pub fn fingerprint(&self, name: &str, password: &[u8]) -> Fingerprint {
        self.cache.fingerprint(name, password)
    }

    /// The user, if this password verified lately and nothing changed since. Takes microseconds;
    /// none says nothing about the password: [`Login::verify`] does.
    pub fn recall(&self, name: &str, password: &[u8]) -> Option<User> {
        let user = self.users.find(name).ok().flatten()?;
        self.cache
            .knows(&user.name, &user.stored, password)
            .then_some(user)
    }

    /// The user, if the password is right. Takes tens of milliseconds of CPU time on purpose, and
    /// the same for a user who doesn't exist: call it on a thread that may block.
    ///
    /// # Errors
    /// If the directory can't be read.
    pub fn verify(&self, name: &str, password: &[u8]) -> Result<Option<User>, UsersError> {
        let Some(user) = self.users.find(name)? else {
            password::verify(&self.users.decoy(name), password);
            return Ok(None);
        };
        if !password::verify(&user.stored, password) {
            return Ok(None);
        }
        self.cache.remember(&user.name, &user.stored, password);
        Ok(Some(user))
    }
}
