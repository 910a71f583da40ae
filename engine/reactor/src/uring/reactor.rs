//! The trait, carried out by rings.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use bytes::Bytes;
use io_uring::{cqueue, opcode, squeue, types};

use super::accept::Accepts;
use super::alarm::{EventFd, monotonic_ns};
use super::connect::{Connects, installed};
use super::op::{Op, fixed};
use super::options::Options;
use super::peer::Peers;
use super::receive::Receives;
use super::ring::{Done, Ring};
use super::send::Sends;
use super::slots::{Slot, conn_at, ring_of};
use super::token::{Kind, Token};
use crate::{Completion, Conn, Reactor, Rng, Waker};

/// Rounds of a turn that has something to return already.
const ROUNDS_MAX: usize = 16;
/// Completions with which a turn goes back to its host, although there is more: what is gathered in
/// one turn is what the host does in one go.
const ENOUGH: usize = 256;
/// Operations that are carried out before a wait rather than with it, so that their time counts as
/// work.
const WORTH_ENTERING: usize = 16;
/// The command of the kernel's `linux/io_uring.h` that asks what SIOCOUTQ does.
const SOCKET_URING_OP_SIOCOUTQ: u32 = 1;
/// IORING_FILE_INDEX_ALLOC: the kernel chooses the slot of a direct descriptor.
const ANY_SLOT: i32 = -1;
/// Most operations that belong together in one batch.
const CHAIN_MAX: usize = 4;

/// A reactor on io_uring. Lives on the thread that made it.
///
/// Verbs note what is to be done. A turn goes in rounds: it queues sends, then other operations and
/// polls, then receives; enters each ring that has something to do; and deals with the completions,
/// which only note new operations for the next round. So a batch's buffers are never let go while
/// its completions are still being dealt with.
pub struct Uring {
    pub(super) rings: Vec<Ring>,
    pub(super) options: Options,
    pub(super) accepts: Accepts,
    pub(super) peers: Peers,
    pub(super) connects: Connects,
    pub(super) receives: Receives,
    pub(super) sends: Sends,
    pub(super) ops: Vec<Op>,
    /// Completions of the turn so far.
    pub(super) out: Vec<Completion>,
    pub(super) now_ns: u64,
    /// Of the turn so far.
    waited_ns: u64,
    /// The wakers' eventfd and the park rings'.
    alarms: [Arc<EventFd>; 2],
    armed: [bool; 2],
    woken: bool,
    /// An accept or a watch on an alarm has ended: the next round starts it again.
    pub(super) again: bool,
    waker: Waker,
    rng: Rng,
    taken: Vec<Done>,
    /// The answer to what was asked outside of a turn.
    asked: Option<i32>,
    /// What a question points to: a descriptor that is adopted.
    adopted: Box<[i32; 1]>,
    /// Other processes have descriptors of connections.
    shared: bool,
    /// No connection is closed that others are to outlive.
    ending: bool,
}

impl Uring {
    /// A reactor that accepts on `listeners` (listening TCP or Unix sockets), numbered from 0.
    ///
    /// # Errors
    /// If the kernel lacks what is needed or a limit forbids it.
    pub fn new(options: Options, listeners: Vec<OwnedFd>) -> io::Result<Self> {
        let rings_allowed = (1..=250).contains(&options.rings);
        assert!(rings_allowed, "a reactor has 1 to 250 rings");
        assert!(options.batch as usize >= CHAIN_MAX, "a batch holds a chain");
        let alarms = [Arc::new(EventFd::new()?), Arc::new(EventFd::new()?)];
        let parks_ring = |number| (number > 0).then(|| alarms[1].raw());
        let mut rings = (0..options.rings)
            .map(|number| Ring::new(&options, parks_ring(number)))
            .collect::<io::Result<Vec<_>>>()?;
        for park in &mut rings[1..] {
            park.ring_while(false);
        }
        Ok(Self {
            accepts: Accepts::new(listeners),
            peers: Peers::default(),
            connects: Connects::default(),
            receives: Receives::new(options.receive_buffers, options.receive_buffer_bytes),
            sends: Sends::default(),
            ops: Vec::new(),
            out: Vec::new(),
            now_ns: monotonic_ns(),
            waited_ns: 0,
            waker: Waker::new(alarms[0].clone()),
            alarms,
            // With one ring there are no park rings to listen to.
            armed: [false, options.rings == 1],
            woken: false,
            again: false,
            rng: Rng::new(options.seed),
            options,
            rings,
            taken: Vec::new(),
            asked: None,
            adopted: Box::new([-1]),
            shared: false,
            ending: false,
        })
    }

