//! Hosts, each with a machine, and what is between them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use reactor::Rng;

use crate::bus::{Action, Limits, Machine, Missed, Pooled, Port, Subject, hears_others};
use crate::event_ref::{EventRef, Pattern};

pub const MILLISECOND_NS: u64 = 1_000_000;

/// What a host has heard of one publisher: its process and the event's number.
pub type Name = (u64, u64);

pub struct Host {
    pub machine: Machine,
    port: Port,
    subscriptions: Vec<Pattern>,
    pub origin: u64,
    pub is_connected: bool,
    pub subscribed: BTreeSet<Subject>,
    /// What has come, and was not heard yet.
    pub inbox: Vec<Bytes>,
    pub heard: BTreeSet<Name>,
    /// The last of each publisher.
    last: BTreeMap<u64, u64>,
    pub heard_in: BTreeMap<u16, u64>,
    pub missed_in: BTreeMap<u16, u64>,
    pub unknown_in: BTreeMap<u16, u64>,
    /// Members of the pool here, and as many as are said to be elsewhere.
    pub members: u32,
    pub members_away: u32,
    /// How often members here were told that they may have missed something.
    pub pools_missed: u64,
    turn: u32,
}

impl Host {
    pub fn new(origin: u64, now_ns: u64, subscriptions: Vec<Pattern>) -> Self {
        let mut host = Self {
            machine: Machine::new(origin, now_ns, Limits::default()),
            port: Port::new(1 << 20, Box::new(|| {})),
            subscriptions: vec![],
            origin,
            is_connected: false,
            subscribed: BTreeSet::new(),
            inbox: vec![],
            heard: BTreeSet::new(),
            last: BTreeMap::new(),
            heard_in: BTreeMap::new(),
            missed_in: BTreeMap::new(),
            unknown_in: BTreeMap::new(),
            members: 0,
            members_away: 0,
            pools_missed: 0,
            turn: 0,
        };
        host.subscribe(now_ns, subscriptions);
        host
    }

    /// Subscribes to these, in the place of all that it has subscribed to.
    pub fn subscribe(&mut self, now_ns: u64, subscriptions: Vec<Pattern>) {
        subscriptions
            .iter()
            .for_each(|it| self.port.add_interest(it));
        let before = std::mem::replace(&mut self.subscriptions, subscriptions);
        before.iter().for_each(|it| self.port.remove_interest(it));
        if let Some(wanted) = self.port.take_wanted() {
            self.machine.want(now_ns, wanted);
        }
    }

    /// Subscriptions of local scope hear nothing of other hosts.
    fn give(&self, event: &Bytes) {
        let text = std::str::from_utf8(event).expect("text");
        let event = EventRef::parse(text).expect("a reference");
        for one in self.subscriptions.iter().filter(|it| hears_others(it)) {
            let hears = one.matches(&event);
            assert!(!hears || !one.is_local(), "{text} is another host's");
        }
    }

    /// Whether it is the turn of a member here.
    pub fn is_turn_here(&mut self) -> bool {
        let all = self.members + self.members_away;
        self.turn = (self.turn + 1) % all.max(1);
        self.turn < self.members
    }

    /// An event of another host has come.
    pub fn hear(&mut self, event: &Bytes, bucket: u16) {
        let name = name(event);
        assert_ne!(name.0, self.origin, "an echo");
        assert!(self.heard.insert(name), "{name:?} is heard twice");
        let last = self.last.entry(name.0).or_default();
        assert!(*last < name.1, "{name:?} after {last}");
        *last = name.1;
        *self.heard_in.entry(bucket).or_default() += 1;
        self.give(event);
    }

    pub fn miss(&mut self, bucket: u16, missed: Missed) {
        match missed {
            Missed::AtMost(events) => *self.missed_in.entry(bucket).or_default() += events,
            Missed::Unknown => *self.unknown_in.entry(bucket).or_default() += 1,
        }
    }
}

/// An event's publisher and number, from its reference.
pub fn name(event: &Bytes) -> Name {
    let text = std::str::from_utf8(event).expect("text");
    let (_, rest) = text.split_once('?').expect("a reference with parameters");
    let (origin, number) = rest.split_once('.').expect("a publisher and a number");
    let number = number.parse().expect("a number");
    (origin.parse().expect("a number"), number)
}

struct Flight {
    due_ns: u64,
    /// Puts those in order that are due at the same time.
    number: u64,
    to: usize,
    /// Who that was: whoever comes in his place is somebody else.
    to_origin: u64,
    origin: u64,
    message: Bytes,
}

/// Faults, in so many of a thousand messages.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    pub lost: u64,
    pub doubled: u64,
    pub delay_ms: u64,
}

/// The bus.
pub struct Bus {
    pub faults: Faults,
    /// Who can't reach each other.
    pub parted: BTreeSet<(usize, usize)>,
    flights: Vec<Flight>,
    number: u64,
    /// When the last message between two arrives, of events and of the rest.
    latest_ns: BTreeMap<(usize, usize, bool), u64>,
}

/// What the bus did with a message.
pub enum Outcome {
    Sent,
    Nobody,
}

