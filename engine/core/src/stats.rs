//! What a shard counts. Written by the shard alone, read from anywhere.

use std::sync::atomic::{AtomicU64, Ordering};

use counting::Histogram;

/// What happened, or how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// Connections accepted.
    Accepted,
    /// Connections open now.
    Open,
    /// Of these, parked now.
    Parked,
    /// Topics watched from here now.
    Topics,
    /// Times a session was packed away.
    Parks,
    /// Times a session was inflated.
    Unparks,
    /// Turns of the loop.
    Turns,
    /// Events published to this shard.
    Events,
    /// Events given to shards, this one included.
    Forwarded,
    /// Announcements sent to parked rows.
    Announced,
    /// Renderings made for them.
    Rendered,
    /// Slow readers that were told several events at once.
    CaughtUp,
    /// Sessions that had to resynchronise.
    Stale,
    /// Sends that the kernel refused or cut short.
    Unsent,
    /// Bytes given to the kernel.
    SentBytes,
    /// Bytes received.
    ReceivedBytes,
    /// Replies delivered to sessions.
    Replies,
    /// Deadlines handled.
    Deadlines,
    /// Posts to sessions.
    Posted,
    /// Bytes that wait for clients now, with what keeping them costs.
    Owed,
    /// TLS handshakes that were finished.
    Handshakes,
    /// Watches beyond their row's first now.
    FurtherWatches,
    /// Connections that speak TLS 1.2 now.
    Tls12,
    /// Connections that speak TLS 1.3 now.
    Tls13,
    /// Bytes that the protocol holds of its sessions' input and requests now.
    Held,
    /// Connections that are compressed now.
    Compressed,
    /// Bytes that are kept of their streams now.
    Windows,
    /// Connections that fit into the shard's rings.
    Places,
}

const COUNTERS: usize = Counter::Places as usize + 1;

/// Why something was dropped or cut. Nothing is dropped without one of these being counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Reason {
    /// The queue of published events was full: the topic is resynchronised.
    EventsQueueFull,
    /// The queue to a watching shard was full: the topic is resynchronised there.
    ShardQueueFull,
    /// An event of a topic that no session watches.
    NobodyWatches,
    /// A reply for a connection that is gone.
    LateReply,
    /// A reply that the caller kept because the queue was full.
    RepliesQueueFull,
    /// A connection beyond the limit was refused.
    TooManyConnections,
    /// A connection ended by its client.
    Hangup,
    /// A connection that broke.
    Broken,
    /// A connection closed by its session.
    Closed,
    /// A client that took nothing for too long was cut.
    WriteTimeout,
    /// A session that produced more output than may wait was cut.
    OutboxFull,
    /// A connection that was still open at the end of the shutdown was cut.
    ShutdownForced,
    /// A post to a session for which too much was waiting: it is told how many.
    PostsFull,
    /// A client that did not take its output was cut, because too much waited on its shard.
    OutputFull,
    /// A connection whose TLS handshake failed or took too long.
    HandshakeFailed,
    /// A TLS connection whose client broke the rules, or has told of a fault.
    TlsFault,
    /// A TLS connection that ended without its client saying so: something may have been cut off.
    Truncated,
    /// What came on a compressed connection is no DEFLATE stream.
    DeflateFault,
    /// A compressed connection's window grew beyond what all of its shard may take.
    WindowsFull,
}

const REASONS: usize = Reason::WindowsFull as usize + 1;

/// A shard's counters. Writers are the shard and, for queues of its own, its [`crate::Handle`].
#[derive(Debug, Default)]
pub struct Stats {
    counters: [AtomicU64; COUNTERS],
    reasons: [AtomicU64; REASONS],
    longest_turn_ns: AtomicU64,
    told: Histogram,
}

impl Stats {
    /// How long it took from the moment at which an event became true until a parked row's
    /// announcement was given to the kernel.
    pub fn told(&self) -> &Histogram {
        &self.told
    }

    /// The longest time in nanoseconds for which the shard looked at no completion, without that
    /// for which it slept, since this was asked the last time.
    pub fn take_longest_turn_ns(&self) -> u64 {
        self.longest_turn_ns.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn turned(&self, ns: u64) {
        if ns > self.longest_turn_ns.load(Ordering::Relaxed) {
            self.longest_turn_ns.fetch_max(ns, Ordering::Relaxed);
        }
    }

    /// A counter's value.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Ordering::Relaxed)
    }

    /// How often something was dropped for a reason.
    pub fn dropped(&self, reason: Reason) -> u64 {
        self.reasons[reason as usize].load(Ordering::Relaxed)
    }

    /// Only the shard counts these, so no read-modify-write is needed.
    pub(crate) fn add(&self, counter: Counter, more: u64) {
        let cell = &self.counters[counter as usize];
        cell.store(
            cell.load(Ordering::Relaxed).wrapping_add(more),
            Ordering::Relaxed,
        );
    }

    pub(crate) fn set(&self, counter: Counter, value: u64) {
        self.counters[counter as usize].store(value, Ordering::Relaxed);
    }

    pub(crate) fn drop_for(&self, reason: Reason) {
        self.reasons[reason as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl Counter {
    /// All, in the order of their numbers.
    pub const ALL: [Self; COUNTERS] = [
        Self::Accepted,
        Self::Open,
        Self::Parked,
        Self::Topics,
        Self::Parks,
        Self::Unparks,
        Self::Turns,
        Self::Events,
        Self::Forwarded,
        Self::Announced,
        Self::Rendered,
        Self::CaughtUp,
        Self::Stale,
        Self::Unsent,
        Self::SentBytes,
        Self::ReceivedBytes,
        Self::Replies,
        Self::Deadlines,
        Self::Posted,
        Self::Owed,
        Self::Handshakes,
        Self::FurtherWatches,
        Self::Tls12,
        Self::Tls13,
        Self::Held,
        Self::Compressed,
        Self::Windows,
        Self::Places,
    ];
}

impl Reason {
    /// All, in the order of their numbers.
    pub const ALL: [Self; REASONS] = [
        Self::EventsQueueFull,
        Self::ShardQueueFull,
        Self::NobodyWatches,
        Self::LateReply,
        Self::RepliesQueueFull,
        Self::TooManyConnections,
        Self::Hangup,
        Self::Broken,
        Self::Closed,
        Self::WriteTimeout,
        Self::OutboxFull,
        Self::ShutdownForced,
        Self::PostsFull,
        Self::OutputFull,
        Self::HandshakeFailed,
        Self::TlsFault,
        Self::Truncated,
        Self::DeflateFault,
        Self::WindowsFull,
    ];
}
