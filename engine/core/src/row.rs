//! A connection: a few tens of bytes while it is parked.

use bytes::Bytes;
use reactor::Conn;

use crate::protocol::Protocol;
use crate::topic::TopicId;

/// A connection's place in the shard's table.
pub(crate) struct Row<P: Protocol> {
    pub state: State<P>,
    /// What it watches; 0 is nothing.
    pub topic: TopicId,
    pub conn: Conn,
    /// The second of the earliest filing with the timer; 0 if there is none.
    pub filed: u32,
    /// The second of the deadline; 0 if there is none.
    pub deadline: u32,
    pub generation: u16,
    pub flags: u16,
    /// Output that has not left, if there is any.
    pub outbox: Option<Box<Outbox>>,
}

/// What a connection is at the moment.
pub(crate) enum State<P: Protocol> {
    /// The slot is free.
    Free,
    /// In the hands of a call; put back by its caller.
    Taken,
    Active(Box<P::Session>),
    Parked(P::Parked),
}

/// Output that the kernel has not taken.
pub(crate) struct Outbox {
    pub pieces: Vec<Bytes>,
    /// How many of them, from the first, leave as they are: those that are compressed and sealed,
    /// on a connection that does so. The others are when they leave.
    pub ready: usize,
    pub bytes: usize,
    /// Since when the client has taken nothing, as far as is known.
    pub blocked_ns: u64,
    /// What the kernel had for it when that was looked at; [`Outbox::NOT_LOOKED`] before.
    pub in_kernel: u64,
}

impl Outbox {
    pub const NOT_LOOKED: u64 = u64::MAX;

    /// With nothing in it.
    pub fn new() -> Self {
        Self {
            pieces: Vec::new(),
            ready: 0,
            bytes: 0,
            blocked_ns: 0,
            in_kernel: Self::NOT_LOOKED,
        }
    }

    /// What it takes, in bytes: for each piece also its share of what keeps it.
    pub fn cost(&self) -> usize {
        const EACH: usize = size_of::<Outbox>() + 16;
        EACH + self.bytes + self.pieces.len() * size_of::<Bytes>()
    }
}

/// What a connection takes in its shard's table, in bytes: for hosts that hold a budget.
pub const fn row_bytes<P: Protocol>() -> usize {
    size_of::<Row<P>>()
}

impl<P: Protocol> Row<P> {
    /// To be closed once its output has left.
    pub const CLOSING: u16 = 1;
    /// Its watch is not acknowledged yet.
    pub const PENDING: u16 = 2;
    /// Events were lost while it was busy: it resynchronises before it reads news.
    pub const STALE: u16 = 4;
    /// The kernel has refused output; `Writable` will come.
    pub const BLOCKED: u16 = 8;
    /// News came while it was active.
    pub const MISSED: u16 = 32;
    /// Its session has turned reading off.
    pub const DEAF: u16 = 64;
    /// It is not read until it has taken what waits for it.
    pub const HELD: u16 = 128;
    /// It was told of the shutdown.
    pub const NOTIFIED: u16 = 16;
    /// It speaks TLS, or its handshake is under way.
    pub const SECURE: u16 = 256;
    /// Its handshake is under way.
    pub const SHAKING: u16 = 512;
    /// It speaks TLS, and nothing can be sealed any more.
    pub const OVER: u16 = 1024;
    /// It speaks TLS, and its client has said that it ends.
    pub const HUNG_UP: u16 = 2048;
    /// It can't go on, because of its TLS.
    pub const FAULT: u16 = 4096;
    /// It has watches beyond its first.
    pub const FURTHER: u16 = 8192;
    /// Of these some have missed events.
    pub const FURTHER_MISSED: u16 = 16384;
    /// What comes and what leaves is compressed, below TLS.
    pub const COMPRESSED: u16 = 32768;

    pub fn free(generation: u16) -> Self {
        Self {
            state: State::Free,
            topic: TopicId(0),
            conn: Conn(0),
            filed: 0,
            deadline: 0,
            generation,
            flags: 0,
            outbox: None,
        }
    }

    /// Whether there is a connection.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Free)
    }

    pub fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    pub fn set(&mut self, flag: u16, on: bool) {
        if on {
            self.flags |= flag
        } else {
            self.flags &= !flag
        }
    }
}
