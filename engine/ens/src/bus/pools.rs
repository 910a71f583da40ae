//! Pools that have members on several hosts. Each broker tells the others which pools it has, and
//! how many members of each; who publishes decides which of the brokers gets an event for one of
//! its members.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ahash::RandomState;
use bytes::Bytes;

/// Pools that a broker offers the site; further ones have members on their own host only.
const POOLS_MAX: usize = 1024;
/// Bytes of patterns in one message.
const PART_BYTES: usize = 64 * 1024;
/// Bytes of patterns of all others together, and what keeping one costs besides, about: pools
/// beyond that have no members elsewhere, as far as this broker knows.
const OTHERS_BYTES_MAX: usize = 32 << 20;
const EACH_BYTES: usize = 128;
/// A list is not sent more often.
const LIST_NS: u64 = 50_000_000;

/// Patterns of pools, written down, and how many members each has.
pub(super) type List = Vec<(Bytes, u32)>;

#[derive(Default)]
pub(super) struct SitePools {
    own: BTreeMap<Bytes, u32>,
    /// The others are told of none of them.
    is_retired: bool,
    /// Counts changes of `own`.
    version: u64,
    /// When the list is to be sent.
    due_ns: Option<u64>,
    sent_ns: u64,
    others: HashMap<u64, Theirs, RandomState>,
    /// Members that others have, by pool.
    elsewhere: BTreeMap<Bytes, Elsewhere>,
    /// Bytes of their lists, complete or not.
    others_bytes: usize,
}

/// Members of a pool on other hosts.
#[derive(Default)]
struct Elsewhere {
    /// How many each origin has that has any, by origin.
    each: Vec<(u64, u32)>,
    total: u32,
    /// Whose turn it was.
    turn: u32,
}

#[derive(Default)]
struct Theirs {
    /// Of the list that is complete.
    version: u64,
    list: BTreeMap<Bytes, u32>,
    /// What has come of a newer one.
    coming: u64,
    parts: BTreeSet<u16>,
    new: BTreeMap<Bytes, u32>,
    new_bytes: usize,
    bytes: usize,
}

impl SitePools {
    /// How many members a pool has here. False if the site is offered no more pools.
    pub fn set_own(&mut self, now_ns: u64, pattern: &Bytes, members: u32) -> bool {
        let is_new = !self.own.contains_key(pattern);
        if is_new && members > 0 && self.own.len() >= POOLS_MAX {
            return false;
        }
        if members > 0 {
            self.own.insert(pattern.clone(), members);
        } else if self.own.remove(pattern).is_none() {
            return true;
        }
        self.version += 1;
        self.ask(now_ns);
        true
    }

    /// Members here are for nobody else from now on, or they are again. Gives whether that is new.
    pub fn set_retired(&mut self, now_ns: u64, retired: bool) -> bool {
        if self.is_retired == retired {
            return false;
        }
        self.is_retired = retired;
        self.version += 1;
        self.ask(now_ns);
        true
    }

    /// Whether members here are for nobody else.
    pub fn is_retired(&self) -> bool {
        self.is_retired
    }

    /// The list is to be sent.
    pub fn ask(&mut self, now_ns: u64) {
        let earliest_ns = now_ns.max(self.sent_ns + LIST_NS);
        self.due_ns.get_or_insert(earliest_ns);
    }

