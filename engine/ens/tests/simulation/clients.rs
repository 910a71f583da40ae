//! Publishers and subscribers, and what they check.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;

use ens::client::{ClientEvent, Machine};
use ens::event_ref::{EventRef, Pattern};
use reactor::Rng;
use reactor::rng::Stream;
use reactor::sim::{Connections, News, SimReactor};

const MILLISECOND_NS: u64 = 1_000_000;
const KEYS: u64 = 3;
const PUBLISHERS: usize = 3;
/// What subscribers subscribe to; those to the same pool stand together.
const PATTERNS: [&str; 12] = [
    "enp://s/k0",
    "enp://s/k1",
    "enp://s/*",
    "enp://s/*",
    "enp://s/k0?p=1",
    "enp://s/*?p=2",
    "enp+pool://s/k0",
    "enp+pool://s/k0",
    "enp+pool://s/k0",
    "enp+pool.a://s/*",
    "enp+pool.a://s/*",
    "enp+pool.b://s/*",
];

/// Publisher and number: an event's name.
type Name = (usize, u64);

pub struct Clients {
    links: Connections,
    rng: Rng,
    server: Rc<Cell<SocketAddr>>,
    /// The publishers, then a subscriber for each pattern.
    peers: Vec<Peer>,
    /// All events, with their references.
    published: BTreeMap<Name, String>,
    next: [u64; PUBLISHERS],
    /// Events that a pool has heard.
    pooled: BTreeSet<(&'static str, Name)>,
    /// Those of this round.
    round: BTreeSet<Name>,
    /// They publish, leave, come back, and stop reading; else they only listen.
    pub restless: bool,
    pub leaving: bool,
}

struct Peer {
    machine: Machine,
    reads: bool,
    pattern: Option<&'static str>,
    /// A subscription is in force on this connection.
    established: bool,
    /// The last number of each connection of a publisher's that was heard on this connection.
    last: BTreeMap<(usize, u64), u64>,
    /// How many connections it has had.
    connections: u64,
    /// What was heard in this round, and how much was not sent.
    heard: BTreeSet<Name>,
    lagged: u64,
}

impl Peer {
    fn new(pattern: Option<&'static str>) -> Self {
        let mut machine = Machine::new("simulated");
        if let Some(pattern) = pattern {
            machine.subscribe(pattern).unwrap();
        }
        Self {
            machine,
            reads: true,
            pattern,
            established: false,
            last: BTreeMap::new(),
            connections: 0,
            heard: BTreeSet::new(),
            lagged: 0,
        }
    }

    fn is_pooled(&self) -> bool {
        self.pattern.is_some_and(|it| it.starts_with("enp+pool"))
    }
}

impl Clients {
    pub fn new(seed: u64, reactor: SimReactor, server: Rc<Cell<SocketAddr>>) -> Self {
        let publishers = (0..PUBLISHERS).map(|_| Peer::new(None));
        let subscribers = PATTERNS.iter().map(|pattern| Peer::new(Some(pattern)));
        Self {
            links: Connections::new(reactor, PUBLISHERS + PATTERNS.len()),
            rng: Rng::stream(seed, Stream::Workload),
            server,
            peers: publishers.chain(subscribers).collect(),
            published: BTreeMap::new(),
            next: [1; PUBLISHERS],
            pooled: BTreeSet::new(),
            round: BTreeSet::new(),
            restless: true,
            leaving: false,
        }
    }

    pub fn turn(&mut self) {
        let until_ns = self.links.now_ns() + 2 * MILLISECOND_NS;
        self.links.turn(Some(until_ns));
        while let Some((number, news)) = self.links.take_next() {
            self.handle(number, news);
        }
        for number in 0..self.peers.len() {
            self.act(number);
        }
    }

    fn handle(&mut self, number: usize, news: News) {
        match news {
            News::Connected => {
                let peer = &mut self.peers[number];
                peer.machine.reconnect();
                peer.last.clear();
                peer.connections += 1;
            }
            News::Received(data) => self.input(number, &data),
            News::Lost(_) => self.lost(number),
            News::Refused | News::Room => {}
        }
    }

    fn input(&mut self, number: usize, bytes: &[u8]) {
        let mut news = Vec::new();
        self.peers[number].machine.handle_input(bytes, &mut news);
        for one in news {
            match one {
                ClientEvent::Subscribed(_) => self.peers[number].established = true,
                ClientEvent::Notified { event, .. } => self.hear(number, &event),
                ClientEvent::Lagged(events) => {
                    assert!(events > 0);
                    self.peers[number].lagged += events;
                }
                ClientEvent::Missed => panic!("there are no other hosts"),
                ClientEvent::Refused { why, .. } => panic!("refused: {why}"),
                ClientEvent::Over(why) => assert_eq!(why, "the broker is stopping"),
                ClientEvent::Welcome
                | ClientEvent::Accepted(_)
                | ClientEvent::Acknowledged(_)
                | ClientEvent::Unsubscribed(_) => {}
            }
        }
    }

