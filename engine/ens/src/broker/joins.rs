//! Members of pools that come from another process, until the shards that serve the pools go on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::event::{SessionId, ShardId};

use super::pools;
use crate::event_ref::Pattern;

/// Pools' patterns, by members and the numbers of their subscriptions.
type Pending = BTreeMap<(SessionId, u32), Arc<Pattern>>;

/// For each shard those who join pools that it serves.
#[derive(Debug)]
pub struct Joins(Box<[Mutex<Pending>]>);

impl Joins {
    /// Of so many shards.
    pub fn new(shards: u16) -> Self {
        Self((0..shards).map(|_| Mutex::default()).collect())
    }

    pub(super) fn put(&self, pattern: Arc<Pattern>, member: SessionId, id: u32) {
        self.of(self.owner(&pattern)).insert((member, id), pattern);
    }

    /// It does not join after all.
    pub(super) fn take_back(&self, pattern: &Pattern, member: SessionId, id: u32) {
        self.of(self.owner(pattern)).remove(&(member, id));
    }

    pub(super) fn take(&self, shard: ShardId) -> Pending {
        std::mem::take(&mut *self.of(shard))
    }

    fn owner(&self, pattern: &Pattern) -> ShardId {
        pools::owner(pattern, self.0.len() as u16)
    }

    fn of(&self, shard: ShardId) -> MutexGuard<'_, Pending> {
        let joins = &self.0[usize::from(shard.0)];
        joins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
