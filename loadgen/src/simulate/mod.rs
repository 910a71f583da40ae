//! The whole server in a deterministic world, judged by what its clients see.
//!
//! In reading order: [`run`] (a seed's run and its verdict), [`crowd`] (clients and deliveries),
//! [`watcher`] (one client's view), [`deliverers`] and [`talk`] (those who hand mail in, and one
//! connection of theirs), [`lines`] and [`secure`] (connections, in plain text or over TLS),
//! [`backend`] (control plane and disk), [`planted`] (bugs that
//! the verdict must find), `oracle` (the three questions).
//!
//! The server is the shipped one: `engine::Shard` over `server::host::Host`. Only the reactor is
//! the simulated one, and the store is the model.

pub mod backend;
pub mod crowd;
pub mod deliverers;
pub mod lines;
pub mod planted;
pub mod secure;
pub mod talk;
pub mod watcher;

mod oracle;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::event::ShardId;
use engine::secure::Doors;
use engine::stats::Counter;
use engine::{Limits, Shard};
use model::Model;
use proto::imap::SessionConfig;
use reactor::Rng;
use reactor::sim::{Options, SimReactor, World};
use server::bounds::Bounds;
use server::control::MailHandle;
use server::front::{Cleartext, Front, Timeouts};
use server::host::{Door, Host, ImapPlaces};
use server::lmtp::{self, Lmtp};

pub use planted::Mutant;

use backend::{Disk, QueueBackend, SimulatedBackend};
use crowd::Crowd;
use deliverers::Deliverers;
use planted::Planted;
use secure::StandIn;

const SECOND_NS: u64 = 1_000_000_000;
/// How long faults and activity last.
const ACTIVE_NS: u64 = 12 * SECOND_NS;
/// How long the world has to come to rest, and news to arrive: far less than [`KEEPALIVE_NS`], so
/// that no timer can hide a lost wake-up.
const REST_NS: u64 = 20 * SECOND_NS;
/// "Still here".
const KEEPALIVE_NS: u64 = 120 * SECOND_NS;
/// More turns than this in one phase mean that somebody never sleeps.
const TURNS_MAX: u64 = 5_000_000;
/// Messages delivered while the world is active.
const DELIVERIES_MAX: usize = 250;

type Server = Shard<SimReactor, Planted<Host<QueueBackend>>, StandIn>;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// A hash over everything that happened.
    pub trace: u64,
    /// Turns of all actors.
    pub turns: u64,
    /// Messages that were delivered.
    pub delivered: usize,
    /// Messages that deliverers handed in, each counted for each of its recipients.
    pub handed: usize,
    /// Announcements to parked sessions, several at once, and resynchronisations.
    pub paths: [u64; 3],
    /// What was wrong.
    pub faults: Vec<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [announced, caught_up, stale] = self.paths;
        write!(
            f,
            "seed {}: trace {:016x}, {} turns, {} deliveries, {} by LMTP, {announced} announced, \
             {caught_up} caught up, {stale} stale, {} faults",
            self.seed,
            self.trace,
            self.turns,
            self.delivered,
            self.handed,
            self.faults.len()
        )
    }
}

/// Runs the world of a seed, with a bug or without.
pub fn run(seed: u64, mutant: Mutant) -> Outcome {
    let mut simulation = Simulation::new(seed, mutant);
    simulation.pass(ACTIVE_NS);
    simulation.world.heal();
    simulation.backend.heal();
    simulation.crowd.calm = true;
    simulation.deliverers.calm();
    simulation.pass(REST_NS);
    simulation.judge("after the storm");
    simulation.faults.extend(simulation.deliverers.waiting());
    simulation.faults.extend(simulation.crowd.waiting());
    for user in 0..simulation.users {
        simulation.crowd.deliver(user);
    }
    simulation.pass(REST_NS);
    simulation.judge("after one more message each");
    simulation.crowd.leave();
    simulation.deliverers.leave();
    simulation.pass(REST_NS);
    simulation.finish()
}

