//! The trait, carried out by rings.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use io_uring::{cqueue, opcode, squeue, types};

use super::alarm::EventFd;
use super::connect::Connects;
use super::options::Options;
use super::ring::{Done, Ring, Slot, ring_of};
use super::token::{Kind, Token};
use crate::pool::Pool;
use crate::{Completion, Conn, Reactor, Rng, Waker};

/// How often a turn looks for completions caused by what it just submitted.
const ROUNDS_MAX: usize = 4;

/// A reactor on io_uring. Lives on the thread that made it.
pub struct Uring {
    pub(super) rings: Vec<Ring>,
    pub(super) options: Options,
    pool: Pool,
    listeners: Vec<OwnedFd>,
    /// Which ring accepts for each listener, if any does.
    accepting: Vec<Option<usize>>,
    accept_on: bool,
    alarm: Arc<EventFd>,
    alarm_armed: bool,
    waker: Waker,
    rng: Rng,
    began: Instant,
    now_ns: u64,
    pub(super) connects: Connects,
    /// Completions of the turn so far.
    pub(super) out: Vec<Completion>,
    unsent: HashMap<u32, (BytesMut, Option<i32>)>,
    /// Connections to receive from in the next round.
    readable: Vec<(Conn, u16)>,
    taken: Vec<Done>,
    installed: Option<i32>,
}

impl Uring {
    /// A reactor that accepts on `listeners` (listening, non-blocking or not), numbered from 0.
    ///
    /// # Errors
    /// If the kernel lacks what is needed or a limit forbids it.
    pub fn new(options: Options, listeners: Vec<OwnedFd>) -> io::Result<Self> {
        assert!(
            (1..=250).contains(&options.rings),
            "a reactor has 1 to 250 rings"
        );
        let alarm = Arc::new(EventFd::new()?);
        let rings = (0..options.rings)
            .map(|number| Ring::new(number, &options))
            .collect::<io::Result<Vec<_>>>()?;
        for park in &rings[1..] {
            park.ring_eventfd(alarm.raw())?;
        }
        Ok(Self {
            rings,
            pool: Pool::new(options.receive_buffers, options.receive_buffer_bytes),
            accepting: vec![None; listeners.len()],
            listeners,
            accept_on: true,
            waker: Waker::new(alarm.clone()),
            alarm,
            alarm_armed: false,
            rng: Rng::new(options.seed),
            options,
            began: Instant::now(),
            now_ns: 0,
            connects: Connects::default(),
            out: Vec::new(),
            unsent: HashMap::new(),
            readable: Vec::new(),
            taken: Vec::new(),
            installed: None,
        })
    }

    /// The file table's real use: connections open on each ring.
    pub fn open(&self) -> Vec<u32> {
        self.rings
            .iter()
            .map(|ring| self.options.files_per_ring - ring.free)
            .collect()
    }

    /// Queues an operation, submitting the batch before it if that is full.
    pub(super) fn push(&mut self, ring: usize, entry: squeue::Entry) {
        if self.rings[ring].is_full() {
            self.submit(ring);
        }
        self.rings[ring].push(&entry);
    }

    /// Submits a ring's batch and deals with all its completions.
    fn submit(&mut self, ring: usize) {
        self.rings[ring]
            .submit()
            .expect("the ring belongs to this thread and is valid");
        self.drain(ring);
    }

    /// Deals with the completions of a ring; its batch is over then.
    fn drain(&mut self, ring: usize) {
        let mut taken = std::mem::take(&mut self.taken);
        let ready = &mut self.rings[ring];
        ready.take(&mut taken);
        let batch_is_over = ready.queued() == 0;
        for done in taken.drain(..) {
            self.complete(ring, &done);
        }
        self.taken = taken;
        if batch_is_over {
            let ready = &mut self.rings[ring];
            ready.sends.clear();
            self.finish_receives(ring);
            self.rings[ring].batch = self.rings[ring].batch.wrapping_add(1);
        }
    }

