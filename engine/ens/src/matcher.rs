//! Which subscriptions an event matches, without looking at all of them.
//!
//! Subscriptions of one key that ask for parameters are filed under one of them, the one that the
//! fewest others are filed under. So an event is compared only with those that are filed under a
//! parameter that it has. Parameters are numbers here: comparing one is a look into a table.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashMap;
use slab::Slab;

use crate::event_ref::{EventRef, Pattern};
use crate::tables::Tables;

/// Lists with room for more than this shrink when most of it is empty.
const KEPT: usize = 64;

/// Subscriptions by their keys. `T` says whose a subscription is.
pub struct Matcher<T> {
    random: RandomState,
    /// Numbers of `nodes`, by the hash of their key.
    exact: Tables,
    deep: Tables,
    nodes: Slab<Node>,
    entries: Slab<Entry<T>>,
    params: Params,
}

/// Names a subscription of a matcher until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryId(u32);

/// The subscriptions of one key.
struct Node {
    key: Arc<str>,
    deep: bool,
    /// Entries that ask for no parameters, as most do.
    plain: Vec<u32>,
    /// Entries by the parameter under which they are filed.
    filed: HashMap<u32, Vec<u32>, RandomState>,
}

struct Entry<T> {
    whose: T,
    node: u32,
    /// The numbers of its parameters; the first is the one under which it is filed.
    params: Box<[u32]>,
    /// Where in its list it stands.
    at: u32,
}

/// Parameters that subscriptions ask for, and their numbers.
struct Params {
    numbers: Tables,
    all: Slab<Param>,
    /// The event that had a parameter last, by the parameter's number.
    seen: Vec<u64>,
    event: u64,
}

struct Param {
    name: Box<str>,
    value: Box<str>,
    /// Entries that ask for it.
    count: u32,
}

impl<T> Default for Matcher<T> {
    fn default() -> Self {
        Self {
            // Fixed keys would let a client make all its keys collide.
            random: RandomState::new(),
            exact: Tables::default(),
            deep: Tables::default(),
            nodes: Slab::new(),
            entries: Slab::new(),
            params: Params {
                numbers: Tables::default(),
                all: Slab::new(),
                seen: Vec::new(),
                event: 0,
            },
        }
    }
}

impl Params {
    fn hash(random: &RandomState, name: &str, value: &str) -> u64 {
        let mut hasher = random.build_hasher();
        hasher.write(name.as_bytes());
        // No text has this byte.
        hasher.write_u8(0xFF);
        hasher.write(value.as_bytes());
        hasher.finish()
    }

    fn find(&self, random: &RandomState, name: &str, value: &str) -> Option<u32> {
        let is_it = |number: &u32| {
            let have = &self.all[*number as usize];
            *have.name == *name && *have.value == *value
        };
        let hash = Self::hash(random, name, value);
        self.numbers.find(hash, is_it)
    }

    /// The number of a parameter for which one more entry asks.
    fn take(&mut self, random: &RandomState, name: &str, value: &str) -> u32 {
        if let Some(number) = self.find(random, name, value) {
            self.all[number as usize].count += 1;
            return number;
        }
        let (name, value) = (name.into(), value.into());
        let count = 1;
        let number = self.all.insert(Param { name, value, count }) as u32;
        if self.seen.len() <= number as usize {
            self.seen.resize(number as usize + 1, 0);
        }
        // The number may have been another parameter's.
        self.seen[number as usize] = 0;
        let all = &self.all;
        let rehash = |number: &u32| {
            let param = &all[*number as usize];
            Self::hash(random, &param.name, &param.value)
        };
        self.numbers.insert(rehash(&number), number, rehash);
        number
    }

