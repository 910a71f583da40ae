//! Pools that have members on several hosts. Each broker tells the others which pools it has, and
//! how many members of each; who publishes decides whether a member of its own or one of the
//! others' gets an event. The bus gives it to one of those.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ahash::RandomState;
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Pools that a broker offers the site; further ones have members on their own host only.
const POOLS_MAX: usize = 1024;
/// Bytes of patterns in one message.
const PART_BYTES: usize = 64 * 1024;
/// Bytes of patterns of all others together, and what keeping one costs besides, about: pools
/// beyond that have no members elsewhere, as far as this broker knows.
const OTHERS_BYTES_MAX: usize = 32 << 20;
const EACH_BYTES: usize = 128;
/// Of so many pools and senders it is known which number was heard last.
const HEARD_MAX: usize = 65_536;
/// A list is not sent more often.
const LIST_NS: u64 = 50_000_000;

/// Numbers of a sender's events for a pool of which it is known whether they were heard.
const NUMBERS: u64 = 512;

/// What a pool is called on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolId(pub u128);

impl PoolId {
    /// Of its pattern, written down.
    pub fn of(pattern: &[u8]) -> Self {
        let hash = Sha256::digest(pattern);
        let (half, _) = hash.split_first_chunk().expect("it has 32 bytes");
        Self(u128::from_be_bytes(*half))
    }
}

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
    totals: BTreeMap<Bytes, u32>,
    /// Bytes of their lists, complete or not.
    others_bytes: usize,
    /// The last number that was sent to any pool, and heard of each from each sender.
    sent: u64,
    heard: HashMap<(u64, PoolId), Numbers, RandomState>,
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

/// What changes with the number of a pool's members here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    /// It has members now, and had none.
    First,
    /// It has none any more.
    Last,
    /// It has, but the site is offered no more pools.
    TooMany,
}

impl SitePools {
    /// How many members a pool has here.
    pub fn set_own(&mut self, now_ns: u64, pattern: &Bytes, members: u32) -> Change {
        let change = match (self.own.contains_key(pattern), members) {
            (true, 0) => Change::Last,
            (false, 0) => return Change::Nothing,
            (false, _) if self.own.len() >= POOLS_MAX => return Change::TooMany,
            (false, _) => Change::First,
            (true, _) => Change::Nothing,
        };
        if members == 0 {
            self.own.remove(pattern);
        } else {
            self.own.insert(pattern.clone(), members);
        }
        self.version += 1;
        self.ask(now_ns);
        change
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

    /// The pools that have members here.
    pub fn own(&self) -> impl Iterator<Item = &Bytes> {
        self.own.keys()
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

    /// Forgets what was heard of origins that nobody knows any more.
    pub fn prune(&mut self, is_known: impl Fn(u64) -> bool) {
        self.heard.retain(|(sender, _), _| is_known(*sender));
    }

    /// Origins whose lists are known.
    pub fn origins(&self) -> Vec<u64> {
        self.others.keys().copied().collect()
    }

    #[cfg(test)]
    pub fn others_bytes(&self) -> usize {
        self.others_bytes
    }

    #[cfg(test)]
    pub fn heard_of(&self) -> usize {
        self.heard.len()
    }

    fn changed(&mut self, mut concerned: BTreeSet<Bytes>, origin: u64) -> List {
        if let Some(theirs) = self.others.get(&origin) {
            concerned.extend(theirs.list.keys().cloned());
        }
        let mut changed = vec![];
        for pattern in concerned {
            let lists = self.others.values().map(|theirs| &theirs.list);
            let counts = lists.filter_map(|list| list.get(&pattern));
            let total = counts.fold(0u32, |sum, count| sum.saturating_add(*count));
            let before = match total {
                0 => self.totals.remove(&pattern),
                total => self.totals.insert(pattern.clone(), total),
            };
            if before.unwrap_or(0) != total {
                changed.push((pattern, total));
            }
        }
        changed
    }

    /// The number of one more event for a pool: those of each grow.
    pub fn number(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// Whether an event of that number was heard before.
    pub fn note(&mut self, sender: u64, pool: PoolId, number: u64) -> Known {
        if self.heard.len() >= HEARD_MAX && !self.heard.contains_key(&(sender, pool)) {
            // Half of them, whichever: what comes twice is rare, and comes soon.
            let mut stays = false;
            self.heard.retain(|_, _| {
                stays = !stays;
                stays
            });
        }
        self.heard.entry((sender, pool)).or_default().note(number)
    }
}

/// Whether something was heard before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    New,
    Twice,
    /// It is so late that nobody knows.
    Unknown,
}

/// The last numbers that were heard. They need not come in order: a sender that changes its server
/// is heard by two ways for a moment, and a subscription that ends is read beside a new one.
#[derive(Default)]
struct Numbers {
    last: u64,
    /// Bit `n % NUMBERS` stands for number `n`, as far as that is not too old.
    heard: [u64; NUMBERS as usize / 64],
}

impl Numbers {
    fn note(&mut self, number: u64) -> Known {
        if number.saturating_add(NUMBERS) <= self.last {
            return Known::Unknown;
        }
        // What is passed over was not heard yet.
        for passed in (self.last.saturating_add(1)..=number)
            .rev()
            .take(NUMBERS as usize)
        {
            let (word, bit) = Self::place(passed);
            self.heard[word] &= !bit;
        }
        self.last = self.last.max(number);
        let (word, bit) = Self::place(number);
        let known = match self.heard[word] & bit {
            0 => Known::New,
            _ => Known::Twice,
        };
        self.heard[word] |= bit;
        known
    }

    fn place(number: u64) -> (usize, u64) {
        let at = number % NUMBERS;
        ((at / 64) as usize, 1 << (at % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
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
        assert!(pools.totals.is_empty());
    }

    #[test]
    fn a_list_is_sent_soon_after_it_has_changed_and_not_too_often() {
        let mut pools = SitePools::default();
        assert_eq!(pools.set_own(LIST_NS, &pattern("a"), 1), Change::First);
        assert_eq!(pools.parts(LIST_NS), [vec![(pattern("a"), 1)]]);
        assert_eq!(
            pools.set_own(LIST_NS + 1, &pattern("a"), 2),
            Change::Nothing
        );
        assert_eq!(pools.set_own(LIST_NS + 2, &pattern("a"), 0), Change::Last);
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
            assert_eq!(pools.set_own(0, &pattern, 1), Change::First);
        }
        assert_eq!(pools.set_own(0, &pattern("x"), 1), Change::TooMany);
        let parts = pools.parts(LIST_NS);
        assert_eq!(parts.len(), 4);
        assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), POOLS_MAX);
    }

    #[test]
    fn numbers_are_known_in_any_order_and_very_old_ones_are_not() {
        let mut pools = SitePools::default();
        let mut note = |number| pools.note(1, PoolId(7), number);
        for number in [3, 1, 2, 2000, 1999] {
            assert_eq!(note(number), Known::New, "{number}");
            assert_eq!(note(number), Known::Twice, "{number}");
        }
        assert_eq!(note(2000 - NUMBERS + 1), Known::New);
        assert_eq!(note(2000 - NUMBERS), Known::Unknown);
        assert_eq!(note(2000 + NUMBERS), Known::New);
        assert_eq!(note(2000), Known::Unknown);
    }
}