    /// When, if it is.
    pub fn due_ns(&self) -> Option<u64> {
        self.due_ns
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether any pool has members here.
    pub fn has_own(&self) -> bool {
        !self.own.is_empty()
    }

    /// Whether a pool has members here, for whomever.
    pub fn has_members_here(&self, pattern: &Bytes) -> bool {
        !self.is_retired && self.own.contains_key(pattern)
    }

    /// Whether any pool has members on other hosts alone.
    pub fn has_only_away(&self) -> bool {
        let mut away = self.elsewhere.keys();
        away.any(|pattern| !self.has_members_here(pattern))
    }

    /// Whether any pool has members on other hosts.
    pub fn has_any_away(&self) -> bool {
        !self.elsewhere.is_empty()
    }

    /// Whether it has any on other hosts.
    pub fn has_members_away(&self, pattern: &Bytes) -> bool {
        self.elsewhere.contains_key(pattern)
    }

    /// The origin that has the member of a pool whose turn it is among all others'.
    pub fn choose(&mut self, pattern: &Bytes) -> Option<u64> {
        let pool = self.elsewhere.get_mut(pattern)?;
        pool.turn = (pool.turn + 1) % pool.total.max(1);
        let mut turn = pool.turn;
        let mut is_one_of = |members: u32| {
            let is_one = turn < members;
            turn = turn.saturating_sub(members);
            is_one
        };
        let chosen = pool.each.iter().find(|(_, members)| is_one_of(*members));
        chosen.or(pool.each.last()).map(|(origin, _)| *origin)
    }

    /// The list, in parts, if it is to be sent now.
    pub fn parts(&mut self, now_ns: u64) -> Vec<List> {
        if self.due_ns.is_none_or(|due_ns| due_ns > now_ns) {
            return vec![];
        }
        self.due_ns = None;
        self.sent_ns = now_ns;
        let mut parts = vec![vec![]];
        let mut bytes = 0;
        let offered = self.own.iter().filter(|_| !self.is_retired);
        for (pattern, members) in offered {
            if bytes + pattern.len() > PART_BYTES {
                parts.push(vec![]);
                bytes = 0;
            }
            bytes += pattern.len();
            let part = parts.last_mut().expect("there is one at least");
            part.push((pattern.clone(), *members));
        }
        parts
    }

    /// A part of the list of another origin. Gives the pools of which the others' members are more
    /// or fewer now, and how many.
    pub fn take(
        &mut self,
        origin: u64,
        version: u64,
        (part, parts): (u16, u16),
        pools: List,
    ) -> List {
        let theirs = self.others.entry(origin).or_default();
        if version <= theirs.version && version != 0 {
            return vec![];
        }
        // More than are offered are none.
        if part >= parts || usize::from(parts) > POOLS_MAX + 1 {
            return vec![];
        }
        if theirs.coming != version {
            theirs.coming = version;
            theirs.parts.clear();
            theirs.new.clear();
            self.others_bytes -= std::mem::take(&mut theirs.new_bytes);
        }
        theirs.parts.insert(part);
        for (pattern, members) in pools {
            let bytes = EACH_BYTES + pattern.len();
            let has_room = theirs.new.len() < POOLS_MAX
                && self.others_bytes + bytes <= OTHERS_BYTES_MAX
                && !theirs.new.contains_key(&pattern);
            if has_room {
                theirs.new_bytes += bytes;
                self.others_bytes += bytes;
                // What has come is a part of something larger.
                let pattern = Bytes::copy_from_slice(&pattern);
                theirs.new.insert(pattern, members);
            }
        }
        if theirs.parts.len() < usize::from(parts) {
            return vec![];
        }
        theirs.version = version;
        theirs.parts.clear();
        let new_bytes = std::mem::take(&mut theirs.new_bytes);
        self.others_bytes -= std::mem::replace(&mut theirs.bytes, new_bytes);
        let new = std::mem::take(&mut theirs.new);
        let old = std::mem::replace(&mut theirs.list, new);
        self.changed(old.into_keys().collect(), origin)
    }

    /// Whether an origin's list is of another version than is known.
    pub fn is_behind(&self, origin: u64, version: u64) -> bool {
        let known = self.others.get(&origin).map_or(0, |theirs| theirs.version);
        known < version
    }

    /// Forgets an origin: the same as an empty list.
    pub fn forget(&mut self, origin: u64) -> List {
        let Some(theirs) = self.others.remove(&origin) else {
            return vec![];
        };
        self.others_bytes -= theirs.bytes + theirs.new_bytes;
        self.changed(theirs.list.into_keys().collect(), origin)
    }

    /// The lists of others that are known, with their versions.
    pub fn lists(&self) -> impl Iterator<Item = (u64, u64, List)> {
        let complete = self.others.iter().filter(|(_, it)| it.version > 0);
        complete.map(|(origin, theirs)| {
            let list = theirs.list.iter();
            let list = list.map(|(pattern, members)| (pattern.clone(), *members));
            (*origin, theirs.version, list.collect())
        })
    }

    /// Origins whose lists are known.
    pub fn origins(&self) -> Vec<u64> {
        self.others.keys().copied().collect()
    }

    #[cfg(test)]
    pub fn others_bytes(&self) -> usize {
        self.others_bytes
    }

    fn changed(&mut self, mut concerned: BTreeSet<Bytes>, origin: u64) -> List {
        let list = self.others.get(&origin).map(|theirs| &theirs.list);
        concerned.extend(list.into_iter().flat_map(BTreeMap::keys).cloned());
        let mut changed = vec![];
        for pattern in concerned {
            let members = list.and_then(|list| list.get(&pattern)).copied();
            let pool = self.elsewhere.entry(pattern.clone()).or_default();
            let before = pool.total;
            pool.set(origin, members.unwrap_or(0));
            let total = pool.total;
            if total == 0 {
                self.elsewhere.remove(&pattern);
            }
            if before != total {
                changed.push((pattern, total));
            }
        }
        changed
    }
}

impl Elsewhere {
    /// So many members has an origin.
    fn set(&mut self, origin: u64, members: u32) {
        match (self.each.binary_search_by_key(&origin, |it| it.0), members) {
            (Ok(at), 0) => _ = self.each.remove(at),
            (Ok(at), _) => self.each[at].1 = members,
            (Err(_), 0) => {}
            (Err(at), _) => self.each.insert(at, (origin, members)),
        }
        let counts = self.each.iter().map(|(_, members)| *members);
        self.total = counts.fold(0, u32::saturating_add);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    proptest! {
        #[test]
        fn members_elsewhere_are_the_sum_of_all_lists(
            steps in prop::collection::vec(
                (0..3u64, prop::option::of(prop::collection::btree_map(0..4u8, 0..3u32, 0..4))),
                0..30,
            ),
        ) {
            let name = |pool: u8| Bytes::from(vec![pool]);
            let mut pools = SitePools::default();
            let (mut lists, mut told) = (BTreeMap::new(), BTreeMap::new());
            for (version, (origin, list)) in (1..).zip(steps) {
                let changed = match &list {
                    Some(list) => {
                        let list = list.iter().map(|(pool, count)| (name(*pool), *count));
                        pools.take(origin, version, (0, 1), list.collect())
                    }
                    None => pools.forget(origin),
                };
                told.extend(changed);
                lists.insert(origin, list.unwrap_or_default());
                for pool in 0..4 {
                    let counts = lists.values().filter_map(|list| list.get(&pool));
                    let sum: u32 = counts.sum();
                    prop_assert_eq!(told.get(&name(pool)).copied().unwrap_or(0), sum);
                    prop_assert_eq!(pools.has_members_away(&name(pool)), sum > 0);
                    let chosen = pools.choose(&name(pool));
                    let has_one = |origin| lists[&origin].get(&pool).is_some_and(|it| *it > 0);
                    prop_assert_eq!(chosen.is_some_and(has_one), sum > 0);
                }
            }
        }
    }

    #[test]
    fn members_of_all_others_are_added_up_and_changes_are_told() {
        let mut pools = SitePools::default();
        let list = |members| vec![(pattern("a"), members)];
        assert_eq!(pools.take(1, 1, (0, 1), list(2)), [(pattern("a"), 2)]);
        assert_eq!(pools.take(2, 1, (0, 1), list(3)), [(pattern("a"), 5)]);
        assert_eq!(pools.take(2, 1, (0, 1), list(9)), [], "known already");
        assert_eq!(pools.take(2, 2, (0, 2), list(3)), [], "half of it");
        let more = vec![(pattern("b"), 1)];
        assert_eq!(pools.take(2, 2, (1, 2), more), [(pattern("b"), 1)]);
        assert!(pools.is_behind(2, 3) && !pools.is_behind(2, 2));
        assert_eq!(pools.forget(2), [(pattern("a"), 2), (pattern("b"), 0)]);
        assert_eq!(pools.take(1, 2, (0, 1), vec![]), [(pattern("a"), 0)]);
        assert!(pools.elsewhere.is_empty());
    }

    #[test]
    fn members_elsewhere_have_their_turn_whosever_they_are() {
        let mut pools = SitePools::default();
        assert_eq!(pools.choose(&pattern("a")), None);
        for (origin, members) in [(2, 2), (1, 1), (3, 0)] {
            pools.take(origin, 1, (0, 1), vec![(pattern("a"), members)]);
        }
        let mut turns: Vec<_> = (0..6).map(|_| pools.choose(&pattern("a"))).collect();
        turns.sort_unstable();
        let [one, other] = [1, 2].map(Some);
        assert_eq!(turns, [one, one, other, other, other, other]);
        pools.forget(2);
        assert_eq!(pools.choose(&pattern("a")), one);
        pools.take(4, 1, (0, 1), vec![(pattern("a"), u32::MAX)]);
        pools.take(5, 1, (0, 1), vec![(pattern("a"), u32::MAX)]);
        assert!((0..9).all(|_| pools.choose(&pattern("a")).is_some()));
    }

    #[test]
    fn a_list_is_sent_soon_after_it_has_changed_and_not_too_often() {
        let mut pools = SitePools::default();
        assert!(pools.set_own(LIST_NS, &pattern("a"), 1));
        assert_eq!(pools.parts(LIST_NS), [vec![(pattern("a"), 1)]]);
        assert!(pools.set_own(LIST_NS + 1, &pattern("a"), 2));
        assert!(pools.set_own(LIST_NS + 2, &pattern("a"), 0));
        assert!(pools.set_own(LIST_NS + 2, &pattern("a"), 0));
        assert!(pools.parts(LIST_NS + 2).is_empty());
        assert_eq!(pools.parts(2 * LIST_NS), [vec![]]);
        assert!(pools.parts(9 * LIST_NS).is_empty());
        assert_eq!(pools.version(), 3);
    }

    #[test]
    fn long_lists_come_in_parts_and_are_bounded() {
        let mut pools = SitePools::default();
        for number in 0..POOLS_MAX {
            let pattern = Bytes::from(format!("{number:0200}"));
            assert!(pools.set_own(0, &pattern, 1));
        }
        assert!(!pools.set_own(0, &pattern("x"), 1));
        let parts = pools.parts(LIST_NS);
        assert_eq!(parts.len(), 4);
        assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), POOLS_MAX);
    }
}