struct Simulation {
    seed: u64,
    world: World,
    shards: Vec<Server>,
    backend: SimulatedBackend,
    crowd: Crowd,
    deliverers: Deliverers,
    handle: MailHandle,
    users: usize,
    turns: u64,
    faults: Vec<String>,
}

impl Simulation {
    fn new(seed: u64, mutant: Mutant) -> Self {
        let mut rng = Rng::new(seed ^ 0x0005_11E7_0F5E_ED00);
        let world = World::new(seed, Options::swarm(seed));
        let shards = 1 + rng.below(3) as u16;
        let users = 1 + rng.below(4) as usize;
        let members = 1 + rng.below(12) as usize;
        let limits = limits(&mut rng);
        let handle: MailHandle = engine::mesh(shards, &limits);
        let address = SocketAddr::from(([127, 0, 0, 1], 143));
        let imaps_address = SocketAddr::from(([127, 0, 0, 1], 993));
        let lmtp_address = SocketAddr::from(([127, 0, 0, 1], 24));
        let (lmtp, places) = (lmtp(&mut rng), Arc::new(ImapPlaces::new(usize::MAX)));
        let reactors: Vec<SimReactor> = (0..shards)
            .map(|_| {
                let mut reactor = world.reactor(64);
                reactor.listen(address);
                reactor.listen(lmtp_address);
                reactor.listen(imaps_address);
                reactor
            })
            .collect();
        let mut store = Model::default();
        for user in 0..users {
            store.add_user(&crowd::user(user), "secret");
        }
        for number in 0..deliverers::ADDRESSEES {
            store.add_user(&deliverers::addressee(number), "secret");
        }
        let disk = disk(&mut rng);
        let backend =
            SimulatedBackend::new(seed, world.reactor(0), store, handle.clone(), disk, mutant);
        let requests_max = [1, 8, 1024][rng.below(3) as usize];
        let shards = reactors
            .into_iter()
            .enumerate()
            .map(|(number, reactor)| {
                let backend = QueueBackend {
                    queue: backend.queue(),
                    requests_max,
                    mutant,
                };
                let id = ShardId(number as u16);
                let lmtp = lmtp.shard(id, shards, Arc::new(Bounds::default()));
                let lmtp = lmtp.with_starttls(Arc::new(true.into()));
                let doors = vec![Door::Imap, Door::Lmtp, Door::Imaps];
                let host = Host::new(doors, front(backend), places.clone(), lmtp);
                let host = Planted::new(host, mutant);
                let tls = Doors {
                    tls: StandIn { mutant },
                    implicit: vec![2],
                };
                Shard::with_tls(id, reactor, host, limits.clone(), handle.clone(), tls)
            })
            .collect();
        let people = (members, users);
        let addresses = [address, imaps_address];
        let crowd = Crowd::new(seed, world.reactor(64), addresses, backend.queue(), people);
        let people = (rng.below(5) as usize, users);
        // Where links are narrow, a large message takes a world's whole time.
        let wide = Options::swarm(seed);
        let large = wide.link_bytes >= 2_000 && wide.receive_bytes >= 64;
        let deliverers = Deliverers::new(seed, world.reactor(64), lmtp_address, people, large);
        Self {
            seed,
            world,
            shards,
            backend,
            crowd,
            deliverers,
            handle,
            users,
            turns: 0,
            faults: Vec::new(),
        }
    }

    /// Lets time pass.
    fn pass(&mut self, ns: u64) {
        let until_ns = self.world.now_ns() + ns;
        let begin = self.turns;
        while let Some(number) = self.world.next(until_ns) {
            self.turns += 1;
            match number.checked_sub(self.shards.len()) {
                None => {
                    self.shards[number].turn();
                }
                Some(0) => self.backend.turn(),
                Some(1) => self.crowd.turn(),
                Some(_) => self.deliverers.turn(),
            }
            if self.turns - begin > TURNS_MAX {
                self.faults.push("somebody never sleeps".into());
                return;
            }
        }
    }

