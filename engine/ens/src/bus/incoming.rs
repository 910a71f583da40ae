//! What other origins have published, as far as it is wanted here: each event once, in order, or
//! told as missed.

use std::collections::{HashMap, VecDeque};

use ahash::RandomState;

use super::bucket::BUCKETS;
use super::interest::Wanted;
use super::mutant::{Mutant, planted};
use super::wire::{Crossing, Header};

/// The bits of an origin's number that are its own; those above are its family's.
pub const FAMILY_SHIFT: u32 = 16;
const SECOND_NS: u64 = 1_000_000_000;
/// A digest may overtake what it counts by so much.
const LATE_NS: u64 = SECOND_NS / 2;
/// A bucket that is wanted for no longer begins, for each origin, with what is heard first.
const FRESH_NS: u64 = 3 * SECOND_NS;
/// An origin that says nothing for so long may have said something that nobody heard.
const SILENT_NS: u64 = 10 * SECOND_NS;
/// For so long it is known how far a silent origin was.
const KEPT_NS: u64 = 3600 * SECOND_NS;
/// Origins that are known at a time.
const ORIGINS_MAX: usize = 1024;
/// Digests of an origin that wait to be looked at.
const CHECKS_MAX: usize = 2;
/// Nothing is known yet.
const NONE: u64 = u64::MAX;
/// Of a cursor: where the bucket was when it was wanted last. What was before is known.
const BEFORE: u64 = 1 << 62;

/// How many events were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// So many, of which a subscriber may have wanted fewer.
    AtMost(u64),
    /// Nobody knows; perhaps none.
    Unknown,
}

/// What comes of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Event(u16, Crossing),
    Missed(u16, Missed),
    /// Something for pools may have been missed.
    PoolsMissed,
}

pub(super) struct Incoming {
    /// Since when this one hears others.
    began_ns: u64,
    origins: HashMap<u64, Origin, RandomState>,
    wanted: Wanted,
    /// Since when each bucket is wanted.
    since: Box<[u64]>,
    /// Digests that are looked at when what they may have overtaken has come.
    checks: VecDeque<Check>,
}

struct Origin {
    /// When its process began, on this host's clock; later, if anything.
    born_ns: u64,
    heard_ns: u64,
    /// The last number of each bucket that was heard, or told as missed.
    cursors: Box<[u64]>,
    digest: Option<u64>,
    /// Its digests that wait to be looked at.
    checks: usize,
    /// Of the last batch that was taken, in whatever bucket.
    order: u64,
    /// Another process has its publishers, and was heard.
    is_followed: bool,
    /// It says nothing any more, and that was told.
    is_silent: bool,
    /// It has said that it ends.
    has_ended: bool,
}

struct Check {
    due_ns: u64,
    taken_ns: u64,
    origin: u64,
    buckets: Vec<(u16, u64)>,
}

impl Incoming {
    pub fn new(now_ns: u64) -> Self {
        Self {
            began_ns: now_ns,
            origins: HashMap::default(),
            wanted: Wanted::none(),
            since: vec![NONE; BUCKETS.into()].into(),
            checks: VecDeque::new(),
        }
    }

    /// Origins that are there.
    pub fn count(&self) -> usize {
        self.origins.values().filter(|it| it.is_there()).count()
    }

    /// Digests that wait to be looked at.
    #[cfg(test)]
    pub fn waiting_checks(&self) -> usize {
        self.checks.len()
    }

    /// Whether it is there.
    pub fn is_there(&self, origin: u64) -> bool {
        self.origins.get(&origin).is_some_and(Origin::is_there)
    }

    /// Whether it is there and has said something since then.
    pub fn is_heard_since(&self, origin: u64, since_ns: u64) -> bool {
        let origin = self.origins.get(&origin);
        origin.is_some_and(|it| it.is_there() && it.heard_ns >= since_ns)
    }

    /// For how long an origin has been there, if it is.
    pub fn age_ns(&self, now_ns: u64, origin: u64) -> Option<u64> {
        let origin = self.origins.get(&origin).filter(|it| it.is_there())?;
        Some(now_ns.saturating_sub(origin.born_ns))
    }

    /// Whether it is known how far it was, whether it is there or not.
    pub fn is_known(&self, origin: u64) -> bool {
        self.origins.contains_key(&origin)
    }

