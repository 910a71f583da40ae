//! The trait, carried out by the world.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};

use super::network::{ECONNREFUSED, ECONNRESET};
use super::{Inner, Rung};
use crate::pool::BufferPool;
use crate::{Completion, Conn, Reactor, Rng, Waker};

/// What the world knows of a reactor.
pub(super) struct Host {
    room: usize,
    /// The end of each connection number.
    conns: Vec<Option<usize>>,
    free: Vec<u32>,
    accepting: bool,
    /// Connections that wait to be accepted.
    pub backlog: VecDeque<(u8, usize)>,
    /// Connects that ended.
    pub connects: VecDeque<(u64, Option<usize>)>,
    /// Ends that have something to say.
    pub ready: BTreeSet<usize>,
    rung: Arc<Rung>,
    waker: Waker,
    sleep: Sleep,
    pub stalled_until_ns: u64,
    /// Its reactor was dropped.
    pub gone: bool,
    /// Nothing is received.
    pub held: bool,
    /// Who listens where it did.
    pub passed_to: Option<usize>,
}

/// Until when a reactor's owner needs no turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sleep {
    Runs,
    Until(Option<u64>),
}

impl Host {
    pub fn new(room: usize, rung: Arc<Rung>, waker: Waker) -> Self {
        Self {
            room,
            conns: Vec::new(),
            free: Vec::new(),
            accepting: true,
            backlog: VecDeque::new(),
            connects: VecDeque::new(),
            ready: BTreeSet::new(),
            rung,
            waker,
            sleep: Sleep::Runs,
            stalled_until_ns: 0,
            gone: false,
            held: false,
            passed_to: None,
        }
    }

    pub fn open(&self) -> usize {
        self.conns.len() - self.free.len()
    }

    /// Whether its owner has a reason to turn.
    pub fn wants_turn(&self, now_ns: u64) -> bool {
        if self.gone {
            return false;
        }
        let due = match self.sleep {
            Sleep::Runs => true,
            Sleep::Until(until_ns) => until_ns.is_some_and(|until| until <= now_ns),
        };
        due || self.rung.0.load(Ordering::SeqCst) || self.has_news()
    }

    /// When its owner wants to turn if nothing happens.
    pub fn until_ns(&self) -> Option<u64> {
        match self.sleep {
            _ if self.gone => None,
            Sleep::Runs => Some(0),
            Sleep::Until(until_ns) => until_ns,
        }
    }

    fn has_news(&self) -> bool {
        (!self.ready.is_empty() && !self.held) || !self.connects.is_empty() || self.can_accept()
    }

    fn can_accept(&self) -> bool {
        self.accepting && !self.backlog.is_empty() && self.open() < self.room
    }

    pub fn take_number(&mut self, end: usize) -> Option<Conn> {
        if self.open() >= self.room {
            return None;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.conns.push(None);
            self.conns.len() as u32 - 1
        });
        self.conns[number as usize] = Some(end);
        Some(Conn(number))
    }

    pub fn give_number(&mut self, number: u32) {
        self.conns[number as usize] = None;
        self.free.push(number);
    }

    /// The ends of all its connections.
    pub fn ends(&self) -> Vec<usize> {
        self.conns.iter().flatten().copied().collect()
    }

    pub fn end_of(&self, conn: Conn) -> Option<usize> {
        *self.conns.get(conn.0 as usize)?
    }
}

/// A reactor in a simulated world.
pub struct SimReactor {
    inner: Rc<RefCell<Inner>>,
    number: usize,
    waker: Waker,
    rng: Rng,
    pool: BufferPool,
    now_ns: u64,
    waited_ns: u64,
    listeners: u8,
    queued: Vec<Op>,
}

/// What a verb asked for.
enum Op {
    Connect(u64, SocketAddr),
    Read(Conn, bool),
    Send(Conn, Bytes),
    WatchWritable(Conn),
    Close(Conn),
    Accept(bool),
    Hold(bool),
}

/// What was not sent in this turn, by connection.
type Unsent = BTreeMap<Conn, (BytesMut, Option<i32>)>;

impl SimReactor {
    pub(super) fn new(
        inner: Rc<RefCell<Inner>>,
        number: usize,
        waker: Waker,
        rng: Rng,
        (pool, now_ns): (BufferPool, u64),
    ) -> Self {
        let (listeners, queued) = (0, Vec::new());
        Self {
            inner,
            number,
            waker,
            rng,
            pool,
            now_ns,
            waited_ns: 0,
            listeners,
            queued,
        }
    }

    /// Its number in the world.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Listens on an address, as several reactors may: each connection goes to one of them.
    /// Gives the listener's number.
    pub fn listen(&mut self, address: SocketAddr) -> u8 {
        let listener = self.listeners;
        self.listeners += 1;
        let mut inner = self.inner.borrow_mut();
        inner
            .listeners
            .entry(address)
            .or_default()
            .push((self.number, listener));
        listener
    }