    /// The file tables' real use: connections open on each ring.
    pub fn open(&self) -> Vec<u32> {
        (0..self.rings.len()).map(|it| self.open_on(it)).collect()
    }

    fn open_on(&self, ring: usize) -> u32 {
        self.options.files_per_ring - self.rings[ring].free
    }

    pub(super) fn slot(&mut self, conn: Conn) -> &mut Slot {
        self.rings[ring_of(conn)].slot(conn)
    }

    /// The state of a connection, unless it was closed since it had this generation.
    pub(super) fn current(&mut self, conn: Conn, generation: u16) -> Option<&mut Slot> {
        let slot = self.slot(conn);
        (slot.has(Slot::OPEN) && slot.generation == generation).then_some(slot)
    }

    /// A descriptor was installed in a ring's table.
    pub(super) fn opened(&mut self, ring: usize, slot: u32) -> Conn {
        self.rings[ring].open(slot);
        conn_at(ring, slot)
    }

    /// Adds to a ring's batch, submitting it first if `operations` don't fit.
    ///
    /// # Safety
    /// As of [`Ring::push`].
    pub(super) unsafe fn push(&mut self, ring: usize, operations: usize, entry: squeue::Entry) {
        if !self.rings[ring].fits(operations) {
            self.enter(ring);
        }
        // SAFETY: as the caller promises.
        unsafe { self.rings[ring].push(&entry) };
    }

    /// Adds a cancel of the operation with this token.
    pub(super) fn cancel(&mut self, ring: usize, token: Token) {
        let target = types::CancelBuilder::user_data(token.pack()).all();
        let entry = opcode::AsyncCancel2::new(target)
            .build()
            .user_data(Token::IGNORED)
            .flags(squeue::Flags::SKIP_SUCCESS);
        // SAFETY: the entry points to nothing.
        unsafe { self.push(ring, 1, entry) };
    }

    /// Submits a ring's batch and deals with its completions.
    fn enter(&mut self, ring: usize) {
        let mut taken = std::mem::take(&mut self.taken);
        self.rings[ring]
            .submit(&mut taken)
            .expect("the ring belongs to this thread and its operations are valid");
        self.deal(ring, taken);
    }

    fn deal(&mut self, ring: usize, mut taken: Vec<Done>) {
        for done in taken.drain(..) {
            self.complete(ring, &done);
        }
        self.taken = taken;
    }

    /// Deals with one completion. Never adds to a batch.
    fn complete(&mut self, ring: usize, done: &Done) {
        let token = Token::unpack(done.user_data);
        match token.kind {
            Kind::Ignored => {}
            Kind::Accept => self.accepted(ring, token.low, done),
            Kind::Poll => self.polled(token, done),
            Kind::Writable => self.writable(token),
            Kind::Send => self.send_failed(token.low, done.result),
            Kind::Receive => self.received(token.low, done),
            Kind::Alarm => {
                self.again |= !cqueue::more(done.flags);
                self.armed[token.low as usize] &= cqueue::more(done.flags);
                self.woken |= token.low == 0;
            }
            Kind::Socket => self.socket_made(ring, token.low, done.result),
            Kind::Connect => self.dialled(token.low, done.result),
            Kind::Peer => self.peer_came(token.low, done),
            Kind::Asked => self.asked = Some(done.result),
        }
    }

    /// Carries out one operation, now, and gives its result.
    ///
    /// # Safety
    /// As of [`Ring::push`].
    pub(super) unsafe fn ask(&mut self, ring: usize, entry: squeue::Entry) -> Option<i32> {
        let entry = entry.user_data(Token::new(Kind::Asked, 0).pack());
        // SAFETY: as the caller promises.
        unsafe { self.push(ring, 1, entry) };
        self.enter(ring);
        self.asked.take()
    }

