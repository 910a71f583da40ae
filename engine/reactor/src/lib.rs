//! The only door to kernel, clock and chance.
//!
//! In reading order: [`Reactor`] (the seam), [`Completion`] (what comes through it), [`pool`]
//! (receive buffers), [`rng`] (seeded chance), [`waker`] (how another thread ends a sleep),
//! [`uring`] (the kernel), [`sim`] (a deterministic world in its place), [`listen`] (ports that
//! shards share), [`sparse`] (tables that grow without moving), [`memory`] (what the allocator
//! gives back).
//!
//! Invariant: everything that can differ between two runs of a shard enters through `Reactor`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use bytes::Bytes;

mod inherited;
pub mod listen;
pub mod memory;
pub mod pool;
pub mod rights;
pub mod rng;
pub mod sim;
pub mod sparse;
pub mod steer;
pub mod uring;
pub mod waker;

pub use pool::{BufferPool, Lease};
pub use rng::Rng;
pub use waker::Waker;

/// A connection of one reactor: a small number that is reused after [`Reactor::close`]. A reactor
/// never delivers a completion of a closed connection under its successor's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conn(pub u32);

/// What happened.
#[derive(Debug)]
pub enum Completion {
    /// A listener has a new connection. It delivers nothing until [`Reactor::read`] turns reading
    /// on.
    Accepted {
        /// Which listener, as numbered by the reactor's constructor.
        listener: u8,
        /// The connection.
        conn: Conn,
    },
    /// The end of a [`Reactor::connect`].
    Connected {
        /// The token given to `connect`.
        token: u64,
        /// The connection, or why there is none.
        result: io::Result<Conn>,
    },
    /// Bytes arrived.
    Received {
        /// From where.
        conn: Conn,
        /// The bytes, never empty. Dropping the lease gives the buffer back.
        data: Lease,
    },
    /// Nothing will arrive any more: end of file, reset or error. Comes once. The connection's
    /// number stays taken until it is closed.
    Hangup {
        /// Which.
        conn: Conn,
        /// The errno of a failed connection; none at a clean end of file.
        error: Option<i32>,
    },
    /// A send was refused or cut short: `rest` did not leave, nor did anything sent after it.
    /// Comes in the same `turn` that submitted the send, and once for each connection: bytes of
    /// several sends are joined.
    Unsent {
        /// To where.
        conn: Conn,
        /// What is still owed.
        rest: Bytes,
        /// The errno if the connection is broken; none if its buffer is full.
        error: Option<i32>,
    },
    /// The socket of a [`Reactor::watch_writable`] has room. One-shot.
    Writable {
        /// Which.
        conn: Conn,
    },
}

/// The seam between a shard and the world. Lives on one thread.
///
/// Verbs only queue; [`Reactor::turn`] carries them out, waits, and gathers completions. Within one
/// connection, queued sends leave in order, and a close comes after the sends before it.
pub trait Reactor {
    /// Nanoseconds on a monotonic clock, as of the last turn. Never goes back.
    fn now_ns(&self) -> u64;

    /// The same clock, looked at now: for measuring what a turn's host does between two turns.
    /// Costs tens of nanoseconds.
    fn clock_ns(&self) -> u64 {
        self.now_ns()
    }

    /// How long the last turn did nothing but wait, in nanoseconds.
    fn waited_ns(&self) -> u64;

    /// This reactor's chance.
    fn rng(&mut self) -> &mut Rng;

    /// Begins to connect to `to`, from local address `from` if given.
    fn connect(&mut self, token: u64, to: SocketAddr, from: Option<IpAddr>);

    /// Turns delivery of received bytes on or off; it is off on a new connection. While it is off
    /// neither `Received` nor `Hangup` comes, the kernel's buffer fills and the peer is held back;
    /// a broken connection then shows itself to the next send. On a quiet connection it costs no
    /// user memory.
    fn read(&mut self, conn: Conn, on: bool);

    /// Sends bytes, at most 1 GiB a connection and turn. Success is silent. Anything else comes as
    /// one [`Completion::Unsent`]; until the caller has dealt with it (and the next turn begins)
    /// later sends on it are returned in the same completion.
    fn send(&mut self, conn: Conn, bytes: Bytes);

