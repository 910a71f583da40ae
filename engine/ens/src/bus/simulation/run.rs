//! A run: a storm, then calm, then what must be true.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

use bytes::Bytes;
use reactor::Rng;
use reactor::rng::Stream;

use super::hosts::{Bus, Faults, Host, MILLISECOND_NS, Name, News, carry_out, name};
use crate::bus::{Crossing, FAMILY_SHIFT, Subject, bucket_of};
use crate::event_ref::Pattern;
use crate::frame::Scope;

pub(super) const HOSTS: usize = 4;
/// The first two stay, and always want the same: of them all is known. The others come and go.
const STEADY: usize = 2;
const KEYS: u64 = 6;
pub(super) const POOL: Bytes = Bytes::from_static(b"a pool");
const STEP_MS: u64 = 10;
/// A member that has come is known everywhere by then.
const KNOWN_MS: u64 = 400;

/// What happened in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub heard: u64,
    pub missed: u64,
    pub unknown: u64,
    pub pooled_away: u64,
    pub handed_on: u64,
}

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.heard += other.heard;
        self.missed += other.missed;
        self.unknown += other.unknown;
        self.pooled_away += other.pooled_away;
        self.handed_on += other.handed_on;
    }
}

pub(super) struct Run {
    pub(super) rng: Rng,
    pub(super) now_ns: u64,
    pub(super) bus: Bus,
    pub(super) hosts: Vec<Host>,
    origins: u64,
    /// The last number of each publisher.
    numbers: BTreeMap<u64, u64>,
    /// How many events were published in each bucket, by each host's place.
    published: BTreeMap<(usize, u16), u64>,
    /// Events for the pool, and those that a member has.
    pub(super) pooled: BTreeSet<Name>,
    pub(super) given: BTreeSet<Name>,
    seen: Seen,
    /// Since when the pool has members, if it has any.
    peopled_ns: u64,
    /// Nothing was lost or parted yet.
    pub(super) is_calm: bool,
}

fn key(number: u64) -> String {
    format!("enp://h/k{number}")
}

fn pattern(text: &str, scope: Scope) -> Pattern {
    let pattern = Pattern::parse(text).expect("a pattern");
    Pattern { scope, ..pattern }
}

/// What a host has subscribed to.
fn subscriptions(host: usize, rng: &mut Rng) -> Vec<Pattern> {
    let local = |number| pattern(&key(number), Scope::Local);
    let of_site = |number| pattern(&key(number), Scope::Site);
    match host {
        0 => vec![pattern("enp://h/*", Scope::Site)],
        1 => {
            let own = (KEYS / 2..KEYS).map(local);
            let all = (0..KEYS / 2).map(of_site).chain(own);
            all.collect()
        }
        // Now and then so many that it asks for all.
        _ if rng.chance(1, 4) => {
            let many = (0..100).map(|number| format!("enp://h/many{number}"));
            many.map(|text| pattern(&text, Scope::Site)).collect()
        }
        _ => {
            let mut some = vec![];
            for number in 0..KEYS {
                match rng.below(4) {
                    0 | 1 => some.push(of_site(number)),
                    2 => some.push(local(number)),
                    _ => {}
                }
            }
            some
        }
    }
}

impl Run {
    pub(super) fn new(seed: u64) -> Self {
        let mut run = Self {
            rng: Rng::stream(seed, Stream::Workload),
            now_ns: 3600 * 1000 * MILLISECOND_NS,
            bus: Bus::new(),
            hosts: vec![],
            origins: 0,
            numbers: BTreeMap::new(),
            published: BTreeMap::new(),
            pooled: BTreeSet::new(),
            given: BTreeSet::new(),
            seen: Seen::default(),
            peopled_ns: 0,
            is_calm: true,
        };
        for place in 0..HOSTS {
            let host = run.host(place);
            run.hosts.push(host);
            run.connect(place);
        }
        run
    }

    pub(super) fn host(&mut self, place: usize) -> Host {
        self.origins += 1 << FAMILY_SHIFT;
        let subscriptions = subscriptions(place, &mut self.rng);
        Host::new(self.origins, self.now_ns, subscriptions)
    }