    /// Receives that completed have taken their lease; the others' buffers return.
    fn finish_receives(&mut self, ring: usize) {
        let mut receives = std::mem::take(&mut self.rings[ring].receives);
        receives.clear();
        self.rings[ring].receives = receives;
    }

    fn complete(&mut self, ring: usize, done: &Done) {
        let token = Token::unpack(done.user_data);
        match token.kind {
            Kind::Ignored => {}
            Kind::Accept => self.accepted(ring, token.low, done),
            Kind::Poll => self.polled(token, done),
            Kind::Writable => self.writable(token),
            Kind::Send => self.send_failed(ring, token.low, done.result),
            Kind::Receive => self.received(ring, token, done),
            Kind::Alarm => {
                self.alarm.drain();
                self.alarm_armed &= cqueue::more(done.flags);
            }
            Kind::Socket => self.socket_made(ring, token.low, done.result),
            Kind::Connect => self.connected(Conn(token.low), done.result),
            Kind::Install => self.installed = Some(done.result),
        }
    }

    /// The connection that a token is about, unless it was closed since.
    fn current(&mut self, token: Token) -> Option<Conn> {
        let conn = Conn(token.low);
        let slot = *self.rings[ring_of(conn)].slot(conn);
        (slot.has(Slot::OPEN) && slot.generation == token.generation).then_some(conn)
    }

    pub(super) fn slot(&mut self, conn: Conn) -> &mut Slot {
        self.rings[ring_of(conn)].slot(conn)
    }

    // Accepting.

    fn arm_accepts(&mut self) {
        for listener in 0..self.listeners.len() {
            let margin = self.options.accept_margin;
            let ring = match self.accepting[listener] {
                Some(ring) if self.accept_on && self.rings[ring].free > margin => continue,
                Some(ring) => {
                    let token = Token::new(Kind::Accept, listener as u32);
                    self.cancel(ring, token);
                    // The multishot's last completion arms it again elsewhere.
                    continue;
                }
                None if !self.accept_on => continue,
                None => match self.rings.iter().position(|ring| ring.free > margin) {
                    Some(ring) => ring,
                    None => continue,
                },
            };
            let fd = types::Fd(self.listeners[listener].as_raw_fd());
            let token = Token::new(Kind::Accept, listener as u32);
            let entry = opcode::AcceptMulti::new(fd)
                .allocate_file_index(true)
                .build()
                .user_data(token.pack());
            self.push(ring, entry);
            self.accepting[listener] = Some(ring);
        }
    }

    fn accepted(&mut self, ring: usize, listener: u32, done: &Done) {
        if !cqueue::more(done.flags) && self.accepting[listener as usize] == Some(ring) {
            self.accepting[listener as usize] = None;
        }
        // Errors are of the one connection (it was reset before it was accepted) or of limits, and
        // the accept is armed again by the next turn.
        if let Ok(slot) = u32::try_from(done.result) {
            let conn = self.open_slot(ring, slot);
            self.out.push(Completion::Accepted {
                listener: listener as u8,
                conn,
            });
        }
    }

    /// A descriptor was installed in a ring's table.
    pub(super) fn open_slot(&mut self, ring: usize, slot: u32) -> Conn {
        let ring = &mut self.rings[ring];
        ring.free -= 1;
        let conn = ring.conn(slot);
        let state = ring.slot(conn);
        state.generation = state.generation.wrapping_add(1);
        state.flags = Slot::OPEN;
        conn
    }

    // Receiving.

    fn polled(&mut self, token: Token, done: &Done) {
        let Some(conn) = self.current(token) else {
            return;
        };
        let slot = self.slot(conn);
        if !cqueue::more(done.flags) {
            slot.set(Slot::POLLED, false);
        }
        slot.set(Slot::READABLE, true);
        if slot.has(Slot::READING) {
            self.want_receive(conn);
        }
    }

    fn want_receive(&mut self, conn: Conn) {
        let slot = self.slot(conn);
        if !slot.has(Slot::RECEIVING) && !slot.has(Slot::HUNG_UP) {
            slot.set(Slot::RECEIVING, true);
            let generation = slot.generation;
            self.readable.push((conn, generation));
        }
    }