    fn give_back(&mut self, random: &RandomState, number: u32) {
        let param = &mut self.all[number as usize];
        param.count -= 1;
        if param.count > 0 {
            return;
        }
        let param = self.all.remove(number as usize);
        let hash = Self::hash(random, &param.name, &param.value);
        let all = &self.all;
        self.numbers.remove(hash, number, |number| {
            let param = &all[*number as usize];
            Self::hash(random, &param.name, &param.value)
        });
    }

    /// Marks the parameters of an event, and appends the numbers of those that anybody asks for.
    fn mark(&mut self, random: &RandomState, event: &EventRef<'_>, out: &mut Vec<u32>) {
        self.event += 1;
        if self.all.is_empty() {
            return;
        }
        for (name, value) in event.params() {
            if let Some(number) = self.find(random, &name, &value)
                && self.seen[number as usize] != self.event
            {
                self.seen[number as usize] = self.event;
                out.push(number);
            }
        }
    }

    fn has_all(&self, numbers: &[u32]) -> bool {
        let has = |number: &u32| self.seen[*number as usize] == self.event;
        numbers.iter().all(has)
    }
}

impl Node {
    fn list(&mut self, entry: &[u32]) -> &mut Vec<u32> {
        match entry.first() {
            None => &mut self.plain,
            Some(param) => self.filed.entry(*param).or_default(),
        }
    }
}

impl<T: Copy> Matcher<T> {
    /// Adds a subscription.
    pub fn insert(&mut self, pattern: &Pattern, whose: T) -> EntryId {
        let node = self.node(&pattern.key, pattern.deep);
        let mut params: Vec<u32> = pattern
            .params
            .iter()
            .map(|(name, value)| self.params.take(&self.random, name, value))
            .collect();
        let filed = &self.nodes[node as usize].filed;
        let crowd = |param: &u32| filed.get(param).map_or(0, Vec::len);
        // The parameter that selects most is asked first.
        if let Some(best) = (0..params.len()).min_by_key(|at| crowd(&params[*at])) {
            params.swap(0, best);
        }
        let list = self.nodes[node as usize].list(&params);
        if list.capacity() == 0 {
            // Most keys have one subscriber.
            list.reserve_exact(1);
        }
        let entry = Entry {
            whose,
            node,
            params: params.into(),
            at: list.len() as u32,
        };
        let number = self.entries.insert(entry) as u32;
        list.push(number);
        EntryId(number)
    }

    /// The node of a key, which is made if there is none.
    fn node(&mut self, key: &Arc<str>, deep: bool) -> u32 {
        let hash = self.hash(deep, key);
        let (nodes, random) = (&mut self.nodes, &self.random);
        let table = if deep {
            &mut self.deep
        } else {
            &mut self.exact
        };
        if let Some(node) = table.find(hash, |node| nodes[*node as usize].key == *key) {
            return node;
        }
        let node = nodes.insert(Node {
            key: key.clone(),
            deep,
            plain: Vec::new(),
            filed: HashMap::with_hasher(random.clone()),
        }) as u32;
        let rehash = |node: &u32| hash_of(random, deep, &nodes[*node as usize].key);
        table.insert(hash, node, rehash);
        node
    }

    fn hash(&self, deep: bool, key: &str) -> u64 {
        hash_of(&self.random, deep, key)
    }

    /// Removes a subscription. Its id may be another's after that.
    pub fn remove(&mut self, id: EntryId) {
        let Entry {
            node, params, at, ..
        } = self.entries.remove(id.0 as usize);
        let list = self.nodes[node as usize].list(&params);
        list.swap_remove(at as usize);
        if let Some(moved) = list.get(at as usize) {
            self.entries[*moved as usize].at = at;
        }
        let is_empty = list.is_empty();
        if list.capacity() > KEPT && list.len() * 8 < list.capacity() {
            list.shrink_to(list.len() * 2);
        }
        for param in &params {
            self.params.give_back(&self.random, *param);
        }
        if !is_empty {
            return;
        }
        let of = &mut self.nodes[node as usize];
        if let Some(param) = params.first() {
            of.filed.remove(param);
            if of.filed.capacity() > KEPT && of.filed.len() * 8 < of.filed.capacity() {
                of.filed.shrink_to(of.filed.len() * 2);
            }
        }
        if of.plain.is_empty() && of.filed.is_empty() {
            self.remove_node(node);
        }
    }