    /// Asks for one [`Completion::Writable`].
    fn watch_writable(&mut self, conn: Conn);

    /// Closes the connection and frees its number. No completion of it follows.
    fn close(&mut self, conn: Conn);

    /// The peer's address; an `Unsupported` error for a Unix socket. May cost system calls, unless
    /// it is [expected](Reactor::expect_peers) and asked for once: not for hot paths.
    fn peer(&mut self, conn: Conn) -> io::Result<SocketAddr>;

    /// Says that the peers of those whom this listener accepts from now on will be asked for. To
    /// say it again costs nothing.
    fn expect_peers(&mut self, listener: u8) {
        let _ = listener;
    }

    /// Bytes that the kernel was given for the peer and that the peer's kernel has not
    /// acknowledged; none if that can't be said, as of a Unix socket. Costs a system call: not for
    /// hot paths.
    fn unacknowledged(&mut self, conn: Conn) -> Option<u64>;

    /// Acknowledges what has arrived at once, instead of with the next bytes or after a delay
    /// (TCP_QUICKACK). Nothing happens on a Unix socket.
    fn acknowledge_now(&mut self, conn: Conn);

    /// Turns accepting on or off, for all listeners. It is on at first, and pauses by itself while
    /// there is no room.
    fn accept(&mut self, on: bool);

    /// How many more connections fit.
    fn room(&self) -> usize;

    /// Whether a connection may still be accepted that came before accepting was turned off.
    fn is_accepting(&self) -> bool {
        false
    }

    /// Another descriptor of a connection, for another process. Costs a system call.
    ///
    /// # Errors
    /// If there is no such connection, no descriptor is left, or this reactor can't do it.
    fn duplicate(&mut self, conn: Conn) -> io::Result<OwnedFd> {
        let _ = conn;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Takes over a connection that another process has had. It delivers nothing until
    /// [`Reactor::read`] turns reading on. Costs a system call.
    ///
    /// # Errors
    /// If there is no room, or this reactor can't do it.
    fn adopt(&mut self, socket: OwnedFd) -> io::Result<Conn> {
        let _ = socket;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// While this is on nothing is received, whatever is read: connections are watched, and what
    /// comes stays in the kernel.
    fn hold(&mut self, on: bool) {
        let _ = on;
    }

    /// While this is on another process has descriptors of connections, too: their end is told to
    /// the peer all the same.
    fn share(&mut self, on: bool) {
        let _ = on;
    }

    /// All connections are to be closed; then this reactor is dropped, and its thread ends. Peers
    /// may hear of their close only then, if they are so many that it is much cheaper so.
    fn wind_down(&mut self) {}

    /// A handle with which other threads end this reactor's sleep.
    fn waker(&self) -> Waker;

    /// Carries out what was queued, then waits until something happened, the waker was used or
    /// `until_ns` (on the clock of [`Reactor::now_ns`]) has come; `None` waits without end, and a
    /// time in the past only looks. Appends completions. May return early and with none.
    ///
    /// If other threads may wake it, the caller goes to sleep in these steps: call
    /// [`Waker::announce_sleep`] on [`Reactor::waker`]; look at its queues once more; `turn` with
    /// a time in the past if it found something there, and with its deadline otherwise. `turn`
    /// calls [`Waker::awake`] before it returns, so nobody rings for a shard that runs. A wake
    /// after the announcement ends the wait, or keeps it from beginning. Without an announcement
    /// `turn` waits as well, but no waker ends that.
    fn turn(&mut self, until_ns: Option<u64>, completions: &mut Vec<Completion>);
}

impl Completion {
    /// The connection it is about, if it is about one that is open.
    pub fn conn(&self) -> Option<Conn> {
        match self {
            Self::Accepted { conn, .. }
            | Self::Received { conn, .. }
            | Self::Hangup { conn, .. }
            | Self::Unsent { conn, .. }
            | Self::Writable { conn } => Some(*conn),
            Self::Connected { result, .. } => result.as_ref().ok().copied(),
        }
    }
}