impl Bus {
    pub fn new() -> Self {
        Self {
            faults: Faults::default(),
            parted: BTreeSet::new(),
            flights: vec![],
            number: 0,
            latest_ns: BTreeMap::new(),
        }
    }

    fn reaches(&self, hosts: &[Host], from: usize, to: usize) -> bool {
        let pair = (from.min(to), from.max(to));
        hosts[to].is_connected && !self.parted.contains(&pair)
    }

    pub fn publish(
        &mut self,
        rng: &mut Rng,
        now_ns: u64,
        hosts: &[Host],
        from: usize,
        (to, message): (Subject, Bytes),
    ) -> Outcome {
        if !hosts[from].is_connected {
            return Outcome::Sent;
        }
        let copies = |host: &Host| {
            let direct = usize::from(host.subscribed.contains(&to));
            let all =
                matches!(to, Subject::Bucket(_)) && host.subscribed.contains(&Subject::AllBuckets);
            direct + usize::from(all)
        };
        let others = (0..hosts.len()).filter(|other| *other != from);
        let mut hearers: Vec<(usize, usize)> =
            others.map(|other| (other, copies(&hosts[other]))).collect();
        hearers.retain(|(other, copies)| *copies > 0 && self.reaches(hosts, from, *other));
        if hearers.is_empty() {
            return Outcome::Nobody;
        }
        let is_event = matches!(to, Subject::Bucket(_));
        for (other, copies) in hearers {
            for _ in 0..copies {
                let origins = (hosts[from].origin, hosts[other].origin);
                self.send(rng, now_ns, origins, (from, other, is_event), &message);
            }
        }
        Outcome::Sent
    }

    fn send(
        &mut self,
        rng: &mut Rng,
        now_ns: u64,
        (origin, to_origin): (u64, u64),
        way: (usize, usize, bool),
        message: &Bytes,
    ) {
        if rng.chance(self.faults.lost, 1000) {
            return;
        }
        let delay_ns = rng.below(self.faults.delay_ms + 1) * MILLISECOND_NS;
        let latest_ns = self.latest_ns.entry(way).or_default();
        *latest_ns = (now_ns + delay_ns).max(*latest_ns);
        let due_ns = *latest_ns;
        let mut fly = |due_ns| {
            self.number += 1;
            self.flights.push(Flight {
                due_ns,
                number: self.number,
                to: way.1,
                to_origin,
                origin,
                message: message.clone(),
            });
        };
        fly(due_ns);
        if rng.chance(self.faults.doubled, 1000) {
            *latest_ns = due_ns + rng.below(300) * MILLISECOND_NS;
            fly(*latest_ns);
        }
    }

    /// Brings what is due.
    pub fn arrive(&mut self, rng: &mut Rng, now_ns: u64, hosts: &mut [Host]) {
        let mut due: Vec<Flight> = self
            .flights
            .extract_if(.., |it| it.due_ns <= now_ns)
            .collect();
        due.sort_by_key(|flight| (flight.due_ns, flight.number));
        // Subscriptions have queues of their own: what comes at once is found in any order.
        for at in (1..due.len()).rev() {
            due.swap(at, rng.below(at as u64 + 1) as usize);
        }
        for flight in due {
            let from = hosts.iter().position(|host| host.origin == flight.origin);
            let parted = from.is_some_and(|from| !self.reaches(hosts, from, flight.to));
            let host = &mut hosts[flight.to];
            if host.is_connected && !parted && host.origin == flight.to_origin {
                host.inbox.push(flight.message);
            }
        }
    }
}

/// What of a machine's actions is not the bus's.
pub enum News {
    Event(Bytes),
    Missed(u16, Missed),
    Members(u32),
    Pooled(Pooled),
    Returned(Pooled),
}

/// Carries out what the bus has to do with a host's actions; gives what is left.
pub fn carry_out(
    rng: &mut Rng,
    now_ns: u64,
    bus: &mut Bus,
    hosts: &mut [Host],
    number: usize,
) -> Vec<News> {
    let mut news = vec![];
    loop {
        let actions = hosts[number].machine.take_actions();
        if actions.is_empty() {
            return news;
        }
        for action in actions {
            match action {
                Action::Subscribe(subject) => _ = hosts[number].subscribed.insert(subject),
                Action::Unsubscribe(subject) => _ = hosts[number].subscribed.remove(&subject),
                Action::Publish { to, reply, message } => {
                    let outcome = bus.publish(rng, now_ns, hosts, number, (to, message));
                    if let (Outcome::Nobody, Some(reply)) = (outcome, reply) {
                        hosts[number].machine.nobody_there(now_ns, reply);
                    }
                }
                Action::Event { event, .. } => news.push(News::Event(event.event)),
                Action::Missed(bucket, missed) => news.push(News::Missed(bucket, missed)),
                Action::Members { members, .. } => news.push(News::Members(members)),
                Action::Pooled(pooled) => news.push(News::Pooled(pooled)),
                Action::Returned(pooled) => news.push(News::Returned(pooled)),
                Action::PoolsMissed => hosts[number].pools_missed += 1,
                Action::Acknowledged(_) => {}
            }
        }
    }
}
