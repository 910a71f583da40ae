//! Connections that go from the shards of one mesh to those of another, over real sockets, or stay.
#![allow(clippy::disallowed_methods, reason = "tests wait and measure")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use engine::event::{Event, SessionId, ShardId};
use engine::handover::{Given, Held};
use engine::protocol::{Active, Announce, Context, Parked, Parking, Seen, TakenOver};
use engine::stats::Counter;
use engine::{Adopted, Handle, Limits, Shard};
use reactor::uring::{Options, Uring};

const PATIENCE: Duration = Duration::from_secs(20);
const SECOND_NS: u64 = 1_000_000_000;
const LARGE: usize = 8 << 20;

/// Counts each `x` aloud; is in the middle of something from `b` to `e`, and waits for an answer
/// from `w` to `e`; says a lot to `l`.
struct Counting;

struct Session {
    count: u64,
    busy: bool,
    waits: bool,
}

impl Active for Counting {
    type Session = Session;
    type Fact = ();
    type Reply = ();

    fn open(&mut self, _: &mut Context<'_, ()>, _: u8) -> Session {
        self.unpark(0, id_of_nobody())
    }
    fn handle_input(&mut self, session: &mut Session, cx: &mut Context<'_, ()>, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'x' => session.count += 1,
                b'l' => cx.send(vec![b'l'; LARGE].into()),
                _ => {
                    session.busy = *byte == b'b' || *byte == b'w';
                    session.waits = *byte == b'w';
                }
            }
            cx.send(format!("{}\n", session.count).into());
        }
    }
    fn handle_reply(&mut self, _: &mut Session, _: &mut Context<'_, ()>, (): ()) {}
    fn handle_watching(&mut self, _: &mut Session, _: &mut Context<'_, ()>) {}
    fn handle_stale(&mut self, _: &mut Session, _: &mut Context<'_, ()>) {}
    fn handle_drained(&mut self, _: &mut Session, _: &mut Context<'_, ()>) {}
    fn handle_deadline(&mut self, _: &mut Session, _: &mut Context<'_, ()>) {}
    fn handle_shutdown(&mut self, _: &mut Session, cx: &mut Context<'_, ()>) {
        cx.send(Bytes::from_static(b"bye\n"));
        cx.close();
    }
    fn handle_closed(&mut self, _: &mut Session, _: SessionId) {}
    fn rests(&self, session: &Session) -> bool {
        !session.busy
    }
    fn awaits_answer(&self, session: &Session) -> bool {
        session.waits
    }
}

fn id_of_nobody() -> SessionId {
    SessionId::shard_itself(ShardId(0))
}

impl Parking for Counting {
    type Parked = u64;
    type Key = ();

    fn park(&mut self, session: &Session) -> Option<u64> {
        (!session.busy).then_some(session.count)
    }
    fn unpark(&mut self, count: u64, _: SessionId) -> Session {
        Session {
            count,
            busy: false,
            waits: false,
        }
    }
    fn cursor(&self, _: &u64) -> Option<u64> {
        None
    }
    fn announce(&mut self, _: &mut u64, _: &Event<()>) -> Announce<()> {
        Announce::Silent
    }
    fn render(&mut self, _: &Event<()>, (): ()) -> Bytes {
        Bytes::new()
    }
    fn render_many(&mut self, _: &mut u64, _: &[Arc<Event<()>>]) -> Option<Bytes> {
        None
    }
    fn parked_deadline(&mut self, _: &mut u64, now_ns: u64) -> Parked {
        let until_ns = now_ns + SECOND_NS;
        Parked::Wait { until_ns }
    }
    fn hand_over(&mut self, _: SessionId, seen: Seen<'_, Session, u64>, out: &mut Vec<u8>) -> bool {
        let count = match seen {
            Seen::Active(session) => session.count,
            Seen::Parked(count) => *count,
        };
        out.extend(count.to_be_bytes());
        true
    }
    fn take_over(
        &mut self,
        _: SessionId,
        _: bool,
        bytes: &[u8],
    ) -> Option<TakenOver<Session, u64>> {
        Some(TakenOver::Parked(u64::from_be_bytes(
            bytes.try_into().ok()?,
        )))
    }
}

struct Server {
    handle: Handle<(), ()>,
    threads: Vec<JoinHandle<()>>,
    listener: TcpListener,
}

fn limits() -> Limits {
    Limits {
        outbox_bytes_max: 2 * LARGE,
        ..Limits::default()
    }
}

impl Server {
    /// Two shards that share a listener; their connections come from elsewhere first, if that is
    /// given.
    fn start(listener: TcpListener, coming: Option<Vec<Receiver<Given>>>) -> Self {
        let handle = engine::mesh(2, &limits());
        let mut coming = coming.map(Vec::into_iter);
        let threads = (0..2).map(ShardId).map(|id| {
            let (given, port) = (handle.clone(), listener.try_clone().unwrap());
            let coming = coming.as_mut().map(|it| it.next().unwrap());
            let run = move || {
                let options = Options::for_connections(200);
                let uring = Uring::new(options, vec![port.into()]).unwrap();
                let shard = Shard::new(id, uring, Counting, limits(), given);
                match coming {
                    Some(coming) => take(shard.awaiting(), &coming).run(),
                    None => { shard }.run(),
                }
            };
            std::thread::spawn(run)
        });
        let threads = threads.collect();
        Self {
            handle,
            threads,
            listener,
        }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    fn shards(&self) -> [ShardId; 2] {
        [ShardId(0), ShardId(1)]
    }

    /// How many were ended.
    fn settle(&self, within_ns: u64) -> usize {
        let settled = self.shards().map(|id| self.handle.settle(id, within_ns));
        settled
            .into_iter()
            .for_each(|it| it.recv_timeout(PATIENCE).unwrap());
        self.hold(within_ns).ended
    }

    fn hold(&self, within_ns: u64) -> Held {
        let held = self.shards().map(|id| self.handle.hold(id, within_ns));
        let mut sum = Held::default();
        for held in held.map(|it| it.recv_timeout(PATIENCE).unwrap()) {
            sum.ended += held.ended;
            sum.waiting += held.waiting;
        }
        sum
    }

    fn go_on(&self) {
        for id in self.shards() {
            self.handle.go_on(id).recv_timeout(PATIENCE).unwrap();
        }
    }

    fn open(&self) -> u64 {
        let open = |id| self.handle.stats(id).counter(Counter::Open);
        self.shards().map(open).iter().sum()
    }

    fn end(self) {
        self.handle.shutdown();
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

fn take(mut shard: Shard<Uring, Counting>, coming: &Receiver<Given>) -> Shard<Uring, Counting> {
    let mut adopted = Adopted::default();
    for given in coming {
        match given {
            Given::Descriptor(key, it) => shard.adopt(&mut adopted, key, it).unwrap(),
            Given::Rows(rows) => shard.take_rows(&mut adopted, &rows).unwrap(),
            Given::Gone(keys) => shard.give_up(keys).unwrap(),
            Given::End => break,
        }
        shard.arm();
    }
    shard.end_adopting(adopted);
    shard
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn new(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    fn count(&mut self, count: u64) {
        self.say("x");
        assert_eq!(self.line(), format!("{count}\n"));
    }
}

#[test]
fn all_connections_go_on_in_another_mesh() {
    let old = Server::start(TcpListener::bind("127.0.0.1:0").unwrap(), None);
    let mut clients: Vec<Client> = (0..100).map(|_| Client::new(&old)).collect();
    clients.iter_mut().for_each(|client| client.count(1));
    let (mut slow, mut busy, mut stuck) = (Client::new(&old), Client::new(&old), Client::new(&old));
    slow.say("l");
    for client in [&mut busy, &mut stuck] {
        client.say("b");
        assert_eq!(client.line(), "0\n");
    }
    let (ways, coming): (Vec<_>, Vec<_>) = (0..2).map(|_| sync_channel(16)).unzip();
    let listener = old.listener.try_clone().unwrap();
    let new = Server::start(listener, Some(coming));
    for (id, way) in old.shards().into_iter().zip(&ways) {
        let shared = old.handle.share(id, way.clone());
        shared.recv_timeout(PATIENCE).unwrap();
    }
    // All goes on meanwhile; some leave, some come.
    drop(clients.split_off(90));
    clients.extend((0..10).map(|_| Client::new(&old)));
    for (number, client) in clients.iter_mut().enumerate() {
        client.count(if number < 90 { 2 } else { 1 });
    }
    let ended = std::thread::scope(|scope| {
        let settling = scope.spawn(|| old.settle(SECOND_NS));
        std::thread::sleep(Duration::from_millis(300));
        busy.say("e");
        assert_eq!(busy.line(), "0\n");
        settling.join().unwrap()
    });
    assert_eq!(ended, 1);
    assert_eq!(stuck.line(), "bye\n");
    assert_eq!(stuck.line(), "");
    // What is said from now on waits for the new ones, and so do those who come.
    clients[0].say("x");
    let mut late = Client::new(&old);
    late.say("x");
    for (id, way) in old.shards().into_iter().zip(ways) {
        old.handle
            .export(id, way)
            .recv_timeout(PATIENCE)
            .unwrap()
            .unwrap();
    }
    clients[1].say("x");
    for id in new.shards() {
        new.handle.pass(id).recv_timeout(PATIENCE).unwrap();
    }
    assert_eq!(new.open(), 102);
    new.go_on();
    for (number, client) in clients.iter_mut().enumerate() {
        match number {
            0 | 1 => assert_eq!(client.line(), "3\n"),
            2..90 => client.count(3),
            _ => client.count(2),
        }
    }
    assert_eq!(late.line(), "1\n");
    busy.count(1);
    let mut text = vec![0; LARGE];
    slow.0.read_exact(&mut text).unwrap();
    assert!(text.iter().all(|byte| *byte == b'l'));
    assert_eq!(slow.line(), "0\n");
    slow.count(1);
    new.end();
    // The old ones touch nothing any more, and could not tell who has left.
    assert_eq!(clients[0].line(), "bye\n");
    drop(old.threads);
}

#[test]
fn all_connections_go_on_where_they_were_if_nobody_takes_them() {
    let old = Server::start(TcpListener::bind("127.0.0.1:0").unwrap(), None);
    let mut clients: Vec<Client> = (0..20).map(|_| Client::new(&old)).collect();
    clients.iter_mut().for_each(|client| client.count(1));
    let mut slow = Client::new(&old);
    slow.say("l");
    for round in 0..2 {
        let (way, given) = sync_channel(1000);
        for id in old.shards() {
            let shared = old.handle.share(id, way.clone());
            shared.recv_timeout(PATIENCE).unwrap();
        }
        assert_eq!(old.settle(SECOND_NS), 0);
        clients[0].say("x");
        for id in old.shards() {
            let exported = old.handle.export(id, way.clone());
            exported.recv_timeout(PATIENCE).unwrap().unwrap();
        }
        clients[1].say("x");
        drop(given);
        old.go_on();
        for (number, client) in clients.iter_mut().enumerate() {
            match number {
                0 | 1 => assert_eq!(client.line(), format!("{}\n", round + 2)),
                _ => client.count(round + 2),
            }
        }
        Client::new(&old).count(1);
    }
    // Nobody takes what is given.
    let (way, given) = sync_channel(1);
    drop(given);
    let refused = old.shards().map(|id| {
        let shared = old.handle.share(id, way.clone());
        shared.recv_timeout(PATIENCE).is_err()
    });
    assert!(refused.contains(&true), "one of them has connections");
    assert_eq!(old.settle(SECOND_NS), 0);
    let exported = old.handle.export(ShardId(0), way).recv_timeout(PATIENCE);
    assert!(exported.unwrap().is_err());
    old.go_on();
    clients.iter_mut().for_each(|client| client.count(4));
    let mut text = vec![0; LARGE];
    slow.0.read_exact(&mut text).unwrap();
    assert_eq!(slow.line(), "0\n");
    old.end();
}

#[test]
fn who_waits_for_an_answer_is_waited_for() {
    let old = Server::start(TcpListener::bind("127.0.0.1:0").unwrap(), None);
    let (mut waiting, mut stuck) = (Client::new(&old), Client::new(&old));
    for (client, what) in [(&mut waiting, "w"), (&mut stuck, "b")] {
        client.say(what);
        assert_eq!(client.line(), "0\n");
    }
    let ended = std::thread::scope(|scope| {
        let holding = scope.spawn(|| old.hold(SECOND_NS / 10));
        assert_eq!(stuck.line(), "bye\n");
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!holding.is_finished(), "one waits");
        waiting.say("e");
        assert_eq!(waiting.line(), "0\n");
        holding.join().unwrap()
    });
    assert_eq!((ended.ended, ended.waiting), (1, 0));
    old.go_on();
    waiting.count(1);
    // One that waits for ever keeps its connection, and nobody is handed over.
    waiting.say("w");
    assert_eq!(waiting.line(), "1\n");
    let held = old.hold(SECOND_NS / 10);
    assert_eq!((held.ended, held.waiting), (0, 1));
    old.go_on();
    waiting.say("e");
    assert_eq!(waiting.line(), "1\n");
    old.end();
}

#[test]
fn one_shard_holds_nobody_back_before_all_can() {
    let old = Server::start(TcpListener::bind("127.0.0.1:0").unwrap(), None);
    let mut clients: Vec<Client> = (0..8).map(|_| Client::new(&old)).collect();
    let mut busy = Client::new(&old);
    busy.say("b");
    assert_eq!(busy.line(), "0\n");
    let settled = old.shards().map(|id| old.handle.settle(id, 5 * SECOND_NS));
    std::thread::sleep(Duration::from_millis(200));
    clients.iter_mut().for_each(|client| client.count(1));
    busy.say("e");
    assert_eq!(busy.line(), "0\n");
    settled
        .into_iter()
        .for_each(|it| it.recv_timeout(PATIENCE).unwrap());
    clients.iter_mut().for_each(|client| client.count(2));
    // What is to be looked at at the moment doesn't keep all from being quiet.
    assert_eq!(old.hold(SECOND_NS).ended, 0);
    old.handle.review();
    old.handle.visit(ShardId(0));
    let pass = |id| old.handle.pass(id).recv_timeout(PATIENCE).unwrap();
    assert_eq!(old.shards().map(pass), [true, true]);
    old.go_on();
    clients.iter_mut().for_each(|client| client.count(3));
    // A review is over before anybody is held back.
    old.handle.review();
    let settled = old.shards().map(|id| old.handle.settle(id, SECOND_NS));
    settled
        .into_iter()
        .for_each(|it| it.recv_timeout(PATIENCE).unwrap());
    old.end();
}