    fn judge(&mut self, when: &str) {
        let found = oracle::views(&mut self.backend.model, &self.crowd);
        self.faults
            .extend(found.into_iter().map(|fault| format!("{when}: {fault}")));
    }

    fn finish(mut self) -> Outcome {
        self.faults.append(&mut self.crowd.faults);
        self.faults.append(&mut self.deliverers.faults);
        let receipts = &self.crowd.receipts;
        self.faults
            .extend(oracle::receipts(&mut self.backend.model, receipts));
        let handed = oracle::handed(&mut self.backend.model, &self.deliverers.handed);
        self.faults.extend(handed);
        let uploads = self.backend.model.uploads();
        if uploads > 0 {
            self.faults.push(format!("left behind: {uploads} uploads"));
        }
        let left = oracle::leftovers(&self.world, &self.handle);
        self.faults.extend(left);
        let sum = |counter| {
            (0..self.handle.shards())
                .map(|shard| self.handle.stats(ShardId(shard)).counter(counter))
                .sum()
        };
        Outcome {
            seed: self.seed,
            trace: self.world.trace(),
            turns: self.turns,
            delivered: self.crowd.receipts.len(),
            handed: self.deliverers.handed.len(),
            paths: [Counter::Announced, Counter::CaughtUp, Counter::Stale].map(sum),
            faults: self.faults,
        }
    }
}

fn front(backend: QueueBackend) -> Front<QueueBackend> {
    let timeouts = Timeouts {
        login_ns: 180 * SECOND_NS,
        inactivity_ns: 30 * 60 * SECOND_NS,
        keepalive_ns: KEEPALIVE_NS,
    };
    let config = Arc::new(SessionConfig::default());
    Front::new(config, timeouts, Cleartext::ListenerIsLoopback, backend)
        .with_starttls(Arc::new(true.into()))
}

/// LMTP whose time of day is the world's, with places for all or for a few.
fn lmtp(rng: &mut Rng) -> Lmtp {
    let places = [2, 64][rng.below(2) as usize];
    let options = lmtp::Options {
        connections_max: places,
        peer_connections_max: places,
        idle: Duration::from_secs(5 * 60),
        transaction: Duration::from_secs(60),
        settings: lmtp::Settings {
            session: Arc::new(proto::lmtp::SessionConfig {
                hostname: "mail.example".into(),
                message_bytes_max: 1 << 20,
                recipients_max: 10,
                over_quota: proto::lmtp::OverQuota::Permanent,
            }),
            domains: [].into(),
            submitters: Arc::default(),
        },
    };
    Lmtp::with_clock(&options, 1, |now_ns| now_ns / SECOND_NS)
}

/// Bounds drawn by chance, most of them so tight that they are met.
fn limits(rng: &mut Rng) -> Limits {
    let mut pick = |choices: [usize; 3]| choices[rng.below(3) as usize];
    Limits {
        events_queue: pick([1, 4, 1024]),
        lost_topics_max: pick([1, 2, 1024]),
        replies_queue: pick([1, 16, 1024]),
        shard_messages_queue: pick([1, 8, 1024]),
        items_per_turn: pick([1, 8, 1024]),
        tail_events_max: pick([1, 4, 256]),
        renderings_max: pick([1, 2, 8]),
        deadlines_per_turn: pick([1, 16, 4096]),
        ..Limits::default()
    }
}

fn disk(rng: &mut Rng) -> Disk {
    let mut pick = |choices: [u64; 3]| choices[rng.below(3) as usize];
    Disk {
        read_ns_max: pick([1, 100_000, 20_000_000]),
        commit_ns_max: pick([1, 500_000, 200_000_000]),
        failures: pick([0, 20, 200]),
    }
}