    pub fn want(&mut self, now_ns: u64, wanted: &Wanted) {
        for bucket in 0..BUCKETS {
            let since = &mut self.since[usize::from(bucket)];
            match (wanted.has(bucket), *since) {
                (true, NONE) => *since = now_ns,
                (false, then) if then != NONE => {
                    *since = NONE;
                    for origin in self.origins.values_mut() {
                        origin.leave(bucket);
                    }
                }
                _ => {}
            }
        }
        self.wanted = wanted.clone();
    }

    /// An origin has said something. Gives whether it was not known, or silent.
    pub fn note(&mut self, now_ns: u64, header: Header) -> bool {
        if let Some(origin) = self.origins.get_mut(&header.origin) {
            origin.heard_ns = now_ns;
            return std::mem::take(&mut origin.is_silent);
        }
        if self.origins.len() >= ORIGINS_MAX
            && let Some(oldest) = self.origins.iter().min_by_key(|(_, it)| it.heard_ns)
        {
            let oldest = *oldest.0;
            self.origins.remove(&oldest);
            self.checks.retain(|check| check.origin != oldest);
        }
        let origin = Origin {
            born_ns: now_ns.saturating_sub(header.age_ns),
            heard_ns: now_ns,
            cursors: vec![NONE; BUCKETS.into()].into(),
            digest: None,
            checks: 0,
            order: 0,
            is_followed: false,
            is_silent: false,
            has_ended: false,
        };
        self.origins.insert(header.origin, origin);
        true
    }

    /// Whether a batch is in its origin's order. One that went another way and was overtaken by
    /// others, of other buckets perhaps, is not: it counts as lost.
    pub fn is_in_order(&mut self, header: Header) -> bool {
        let Some(origin) = self.origins.get_mut(&header.origin) else {
            return false;
        };
        let is_first = origin.order == 0;
        let is_late = origin.is_followed || header.order < origin.order;
        origin.order = origin.order.max(header.order);
        let born_ns = origin.born_ns;
        if is_first {
            let is_before = |name: u64, it: &Origin| {
                name != header.origin
                    && family(name) == family(header.origin)
                    && it.born_ns < born_ns
            };
            let before = self
                .origins
                .iter_mut()
                .filter(|(name, it)| is_before(**name, it));
            before.for_each(|(_, it)| it.is_followed = true);
        }
        !is_late || planted(Mutant::NoOrder)
    }

    /// Takes a batch of an origin that was noted.
    pub fn batch(
        &mut self,
        now_ns: u64,
        origin: u64,
        bucket: u16,
        first: u64,
        events: Vec<Crossing>,
        heard: &mut Vec<Heard>,
    ) {
        if !self.wanted.has(bucket) {
            return;
        }
        let since_ns = self.since[usize::from(bucket)];
        let Some(origin) = self.origins.get_mut(&origin) else {
            return;
        };
        let end = first + events.len() as u64;
        let mut cursor = match origin.cursor(bucket) {
            None => origin.begin(since_ns, now_ns, bucket, first - 1, heard),
            Some(cursor) => cursor,
        };
        if cursor + 1 < first {
            if !planted(Mutant::ForgetGap) {
                heard.push(Heard::Missed(bucket, Missed::AtMost(first - 1 - cursor)));
            }
            cursor = first - 1;
        }
        let known = match planted(Mutant::HearTwice) {
            true => 0,
            false => (cursor + 1 - first) as usize,
        };
        let new = events.into_iter().skip(known);
        heard.extend(new.map(|event| Heard::Event(bucket, event)));
        origin.cursors[usize::from(bucket)] = cursor.max(end - 1);
    }

