//! Pools: each event goes to one member. The shard that owns a pool chooses.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use ahash::RandomState;
use engine::event::{SessionId, ShardId};

use crate::event_ref::Pattern;
use crate::matcher::EntryId;

/// The shard that serves a pool.
pub(super) fn owner(pattern: &Pattern, shards: u16) -> ShardId {
    let hash = RandomState::with_seeds(5, 6, 7, 8).hash_one(pattern);
    ShardId((hash % u64::from(shards)) as u16)
}

/// The pools that one shard serves.
#[derive(Default)]
pub(super) struct Pools {
    numbers: HashMap<Arc<Pattern>, u32, RandomState>,
    pools: HashMap<u32, SubscriberPool, RandomState>,
    next: u32,
}

/// What members on other hosts change.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Away {
    /// Nothing.
    Known,
    /// There is a pool of this number now.
    New(u32),
    /// There is none any more of which the matcher has this.
    Gone(EntryId),
}

struct SubscriberPool {
    pattern: Arc<Pattern>,
    /// Who, and the number of its subscription.
    members: Vec<(SessionId, u32)>,
    /// Where each member stands among them.
    places: HashMap<(SessionId, u32), u32, RandomState>,
    turn: usize,
    /// Members on other hosts, and whose turn it is among all.
    away: u32,
    round: u32,
    /// Of its pattern, once the matcher has it.
    entry: Option<EntryId>,
}

impl Pools {
    /// A member joins, unless it has. Gives the pool's number if it is new.
    pub fn join(&mut self, pattern: &Pattern, member: SessionId, id: u32) -> Option<u32> {
        if let Some(number) = self.numbers.get(pattern) {
            let pool = self.pools.get_mut(number)?;
            if let Entry::Vacant(place) = pool.places.entry((member, id)) {
                place.insert(pool.members.len() as u32);
                pool.members.push((member, id));
            }
            return None;
        }
        let (number, pattern) = (self.next, Arc::new(pattern.clone()));
        self.next = self.next.wrapping_add(1);
        self.numbers.insert(pattern.clone(), number);
        let members = vec![(member, id)];
        self.pools.insert(
            number,
            SubscriberPool {
                pattern,
                members,
                places: HashMap::from_iter([((member, id), 0)]),
                turn: 0,
                away: 0,
                round: 0,
                entry: None,
            },
        );
        Some(number)
    }

    /// So many members has a pool on other hosts.
    pub fn set_away(&mut self, pattern: &Pattern, away: u32) -> Away {
        if let Some(number) = self.numbers.get(pattern).copied() {
            let Some(pool) = self.pools.get_mut(&number) else {
                return Away::Known;
            };
            pool.away = away;
            if away > 0 || !pool.members.is_empty() {
                return Away::Known;
            }
            return match self.remove(pattern, number) {
                Some(entry) => Away::Gone(entry),
                None => Away::Known,
            };
        }
        if away == 0 {
            return Away::Known;
        }
        let (number, pattern) = (self.next, Arc::new(pattern.clone()));
        self.next = self.next.wrapping_add(1);
        self.numbers.insert(pattern.clone(), number);
        self.pools.insert(
            number,
            SubscriberPool {
                pattern,
                members: vec![],
                places: HashMap::default(),
                turn: 0,
                away,
                round: 0,
                entry: None,
            },
        );
        Away::New(number)
    }

    /// How many members a pool has here.
    pub fn members(&self, pattern: &Pattern) -> u32 {
        let number = self.numbers.get(pattern);
        let pool = number.and_then(|number| self.pools.get(number));
        pool.map_or(0, |pool| pool.members.len() as u32)
    }

    /// The pattern, if it is the turn of a member on another host, or none here are to have any.
    pub fn turn_away(&mut self, number: u32, retires: bool) -> Option<Arc<Pattern>> {
        let pool = self.pools.get_mut(&number).filter(|pool| pool.away > 0)?;
        let here = pool.members.len() as u32;
        pool.round = (pool.round + 1) % here.saturating_add(pool.away);
        (retires || pool.round >= here).then(|| pool.pattern.clone())
    }

    fn remove(&mut self, pattern: &Pattern, number: u32) -> Option<EntryId> {
        self.numbers.remove(pattern);
        self.pools.remove(&number)?.entry
    }

    /// Notes under what the matcher has a new pool's pattern.
    pub fn filed(&mut self, number: u32, entry: EntryId) {
        if let Some(pool) = self.pools.get_mut(&number) {
            pool.entry = Some(entry);
        }
    }

    /// A member leaves. Gives what the matcher has of the pool if nobody is left and it is no more.
    pub fn leave(&mut self, pattern: &Pattern, member: SessionId, id: u32) -> Option<EntryId> {
        let number = *self.numbers.get(pattern)?;
        let pool = self.pools.get_mut(&number)?;
        let at = pool.places.remove(&(member, id))? as usize;
        pool.members.swap_remove(at);
        if let Some(moved) = pool.members.get(at) {
            pool.places.insert(*moved, at as u32);
        }
        if !pool.members.is_empty() || pool.away > 0 {
            return None;
        }
        self.remove(pattern, number)
    }

    /// The member whose turn it is.
    pub fn choose(&mut self, number: u32) -> Option<(Arc<Pattern>, SessionId, u32)> {
        let pool = self.pools.get_mut(&number)?;
        if pool.members.is_empty() {
            return None;
        }
        pool.turn %= pool.members.len();
        let (member, id) = pool.members[pool.turn];
        pool.turn += 1;
        Some((pool.pattern.clone(), member, id))
    }

    /// The pattern of a pool.
    pub fn pattern(&self, number: u32) -> Option<Arc<Pattern>> {
        self.pools.get(&number).map(|pool| pool.pattern.clone())
    }

    /// The number of a pool, if it has members.
    pub fn number(&self, pattern: &Pattern) -> Option<u32> {
        self.numbers.get(pattern).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::matcher::Matcher;

    fn session(slot: u32) -> SessionId {
        SessionId {
            shard: ShardId(0),
            generation: 0,
            slot,
        }
    }

    proptest! {
        #[test]
        fn one_live_member_at_a_time_and_all_in_turn(
            steps in prop::collection::vec((0..3u8, 0..5u32), 0..100),
        ) {
            let pattern = Pattern::parse("enp+pool.a://h/x").expect("a pattern");
            let mut pools = Pools::default();
            let entry = Matcher::default().insert(&pattern, ());
            let mut members: Vec<u32> = vec![];
            let mut number = None;
            for (what, slot) in steps {
                match what {
                    0 if !members.contains(&slot) => {
                        let new = pools.join(&pattern, session(slot), 1);
                        prop_assert_eq!(new.is_some(), members.is_empty());
                        number = new.or(number);
                        pools.filed(number.unwrap_or_default(), entry);
                        members.push(slot);
                    }
                    1 if members.contains(&slot) => {
                        members.retain(|have| *have != slot);
                        let last = pools.leave(&pattern, session(slot), 1);
                        prop_assert_eq!(last.is_some(), members.is_empty());
                    }
                    _ => {
                        let Some(number) = number else { continue };
                        let mut chosen: Vec<u32> = (0..members.len())
                            .filter_map(|_| pools.choose(number))
                            .map(|(_, member, _)| member.slot)
                            .collect();
                        chosen.sort_unstable();
                        let mut all = members.clone();
                        all.sort_unstable();
                        prop_assert_eq!(chosen, all);
                    }
                }
            }
        }
    }
}
