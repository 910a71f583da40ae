//! What must be true of each subscriber: it heard each event once and in its publisher's order, or
//! was told exactly how many it missed. Knows no sockets.

use std::collections::{BTreeMap, BTreeSet};

/// An event: whose it is, and the how manyth of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// A publisher; one that connects again is another.
    pub publisher: u32,
    /// Counts its events, whatever their key.
    pub number: u64,
}

/// What was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// By which it is known.
    pub name: Name,
    /// Of what it is.
    pub key: usize,
    /// Its broker has said that it has it. Otherwise anything may have become of it.
    pub sure: bool,
}

/// What came to a subscriber.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Events, in order.
    pub events: Vec<(Name, usize)>,
    /// How many it was told that it missed.
    pub missed: u64,
    /// How often it was told that nobody knows how many.
    pub unknown: u64,
    /// Its connection has ended.
    pub over: bool,
}

/// What was counted of a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that came.
    pub heard: u64,
    /// Those that were told as missed.
    pub missed: u64,
    /// Those that were missed, and that was told without a number.
    pub unknown: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.heard += other.heard;
        self.missed += other.missed;
        self.unknown += other.unknown;
    }
}

/// A subscriber, over all rounds.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// For people.
    pub name: String,
    /// The keys that it has subscribed to; all, if there are none.
    pub keys: Option<BTreeSet<usize>>,
    /// The last number of each publisher.
    last: BTreeMap<u32, u64>,
}

impl Subscriber {
    /// One that has heard nothing yet.
    pub fn new(name: &str, keys: Option<BTreeSet<usize>>) -> Self {
        Self {
            name: name.into(),
            keys,
            last: BTreeMap::new(),
        }
    }

    fn wants(&self, key: usize) -> bool {
        self.keys.as_ref().is_none_or(|keys| keys.contains(&key))
    }

    /// Passes over a round of which it has heard a part.
    pub fn pass(&mut self, heard: &Heard) {
        for (name, _) in &heard.events {
            self.last.insert(name.publisher, name.number);
        }
    }

    /// Judges a round; gives what was wrong. All that was published in it has come or won't.
    pub fn judge(&mut self, published: &[Published], heard: &Heard) -> (Counts, Vec<String>) {
        let mut faults = vec![];
        let wanted = published.iter().filter(|one| self.wants(one.key));
        let mut missing: BTreeMap<Name, bool> = wanted.map(|one| (one.name, one.sure)).collect();
        for (name, key) in &heard.events {
            let last = self.last.entry(name.publisher).or_default();
            match name.number.cmp(last) {
                std::cmp::Ordering::Equal => faults.push(format!("{name:?} came twice")),
                std::cmp::Ordering::Less => {
                    faults.push(format!("{name:?} of {key} came after {last}"));
                }
                std::cmp::Ordering::Greater => *last = name.number,
            }
            if missing.remove(name).is_none() {
                faults.push(format!("{name:?} of {key} came, which was not to"));
            }
        }
        let sure = missing.values().filter(|sure| **sure).count() as u64;
        let most = missing.len() as u64;
        let mut counts = Counts {
            heard: heard.events.len() as u64,
            ..Counts::default()
        };
        if heard.unknown > 0 {
            counts.unknown = sure;
        } else {
            counts.missed = sure;
            if !(sure..=most).contains(&heard.missed) {
                let first: Vec<_> = missing.iter().filter(|it| *it.1).take(3).collect();
                let told = heard.missed;
                faults.push(format!(
                    "{sure} to {most} are missing, {told} were told as missed; such as {first:?}"
                ));
            }
        }
        let name = &self.name;
        let faults = faults.into_iter().take(5);
        (
            counts,
            faults.map(|fault| format!("{name}: {fault}")).collect(),
        )
    }
}

/// What must be true of a pool: no event reaches two members, and of one that reaches none somebody
/// is told.
#[derive(Debug, Default)]
pub struct Pool {
    given: BTreeSet<Name>,
}

/// What was counted of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// Events that a member has got.
    pub given: u64,
    /// Those that none has.
    pub lost: u64,
}

impl std::ops::AddAssign for PoolCounts {
    fn add_assign(&mut self, other: Self) {
        self.given += other.given;
        self.lost += other.lost;
    }
}

