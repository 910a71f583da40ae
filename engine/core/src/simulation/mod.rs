//! Whole engines in a simulated world, judged by three oracles: agreement (numbers only grow, are
//! never from the future, and end at the truth), liveness (within a deadline far shorter than any
//! keep-alive) and resources (nothing is left over, and what waits is bounded).

mod board;
mod clients;
mod stand_in;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use reactor::rng::Stream;
use reactor::sim::{Options, SimReactor, World};
use reactor::{Reactor, Rng};

use crate::event::{Event, ShardId};
use crate::limits::{Limits, SECOND_NS};
use crate::mutant::{Mutant, plant};
use crate::secure::Doors;
use crate::stats::Counter;
use crate::topic::TopicId;
use crate::{Handle, Shard, mesh};
use board::{Board, Truth};
use clients::Clients;
use stand_in::StandIn;

const MILLISECOND_NS: u64 = 1_000_000;
const SEEDS: u64 = 200;
/// Seeds of each half that are run twice.
const REPEATED: u64 = 25;

/// The slow side: raises numbers, publishes that, answers pings.
struct Store {
    reactor: SimReactor,
    rng: Rng,
    handle: Handle<(), u64>,
    truth: Rc<RefCell<Truth>>,
    topics: u64,
    publishing: bool,
}

impl Store {
    fn turn(&mut self) {
        let until_ns = self.reactor.now_ns() + 1 + self.rng.below(MILLISECOND_NS);
        self.reactor.turn(Some(until_ns), &mut Vec::new());
        let mut truth = self.truth.borrow_mut();
        while let Some((id, number)) = truth.pings.pop_front() {
            if let Err(number) = self.handle.reply(id, number) {
                truth.pings.push_front((id, number));
                break;
            }
        }
        drop(truth);
        while self.publishing && self.rng.chance(1, 2) {
            let topic = 1 + self.rng.below(self.topics);
            self.raise(topic);
        }
    }

    fn raise(&mut self, topic: u64) {
        let prev = self.truth.borrow().number(topic);
        let seq = prev + 1 + self.rng.below(3);
        self.truth.borrow_mut().numbers.insert(topic, seq);
        self.handle.publish(Event {
            topic: TopicId(topic),
            prev,
            seq,
            born_ns: self.reactor.now_ns(),
            fact: (),
        });
    }
}

/// All of one run.
struct Run {
    world: World,
    shards: Vec<Shard<SimReactor, Board, StandIn>>,
    running: Vec<Cell<bool>>,
    store: Store,
    clients: Clients,
    handle: Handle<(), u64>,
    truth: Rc<RefCell<Truth>>,
}

/// Bounds so small that each of them is met.
fn tiny(rng: &mut Rng) -> Limits {
    let mut pick = |choices: &[usize]| choices[rng.below(choices.len() as u64) as usize];
    Limits {
        connections_max: pick(&[8, 1000]),
        events_queue: pick(&[1, 4, 1000]),
        lost_topics_max: pick(&[1, 100]),
        replies_queue: pick(&[1, 100]),
        shard_messages_queue: pick(&[1, 2, 1000]),
        items_per_turn: pick(&[1, 3, 1000]),
        openings_per_turn: pick(&[1, 32]),
        reply_bytes_per_turn: pick(&[1, 1 << 20]),
        tail_events_max: pick(&[1, 3, 100]),
        output_bytes_max: pick(&[500, 1 << 30]),
        deadlines_per_turn: pick(&[1, 100]),
        shutdown_rows_per_turn: pick(&[1, 100]),
        write_timeout_ns: pick(&[1, 60]) as u64 * SECOND_NS,
        handshakes_per_turn: pick(&[1, 4]),
        shutdown_ns: 2 * SECOND_NS,
        ..Limits::default()
    }
}

impl Run {
    fn new(seed: u64) -> Self {
        let world = World::new(seed, Options::swarm(seed));
        let mut rng = Rng::stream(seed, Stream::Disk);
        let limits = tiny(&mut rng);
        let count = 1 + rng.below(4) as u16;
        let topics = 1 + rng.below(6);
        let handle = mesh::<(), u64>(count, &limits);
        let truth = Rc::new(RefCell::new(Truth::default()));
        let addresses = [143, 993].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let shard = |number| {
            let mut reactor = world.reactor(10_000);
            reactor.listen(addresses[0]);
            let implicit = vec![reactor.listen(addresses[1])];
            let board = Board {
                truth: truth.clone(),
            };
            let doors = Doors {
                tls: StandIn,
                implicit,
            };
            let (limits, handle) = (limits.clone(), handle.clone());
            Shard::with_tls(ShardId(number), reactor, board, limits, handle, doors)
        };
        let shards: Vec<_> = (0..count).map(shard).collect();
        let store = Store {
            reactor: world.reactor(1),
            rng,
            handle: handle.clone(),
            truth: truth.clone(),
            topics,
            publishing: true,
        };
        // Never more than one shard takes, as they don't choose their shard.
        let number = 1 + seed as usize % limits.connections_max.min(20);
        let cuts = limits.write_timeout_ns < 60 * SECOND_NS || limits.output_bytes_max < 1 << 30;
        let sizes = (number, topics, cuts);
        let clients = Clients::new(seed, world.reactor(1000), addresses, truth.clone(), sizes);
        let running = (0..count).map(|_| Cell::new(true)).collect();
        Self {
            world,
            shards,
            running,
            store,
            clients,
            handle,
            truth,
        }
    }