    /// Takes a digest of an origin that was noted.
    pub fn digest(
        &mut self,
        now_ns: u64,
        origin: u64,
        (number, bye): (u64, bool),
        buckets: &[(u16, u64)],
        heard: &mut Vec<Heard>,
    ) {
        let name = origin;
        let Some(origin) = self.origins.get_mut(&origin) else {
            return;
        };
        let before = origin.digest;
        origin.digest = before.max(Some(number));
        // All of one that has come later were to be heard.
        let is_new = origin.born_ns > self.began_ns;
        let before = before.or(is_new.then_some(0));
        if before.is_some_and(|before| number.saturating_sub(before) > 1) {
            heard.push(Heard::PoolsMissed);
        }
        // The last one says whether it is there.
        if origin.digest == Some(number) {
            origin.has_ended = bye;
        }
        let mut numbers = [0; BUCKETS as usize];
        for (bucket, number) in buckets {
            numbers[usize::from(*bucket)] = *number;
        }
        let is_open = |bucket: &u16| match origin.cursor(*bucket) {
            None => true,
            Some(cursor) => cursor < numbers[usize::from(*bucket)],
        };
        let open = self.wanted.iter().filter(is_open);
        let buckets: Vec<_> = open
            .map(|bucket| (bucket, numbers[usize::from(bucket)]))
            .collect();
        if buckets.is_empty() || planted(Mutant::IgnoreDigests) {
            return;
        }
        let check = Check {
            due_ns: now_ns + LATE_NS,
            taken_ns: now_ns,
            origin: name,
            buckets,
        };
        // It says no less than the one before.
        if origin.checks >= CHECKS_MAX
            && let Some(at) = self.checks.iter().rposition(|it| it.origin == name)
        {
            self.checks.remove(at);
        } else {
            origin.checks += 1;
        }
        self.checks.push_back(check);
    }

    /// Another connection to the bus: whoever is still there has time to say so.
    pub fn connected(&mut self, now_ns: u64) {
        for origin in self.origins.values_mut().filter(|it| it.is_there()) {
            origin.heard_ns = now_ns;
        }
    }

    /// What becomes of time.
    pub fn tick(&mut self, now_ns: u64, is_connected: bool, heard: &mut Vec<Heard>) {
        while let Some(check) = self.checks.pop_front_if(|check| check.due_ns <= now_ns) {
            self.check(check, heard);
        }
        if !is_connected {
            return;
        }
        let mut any_silent = false;
        for origin in self.origins.values_mut() {
            if origin.is_there() && origin.heard_ns + SILENT_NS <= now_ns {
                origin.is_silent = true;
                any_silent = true;
            }
        }
        if any_silent && !planted(Mutant::ForgetSilence) {
            let unknown = |bucket| Heard::Missed(bucket, Missed::Unknown);
            heard.extend(self.wanted.iter().map(unknown));
            heard.push(Heard::PoolsMissed);
        }
        self.origins
            .retain(|_, origin| origin.heard_ns + KEPT_NS > now_ns);
    }

    fn check(&mut self, check: Check, heard: &mut Vec<Heard>) {
        let Some(origin) = self.origins.get_mut(&check.origin) else {
            return;
        };
        origin.checks = origin.checks.saturating_sub(1);
        for (bucket, number) in check.buckets {
            let since_ns = self.since[usize::from(bucket)];
            // It may be wanted anew meanwhile, or no more.
            if since_ns > check.taken_ns {
                continue;
            }
            let cursor = match origin.cursor(bucket) {
                None => origin.begin(since_ns, check.taken_ns, bucket, number, heard),
                Some(cursor) => cursor,
            };
            if cursor < number {
                heard.push(Heard::Missed(bucket, Missed::AtMost(number - cursor)));
            }
            origin.cursors[usize::from(bucket)] = cursor.max(number);
        }
    }
}

/// What is the same for processes of which each has taken over from another.
fn family(origin: u64) -> u64 {
    origin >> FAMILY_SHIFT
}

impl Origin {
    fn is_there(&self) -> bool {
        !self.is_silent && !self.has_ended
    }

    /// How far a bucket is that is wanted, if that is known.
    fn cursor(&self, bucket: u16) -> Option<u64> {
        let cursor = self.cursors[usize::from(bucket)];
        (cursor < BEFORE).then_some(cursor)
    }

    /// A bucket is wanted no more.
    fn leave(&mut self, bucket: u16) {
        let cursor = &mut self.cursors[usize::from(bucket)];
        if *cursor < BEFORE {
            *cursor += BEFORE;
        }
    }

    /// Where a bucket begins of which so many events were published before what is heard first.
    fn begin(
        &self,
        since_ns: u64,
        now_ns: u64,
        bucket: u16,
        before: u64,
        heard: &mut Vec<Heard>,
    ) -> u64 {
        // Nothing is heard twice, even if it was not wanted in between.
        let known = match self.cursors[usize::from(bucket)] {
            NONE => 0,
            before => before - BEFORE,
        };
        if self.born_ns > since_ns {
            // All that it has ever published was wanted.
            return known;
        }
        if now_ns - since_ns > FRESH_NS && before > known {
            heard.push(Heard::Missed(bucket, Missed::Unknown));
        }
        before.max(known)
    }
}

#[cfg(test)]
#[path = "incoming/tests.rs"]
mod tests;