impl Pool {
    /// Judges a round, of which is known what each member has heard. Events of which the publisher
    /// doesn't know whether its broker has them don't count.
    pub fn judge(
        &mut self,
        published: &[Published],
        heard: &[(String, Heard)],
    ) -> (PoolCounts, Vec<String>) {
        let mut faults = vec![];
        let before = self.given.len();
        for (member, heard) in heard {
            for (name, _) in &heard.events {
                if !self.given.insert(*name) {
                    faults.push(format!("{member}: {name:?} of the pool came twice"));
                }
            }
        }
        let is_missing = |one: &&Published| one.sure && !self.given.contains(&one.name);
        let missing: Vec<Name> = published
            .iter()
            .filter(is_missing)
            .map(|it| it.name)
            .collect();
        let told = heard.iter().any(|(_, it)| it.unknown + it.missed > 0);
        if !missing.is_empty() && !told {
            let (count, first) = (missing.len(), &missing[..missing.len().min(3)]);
            faults.push(format!(
                "no member has {count} events of the pool, and none was told; such as {first:?}"
            ));
        }
        let counts = PoolCounts {
            given: (self.given.len() - before) as u64,
            lost: missing.len() as u64,
        };
        faults.truncate(5);
        (counts, faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u64) -> Name {
        Name {
            publisher: 1,
            number,
        }
    }

    fn published(numbers: std::ops::RangeInclusive<u64>) -> Vec<Published> {
        let one = |number| Published {
            name: name(number),
            key: (number % 2) as usize,
            sure: true,
        };
        numbers.map(one).collect()
    }

    fn heard(numbers: &[u64], missed: u64, unknown: u64) -> Heard {
        let events = numbers.iter().map(|it| (name(*it), (it % 2) as usize));
        Heard {
            events: events.collect(),
            missed,
            unknown,
            over: false,
        }
    }

    #[test]
    fn what_is_missing_is_to_be_told_exactly() {
        let judge = |heard: &Heard| {
            let mut all = Subscriber::new("all", None);
            all.judge(&published(1..=5), heard).1.len()
        };
        assert_eq!(judge(&heard(&[1, 2, 3, 4, 5], 0, 0)), 0);
        assert_eq!(judge(&heard(&[1, 2, 5], 2, 0)), 0);
        assert_eq!(judge(&heard(&[1, 2, 5], 1, 0)), 1, "too few");
        assert_eq!(judge(&heard(&[1, 2, 5], 3, 0)), 1, "too many");
        assert_eq!(judge(&heard(&[1], 0, 1)), 0, "nobody knows");
        assert_eq!(judge(&heard(&[1, 2, 3, 4, 5], 1, 0)), 1, "none is missing");
        assert_eq!(judge(&heard(&[1, 2, 2, 3, 4, 5], 0, 0)), 2, "twice");
        assert_eq!(judge(&heard(&[2, 1, 3, 4, 5], 0, 0)), 1, "out of order");
        assert_eq!(judge(&heard(&[1, 2, 3, 4, 5, 6], 0, 0)), 1, "of nobody");
    }

    #[test]
    fn who_wants_some_keys_misses_only_those_and_order_holds_over_rounds() {
        let mut odd = Subscriber::new("odd", Some([1].into()));
        let (counts, faults) = odd.judge(&published(1..=5), &heard(&[1, 5], 1, 0));
        assert_eq!((counts.heard, counts.missed, faults.len()), (2, 1, 0));
        let (_, faults) = odd.judge(&published(6..=9), &heard(&[5, 7, 9], 0, 0));
        assert_eq!(faults.len(), 2, "{faults:?}");
    }

    #[test]
    fn what_the_broker_may_not_have_may_be_missing() {
        let mut all = Subscriber::new("all", None);
        let mut events = published(1..=5);
        events[4].sure = false;
        for told in [0, 1] {
            let (_, faults) = all.clone().judge(&events, &heard(&[1, 2, 3, 4], told, 0));
            assert!(faults.is_empty(), "{faults:?}");
        }
        assert_eq!(all.judge(&events, &heard(&[1, 2, 3], 0, 0)).1.len(), 1);
    }

    #[test]
    fn an_event_of_a_pool_reaches_one_member_or_somebody_is_told() {
        let judge = |one: Heard, other: Heard| {
            let mut pool = Pool::default();
            let heard = [("one".to_owned(), one), ("other".to_owned(), other)];
            pool.judge(&published(1..=4), &heard).1.len()
        };
        assert_eq!(judge(heard(&[1, 3], 0, 0), heard(&[4, 2], 0, 0)), 0);
        assert_eq!(judge(heard(&[1, 3], 0, 0), heard(&[4], 0, 0)), 1, "lost");
        assert_eq!(judge(heard(&[1, 3], 0, 0), heard(&[4], 0, 1)), 0, "told");
        assert_eq!(
            judge(heard(&[1, 3], 0, 0), heard(&[4, 2, 3], 0, 0)),
            1,
            "twice"
        );
    }
}