    fn remove_node(&mut self, number: u32) {
        let node = self.nodes.remove(number as usize);
        let hash = self.hash(node.deep, &node.key);
        let table = if node.deep {
            &mut self.deep
        } else {
            &mut self.exact
        };
        let (nodes, random) = (&self.nodes, &self.random);
        table.remove(hash, number, |at| {
            hash_of(random, node.deep, &nodes[*at as usize].key)
        });
    }

    /// Subscriptions there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Appends whose subscriptions an event matches; one with several may be there several times.
    /// Gives how many subscriptions were looked at.
    pub fn matches(&mut self, event: &EventRef<'_>, out: &mut Vec<T>) -> usize {
        if self.is_empty() {
            return 0;
        }
        let mut marked = Vec::new();
        self.params.mark(&self.random, event, &mut marked);
        let key = event.key();
        let mut looked = 0;
        if !self.exact.is_empty() {
            let hash = self.hash(false, &key);
            let is_it = |node: &u32| *self.nodes[*node as usize].key == *key;
            if let Some(node) = self.exact.find(hash, is_it) {
                looked += self.take(node, &marked, out);
            }
        }
        if !self.deep.is_empty() {
            let mut rolling = Rolling::new(&self.random);
            for (at, byte) in key.bytes().enumerate() {
                if byte == b'/' {
                    let is_it = |node: &u32| *self.nodes[*node as usize].key == key[..at];
                    if let Some(node) = self.deep.find(rolling.hash, is_it) {
                        looked += self.take(node, &marked, out);
                    }
                }
                rolling.add(byte);
            }
        }
        looked
    }

    /// Appends who of a node's subscribers asks for no other parameters than the marked ones.
    fn take(&self, node: u32, marked: &[u32], out: &mut Vec<T>) -> usize {
        let node = &self.nodes[node as usize];
        let whose = |entry: &u32| self.entries[*entry as usize].whose;
        out.extend(node.plain.iter().map(whose));
        let mut looked = node.plain.len();
        let mut compare = |list: &Vec<u32>| {
            looked += list.len();
            let entries = list.iter().map(|entry| &self.entries[*entry as usize]);
            let fits = |entry: &&Entry<T>| self.params.has_all(&entry.params);
            out.extend(entries.filter(fits).map(|entry| entry.whose));
        };
        // Whichever are fewer: the event's parameters, or those that are asked for.
        if marked.len() <= node.filed.len() {
            let lists = marked.iter().filter_map(|param| node.filed.get(param));
            lists.for_each(&mut compare);
        } else {
            let has = |(param, _): &(&u32, &Vec<u32>)| self.params.has_all(&[**param]);
            node.filed
                .iter()
                .filter(has)
                .for_each(|(_, list)| compare(list));
        }
        looked
    }
}

fn hash_of(random: &RandomState, deep: bool, key: &str) -> u64 {
    if !deep {
        return random.hash_one(key);
    }
    let mut rolling = Rolling::new(random);
    key.bytes().for_each(|byte| rolling.add(byte));
    rolling.hash
}

/// A hash of each beginning of a text in one pass: a key of very many parts costs no more than its
/// length. Seeded by chance, as all tables that clients fill.
struct Rolling {
    hash: u64,
    factor: u64,
}

impl Rolling {
    fn new(random: &RandomState) -> Self {
        Self {
            hash: random.hash_one(1u8),
            factor: random.hash_one(2u8) | 1,
        }
    }

