//! Crowds, and one who was there before them, over real sockets: in each turn a crowd has a part of
//! its work done, and who is alone is served.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;

use engine::event::{SessionId, ShardId};
use engine::protocol::{Active, Context, NeverParks};
use engine::{Handle, Limits, Shard};
use reactor::uring::{Options, Uring};

/// Connections that come at once: fewer than a listener lets wait.
const CROWD: usize = 100;
const OPENINGS: usize = 8;

const PIECE_BYTES: usize = 64 << 10;

/// Counts whom it opened, what came, and what was answered, a piece each time.
#[derive(Clone, Default)]
struct Counts {
    opened: Rc<RefCell<Vec<SessionId>>>,
    bytes: Rc<Cell<usize>>,
    answered: Rc<Cell<usize>>,
}

impl Counts {
    fn opened(&self) -> usize {
        self.opened.borrow().len()
    }
}

impl Active for Counts {
    type Session = ();
    type Fact = ();
    type Reply = ();

    fn open(&mut self, cx: &mut Context<'_, ()>, _: u8) {
        self.opened.borrow_mut().push(cx.id());
    }
    fn handle_input(&mut self, (): &mut (), _: &mut Context<'_, ()>, bytes: &[u8]) {
        self.bytes.set(self.bytes.get() + bytes.len());
    }
    fn handle_reply(&mut self, (): &mut (), cx: &mut Context<'_, ()>, (): ()) {
        self.answered.set(self.answered.get() + 1);
        cx.send(vec![b'x'; PIECE_BYTES].into());
    }
    fn handle_watching(&mut self, (): &mut (), _: &mut Context<'_, ()>) {}
    fn handle_stale(&mut self, (): &mut (), _: &mut Context<'_, ()>) {}
    fn handle_drained(&mut self, (): &mut (), _: &mut Context<'_, ()>) {}
    fn handle_deadline(&mut self, (): &mut (), _: &mut Context<'_, ()>) {}
    fn handle_shutdown(&mut self, (): &mut (), cx: &mut Context<'_, ()>) {
        cx.close();
    }
    fn handle_closed(&mut self, (): &mut (), _: SessionId) {}
}

impl NeverParks for Counts {}

/// A shard that is turned by hand, and the one who is there.
struct World {
    counts: Counts,
    handle: Handle<(), ()>,
    shard: Shard<Uring, Counts>,
    address: SocketAddr,
    first: TcpStream,
}

impl World {
    fn new(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let handle = engine::mesh(1, &limits);
        let uring = Uring::new(Options::for_connections(1000), vec![listener.into()]).unwrap();
        let counts = Counts::default();
        let shard = Shard::new(ShardId(0), uring, counts.clone(), limits, handle.clone());
        let first = TcpStream::connect(address).unwrap();
        let mut world = Self {
            counts,
            handle,
            shard,
            address,
            first,
        };
        world.turn_until_open(1);
        world
    }

    fn turn_until_open(&mut self, count: usize) {
        while self.counts.opened() < count {
            self.shard.turn();
        }
    }

    fn connect_crowd(&self) -> Vec<TcpStream> {
        let connect = |_| TcpStream::connect(self.address).unwrap();
        (0..CROWD).map(connect).collect()
    }
}

#[test]
fn a_crowd_that_connects_is_opened_some_a_turn_and_who_is_there_is_served_between() {
    let mut world = World::new(Limits {
        openings_per_turn: OPENINGS,
        ..Limits::default()
    });
    let crowd = world.connect_crowd();
    world.first.write_all(b"x").unwrap();
    let mut served_after = None;
    while world.counts.opened() < 1 + CROWD {
        let before = world.counts.opened();
        world.shard.turn();
        let opened = world.counts.opened() - before;
        assert!(opened <= OPENINGS, "{opened} were opened in one turn");
        if world.counts.bytes.get() == 1 {
            served_after.get_or_insert(world.counts.opened());
        }
    }
    let served_after = served_after.unwrap();
    assert!(
        served_after <= 1 + 2 * OPENINGS,
        "{served_after} were opened before who was there was served"
    );

    // Those who wait to be opened when the server ends are not forgotten.
    let late = world.connect_crowd();
    world.shard.turn();
    world.handle.shutdown();
    while world.shard.turn() {}
    assert_eq!(world.shard.open(), 0);
    drop((crowd, late));
}

#[test]
fn answers_that_say_much_are_said_some_a_turn_and_who_asks_meanwhile_is_heard() {
    let mut world = World::new(Limits {
        reply_bytes_per_turn: 4 * PIECE_BYTES,
        ..Limits::default()
    });
    let crowd = world.connect_crowd();
    world.turn_until_open(1 + CROWD);
    let ids = world.counts.opened.borrow().clone();
    for id in &ids[1..] {
        world.handle.reply(*id, ()).unwrap();
    }
    world.first.write_all(b"x").unwrap();
    let mut heard_after = None;
    while world.counts.answered.get() < CROWD {
        let before = world.counts.answered.get();
        world.shard.turn();
        let answered = world.counts.answered.get() - before;
        assert!(answered <= 4, "{answered} were answered in one turn");
        if world.counts.bytes.get() == 1 {
            heard_after.get_or_insert(world.counts.answered.get());
        }
    }
    let heard_after = heard_after.unwrap();
    assert!(heard_after <= 8, "{heard_after} were answered before");
    drop(crowd);
}