    /// Queues a receive for each readable connection while there are buffers.
    fn queue_receives(&mut self) {
        let mut waiting = std::mem::take(&mut self.readable);
        let mut later = Vec::new();
        for (conn, generation) in waiting.drain(..) {
            let slot = *self.slot(conn);
            if !slot.has(Slot::OPEN) || slot.generation != generation {
                continue;
            }
            if !slot.has(Slot::READING) {
                self.slot(conn).set(Slot::RECEIVING, false);
                continue;
            }
            match self.pool.lease() {
                Some(lease) => self.queue_receive(conn, generation, lease),
                None => later.push((conn, generation)),
            }
        }
        later.append(&mut self.readable);
        self.readable = later;
    }

    fn queue_receive(&mut self, conn: Conn, generation: u16, mut lease: crate::Lease) {
        let ring = ring_of(conn);
        if self.rings[ring].is_full() {
            self.submit(ring);
        }
        self.slot(conn).set(Slot::READABLE, false);
        let place = self.rings[ring].receives.len() as u32;
        let space = lease.space();
        let entry = opcode::Recv::new(
            self.rings[ring].fd(conn),
            space.as_mut_ptr(),
            space.len() as u32,
        )
        .flags(libc::MSG_DONTWAIT)
        .build()
        .user_data(Token::new(Kind::Receive, place).pack());
        self.rings[ring]
            .receives
            .push((conn, generation, Some(lease)));
        self.push(ring, entry);
    }

    fn received(&mut self, ring: usize, token: Token, done: &Done) {
        let place = token.low as usize;
        let (conn, generation, lease) = &mut self.rings[ring].receives[place];
        let (conn, generation) = (*conn, *generation);
        let lease = lease.take();
        if self
            .current(Token::of(Kind::Receive, conn, generation))
            .is_none()
        {
            return;
        }
        self.slot(conn).set(Slot::RECEIVING, false);
        match done.result {
            count if count > 0 => {
                let mut data = lease.expect("a receive completes once");
                data.filled(count as usize);
                let full = data.len() == self.pool.buffer_bytes();
                self.out.push(Completion::Received { conn, data });
                if full || cqueue::sock_nonempty(done.flags) {
                    self.slot(conn).set(Slot::READABLE, true);
                    self.want_receive(conn);
                }
            }
            0 => self.hang_up(conn, None),
            error => match -error {
                libc::EAGAIN | libc::EINTR => {}
                error => self.hang_up(conn, Some(error)),
            },
        }
    }

    fn hang_up(&mut self, conn: Conn, error: Option<i32>) {
        let slot = self.slot(conn);
        if !slot.has(Slot::HUNG_UP) {
            slot.set(Slot::HUNG_UP, true);
            self.out.push(Completion::Hangup { conn, error });
        }
    }

    fn arm_poll(&mut self, conn: Conn) {
        let slot = self.slot(conn);
        if slot.has(Slot::POLLED) || slot.has(Slot::HUNG_UP) {
            return;
        }
        slot.set(Slot::POLLED, true);
        let token = Token::of(Kind::Poll, conn, slot.generation);
        let ring = ring_of(conn);
        let flags = (libc::POLLIN | libc::POLLRDHUP) as u32;
        let entry = opcode::PollAdd::new(self.rings[ring].fd(conn), flags)
            .multi(true)
            .build()
            .user_data(token.pack());
        self.push(ring, entry);
    }

    // Sending.

    fn send_failed(&mut self, ring: usize, place: u32, result: i32) {
        let (conn, bytes) = self.rings[ring].sends[place as usize].clone();
        let (sent, error) = match result {
            sent if sent >= 0 => (sent as usize, None),
            error => match -error {
                libc::EAGAIN | libc::EINTR | libc::ENOBUFS | libc::ENOMEM => (0, None),
                error => (0, Some(error)),
            },
        };
        let slot = self.slot(conn);
        if !slot.has(Slot::OPEN) || sent == bytes.len() {
            return;
        }
        slot.set(Slot::UNSENT, true);
        self.unsent
            .insert(conn.0, (BytesMut::from(&bytes[sent..]), error));
    }