    fn add(&mut self, byte: u8) {
        let product = u128::from(self.hash ^ u64::from(byte)) * u128::from(self.factor);
        self.hash = (product as u64) ^ (product >> 64) as u64;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = String> {
        prop::collection::vec("[ab]{0,2}", 0..4)
            .prop_map(|parts| format!("enp://{}", parts.join("/")))
    }

    fn params() -> impl Strategy<Value = Vec<(String, String)>> {
        prop::collection::vec(("[xy]", "[01]"), 0..4)
    }

    fn text(key: &str, params: &[(String, String)]) -> String {
        let mut builder = crate::event_ref::ReferenceBuilder::new(key);
        for (name, value) in params {
            builder.param(name, value);
        }
        builder.finish()
    }

    proptest! {
        #[test]
        fn it_finds_what_a_naive_matcher_finds(
            patterns in prop::collection::vec((key(), any::<bool>(), params()), 0..20),
            removed in prop::collection::vec(any::<bool>(), 20),
            events in prop::collection::vec((key(), params()), 1..10),
        ) {
            let patterns: Vec<Pattern> = patterns
                .iter()
                .map(|(key, deep, params)| {
                    let key = if *deep { format!("{key}/*") } else { key.clone() };
                    Pattern::parse(&text(&key, params)).expect("written well")
                })
                .collect();
            let mut matcher = Matcher::default();
            let insert = |(number, pattern)| matcher.insert(pattern, number);
            let ids: Vec<EntryId> = patterns.iter().enumerate().map(insert).collect();
            let stays = |number: &usize| !removed[*number];
            for number in (0..patterns.len()).filter(|number| removed[*number]) {
                matcher.remove(ids[number]);
            }
            prop_assert_eq!(matcher.len(), (0..patterns.len()).filter(stays).count());
            for (key, params) in events {
                let text = text(&key, &params);
                let event = EventRef::parse(&text).expect("written well");
                let mut found = Vec::new();
                matcher.matches(&event, &mut found);
                found.sort_unstable();
                let naive: Vec<usize> = (0..patterns.len())
                    .filter(stays)
                    .filter(|number| patterns[*number].matches(&event))
                    .collect();
                prop_assert_eq!(found, naive, "{}", text);
            }
        }
    }

    const KEY: &str = "enp://h/store";
    const MANY: usize = 100_000;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).expect("a pattern")
    }

    #[test]
    fn an_event_is_compared_with_few_of_many_subscriptions_of_one_key() {
        let mut matcher = Matcher::default();
        for user in 0..MANY {
            let text = format!("{KEY}?evtType=NewMsg&mailboxName=user{user}");
            matcher.insert(&pattern(&text), user);
        }
        let mut looked = |text: &str| {
            let mut found = Vec::new();
            let event = EventRef::parse(text).expect("a reference");
            let looked = matcher.matches(&event, &mut found);
            (looked, found)
        };
        let one = format!("{KEY}?evtType=NewMsg&x=1&mailboxName=user77");
        let (count, found) = looked(&one);
        assert_eq!(found, [77]);
        // Those filed under the type, before there were others to file under, are few.
        assert!(count <= 4, "{count} were looked at");
        let params: Vec<String> = (0..1000).map(|n| format!("p{n}=v")).collect();
        let (count, found) = looked(&format!("{KEY}?{}", params.join("&")));
        assert_eq!((count, found), (0, vec![]));
    }

    #[test]
    fn nothing_is_left_when_all_have_left() {
        let mut matcher = Matcher::default();
        let texts = |n: usize| format!("{KEY}{}?a={}&b={n}", n % 7, n % 3);
        let ids: Vec<EntryId> = (0..1000)
            .map(|n| matcher.insert(&pattern(&texts(n)), n))
            .collect();
        ids.into_iter().for_each(|id| matcher.remove(id));
        assert!(matcher.is_empty() && matcher.nodes.is_empty() && matcher.params.all.is_empty());
        assert!(matcher.exact.is_empty() && matcher.params.numbers.is_empty());
    }
}
