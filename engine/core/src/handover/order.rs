//! What a shard is asked, and what it gives.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Sender, SyncSender};

use zeroize::Zeroizing;

/// What a shard gives.
#[derive(Debug)]
pub enum Given {
    /// Another descriptor of a connection, and what that is called until its row comes.
    Descriptor(u64, OwnedFd),
    /// Rows, one behind the other: for [`crate::Shard::take_rows`] and nobody else. They hold keys.
    /// A connection's row may come again, and counts as it came last.
    Rows(Zeroizing<Vec<u8>>),
    /// What connections are called whose rows have come and count no more.
    Gone(Vec<u64>),
    /// All was given.
    End,
}

/// How a shard's sessions came to rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Sessions that were in the middle of something for too long, and were ended.
    pub ended: usize,
    /// Sessions that still wait for an answer ([`crate::protocol::Active::awaits_answer`]): if
    /// there are any, not all rest.
    pub waiting: usize,
    /// How long the others have been held back, in nanoseconds.
    pub held_ns: u64,
}

/// What a shard is asked.
pub(crate) enum Order {
    Share(SyncSender<Given>, Sender<()>),
    Settle(u64, Sender<()>),
    Hold(u64, Sender<Held>),
    Pass(Sender<bool>),
    Export(SyncSender<Given>, Sender<io::Result<usize>>),
    GoOn(Sender<()>),
}
