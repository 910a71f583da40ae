//! Which subscriptions an event matches, without looking at all of them.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;

use crate::event_ref::{EventRef, Pattern};

/// Subscriptions by their keys. `T` says whose a subscription is.
pub struct Matcher<T> {
    exact: Table<T>,
    deep: Table<T>,
    len: usize,
}

type Table<T> = HashMap<Arc<str>, Vec<Entry<T>>, RandomState>;

struct Entry<T> {
    /// None if it asks for no parameters, as most do.
    params: Option<Box<Pattern>>,
    whose: T,
}

impl<T> Default for Matcher<T> {
    fn default() -> Self {
        // Fixed keys would let a client make all its keys collide.
        let table = || HashMap::with_hasher(RandomState::new());
        Self {
            exact: table(),
            deep: table(),
            len: 0,
        }
    }
}

impl<T: Copy + PartialEq> Matcher<T> {
    /// Adds a subscription.
    pub fn insert(&mut self, pattern: &Pattern, whose: T) {
        let table = if pattern.deep {
            &mut self.deep
        } else {
            &mut self.exact
        };
        let params = (!pattern.params.is_empty()).then(|| Box::new(pattern.clone()));
        let entries = table.entry(pattern.key.clone()).or_default();
        if entries.capacity() == 0 {
            // Most keys have one subscriber.
            entries.reserve_exact(1);
        }
        entries.push(Entry { params, whose });
        self.len += 1;
    }

    /// Removes a subscription that was inserted so. False if it wasn't.
    pub fn remove(&mut self, pattern: &Pattern, whose: T) -> bool {
        let table = if pattern.deep {
            &mut self.deep
        } else {
            &mut self.exact
        };
        let Some(entries) = table.get_mut(&*pattern.key) else {
            return false;
        };
        let same = |entry: &Entry<T>| {
            let params = entry.params.as_ref().map_or(&[][..], |have| &have.params);
            entry.whose == whose && *params == *pattern.params
        };
        let Some(at) = entries.iter().position(same) else {
            return false;
        };
        // In order, so that everyone is told in the order in which they came.
        entries.remove(at);
        self.len -= 1;
        if entries.is_empty() {
            table.remove(&*pattern.key);
            if table.len() * 8 < table.capacity() {
                table.shrink_to(table.len() * 2);
            }
        }
        true
    }

    /// Subscriptions there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends whose subscriptions an event matches; one with several may be there several times.
    pub fn matches(&self, event: &EventRef<'_>, out: &mut Vec<T>) {
        if self.len == 0 {
            return;
        }
        let key = event.key();
        let mut take = |entries: &Vec<Entry<T>>| {
            let fits = |entry: &&Entry<T>| match &entry.params {
                None => true,
                Some(pattern) => pattern.has_params(event),
            };
            out.extend(entries.iter().filter(fits).map(|entry| entry.whose));
        };
        if let Some(entries) = self.exact.get(&*key) {
            take(entries);
        }
        if !self.deep.is_empty() {
            for (at, _) in key.match_indices('/') {
                if let Some(entries) = self.deep.get(&key[..at]) {
                    take(entries);
                }
            }
        }
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
            for (number, pattern) in patterns.iter().enumerate() {
                matcher.insert(pattern, number);
            }
            let stays = |number: &usize| !removed[*number];
            for number in (0..patterns.len()).filter(|number| removed[*number]) {
                prop_assert!(matcher.remove(&patterns[number], number));
                prop_assert!(!matcher.remove(&patterns[number], number));
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
}
