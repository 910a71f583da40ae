//! What each user may keep, remembered so that the store's writer reads no file for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use admin::Users;
use admin::users::Limit;
use store::Quota;

/// Quotas that are remembered: some 50 bytes each.
const REMEMBERED: usize = 64 * 1024;

/// The quotas of all users.
pub struct Quotas {
    users: Arc<Users>,
    default: Quota,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Of the user directory.
    version: u64,
    quotas: HashMap<Box<str>, Quota>,
}

impl Quotas {
    /// Those in the directory; `default` for who has none of their own.
    pub fn new(users: Arc<Users>, default: Quota) -> Self {
        Self {
            users,
            default,
            known: Mutex::default(),
        }
    }

    /// An account's. Without limit if it can't be told, for no fault of a file may turn mail away.
    pub fn of(&self, account: &str) -> Quota {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.users.version();
        if known.version != version || known.quotas.len() >= REMEMBERED {
            known.version = version;
            known.quotas.clear();
        }
        if let Some(quota) = known.quotas.get(account) {
            return *quota;
        }
        let Ok(user) = self.users.find_known(&self.users.name_of(account)) else {
            return Quota::default();
        };
        // Not an earlier user's of the same name.
        let user = user.filter(|user| &*user.account == account);
        let own = user.map(|user| user.quota).unwrap_or_default();
        let limit = |own: Option<Limit>, default| match own {
            None => default,
            Some(Limit::None) => 0,
            Some(Limit::Most(most)) => most,
        };
        let quota = Quota {
            bytes: limit(own.bytes, self.default.bytes),
            messages: limit(own.messages, self.default.messages),
        };
        known.quotas.insert(account.into(), quota);
        quota
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_remembered_until_the_directory_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let line = |quota: &str| format!("ann:{{SSHA256}}x{quota}\n");
        let hash = admin::password::hash(admin::password::Scheme::Ssha256, b"x").unwrap();
        let line = |quota: &str| line(quota).replace("{SSHA256}x", &hash);
        std::fs::write(&path, line(":100:-1")).unwrap();
        let users = Arc::new(Users::open(&path).unwrap());
        let default = Quota {
            bytes: 7,
            messages: 8,
        };
        let quotas = Quotas::new(users.clone(), default);
        let quota = |bytes, messages| Quota { bytes, messages };
        assert_eq!(quotas.of("ann"), quota(100, 0));
        assert_eq!(quotas.of("bob"), default);
        std::fs::write(&path, line(":200")).unwrap();
        assert_eq!(quotas.of("ann"), quota(100, 0), "no file is read");
        users.reload_if_changed().unwrap();
        assert_eq!(quotas.of("ann"), quota(200, 8));
    }
}