    fn writable(&mut self, token: Token) {
        let conn = Conn(token.low);
        if let Some(slot) = self.current(conn, token.generation) {
            slot.set(Slot::WRITE_POLLED, false);
            self.out.push(Completion::Writable { conn });
        }
    }

    // The turn.

    /// Queues all that is to be done, in the order that [`Reactor`] promises.
    fn push_all(&mut self) {
        self.again = false;
        for alarm in 0..2 {
            if !std::mem::replace(&mut self.armed[alarm], true) {
                let token = Token::new(Kind::Alarm, alarm as u32);
                let fd = types::Fd(self.alarms[alarm].raw());
                let poll = opcode::PollAdd::new(fd, libc::POLLIN as u32);
                self.watch(0, poll.multi(true), token);
            }
        }
        self.push_sends();
        self.push_ops();
        self.push_polls();
        self.arm_accepts();
        self.push_receives();
    }

    fn push_ops(&mut self) {
        let mut ops = std::mem::take(&mut self.ops);
        for op in ops.drain(..) {
            match op {
                Op::Writable(conn, generation) => {
                    if self.current(conn, generation).is_some() {
                        let poll = opcode::PollAdd::new(fixed(conn), libc::POLLOUT as u32);
                        let token = Token::of(Kind::Writable, conn, generation);
                        self.watch(ring_of(conn), poll, token);
                    }
                }
                Op::Close(conn, generation, flags) => self.push_close(conn, generation, flags),
                Op::Acknowledge(conn, generation) => {
                    if self.current(conn, generation).is_some() {
                        self.push_acknowledge(conn);
                    }
                }
                Op::Socket(place) => self.push_socket(place),
                Op::Dial(place) => self.push_dial(place),
                Op::Peer(place) => self.push_peer(place),
            }
        }
        // Operations that completions of a full batch have noted meanwhile.
        ops.append(&mut self.ops);
        self.ops = ops;
    }

    pub(super) fn watch(&mut self, ring: usize, poll: opcode::PollAdd, token: Token) {
        // SAFETY: the entry points to nothing.
        unsafe { self.push(ring, 1, poll.build().user_data(token.pack())) };
    }

    fn push_close(&mut self, conn: Conn, generation: u16, flags: u16) {
        let ring = ring_of(conn);
        // Polls hold the socket open: without the cancel the peer would hear of the close when the
        // ring ends.
        if !self.ending || self.open_on(ring) <= self.options.cancelled_max {
            let polls = [
                (Slot::POLLED, Kind::Poll),
                (Slot::WRITE_POLLED, Kind::Writable),
            ];
            for (_, kind) in polls.into_iter().filter(|(flag, _)| flags & flag != 0) {
                self.cancel(ring, Token::of(kind, conn, generation));
            }
        }
        let close = opcode::Close::new(fixed(conn)).build();
        let mut chain = vec![close.flags(squeue::Flags::SKIP_SUCCESS)];
        if self.shared {
            // While another process has it, too, a close alone would tell the peer nothing.
            let end = opcode::Shutdown::new(fixed(conn), libc::SHUT_RDWR).build();
            let flags = squeue::Flags::SKIP_SUCCESS | squeue::Flags::IO_HARDLINK;
            chain.insert(0, end.flags(flags));
        }
        for (number, entry) in chain.iter().enumerate() {
            let entry = entry.clone().user_data(Token::IGNORED);
            // SAFETY: the entry points to nothing.
            unsafe { self.push(ring, chain.len() - number, entry) };
        }
        self.rings[ring].free += 1;
    }

    /// Lets go of what the operations of this round pointed to.
    fn end_batch(&mut self) {
        let submitted = self.rings.iter_mut().all(|ring| ring.queued() == 0);
        assert!(submitted, "the kernel must not find these buffers freed");
        self.sends.end_batch();
        self.receives.end_batch();
    }

    fn enter_parks(&mut self) {
        for ring in 1..self.rings.len() {
            let park = &mut self.rings[ring];
            if park.queued() > 0 || park.has_news() {
                self.enter(ring);
            }
        }
    }

    /// Whether another round has something to do before a wait.
    fn has_work(&mut self) -> bool {
        self.has_polls() || self.has_more()
    }