    pub(super) fn connect(&mut self, place: usize) {
        self.hosts[place].is_connected = true;
        self.hosts[place].machine.connected(self.now_ns, 1 << 20);
    }

    pub(super) fn step(&mut self) {
        self.now_ns += STEP_MS * MILLISECOND_NS;
        self.bus.arrive(&mut self.rng, self.now_ns, &mut self.hosts);
        for place in 0..HOSTS {
            let host = &mut self.hosts[place];
            let inbox = std::mem::take(&mut host.inbox);
            host.machine.hear(self.now_ns, inbox);
            host.machine.tick(self.now_ns);
            self.settle(place);
        }
    }

    /// Until a host has nothing more to do.
    pub(super) fn settle(&mut self, place: usize) {
        loop {
            let (rng, bus, hosts) = (&mut self.rng, &mut self.bus, &mut self.hosts);
            let news = carry_out(rng, self.now_ns, bus, hosts, place);
            if news.is_empty() {
                return;
            }
            for one in news {
                self.hear(place, one);
            }
        }
    }

    fn hear(&mut self, place: usize, news: News) {
        let host = &mut self.hosts[place];
        match news {
            News::Event(event) => {
                let text = std::str::from_utf8(&event).expect("text");
                let (key, _) = text.split_once('?').expect("a reference with parameters");
                host.hear(&event, bucket_of(key));
                self.seen.heard += 1;
            }
            News::Missed(bucket, missed) => host.miss(bucket, missed),
            News::Members(members) => host.members_away = members,
            News::Pooled(pooled) if host.members > 0 => self.give(&pooled.event),
            News::Pooled(pooled) => {
                self.seen.handed_on += 1;
                host.machine.hand_on(self.now_ns, pooled);
            }
            News::Returned(pooled) if host.members > 0 => self.give(&pooled.event),
            News::Returned(pooled) => {
                let anywhere: u32 = self.hosts.iter().map(|host| host.members).sum();
                let is_new = self.now_ns < self.peopled_ns + KNOWN_MS * MILLISECOND_NS;
                let may_be = !self.is_calm || anywhere == 0 || is_new;
                assert!(may_be, "it was given to nobody");
                self.pooled.remove(&name(&pooled.event.event));
            }
        }
    }

    fn give(&mut self, event: &Crossing) {
        let name = name(&event.event);
        assert!(self.pooled.contains(&name));
        assert!(self.given.insert(name), "two members have {name:?}");
    }

    fn crossing(&mut self, place: usize, key: &str) -> Crossing {
        let origin = self.hosts[place].origin;
        let number = self.numbers.entry(origin).or_default();
        *number += 1;
        Crossing {
            event: format!("{key}?{origin}.{number}").into(),
            payload: Bytes::new(),
            link: None,
        }
    }

    fn publish(&mut self, place: usize) {
        let key = key(self.rng.below(KEYS));
        let bucket = bucket_of(&key);
        let event = self.crossing(place, &key);
        *self.published.entry((place, bucket)).or_default() += 1;
        let full = !self.is_calm && self.rng.chance(1, 50);
        let host = &mut self.hosts[place];
        // What the bus is away for is dropped, too.
        if !host.is_connected || full {
            host.machine.skip(bucket, 1);
        } else {
            host.machine.publish(self.now_ns, bucket, &event);
        }
    }

    pub(super) fn publish_to_pool(&mut self, place: usize) {
        let event = self.crossing(place, "enp://h/pool");
        self.pooled.insert(name(&event.event));
        if self.hosts[place].members + self.hosts[place].members_away == 0 {
            self.pooled.remove(&name(&event.event));
        } else if self.hosts[place].is_turn_here() {
            self.give(&event);
        } else {
            self.seen.pooled_away += 1;
            let machine = &mut self.hosts[place].machine;
            machine.publish_to_pool(self.now_ns, POOL, event);
        }
    }