    fn go(&mut self, duration_ns: u64) {
        let until_ns = self.world.now_ns() + duration_ns;
        while let Some(number) = self.world.next(until_ns) {
            match number.checked_sub(self.shards.len()) {
                None if self.running[number].get() => {
                    let goes_on = self.shards[number].turn();
                    self.running[number].set(goes_on);
                }
                None => {}
                Some(0) => self.store.turn(),
                Some(_) => self.clients.turn(),
            }
            if self.running.iter().all(|running| !running.get()) {
                return;
            }
        }
    }

    fn count(&self, counter: Counter) -> u64 {
        let shards = 0..self.handle.shards();
        shards
            .map(|shard| self.handle.stats(ShardId(shard)).counter(counter))
            .sum()
    }

    /// Everyone has heard the truth.
    fn check_told(&self, when: &str) {
        let ignorant = self.clients.ignorant();
        assert!(ignorant.is_empty(), "{when}: {}", ignorant.join("; "));
    }
}

/// A run under faults, then healed, then judged. Gives the trace.
fn run(seed: u64) -> u64 {
    let mut run = Run::new(seed);
    run.go(1500 * MILLISECOND_NS);
    run.clients.restless = false;
    run.store.publishing = false;
    run.world.heal();
    run.go(3 * SECOND_NS);
    run.check_told("after the storm");
    for round in 0..3 {
        for topic in 1..=run.store.topics {
            run.store.raise(topic);
        }
        run.go(200 * MILLISECOND_NS);
        run.check_told(&format!("in calm round {round}"));
    }
    let census = run.world.census();
    assert_eq!(census.buffered_bytes, 0, "all was read");
    assert_eq!(
        run.count(Counter::Open),
        census.open as u64 / 2,
        "no connection is lost"
    );
    if seed.is_multiple_of(2) {
        run.clients.leaving = true;
        run.go(SECOND_NS);
        assert_eq!(run.count(Counter::Topics), 0, "nobody watches");
        assert_eq!(run.count(Counter::FurtherWatches), 0, "nor anything beside");
        assert_eq!(run.world.census().open, 0, "everyone has left");
    }
    run.clients.leaving = true;
    run.handle.shutdown();
    run.go(3 * SECOND_NS);
    assert!(
        run.running.iter().all(|running| !running.get()),
        "all shards have stopped"
    );
    assert_eq!(run.count(Counter::Parked), 0);
    assert_eq!(run.count(Counter::Owed), 0, "nothing waits for nobody");
    assert_eq!(
        run.truth.borrow().sessions,
        0,
        "each session was closed once"
    );
    run.world.trace()
}

/// Every seed agrees in time and leaves nothing; the first ones repeat.
fn check(seeds: Range<u64>) {
    let mut failed = Vec::new();
    for seed in seeds.clone() {
        let again = seed < seeds.start + REPEATED;
        match catch_unwind(|| (run(seed), again.then(|| run(seed)))) {
            Ok((first, Some(second))) => assert_eq!(first, second, "seed {seed} must repeat"),
            Ok(_) => {}
            Err(_) => failed.push(seed),
        }
    }
    assert!(failed.is_empty(), "seeds {failed:?} failed");
}

/// In two parts, for two cores.
#[test]
fn seeds_of_the_first_half() {
    check(0..SEEDS / 2);
}

#[test]
fn seeds_of_the_second_half() {
    check(SEEDS / 2..SEEDS);
}

/// Whether some seed notices a planted bug.
fn is_caught(mutant: Mutant) -> bool {
    plant(Some(mutant));
    let caught = (0..SEEDS).find(|seed| catch_unwind(AssertUnwindSafe(|| run(*seed))).is_err());
    plant(None);
    if let Some(seed) = caught {
        println!("{mutant:?} is caught by seed {seed}");
    }
    caught.is_some()
}

#[test]
fn planted_bugs_are_caught() {
    let survivors: Vec<_> = Mutant::ALL
        .into_iter()
        .filter(|mutant| !is_caught(*mutant))
        .collect();
    assert!(survivors.is_empty(), "{survivors:?} survived");
}