    /// Whether another round may bring more to the host. Polls alone don't: what has come goes to
    /// the host first, and they are armed behind what it sends then.
    fn has_more(&mut self) -> bool {
        self.again
            || !self.ops.is_empty()
            || self.can_receive()
            || self.rings.iter_mut().any(|ring| ring.has_news())
    }

    /// Waits for a completion or the waker: first spinning, if that is wanted, then asleep.
    fn rest(&mut self, until_ns: Option<u64>) {
        let until_ns = match (until_ns, self.accepts.retry_ns()) {
            (Some(until), Some(retry)) => Some(until.min(retry)),
            (until, retry) => until.or(retry),
        };
        if self.options.spin_ns > 0 {
            self.enter(0);
            if !self.out.is_empty() || self.has_work() || self.spin(until_ns) {
                return;
            }
        } else if self.rings[0].queued() >= WORTH_ENTERING {
            self.enter(0);
            if self.woken || !self.out.is_empty() || self.has_work() {
                return;
            }
        }
        if self.rings.len() > 1 && !self.parks_ring(true) {
            self.parks_ring(false);
            return self.enter(0);
        }
        let mut taken = std::mem::take(&mut self.taken);
        self.clock();
        let asleep_ns = self.now_ns;
        let wait_ns = until_ns.map(|until| until.saturating_sub(self.now_ns));
        self.rings[0]
            .submit_and_wait(wait_ns, &mut taken)
            .expect("the main ring belongs to this thread and its operations are valid");
        self.clock();
        self.waited_ns += self.now_ns - asleep_ns;
        self.parks_ring(false);
        self.deal(0, taken);
    }

    /// Turns on or off that deferred work of park rings rings. Returns whether there is none yet.
    fn parks_ring(&mut self, asleep: bool) -> bool {
        let mut quiet = true;
        for park in &mut self.rings[1..] {
            park.ring_while(asleep);
            quiet &= !asleep || !park.has_news();
        }
        quiet
    }

    /// Looks for work for a bounded time. Returns whether there is some.
    fn spin(&mut self, until_ns: Option<u64>) -> bool {
        let stop = self.now_ns.saturating_add(self.options.spin_ns);
        let stop = until_ns.map_or(stop, |until| until.min(stop));
        let began_ns = self.now_ns;
        let announced = self.waker.begin_spin();
        let mut found = false;
        while !found && !self.woken && self.now_ns < stop {
            std::hint::spin_loop();
            found = self.rings.iter_mut().any(|ring| ring.has_news());
            self.woken = announced && !self.waker.is_asleep();
            self.clock();
        }
        self.waited_ns += self.now_ns - began_ns;
        if announced && !self.waker.end_spin() {
            self.woken = true;
        }
        found || self.woken
    }

    fn clock(&mut self) {
        self.now_ns = self.now_ns.max(monotonic_ns());
    }
}

impl Reactor for Uring {
    fn now_ns(&self) -> u64 {
        self.now_ns
    }

    fn clock_ns(&self) -> u64 {
        monotonic_ns()
    }

    fn waited_ns(&self) -> u64 {
        self.waited_ns
    }

    fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    fn connect(&mut self, token: u64, to: SocketAddr, from: Option<IpAddr>) {
        let place = self.connects.want(token, to, from);
        self.ops.push(Op::Socket(place));
    }

    fn read(&mut self, conn: Conn, on: bool) {
        let slot = self.slot(conn);
        if slot.has(Slot::OPEN) {
            slot.set(Slot::READING, on);
            self.want_bytes(conn);
        }
    }

    fn send(&mut self, conn: Conn, bytes: Bytes) {
        let slot = self.rings[ring_of(conn)].slot(conn);
        if slot.has(Slot::OPEN) && !bytes.is_empty() {
            self.sends.add(conn, slot, bytes);
        }
    }

    fn watch_writable(&mut self, conn: Conn) {
        let slot = self.slot(conn);
        if slot.has(Slot::OPEN) && !slot.has(Slot::WRITE_POLLED) {
            slot.set(Slot::WRITE_POLLED, true);
            let generation = slot.generation;
            self.ops.push(Op::Writable(conn, generation));
        }
    }

