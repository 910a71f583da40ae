//! Users whose sessions may not stay: their password was changed, or they were deleted.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use ahash::RandomState;
use crossbeam_channel::{Receiver, Sender, unbounded};
use mail::UserId;

type Users = Arc<HashSet<UserId, RandomState>>;

/// Where revocations come in, for all shards; clones share them.
#[derive(Clone, Default)]
pub struct Revocations {
    shards: Arc<Mutex<Vec<Sender<Users>>>>,
}

impl Revocations {
    /// Sessions of these users are to end with the next review.
    pub fn add(&self, users: impl Iterator<Item = UserId>) {
        let users: Users = Arc::new(users.collect());
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        for shard in shards.iter() {
            // Fails only if the shard has ended.
            let _ = shard.send(users.clone());
        }
    }

    pub(super) fn of_shard(&self) -> Revoked {
        let (sender, receiver) = unbounded();
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        shards.push(sender);
        Revoked {
            coming: Some(receiver),
            users: vec![],
        }
    }
}

/// Who is looked for in the review that is under way on a shard.
#[derive(Default)]
pub(super) struct Revoked {
    coming: Option<Receiver<Users>>,
    users: Vec<Users>,
}

impl Revoked {
    /// Looks for those too who were added since.
    pub fn take(&mut self) {
        let coming = self.coming.iter().flat_map(Receiver::try_iter);
        self.users.extend(coming);
    }

    pub fn contains(&self, user: UserId) -> bool {
        self.users.iter().any(|users| users.contains(&user))
    }

    /// Looks for nobody any more.
    pub fn forget(&mut self) {
        self.users.clear();
    }
}