    fn writable(&mut self, token: Token) {
        let Some(conn) = self.current(token) else {
            return;
        };
        self.slot(conn).set(Slot::WRITE_POLLED, false);
        self.out.push(Completion::Writable { conn });
    }

    fn cancel(&mut self, ring: usize, token: Token) {
        let entry = opcode::AsyncCancel::new(token.pack())
            .build()
            .user_data(Token::new(Kind::Ignored, 0).pack())
            .flags(squeue::Flags::SKIP_SUCCESS);
        self.push(ring, entry);
    }

    // The turn.

    /// Carries out all that is queued; new work that this causes is carried out as well, in a
    /// bounded number of rounds.
    fn carry_out(&mut self) {
        for _ in 0..ROUNDS_MAX {
            self.arm();
            self.queue_receives();
            let mut quiet = true;
            for ring in 0..self.rings.len() {
                let state = &mut self.rings[ring];
                if state.queued() > 0 || state.has_work() || state.has_completions() {
                    quiet = false;
                    self.submit(ring);
                }
            }
            if quiet {
                break;
            }
        }
    }

    fn arm(&mut self) {
        if !self.alarm_armed {
            self.alarm_armed = true;
            let entry = opcode::PollAdd::new(types::Fd(self.alarm.raw()), libc::POLLIN as u32)
                .multi(true)
                .build()
                .user_data(Token::new(Kind::Alarm, 0).pack());
            self.push(0, entry);
        }
        self.arm_accepts();
    }

    fn clock(&mut self) {
        let now_ns = self.began.elapsed().as_nanos() as u64;
        self.now_ns = self.now_ns.max(now_ns);
    }

    /// Whether a turn has something to return.
    fn has_news(&self) -> bool {
        !self.out.is_empty() || !self.unsent.is_empty()
    }

    fn spin(&mut self, until_ns: Option<u64>) {
        let stop = self.now_ns.saturating_add(self.options.spin_ns);
        let stop = until_ns.map_or(stop, |until| until.min(stop));
        while !self.has_news() && self.waker.is_asleep() && self.now_ns < stop {
            self.carry_out();
            self.clock();
            std::hint::spin_loop();
        }
    }

    fn sleep(&mut self, until_ns: Option<u64>) {
        let wait_ns = match until_ns {
            Some(until) if until <= self.now_ns => return,
            Some(until) => Some(until - self.now_ns),
            None => None,
        };
        // Connections that wait for a buffer get it as soon as leases return, which is before the
        // next turn; then there is no time to sleep.
        if !self.readable.is_empty() {
            return;
        }
        self.rings[0]
            .submit_and_wait(wait_ns)
            .expect("the main ring belongs to this thread");
    }
}

impl Reactor for Uring {
    fn now_ns(&self) -> u64 {
        self.now_ns
    }

    fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    fn connect(&mut self, token: u64, to: SocketAddr, from: Option<IpAddr>) {
        self.begin_connect(token, to, from);
    }

    fn read(&mut self, conn: Conn, on: bool) {
        let slot = self.slot(conn);
        if !slot.has(Slot::OPEN) {
            return;
        }
        slot.set(Slot::READING, on);
        if !on {
            return;
        }
        let readable = slot.has(Slot::READABLE);
        self.arm_poll(conn);
        if readable {
            self.want_receive(conn);
        }
    }