    /// Agreement: it was published, it matches, it is newer than what came before, and no other
    /// member of the pool has it.
    fn hear(&mut self, number: usize, text: &str) {
        let event = EventRef::parse(text).unwrap();
        let value = |name| event.param(name).unwrap().parse::<u64>().unwrap();
        let (publisher, n) = (value("p") as usize, value("n"));
        let name = (publisher, n);
        assert_eq!(self.published.get(&name).map(String::as_str), Some(text));
        let peer = &mut self.peers[number];
        let pattern = peer.pattern.unwrap();
        assert!(Pattern::parse(pattern).unwrap().matches(&event), "{text}");
        if peer.is_pooled() {
            assert!(
                self.pooled.insert((pattern, name)),
                "{pattern} has {name:?} twice"
            );
        }
        let last = peer.last.entry((publisher, value("c"))).or_default();
        // What a pool's member left behind when it went comes late to another.
        let in_order = *last < n || pattern.starts_with("enp+pool");
        assert!(in_order, "{pattern}: {n} of {publisher} after {last}");
        *last = n;
        peer.heard.insert(name);
    }

    /// What a peer does by itself.
    fn act(&mut self, number: usize) {
        if !self.links.is_open(number) {
            let may = self.links.may_connect(number) && !self.leaving;
            if may && self.rng.chance(1, 4) {
                self.links.connect(number, self.server.get());
            }
            return;
        }
        if self.leaving {
            return self.leave(number);
        }
        if self.restless {
            match self.rng.below(300) {
                0 => return self.leave(number),
                1..4 => self.set_reading(number, !self.peers[number].reads),
                4..20 if number < PUBLISHERS => self.publish(number),
                _ => {}
            }
        }
        self.flush(number);
    }

    fn flush(&mut self, number: usize) {
        let machine = &mut self.peers[number].machine;
        if self.links.has_room(number) && machine.has_output() {
            let bytes = machine.output().split().freeze();
            self.links.send(number, bytes);
        }
    }

    fn publish(&mut self, publisher: usize) {
        if !self.peers[publisher].machine.is_welcome() {
            return;
        }
        let n = self.next[publisher];
        self.next[publisher] += 1;
        let (key, connection) = (self.rng.below(KEYS), self.peers[publisher].connections);
        let text = format!("enp://s/k{key}?p={publisher}&c={connection}&n={n}");
        let machine = &mut self.peers[publisher].machine;
        machine.publish(&text, b"payload", b"", false).unwrap();
        self.published.insert((publisher, n), text);
        self.round.insert((publisher, n));
        self.flush(publisher);
    }

    pub fn publish_each(&mut self) {
        (0..PUBLISHERS).for_each(|publisher| self.publish(publisher));
    }

    pub fn begin_round(&mut self) {
        self.round.clear();
        for peer in &mut self.peers {
            peer.heard.clear();
            peer.lagged = 0;
        }
    }

    /// Every other subscriber stops reading.
    pub fn stop_reading(&mut self) {
        for number in (PUBLISHERS..self.peers.len()).step_by(2) {
            self.set_reading(number, false);
        }
    }

    pub fn go_on_reading(&mut self) {
        (0..self.peers.len()).for_each(|number| self.set_reading(number, true));
    }

    fn set_reading(&mut self, number: usize, reads: bool) {
        if self.links.is_open(number) {
            self.peers[number].reads = reads;
            self.links.read(number, reads);
        }
    }

    /// Everybody is connected and subscribed again; whoever had stopped reading goes on.
    pub fn check_ready(&mut self, when: &str) {
        for (number, peer) in self.peers.iter().enumerate() {
            let ready = peer.machine.is_welcome() && (peer.pattern.is_none() || peer.established);
            assert!(ready, "{when}: {number} is not ready, {:?}", peer.pattern);
        }
    }

    /// The events of this round that a pattern matches.
    fn due(&self, pattern: &str) -> BTreeSet<Name> {
        let pattern = Pattern::parse(pattern).unwrap();
        let matches = |name: &&Name| {
            let event = EventRef::parse(&self.published[*name]).unwrap();
            pattern.matches(&event)
        };
        self.round.iter().filter(matches).copied().collect()
    }

    /// Liveness: each event was heard by each subscriber that it matches, or by one of its pool; or
    /// they were told how many they missed. Gives how many these are.
    pub fn check_round(&self, when: &str) -> u64 {
        let mut missed = 0;
        for pattern in PATTERNS {
            let due = self.due(pattern).len() as u64;
            let of_pattern = self.peers.iter().filter(|it| it.pattern == Some(pattern));
            let mut together = 0;
            for peer in of_pattern {
                let told = peer.heard.len() as u64 + peer.lagged;
                if !peer.is_pooled() {
                    assert_eq!(told, due, "{when}: {pattern}, {} missed", peer.lagged);
                }
                together += told;
                missed += peer.lagged;
            }
            if pattern.starts_with("enp+pool") {
                assert_eq!(together, due, "{when}: {pattern} together");
            }
        }
        missed
    }

    fn leave(&mut self, number: usize) {
        self.links.close(number);
        self.lost(number);
    }

    fn lost(&mut self, number: usize) {
        let peer = &mut self.peers[number];
        peer.reads = true;
        peer.established = false;
        // Until it is welcome again.
        peer.machine.reconnect();
    }
}
