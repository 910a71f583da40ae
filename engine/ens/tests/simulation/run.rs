//! One run: a storm, then calm, then slow subscribers, then the end.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use engine::event::ShardId;
use engine::stats::Counter;
use engine::{Handle, Limits, Shard};
use ens::access::Access;
use ens::broker::{
    Broker, BrokerConfig, BrokerMessage, Joins, Placement, Shared, Stats, SubscribingShards,
};
use reactor::Rng;
use reactor::rng::Stream;
use reactor::sim::{Options, SimReactor, World};

use crate::clients::Clients;

const MILLISECOND_NS: u64 = 1_000_000;
const SECOND_NS: u64 = 1000 * MILLISECOND_NS;

/// Where nobody listens.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// A broker, from its start to its end.
struct Generation {
    /// The number of its first shard's reactor in the world.
    first: usize,
    shards: Vec<Shard<SimReactor, Broker>>,
    running: Vec<bool>,
    handle: Handle<(), BrokerMessage>,
    subscribing: Arc<SubscribingShards>,
}

struct Run {
    world: World,
    limits: Limits,
    rng: Rng,
    brokers: Vec<Generation>,
    clients: Clients,
    /// Where the newest broker listens.
    address: Rc<Cell<SocketAddr>>,
}

/// Bounds so small that each of them is met.
fn tiny(rng: &mut Rng) -> Limits {
    let mut pick = |choices: &[usize]| choices[rng.below(choices.len() as u64) as usize];
    Limits {
        connections_max: 1000,
        replies_queue: pick(&[1, 100]),
        shard_messages_queue: pick(&[1, 2, 1000]),
        items_per_turn: pick(&[1, 3, 1000]),
        posts_bytes_max: pick(&[500, 5000]),
        outbox_bytes_max: 1 << 20,
        deadlines_per_turn: pick(&[1, 100]),
        shutdown_rows_per_turn: pick(&[1, 100]),
        shutdown_ns: 2 * SECOND_NS,
        ..Limits::default()
    }
}

impl Run {
    fn new(seed: u64) -> Self {
        let world = World::new(seed, Options::swarm(seed));
        let mut rng = Rng::stream(seed, Stream::Disk);
        let limits = tiny(&mut rng);
        let address = Rc::new(Cell::new(SocketAddr::from(([127, 0, 0, 1], 7997))));
        // The first reactor, so that its number is known.
        let clients = Clients::new(seed, world.reactor(1000), address.clone());
        let mut run = Self {
            world,
            limits,
            rng,
            brokers: vec![],
            clients,
            address,
        };
        run.start();
        run
    }

    /// Starts a broker, at an address of its own: nobody listens at a dead one's.
    fn start(&mut self) {
        let count = 1 + self.rng.below(4) as u16;
        let port = 7997 + self.brokers.len() as u16;
        self.address.set(([127, 0, 0, 1], port).into());
        let handle = engine::mesh::<(), BrokerMessage>(count, &self.limits);
        let subscribing = Arc::new(SubscribingShards::new(count));
        let shared = Shared {
            subscribing: subscribing.clone(),
            stats: Arc::new(Stats::default()),
            placement: Arc::new(Placement::new(vec![])),
            joins: Arc::new(Joins::new(count)),
            site: None,
        };
        let mut config = BrokerConfig::new(Access::parse("").unwrap(), 0);
        config.secret = [7; 32];
        let config = Arc::new(config);
        let shard = |number| {
            let mut reactor = self.world.reactor(10_000);
            reactor.listen(self.address.get());
            let broker = Broker::new(ShardId(number), config.clone(), shared.clone());
            let (limits, handle) = (self.limits.clone(), handle.clone());
            Shard::new(ShardId(number), reactor, broker, limits, handle)
        };
        let first = 1 + self
            .brokers
            .iter()
            .map(|it| it.running.len())
            .sum::<usize>();
        let shards: Vec<_> = (0..count).map(shard).collect();
        self.brokers.push(Generation {
            first,
            running: vec![true; shards.len()],
            shards,
            handle,
            subscribing,
        });
    }

    fn stop(&mut self) {
        self.address.set(NOBODY);
        self.brokers.last().unwrap().handle.shutdown();
        self.go(2500 * MILLISECOND_NS);
        let broker = self.brokers.last().unwrap();
        assert!(!broker.running.contains(&true), "all shards have stopped");
        assert_eq!(broker.count(Counter::Open), 0, "no connection is left");
        self.kill();
    }

    /// The broker's process ends, just like that.
    fn kill(&mut self) {
        self.address.set(NOBODY);
        let broker = self.brokers.last_mut().unwrap();
        broker.shards.clear();
    }

    fn go(&mut self, duration_ns: u64) {
        let until_ns = self.world.now_ns() + duration_ns;
        while let Some(number) = self.world.next(until_ns) {
            if number == 0 {
                self.clients.turn();
                continue;
            }
            let broker = self
                .brokers
                .iter_mut()
                .rfind(|broker| broker.first <= number)
                .unwrap();
            let shard = number - broker.first;
            if broker.running[shard] {
                broker.running[shard] = broker.shards[shard].turn();
            }
        }
    }

    /// All events of a round are heard by everybody whose they are.
    fn calm_round(&mut self, when: &str) {
        self.go(500 * MILLISECOND_NS);
        self.clients.check_ready(when);
        self.clients.begin_round();
        for _ in 0..5 {
            self.clients.publish_each();
            self.go(10 * MILLISECOND_NS);
        }
        self.go(2 * SECOND_NS);
        self.clients.check_round(when);
    }
}

impl Generation {
    fn count(&self, counter: Counter) -> u64 {
        let shards = 0..self.handle.shards();
        shards
            .map(|shard| self.handle.stats(ShardId(shard)).counter(counter))
            .sum()
    }
}

/// Gives the trace, and how many events slow subscribers were told that they missed.
pub fn run(seed: u64) -> (u64, u64) {
    let mut run = Run::new(seed);
    run.go(500 * MILLISECOND_NS);
    for _ in 0..run.rng.below(3) {
        if run.rng.chance(1, 2) {
            run.stop();
        } else {
            run.kill();
        }
        run.start();
        run.go(500 * MILLISECOND_NS);
    }
    run.clients.restless = false;
    run.clients.go_on_reading();
    run.world.heal();
    run.go(2 * SECOND_NS);
    run.calm_round("after the storm");
    run.stop();
    run.start();
    run.go(SECOND_NS);
    run.calm_round("after a restart");
    run.clients.begin_round();
    run.clients.stop_reading();
    for _ in 0..50 {
        run.clients.publish_each();
        run.go(MILLISECOND_NS);
    }
    run.clients.go_on_reading();
    run.go(3 * SECOND_NS);
    let lagged = run.clients.check_round("after slow subscribers");
    run.calm_round("at the end");
    assert_eq!(run.world.census().buffered_bytes, 0, "all was read");
    run.clients.leaving = true;
    run.go(SECOND_NS);
    assert_eq!(run.world.census().open, 0, "everyone has left");
    let broker = run.brokers.last().unwrap();
    assert_eq!(broker.count(Counter::Open), 0, "no connection is left");
    assert_eq!(broker.subscribing.total(), 0, "no subscription is left");
    run.stop();
    (run.world.trace(), lagged)
}
