//! The whole server in a deterministic world, judged by what its clients see.
//!
//! In reading order: [`run`] (a seed's run and its verdict), [`crowd`] (clients and deliveries),
//! [`watcher`] (one client's view), [`deliverers`] and [`talk`] (those who hand mail in, and one
//! connection of theirs), [`lines`], `compressed` and [`secure`] (connections, in plain text or
//! not), [`backend`] (control plane and disk), [`planted`] (bugs that the verdict must find),
//! `handover` (another process takes over), `oracle` (the three questions).
//!
//! The server is the shipped one: `engine::Shard` over `server::host::Host`. Only the reactor is
//! the simulated one, and the store is the model.

pub mod backend;
mod compressed;
pub mod crowd;
pub mod deliverers;
mod handover;
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
use handover::Handovers;
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
    /// Handovers to another process that succeeded, and that failed.
    pub handovers: [usize; 2],
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
             {caught_up} caught up, {stale} stale, {} handed over, {} not, {} faults",
            self.seed,
            self.trace,
            self.turns,
            self.delivered,
            self.handed,
            self.handovers[0],
            self.handovers[1],
            self.faults.len()
        )
    }
}

/// Runs the world of a seed, with a bug or without.
pub fn run(seed: u64, mutant: Mutant) -> Outcome {
    Simulation::new(seed, mutant, mutant.needs_handovers()).run()
}

/// The same without bugs, while other processes take over, or fail to.
pub fn run_with_handovers(seed: u64) -> Outcome {
    Simulation::new(seed, Mutant::None, true).run()
}

impl Simulation {
    fn run(self) -> Outcome {
        let mut simulation = self;
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
}

struct Simulation {
    seed: u64,
    world: World,
    process: Process,
    /// The number of the backend's reactor; the two of clients follow.
    others: usize,
    handovers: Handovers,
    backend: SimulatedBackend,
    crowd: Crowd,
    deliverers: Deliverers,
    users: usize,
    turns: u64,
    faults: Vec<String>,
}

impl Simulation {
    fn new(seed: u64, mutant: Mutant, handovers: bool) -> Self {
        let mut rng = Rng::new(seed ^ 0x0005_11E7_0F5E_ED00);
        let world = World::new(seed, Options::swarm(seed));
        let count = 1 + rng.below(3) as u16;
        let users = 1 + rng.below(4) as usize;
        let members = 1 + rng.below(12) as usize;
        let limits = limits(&mut rng);
        let address = SocketAddr::from(([127, 0, 0, 1], 143));
        let imaps_address = SocketAddr::from(([127, 0, 0, 1], 993));
        let lmtp_address = SocketAddr::from(([127, 0, 0, 1], 24));
        let lmtp_places = [2, 64][rng.below(2) as usize];
        let reactors: Vec<SimReactor> = (0..count)
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
        let handle: MailHandle = engine::mesh(count, &limits);
        let backend =
            SimulatedBackend::new(seed, world.reactor(0), store, handle.clone(), disk, mutant);
        let setup = Setup {
            limits,
            lmtp_places,
            requests_max: [1, 8, 1024][rng.below(3) as usize],
            mutant,
        };
        let process = setup.start(reactors, handle, &backend);
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
            handovers: Handovers::drawn(seed, setup, handovers),
            world,
            process,
            others: usize::from(count),
            backend,
            crowd,
            deliverers,
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
            match number.checked_sub(self.others) {
                Some(0) => self.backend.turn(),
                Some(1) => self.crowd.turn(),
                Some(2) => self.deliverers.turn(),
                _ if self.process.turn(number) => {}
                _ => self.handovers.turn(number),
            }
            self.hand_over_some();
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
        let left = oracle::leftovers(&self.world, &self.process.handle);
        self.faults.extend(left);
        let sum = |counter| {
            (0..self.process.handle.shards())
                .map(|shard| self.process.handle.stats(ShardId(shard)).counter(counter))
                .sum()
        };
        Outcome {
            seed: self.seed,
            trace: self.world.trace(),
            turns: self.turns,
            delivered: self.crowd.receipts.len(),
            handed: self.deliverers.handed.len(),
            handovers: self.handovers.counts,
            paths: [Counter::Announced, Counter::CaughtUp, Counter::Stale].map(sum),
            faults: self.faults,
        }
    }
}

/// How a server is set up.
struct Setup {
    limits: Limits,
    /// Connections for LMTP.
    lmtp_places: usize,
    /// Requests that may wait at the backend.
    requests_max: usize,
    mutant: Mutant,
}

/// A server's process.
struct Process {
    handle: MailHandle,
    /// Each shard, and its reactor's number in the world.
    shards: Vec<(usize, Server)>,
}

impl Process {
    /// A shard's turn; false if that reactor is none of its.
    fn turn(&mut self, number: usize) -> bool {
        let mut own = self.shards.iter_mut();
        let shard = own.find_map(|(own, shard)| (*own == number).then_some(shard));
        shard.map(Server::turn).is_some()
    }
}

impl Setup {
    fn start(
        &self,
        reactors: Vec<SimReactor>,
        handle: MailHandle,
        backend: &SimulatedBackend,
    ) -> Process {
        let lmtp = lmtp(self.lmtp_places);
        let places = Arc::new(ImapPlaces::new(usize::MAX));
        let shard = |(number, reactor): (u16, SimReactor)| {
            let backend = QueueBackend {
                queue: backend.queue(),
                requests_max: self.requests_max,
                mutant: self.mutant,
            };
            let id = ShardId(number);
            let lmtp = lmtp.shard(id, handle.shards(), Arc::new(Bounds::default()));
            let lmtp = lmtp.with_starttls(Arc::new(true.into()));
            let doors = vec![Door::Imap, Door::Lmtp, Door::Imaps];
            let host = Host::new(doors, front(backend), places.clone(), lmtp);
            let host = Planted::new(host, self.mutant);
            let tls = Doors {
                tls: StandIn {
                    mutant: self.mutant,
                },
                implicit: vec![2],
            };
            let (in_world, limits) = (reactor.number(), self.limits.clone());
            let shard = Shard::with_tls(id, reactor, host, limits, handle.clone(), tls);
            (in_world, shard)
        };
        Process {
            shards: (0..).zip(reactors).map(shard).collect(),
            handle: handle.clone(),
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

/// LMTP whose time of day is the world's.
fn lmtp(places: usize) -> Lmtp {
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