    fn close(&mut self, conn: Conn) {
        let slot = self.slot(conn);
        if !slot.has(Slot::OPEN) {
            return;
        }
        self.peers.forget(conn);
        let slot = self.slot(conn);
        let op = Op::Close(conn, slot.generation, slot.flags);
        slot.flags = 0;
        slot.generation = slot.generation.wrapping_add(1);
        self.ops.push(op);
        // What came of it outside of a turn (see `peer`) is nobody's now.
        self.out
            .retain(|completion| completion.conn() != Some(conn));
    }

    fn peer(&mut self, conn: Conn) -> io::Result<SocketAddr> {
        self.peer_of(conn)
    }

    fn expect_peers(&mut self, listener: u8) {
        self.accepts.expect_peers(listener);
    }

    fn unacknowledged(&mut self, conn: Conn) -> Option<u64> {
        if !self.slot(conn).has(Slot::OPEN) {
            return None;
        }
        let command = opcode::UringCmd16::new(fixed(conn), SOCKET_URING_OP_SIOCOUTQ).build();
        // SAFETY: the entry points to nothing.
        let answer = unsafe { self.ask(ring_of(conn), command) };
        u64::try_from(answer?).ok()
    }

    fn acknowledge_now(&mut self, conn: Conn) {
        let slot = self.slot(conn);
        if slot.has(Slot::OPEN) {
            let generation = slot.generation;
            self.ops.push(Op::Acknowledge(conn, generation));
        }
    }

    fn accept(&mut self, on: bool) {
        self.accepts.turn(on);
    }

    fn is_accepting(&self) -> bool {
        self.accepts.are_armed()
    }

    fn duplicate(&mut self, conn: Conn) -> io::Result<OwnedFd> {
        if !self.slot(conn).has(Slot::OPEN) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let install = opcode::FixedFdInstall::new(fixed(conn), 0).build();
        // SAFETY: the entry points to nothing.
        let answer = unsafe { self.ask(ring_of(conn), install) };
        installed(answer.ok_or(io::ErrorKind::Other)?)
    }

    fn adopt(&mut self, socket: OwnedFd) -> io::Result<Conn> {
        let ring = (0..self.rings.len()).max_by_key(|ring| self.rings[*ring].room());
        let ring = ring.filter(|ring| self.rings[*ring].room() > 0);
        let ring = ring.ok_or(io::ErrorKind::StorageFull)?;
        self.adopted[0] = socket.as_raw_fd();
        let update =
            opcode::FilesUpdate::new(self.adopted.as_mut_ptr().cast_const(), 1).offset(ANY_SLOT);
        // SAFETY: the entry points to a number that has a place of its own for as long as the ring
        // is there; the kernel reads it and writes the slot there.
        let answer = unsafe { self.ask(ring, update.build()) };
        match answer.ok_or(io::ErrorKind::Other)? {
            1 => {}
            error if error < 0 => return Err(io::Error::from_raw_os_error(-error)),
            _ => return Err(io::ErrorKind::Other.into()),
        }
        let slot = u32::try_from(self.adopted[0]).map_err(io::Error::other)?;
        Ok(self.opened(ring, slot))
    }

    fn hold(&mut self, on: bool) {
        self.receives.held = on;
    }

    fn share(&mut self, on: bool) {
        self.shared = on;
    }

    fn wind_down(&mut self) {
        self.ending = true;
    }

    fn room(&self) -> usize {
        self.rings.iter().map(|ring| ring.free as usize).sum()
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn turn(&mut self, until_ns: Option<u64>, completions: &mut Vec<Completion>) {
        self.clock();
        self.waited_ns = 0;
        for round in 1.. {
            self.push_all();
            self.enter_parks();
            let done = |reactor: &Self| {
                let expired = until_ns.is_some_and(|until| until <= reactor.now_ns);
                expired || reactor.woken || !reactor.out.is_empty()
            };
            if !done(self) && !self.has_work() {
                self.rest(until_ns);
            } else if self.rings[0].queued() > 0 || self.rings[0].has_news() {
                self.enter(0);
            }
            self.end_batch();
            self.clock();
            let enough = round >= ROUNDS_MAX || self.out.len() >= ENOUGH;
            if done(self) && (enough || !self.has_more()) {
                break;
            }
        }
        self.woken = false;
        self.waker.awake();
        completions.append(&mut self.out);
    }
}
