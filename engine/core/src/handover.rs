//! Handing all connections of a shard over to another process: what its giver and its taker ask.
//!
//! The giver's shard is asked, in this order, to share its descriptors while all goes on
//! ([`Handle::share`]), to let its sessions end what they are in the middle of
//! ([`Handle::settle`]), to hold back those that rest ([`Handle::hold`]), and to write down what it
//! keeps of each ([`Handle::export`]); from then on it touches no connection. The taker's shard
//! is made with [`crate::Shard::awaiting`] and given both. Either goes on with [`Handle::go_on`]:
//! the taker when all is there, the giver if that can't be had.

pub(crate) mod order;
pub(crate) mod row;

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, channel};

pub use order::{Given, Held};

use order::Order;

use crate::event::ShardId;
use crate::runtime::Handle;

/// Why rows can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// They are cut short, or not rows.
    Damaged,
    /// A connection is not there, or is there twice.
    NoConnection,
    /// The protocol or its TLS can't make anything of it.
    NotUnderstood,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Damaged => "rows that are damaged",
            Self::NoConnection => "a row without a connection",
            Self::NotUnderstood => "a session that can't be understood",
        })
    }
}

impl std::error::Error for Refused {}

impl<F, R> Handle<F, R> {
    /// Has a shard give a descriptor of each connection while it goes on serving, a few a turn and
    /// as fast as they are taken. Answers when each has been given once; `End` is not.
    pub fn share(&self, shard: ShardId, to: SyncSender<Given>) -> Receiver<()> {
        let (sender, answer) = channel();
        self.order(shard, Order::Share(to, sender));
        answer
    }

    /// Has a shard wait, while all goes on, until sessions that are in the middle of something at
    /// the moment were once not, for `within_ns` at most, and until a review that is under way is
    /// over.
    pub fn settle(&self, shard: ShardId, within_ns: u64) -> Receiver<()> {
        let (sender, answer) = channel();
        self.order(shard, Order::Settle(within_ns, sender));
        answer
    }

    /// Has a shard bring its sessions to rest. No more connections are taken, whoever rests stays
    /// so, and what comes from their clients is kept. Who doesn't within `within_ns` is told to
    /// leave; who waits for an answer is let wait longer. Answers when all rest, or when that has
    /// taken too long.
    pub fn hold(&self, shard: ShardId, within_ns: u64) -> Receiver<Held> {
        let (sender, answer) = channel();
        self.order(shard, Order::Hold(within_ns, sender));
        answer
    }

    /// Has a shard do one more turn. Answers whether nothing waits there.
    pub fn pass(&self, shard: ShardId) -> Receiver<bool> {
        let (sender, answer) = channel();
        self.order(shard, Order::Pass(sender));
        answer
    }

    /// Has a shard that has settled give what it keeps of each connection, and descriptors of those
    /// that were not shared before. Answers how many they are. It does nothing else meanwhile, and
    /// nothing afterwards, until it goes on.
    pub fn export(&self, shard: ShardId, to: SyncSender<Given>) -> Receiver<io::Result<usize>> {
        let (sender, answer) = channel();
        self.order(shard, Order::Export(to, sender));
        answer
    }

    /// Has a shard serve its connections.
    pub fn go_on(&self, shard: ShardId) -> Receiver<()> {
        let (sender, answer) = channel();
        self.order(shard, Order::GoOn(sender));
        answer
    }

    /// The answer to an order for which there is no room never comes: its receiver says so.
    fn order(&self, shard: ShardId, order: Order) {
        let port = &self.ports[usize::from(shard.0)];
        let _ = port.orders.push(order);
        port.wake();
    }
}
