//! Who was cut, or was told that the server has no room now, comes again: later each time, and not
//! all at once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use ahash::RandomState;

use super::SECOND_NS;

/// How long a session waits after its first failure; twice as long after each further one.
const FIRST_NS: u64 = SECOND_NS / 10;
/// It waits no longer than this.
const LONGEST_NS: u64 = 8 * SECOND_NS;

/// How often sessions had to come again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Again {
    /// They were told that the server can't now: `NO [UNAVAILABLE]` or `BYE [UNAVAILABLE]`.
    pub unavailable: usize,
    /// They were cut, or refused otherwise.
    pub cut: usize,
    /// In what words, and how often.
    pub reasons: BTreeMap<String, usize>,
}

impl Again {
    /// A session failed.
    pub fn count(&mut self, why: String) {
        match is_unavailable(&why) {
            true => self.unavailable += 1,
            false => self.cut += 1,
        }
        *self.reasons.entry(why).or_insert(0) += 1;
    }

    /// The same, counted with others.
    pub fn add(&mut self, other: Self) {
        self.unavailable += other.unavailable;
        self.cut += other.cut;
        for (why, count) in other.reasons {
            *self.reasons.entry(why).or_insert(0) += count;
        }
    }
}

/// Whether a server's last word was that it can't now (RFC 5530 §3).
pub(super) fn is_unavailable(why: &str) -> bool {
    let mut words = why.split(' ');
    let answer = words.find(|word| ["NO", "BYE"].iter().any(|it| word.eq_ignore_ascii_case(it)));
    let code = answer.and_then(|_| words.next());
    code.is_some_and(|code| code.eq_ignore_ascii_case("[UNAVAILABLE]"))
}

/// Sessions that failed and are not back.
pub(super) struct Returning {
    /// How often each has failed since it was there.
    failures: HashMap<usize, u32, RandomState>,
    /// Those that wait, by the time at which they come.
    waiting: BinaryHeap<Reverse<(u64, usize)>>,
    hasher: RandomState,
}

impl Returning {
    /// Nobody; the seed tells how they are spread.
    pub fn new(seed: u64) -> Self {
        let hasher = RandomState::with_seeds(seed, 1, 2, 3);
        Self {
            failures: HashMap::default(),
            waiting: BinaryHeap::new(),
            hasher,
        }
    }

    /// A session failed; it waits.
    pub fn failed(&mut self, number: usize, now_ns: u64) {
        let failures = self.failures.entry(number).or_insert(0);
        let whole = (FIRST_NS << (*failures).min(16)).min(LONGEST_NS);
        *failures += 1;
        // From half of it on: who failed together does not come together.
        let spread = self.hasher.hash_one((number, *failures)) % (whole / 2);
        let at = now_ns + whole / 2 + spread;
        self.waiting.push(Reverse((at, number)));
    }

    /// A session is there.
    pub fn is_back(&mut self, number: usize) {
        self.failures.remove(&number);
    }

    /// A session whose time has come.
    pub fn next(&mut self, now_ns: u64) -> Option<usize> {
        let is_due = self.next_ns().is_some_and(|at| at <= now_ns);
        let next = is_due.then(|| self.waiting.pop()).flatten();
        next.map(|Reverse((_, number))| number)
    }

    /// When the next one comes.
    pub fn next_ns(&self) -> Option<u64> {
        self.waiting.peek().map(|Reverse((at, _))| *at)
    }

    /// How many failed and are not back.
    pub fn len(&self) -> usize {
        self.failures.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_wait_longer_each_time_and_are_spread() {
        let mut returning = Returning::new(7);
        let mut now_ns = 5 * SECOND_NS;
        let mut waits = Vec::new();
        for _ in 0..12 {
            returning.failed(3, now_ns);
            let at = returning.next_ns().expect("it waits");
            assert_eq!(returning.next(at - 1), None);
            assert_eq!(returning.next(at), Some(3));
            waits.push(at - now_ns);
            now_ns = at;
        }
        for (number, wait) in waits.iter().enumerate() {
            let whole = (FIRST_NS << number).min(LONGEST_NS);
            assert!((whole / 2..whole).contains(wait), "{number}: {wait}");
        }
        assert_eq!(returning.len(), 1);
        returning.is_back(3);
        assert_eq!(returning.len(), 0);
        (0..100).for_each(|number| returning.failed(number, 0));
        assert_eq!((returning.len(), returning.next(0)), (100, None));
        let half = FIRST_NS * 3 / 4;
        let early = (0..100).filter(|_| returning.next(half).is_some()).count();
        assert!((25..75).contains(&early), "{early} of 100");
    }

    #[test]
    fn what_says_that_the_server_can_not_now() {
        let mut again = Again::default();
        for why in [
            "a NO [UNAVAILABLE] too many logins are waiting, try again later",
            "b no [Unavailable] try again",
            "BYE [UNAVAILABLE] the server stops",
            "a NO [AUTHENTICATIONFAILED] wrong",
            "a NO is [UNAVAILABLE] by its name",
            "the server closed the connection",
            "BYE too many [UNAVAILABLE]",
        ] {
            again.count(why.into());
        }
        assert_eq!((again.unavailable, again.cut), (3, 4));
        let mut all = again.clone();
        all.add(again);
        assert_eq!((all.unavailable, all.cut, all.reasons.len()), (6, 8, 7));
        assert!(all.reasons.values().all(|count| *count == 2));
    }
}
