//! Where a session lives, and where its topic's events are born: one event on its way from the
//! handle to the client's socket, with both on one shard or a hop between the two of them; and to a
//! crowd that lives on the owner shard or is spread over both.
//!
//! Asleep, all have been idle for a while before each event; awake, both shards look for work all
//! the time. The client waits in its socket: its own wake-up is in each figure, and is dear when it
//! finds its core asleep.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use benches::clients::{connect, drain, listener, reactor_for};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::event::{Event, SessionId, ShardId};
use engine::protocol::{Active, Announce, Context, Parked, Parking};
use engine::topic::TopicId;
use engine::{Handle, Limits, Shard};
use reactor::Reactor;
use reactor::uring::{Options, Uring};

/// What a client is told of an event.
const MESSAGE: &[u8] = b"* 4711 EXISTS\r\n* 1 RECENT\r\n";
/// What a client says to watch its shard's topic, and is answered.
const WATCH: &[u8] = b"w";
const SHARDS: u16 = 2;
/// How long nothing happens before an event that finds all asleep.
const GAP: Duration = Duration::from_millis(2);
/// How long shards that stay awake look for work: longer than any run.
const AWAKE_NS: u64 = 3_600_000_000_000;
/// The shard where the topic's events are born.
const OWNER: ShardId = ShardId(0);
const OTHER: ShardId = ShardId(1);

/// Tells each client of each event of the topic.
struct Host {
    topic: TopicId,
}

/// The number of the newest event that the client was told of.
type Told = u64;

impl Active for Host {
    type Session = Option<Told>;
    type Fact = ();
    type Reply = ();

