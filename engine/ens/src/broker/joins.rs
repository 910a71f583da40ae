//! Members of pools that come from another process, until the shards that serve the pools go on.

use std::sync::{Arc, Mutex, PoisonError};

use engine::event::{SessionId, ShardId};

use super::pools;
use crate::event_ref::Pattern;

/// A pool's pattern, a member, and the number of its subscription.
type Join = (Arc<Pattern>, SessionId, u32);

/// For each shard those who join pools that it serves.
#[derive(Debug)]
pub struct Joins(Box<[Mutex<Vec<Join>>]>);

impl Joins {
    /// Of so many shards.
    pub fn new(shards: u16) -> Self {
        Self((0..shards).map(|_| Mutex::default()).collect())
    }

    pub(super) fn put(&self, pattern: Arc<Pattern>, member: SessionId, id: u32) {
        let owner = pools::owner(&pattern, self.0.len() as u16);
        let mut joins = self.of(owner);
        joins.push((pattern, member, id));
    }

    pub(super) fn take(&self, shard: ShardId) -> Vec<Join> {
        std::mem::take(&mut *self.of(shard))
    }

    fn of(&self, shard: ShardId) -> std::sync::MutexGuard<'_, Vec<Join>> {
        let joins = &self.0[usize::from(shard.0)];
        joins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