    fn carry_out(&mut self, inner: &mut Inner) -> Unsent {
        let mut unsent = Unsent::new();
        for op in std::mem::take(&mut self.queued) {
            if self.is_others(inner, &op) {
                continue;
            }
            match op {
                Op::Connect(token, to) => inner.begin_connect(self.number, token, to),
                Op::Accept(on) => inner.hosts[self.number].accepting = on,
                Op::Hold(on) => inner.hold(self.number, on),
                Op::Read(conn, on) => self.with_end(inner, conn, |inner, end| {
                    inner.ends[end].reading = on;
                    inner.look(end);
                }),
                Op::WatchWritable(conn) => self.with_end(inner, conn, |inner, end| {
                    inner.ends[end].wants_writable = true;
                    inner.look(end);
                }),
                Op::Send(conn, bytes) => self.with_end(inner, conn, |inner, end| {
                    send(inner, end, conn, &bytes, &mut unsent);
                }),
                Op::Close(conn) => {
                    self.with_end(inner, conn, Inner::close_end);
                    unsent.remove(&conn);
                }
            }
        }
        unsent
    }

    fn with_end(&self, inner: &mut Inner, conn: Conn, act: impl FnOnce(&mut Inner, usize)) {
        let end = inner.hosts[self.number].end_of(conn);
        if let Some(end) = end.filter(|end| inner.is_owned(*end, self.number)) {
            act(inner, end);
        }
    }

    /// What is asked of a connection that another reactor moves; true if this is one.
    fn is_others(&self, inner: &mut Inner, op: &Op) -> bool {
        let (Op::Read(conn, _) | Op::Close(conn)) = *op else {
            return false;
        };
        let end = inner.hosts[self.number].end_of(conn);
        let Some(end) = end.filter(|end| !inner.is_owned(*end, self.number)) else {
            return false;
        };
        match op {
            Op::Read(_, on) => inner.note(end, self.number, *on),
            _ => inner.let_go(end, self.number, conn),
        }
        true
    }

    /// Connects and accepts that are done.
    fn gather_new(&mut self, inner: &mut Inner, out: &mut Vec<Completion>) {
        while let Some((token, end)) = inner.hosts[self.number].connects.pop_front() {
            let conn = end.and_then(|end| inner.bind(end));
            let result = conn.ok_or_else(|| io::Error::from_raw_os_error(ECONNREFUSED));
            if let (None, Some(end)) = (conn, end) {
                inner.break_end(inner.ends[end].peer);
            }
            inner.fold(&[4, token, u64::from(result.is_ok())]);
            out.push(Completion::Connected { token, result });
        }
        while inner.hosts[self.number].can_accept() {
            let taken = inner.hosts[self.number].backlog.pop_front();
            let (listener, end) = taken.expect("can_accept looked");
            let conn = inner.bind(end).expect("can_accept looked");
            inner.fold(&[5, u64::from(listener), u64::from(conn.0)]);
            out.push(Completion::Accepted { listener, conn });
        }
    }

    /// What ends have to say.
    fn gather_ready(&mut self, inner: &mut Inner, out: &mut Vec<Completion>) {
        if inner.hosts[self.number].held {
            return;
        }
        for end in std::mem::take(&mut inner.hosts[self.number].ready) {
            if !inner.is_open(end) {
                continue;
            }
            let conn = Conn(inner.ends[end].conn);
            if inner.ends[end].wants_writable && (inner.room(end) > 0 || inner.ends[end].broken) {
                inner.ends[end].wants_writable = false;
                inner.fold(&[6, u64::from(conn.0)]);
                out.push(Completion::Writable { conn });
            }
            let Some(mut data) = self.pool.lease() else {
                inner.look(end);
                continue;
            };
            if let Some(bytes) = inner.receive(end) {
                data.space()[..bytes.len()].copy_from_slice(&bytes);
                data.filled(bytes.len());
                inner.fold(&[7, u64::from(conn.0), bytes.len() as u64]);
                inner.fold_bytes(&bytes);
                out.push(Completion::Received { conn, data });
            } else if inner.ends[end].has_ended(inner.now_ns) {
                inner.ends[end].hung_up = true;
                let error = inner.ends[end].broken.then_some(ECONNRESET);
                inner.fold(&[8, u64::from(conn.0), u64::from(error.is_some())]);
                out.push(Completion::Hangup { conn, error });
            }
        }
    }
}

fn send(inner: &mut Inner, end: usize, conn: Conn, bytes: &Bytes, unsent: &mut Unsent) {
    if let Some((rest, _)) = unsent.get_mut(&conn) {
        rest.extend_from_slice(bytes);
        return;
    }
    let (sent, error) = match inner.transmit(end, bytes) {
        Ok(count) if count == bytes.len() => return,
        Ok(count) => (count, None),
        Err(error) => (0, Some(error)),
    };
    unsent.insert(conn, (BytesMut::from(&bytes[sent..]), error));
}