    fn open(&mut self, _: &mut Context<'_, ()>, _: u8) -> Option<Told> {
        None
    }
    fn handle_input(&mut self, _: &mut Option<Told>, cx: &mut Context<'_, ()>, _: &[u8]) {
        cx.watch(self.topic);
    }
    fn handle_reply(&mut self, _: &mut Option<Told>, _: &mut Context<'_, ()>, (): ()) {}
    fn handle_watching(&mut self, session: &mut Option<Told>, cx: &mut Context<'_, ()>) {
        *session = Some(0);
        cx.send(Bytes::from_static(WATCH));
    }
    fn handle_stale(&mut self, _: &mut Option<Told>, cx: &mut Context<'_, ()>) {
        // An event was lost: the client notices.
        cx.close();
    }
    fn handle_drained(&mut self, _: &mut Option<Told>, _: &mut Context<'_, ()>) {}
    fn handle_deadline(&mut self, _: &mut Option<Told>, _: &mut Context<'_, ()>) {}
    fn handle_shutdown(&mut self, _: &mut Option<Told>, cx: &mut Context<'_, ()>) {
        cx.close();
    }
    fn handle_closed(&mut self, _: &mut Option<Told>, _: SessionId) {}
}

impl Parking for Host {
    type Parked = Told;
    type Key = ();

    fn park(&mut self, session: &Option<Told>) -> Option<Told> {
        *session
    }
    fn unpark(&mut self, parked: Told, _: SessionId) -> Option<Told> {
        Some(parked)
    }
    fn cursor(&self, parked: &Told) -> Option<u64> {
        Some(*parked)
    }
    fn announce(&mut self, parked: &mut Told, event: &Event<()>) -> Announce<()> {
        if event.prev != *parked {
            return Announce::Stale;
        }
        *parked = event.seq;
        Announce::Send(())
    }
    fn render(&mut self, _: &Event<()>, (): ()) -> Bytes {
        Bytes::from_static(MESSAGE)
    }
    fn render_many(&mut self, parked: &mut Told, events: &[Arc<Event<()>>]) -> Option<Bytes> {
        *parked = events.last().map_or(*parked, |event| event.seq);
        Some(MESSAGE.repeat(events.len()).into())
    }
    fn parked_deadline(&mut self, _: &mut Told, _: u64) -> Parked {
        Parked::Unpark
    }
}

/// Two shards at work, each with a port of its own.
struct Engine {
    handle: Handle<(), ()>,
    ports: Vec<SocketAddr>,
    threads: Vec<JoinHandle<()>>,
    topic: TopicId,
    newest: u64,
}

impl Engine {
    fn start(connections: usize, spin_ns: u64) -> Self {
        let limits = Limits::default();
        let handle = engine::mesh(SHARDS, &limits);
        let topic = (1..).map(TopicId).find(|id| id.owner(SHARDS) == OWNER);
        let mut engine = Self {
            handle,
            ports: vec![],
            threads: vec![],
            topic: topic.expect("half of them are"),
            newest: 0,
        };
        for id in [OWNER, OTHER] {
            let (listener, address) = listener();
            let (handle, topic) = (engine.handle.clone(), engine.topic);
            let (limits, (sender, started)) = (limits.clone(), mpsc::channel());
            engine.ports.push(address);
            engine.threads.push(thread::spawn(move || {
                let options = Options {
                    spin_ns,
                    ..Options::for_connections(connections)
                };
                let uring = Uring::new(options, vec![listener.into()]);
                let uring = uring.expect("io_uring works here");
                let mut shard = Shard::new(id, uring, Host { topic }, limits, handle);
                sender.send(()).expect("the starter waits");
                shard.run();
            }));
            started.recv().expect("the shard starts");
        }
        engine
    }

    fn port(&self, shard: ShardId) -> SocketAddr {
        self.ports[usize::from(shard.0)]
    }

    fn publish(&mut self) {
        let prev = self.newest;
        self.newest += 1;
        self.handle.publish(Event {
            topic: self.topic,
            prev,
            seq: self.newest,
            born_ns: 0,
            fact: (),
        });
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.handle.shutdown();
        for thread in self.threads.drain(..) {
            // A shard that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// One client, whose session lives on that shard.
fn one(home: ShardId, awake: bool) -> impl FnMut(u64) -> Duration {
    let mut engine = Engine::start(1, if awake { AWAKE_NS } else { 0 });
    let mut client = TcpStream::connect(engine.port(home)).expect("the shard accepts");
    client.write_all(WATCH).expect("there is room");
    client.read_exact(&mut [0; WATCH.len()]).expect("watched");
    move |rounds| {
        let round = |_| {
            if !awake {
                thread::sleep(GAP);
            }
            let begun = Instant::now();
            engine.publish();
            client.read_exact(&mut [0; MESSAGE.len()]).expect("told");
            begun.elapsed()
        };
        (0..rounds).map(round).sum()
    }
}

/// Many clients, whose sessions live on those shards in turn; until the last one has it.
fn crowd(homes: &[ShardId], size: usize) -> impl FnMut(u64) -> Duration + use<> {
    let mut engine = Engine::start(size, 0);
    let mut clients = reactor_for(size, vec![]);
    let share = size / homes.len();
    for home in homes {
        let conns = connect(&mut clients, engine.port(*home), share, |_| {});
        for conn in conns {
            clients.send(conn, Bytes::from_static(WATCH));
        }
        drain(&mut clients, share * WATCH.len());
    }
    let told_bytes = share * homes.len() * MESSAGE.len();
    move |rounds| {
        let round = |_| {
            thread::sleep(GAP);
            let begun = Instant::now();
            engine.publish();
            drain(&mut clients, told_bytes);
            begun.elapsed()
        };
        (0..rounds).map(round).sum()
    }
}

fn placement(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("placement");
    group.sample_size(50);
    group.throughput(Throughput::Elements(1));
    for (state, awake) in [("asleep", false), ("awake", true)] {
        for (name, home) in [("no_hop", OWNER), ("one_hop", OTHER)] {
            let mut told = None;
            group.bench_function(format!("{name}/{state}"), |bencher| {
                let told = told.get_or_insert_with(|| one(home, awake));
                bencher.iter_custom(told);
            });
        }
    }
    let size = if benches::is_measuring() { 1_000 } else { 10 };
    group.throughput(Throughput::Elements(size as u64));
    for (name, homes) in [("owner", &[OWNER][..]), ("spread", &[OWNER, OTHER])] {
        let mut told = None;
        group.bench_function(format!("crowd_{name}/{size}"), |bencher| {
            let told = told.get_or_insert_with(|| crowd(homes, size));
            bencher.iter_custom(told);
        });
    }
    group.finish();
}

criterion_group!(benches, placement);
criterion_main!(benches);