    fn work(&mut self, place: usize) {
        for _ in 0..self.rng.below(4) {
            self.publish(place);
        }
        if self.rng.chance(1, 3) {
            self.publish_to_pool(place);
        }
        if self.rng.chance(1, 40) {
            let members = self.rng.below(3) as u32;
            if self.hosts.iter().all(|host| host.members == 0) {
                self.peopled_ns = self.now_ns;
            }
            self.hosts[place].members = members;
            self.hosts[place]
                .machine
                .set_members(self.now_ns, &POOL, members);
        }
        self.hosts[place].machine.flush();
        self.settle(place);
    }

    fn work_for(&mut self, milliseconds: u64, storm: bool) {
        for _ in 0..milliseconds / STEP_MS {
            if storm {
                self.rage();
            }
            for place in 0..HOSTS {
                self.work(place);
            }
            self.step();
        }
    }

    /// Hosts are parted, cut off, end and come back.
    fn rage(&mut self) {
        let one = self.rng.below(HOSTS as u64) as usize;
        let other = self.rng.below(HOSTS as u64) as usize;
        match self.rng.below(150) {
            0 if one < other => _ = self.bus.parted.insert((one, other)),
            1 | 2 => self.bus.parted.clear(),
            3 if self.hosts[one].is_connected => {
                self.hosts[one].is_connected = false;
                self.hosts[one].machine.disconnected();
            }
            4 | 5 if !self.hosts[one].is_connected => self.connect(one),
            6 if one >= STEADY => {
                if self.rng.chance(1, 2) {
                    self.hosts[one].machine.end(self.now_ns);
                    self.settle(one);
                }
                self.hosts[one] = self.host(one);
                self.connect(one);
            }
            7 if one >= STEADY => {
                let subscriptions = subscriptions(one, &mut self.rng);
                self.hosts[one].subscribe(self.now_ns, subscriptions);
                self.settle(one);
            }
            _ => {}
        }
    }

    pub(super) fn rest(&mut self, milliseconds: u64) {
        (0..milliseconds / STEP_MS).for_each(|_| self.step());
    }

    /// Those who have always been there know of each event, or how many they don't.
    fn check(&mut self) {
        for place in 0..STEADY {
            let keys = if place == 1 { KEYS / 2 } else { KEYS };
            let buckets: BTreeSet<u16> = (0..keys).map(|number| bucket_of(&key(number))).collect();
            let host = &self.hosts[place];
            if place == 1 {
                // What is local costs the bus nothing.
                let asked = host.subscribed.iter();
                let asked = asked.filter(|it| matches!(it, Subject::Bucket(_)));
                assert_eq!(asked.count(), buckets.len());
            }
            for bucket in buckets {
                let of_others = self.published.iter();
                let of_others = of_others.filter(|((by, of), _)| *by != place && *of == bucket);
                let published: u64 = of_others.map(|(_, count)| count).sum();
                let of = |counts: &BTreeMap<u16, u64>| counts.get(&bucket).copied().unwrap_or(0);
                let heard = of(&host.heard_in);
                let (missed, unknown) = (of(&host.missed_in), of(&host.unknown_in));
                self.seen.missed += missed;
                self.seen.unknown += unknown;
                let told = heard + missed;
                if unknown == 0 {
                    assert_eq!(
                        told, published,
                        "{place} in {bucket}: {heard} heard, {missed} not"
                    );
                }
                assert!(told <= published, "{told} of {published} in {bucket}");
            }
        }
    }
}

pub fn run(seed: u64) -> Seen {
    let mut run = Run::new(seed);
    run.rest(2000);
    // While nothing is lost, each event for a pool is given to somebody.
    run.bus.faults.delay_ms = run.rng.below(100);
    run.work_for(1500, false);
    run.rest(1000);
    let missing: Vec<_> = run.pooled.difference(&run.given).collect();
    assert!(missing.is_empty(), "no member has {missing:?}");
    run.is_calm = false;
    run.bus.faults = Faults {
        lost: run.rng.below(3) * 20,
        doubled: run.rng.below(3) * 20,
        delay_ms: run.rng.below(400),
    };
    run.work_for(6000, true);
    run.bus.faults = Faults::default();
    run.bus.parted.clear();
    for place in 0..HOSTS {
        if !run.hosts[place].is_connected {
            run.connect(place);
        }
    }
    // Who has ended without a word is missed after ten seconds.
    run.rest(13_000);
    run.check();
    run.seen
}