impl Reactor for SimReactor {
    fn now_ns(&self) -> u64 {
        self.now_ns
    }

    fn waited_ns(&self) -> u64 {
        self.waited_ns
    }

    fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    fn connect(&mut self, token: u64, to: SocketAddr, _from: Option<IpAddr>) {
        self.queued.push(Op::Connect(token, to));
    }

    fn read(&mut self, conn: Conn, on: bool) {
        self.queued.push(Op::Read(conn, on));
    }

    fn send(&mut self, conn: Conn, bytes: Bytes) {
        if !bytes.is_empty() {
            self.queued.push(Op::Send(conn, bytes));
        }
    }

    fn watch_writable(&mut self, conn: Conn) {
        self.queued.push(Op::WatchWritable(conn));
    }

    fn close(&mut self, conn: Conn) {
        self.queued.push(Op::Close(conn));
    }

    fn peer(&mut self, conn: Conn) -> io::Result<SocketAddr> {
        let inner = self.inner.borrow();
        let end = inner.hosts[self.number]
            .end_of(conn)
            .ok_or(io::ErrorKind::NotConnected)?;
        Ok(inner.ends[inner.ends[end].peer].address)
    }

    fn unacknowledged(&mut self, conn: Conn) -> Option<u64> {
        let inner = self.inner.borrow();
        let end = inner.hosts[self.number].end_of(conn)?;
        Some(inner.ends[inner.ends[end].peer].buffered() as u64)
    }

    /// Packets are acknowledged by the moment they arrive in this world.
    fn acknowledge_now(&mut self, _conn: Conn) {}

    fn accept(&mut self, on: bool) {
        self.queued.push(Op::Accept(on));
    }

    fn is_accepting(&self) -> bool {
        let asked = self.queued.iter().rev().find_map(|op| match op {
            Op::Accept(on) => Some(*on),
            _ => None,
        });
        let inner = self.inner.borrow();
        asked.is_some() || inner.hosts[self.number].accepting
    }

    fn duplicate(&mut self, conn: Conn) -> io::Result<OwnedFd> {
        self.inner.borrow_mut().duplicate(self.number, conn)
    }

    fn adopt(&mut self, socket: OwnedFd) -> io::Result<Conn> {
        self.inner.borrow_mut().adopt(self.number, &socket)
    }

    fn hold(&mut self, on: bool) {
        self.queued.push(Op::Hold(on));
    }

    fn room(&self) -> usize {
        let inner = self.inner.borrow();
        let host = &inner.hosts[self.number];
        host.room - host.open()
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn turn(&mut self, until_ns: Option<u64>, completions: &mut Vec<Completion>) {
        let shared = self.inner.clone();
        let mut inner = shared.borrow_mut();
        let inner = &mut *inner;
        let before = completions.len();
        let unsent = self.carry_out(inner);
        self.gather_new(inner, completions);
        self.gather_ready(inner, completions);
        for (conn, (rest, error)) in unsent {
            inner.fold(&[9, u64::from(conn.0), rest.len() as u64]);
            completions.push(Completion::Unsent {
                conn,
                rest: rest.freeze(),
                error,
            });
        }
        // Work takes no time in this world.
        self.waited_ns = inner.now_ns - self.now_ns;
        self.now_ns = inner.now_ns;
        let host = &mut inner.hosts[self.number];
        let rung = host.rung.0.swap(false, Ordering::SeqCst);
        let sleeps = completions.len() == before
            && !rung
            && until_ns.is_none_or(|until| until > self.now_ns);
        host.sleep = if sleeps {
            Sleep::Until(until_ns)
        } else {
            Sleep::Runs
        };
        if !sleeps {
            // A sleeper's announcement stands until something ends the sleep.
            host.waker.awake();
        }
    }
}

impl Drop for SimReactor {
    /// As when a process ends: its ports are free, and its connections closed.
    fn drop(&mut self) {
        let mut inner = self.inner.borrow_mut();
        for listeners in inner.listeners.values_mut() {
            listeners.retain(|(host, _)| *host != self.number);
        }
        let host = &mut inner.hosts[self.number];
        host.gone = true;
        let backlog = std::mem::take(&mut host.backlog);
        let open: Vec<(u32, usize)> = (0..)
            .zip(&host.conns)
            .filter_map(|(conn, end)| Some((conn, (*end)?)))
            .collect();
        for (conn, end) in open {
            if !inner.is_owned(end, self.number) {
                inner.let_go(end, self.number, Conn(conn));
            } else if inner.ends[end].heir.is_some() {
                inner.inherit(end);
                inner.hosts[self.number].give_number(conn);
            } else {
                inner.close_end(end);
            }
        }
        for (_, end) in backlog {
            inner.abandon_end(end);
        }
    }
}