    fn send(&mut self, conn: Conn, bytes: Bytes) {
        let ring = ring_of(conn);
        let slot = *self.slot(conn);
        if bytes.is_empty() || !slot.has(Slot::OPEN) {
            return;
        }
        if self.rings[ring].is_full() || slot.batch == self.rings[ring].batch {
            self.submit(ring);
        }
        if self.slot(conn).has(Slot::UNSENT) {
            if let Some((rest, _)) = self.unsent.get_mut(&conn.0) {
                rest.extend_from_slice(&bytes);
            }
            return;
        }
        let batch = self.rings[ring].batch;
        self.slot(conn).batch = batch;
        let place = self.rings[ring].sends.len() as u32;
        let entry = opcode::Send::new(
            self.rings[ring].fd(conn),
            bytes.as_ptr(),
            bytes.len() as u32,
        )
        .flags(libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
        .build()
        .user_data(Token::new(Kind::Send, place).pack())
        .flags(squeue::Flags::SKIP_SUCCESS);
        self.rings[ring].sends.push((conn, bytes));
        self.rings[ring].push(&entry);
    }

    fn watch_writable(&mut self, conn: Conn) {
        let slot = self.slot(conn);
        if !slot.has(Slot::OPEN) || slot.has(Slot::WRITE_POLLED) {
            return;
        }
        slot.set(Slot::WRITE_POLLED, true);
        let token = Token::of(Kind::Writable, conn, slot.generation);
        let ring = ring_of(conn);
        let entry = opcode::PollAdd::new(self.rings[ring].fd(conn), libc::POLLOUT as u32)
            .build()
            .user_data(token.pack());
        self.push(ring, entry);
    }

    fn close(&mut self, conn: Conn) {
        let slot = *self.slot(conn);
        if !slot.has(Slot::OPEN) {
            return;
        }
        let ring = ring_of(conn);
        if slot.has(Slot::POLLED) {
            self.cancel(ring, Token::of(Kind::Poll, conn, slot.generation));
        }
        if slot.has(Slot::WRITE_POLLED) {
            self.cancel(ring, Token::of(Kind::Writable, conn, slot.generation));
        }
        let entry = opcode::Close::new(self.rings[ring].fd(conn))
            .build()
            .user_data(Token::new(Kind::Ignored, 0).pack())
            .flags(squeue::Flags::SKIP_SUCCESS);
        self.push(ring, entry);
        self.unsent.remove(&conn.0);
        let state = self.slot(conn);
        state.flags = 0;
        state.generation = state.generation.wrapping_add(1);
        self.rings[ring].free += 1;
        // Completions of this turn that the host has not seen yet are nobody's now.
        self.out
            .retain(|completion| completion.conn() != Some(conn));
    }

    fn peer(&mut self, conn: Conn) -> io::Result<SocketAddr> {
        let ring = ring_of(conn);
        let entry = opcode::FixedFdInstall::new(self.rings[ring].fd(conn), 0)
            .build()
            .user_data(Token::new(Kind::Install, 0).pack());
        self.push(ring, entry);
        self.installed = None;
        self.submit(ring);
        let result = self.installed.take().ok_or(io::ErrorKind::Other)?;
        super::connect::peer_of(result)
    }

    fn accept(&mut self, on: bool) {
        self.accept_on = on;
    }

    fn room(&self) -> usize {
        let margin = self.options.accept_margin;
        self.rings
            .iter()
            .map(|ring| ring.free.saturating_sub(margin) as usize)
            .sum()
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn turn(&mut self, until_ns: Option<u64>, completions: &mut Vec<Completion>) {
        self.carry_out();
        self.clock();
        let may_sleep = until_ns.is_none_or(|until| until > self.now_ns);
        if !self.has_news() && may_sleep {
            if self.options.spin_ns > 0 {
                self.spin(until_ns);
            }
            if !self.has_news() && self.waker.is_asleep() {
                self.sleep(until_ns);
                self.drain(0);
                self.carry_out();
            }
            self.clock();
        }
        self.waker.awake();
        completions.append(&mut self.out);
        for (number, (rest, error)) in self.unsent.drain() {
            let conn = Conn(number);
            self.rings[ring_of(conn)]
                .slot(conn)
                .set(Slot::UNSENT, false);
            completions.push(Completion::Unsent {
                conn,
                rest: rest.freeze(),
                error,
            });
        }
    }
}
