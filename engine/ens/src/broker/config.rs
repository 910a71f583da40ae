//! What all shards of a broker share.

use std::sync::atomic::{AtomicU64, Ordering};

use engine::event::ShardId;

use crate::access::Access;

/// The key under which the broker says that it runs (reference chapter 1.1, the service bus).
pub(super) const SERVICE_KEY: &str = "servbus:///service/ens";
/// Whoever publishes here wants to hear who runs.
pub(super) const MONITOR_KEY: &str = "servbus:///monitor/ens";

/// How a broker is set up.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Who may connect over TCP.
    pub access: Access,
    /// Seconds of silence after which a client is sent a PING; 0 is never.
    pub keepalive_s: u16,
    /// Subscriptions a connection may have.
    pub subscriptions_max: usize,
    /// What the broker calls itself.
    pub name: String,
    /// The first so many listeners are TCP ports, the others Unix sockets.
    pub tcp_listeners: u8,
    /// In every receipt, so that those of another broker, or made up, are told apart.
    pub secret: u32,
}

impl BrokerConfig {
    /// With usual limits.
    pub fn new(access: Access, keepalive_s: u16) -> Self {
        Self {
            access,
            keepalive_s,
            subscriptions_max: 100_000,
            name: concat!("enpd ", env!("CARGO_PKG_VERSION")).into(),
            tcp_listeners: 0,
            secret: fastrand::u32(..),
        }
    }

    /// The event that says in what state this process is.
    pub(super) fn service_event(&self, state: &str) -> String {
        format!("{SERVICE_KEY}&pid={}&state={state}", std::process::id())
    }
}

/// How many subscriptions each shard has.
#[derive(Debug)]
pub struct SubscribingShards(Box<[AtomicU64]>);

impl SubscribingShards {
    /// Of so many shards.
    pub fn new(shards: u16) -> Self {
        Self((0..shards).map(|_| AtomicU64::new(0)).collect())
    }

    /// Shards there are.
    pub fn shards(&self) -> u16 {
        self.0.len() as u16
    }

    /// Subscriptions of all shards; pools count once.
    pub fn total(&self) -> u64 {
        let counts = self.0.iter();
        counts.map(|count| count.load(Ordering::SeqCst)).sum()
    }

    pub(super) fn add(&self, shard: ShardId) {
        self.0[usize::from(shard.0)].fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn remove(&self, shard: ShardId) {
        self.0[usize::from(shard.0)].fetch_sub(1, Ordering::SeqCst);
    }

    /// Other shards that have any.
    pub(super) fn others(&self, own: ShardId) -> impl Iterator<Item = ShardId> {
        let has = |shard: &ShardId| self.0[usize::from(shard.0)].load(Ordering::SeqCst) > 0;
        (0..self.shards())
            .map(ShardId)
            .filter(move |shard| *shard != own)
            .filter(has)
    }
}

/// What a broker counts.
#[derive(Debug, Default)]
pub struct Stats {
    published: AtomicU64,
    notified: AtomicU64,
    dropped: AtomicU64,
}

impl Stats {
    /// Events published.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Notifications given to subscribers.
    pub fn notified(&self) -> u64 {
        self.notified.load(Ordering::Relaxed)
    }

    /// Notifications that slow subscribers were not given; they were told how many.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn publish(&self) {
        self.published.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn notify(&self, count: usize) {
        self.notified.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        self.notified.fetch_sub(1, Ordering::Relaxed);
    }
}
