//! What all shards of a broker share.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use engine::event::ShardId;

use crate::access::Access;
use crate::frame::Scope;

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
    /// Connections of all shards together.
    pub connections_max: usize,
    /// What one connection may have.
    pub of_client: SubscriptionLimits,
    /// What all connections may have together.
    pub of_all: SubscriptionLimits,
    /// What subscriptions hear that don't say; of account once the broker has joined a site.
    pub scope: Scope,
    /// What the broker calls itself.
    pub name: String,
    /// The first so many listeners are TCP ports, the others Unix sockets.
    pub tcp_listeners: u8,
    /// The key of the code that proves a receipt to be this broker's.
    pub secret: [u8; 32],
}

/// How many subscriptions there may be, and how much keeping them may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionLimits {
    /// How many.
    pub count: usize,
    /// Bytes, as [`crate::event_ref::Pattern::cost`] counts them.
    pub bytes: usize,
}

impl BrokerConfig {
    /// With usual limits.
    pub fn new(access: Access, keepalive_s: u16) -> Self {
        Self {
            access,
            keepalive_s,
            connections_max: 100_000,
            of_client: SubscriptionLimits {
                count: 100_000,
                bytes: 64 << 20,
            },
            of_all: SubscriptionLimits {
                count: 1_000_000,
                bytes: 512 << 20,
            },
            scope: Scope::Site,
            name: concat!("enpd ", env!("CARGO_PKG_VERSION")).into(),
            tcp_listeners: 0,
            secret: random_key(),
        }
    }

    /// Whether a client may have anything at all, and no more than all together.
    ///
    /// # Errors
    /// Which bounds contradict each other, with their values.
    pub fn check(&self) -> Result<(), String> {
        let (one, all) = (self.of_client, self.of_all);
        let at_most = [
            (
                "a connection at least",
                1,
                "connections",
                self.connections_max,
            ),
            (
                "a subscription at least",
                1,
                "subscriptions of a client",
                one.count,
            ),
            (
                "subscriptions of a client",
                one.count,
                "those of all",
                all.count,
            ),
            (
                "bytes of a client's subscriptions",
                one.bytes,
                "those of all",
                all.bytes,
            ),
        ];
        match at_most.iter().find(|(_, is, _, bound)| is > bound) {
            Some((one, is, other, bound)) => {
                Err(format!("{one}: {is}, more than {other}: {bound}"))
            }
            None => Ok(()),
        }
    }

    /// The event that says in what state this process is.
    pub(super) fn service_event(&self, state: &str) -> String {
        format!("{SERVICE_KEY}&pid={}&state={state}", std::process::id())
    }
}

/// Bytes that nobody can guess.
fn random_key() -> [u8; 32] {
    let mut key = [0; 32];
    // So few bytes come at once, once the system has started.
    while rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty()) != Ok(key.len())
    {
    }
    key
}

/// How many subscriptions each shard has, and what those of all clients take.
#[derive(Debug)]
pub struct SubscribingShards {
    matched: Box<[AtomicU64]>,
    count: AtomicUsize,
    bytes: AtomicUsize,
}

impl SubscribingShards {
    /// Of so many shards.
    pub fn new(shards: u16) -> Self {
        Self {
            matched: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Shards there are.
    pub fn shards(&self) -> u16 {
        self.matched.len() as u16
    }

    /// Subscriptions of all shards; pools count once.
    pub fn total(&self) -> u64 {
        let counts = self.matched.iter();
        counts.map(|count| count.load(Ordering::SeqCst)).sum()
    }

    pub(super) fn add(&self, shard: ShardId) {
        self.matched[usize::from(shard.0)].fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn remove(&self, shard: ShardId) {
        self.matched[usize::from(shard.0)].fetch_sub(1, Ordering::SeqCst);
    }

    /// Counts a client's subscription, unless there are too many of all clients together.
    pub(super) fn admit(&self, bytes: usize, limits: &SubscriptionLimits) -> bool {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes_now = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let fits = count <= limits.count && bytes_now <= limits.bytes;
        if !fits {
            self.forget(bytes);
        }
        fits
    }

    /// Counts one of a client that comes from another process, however many there are.
    pub(super) fn admit_anyway(&self, bytes: usize) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A client's subscription is no more.
    pub(super) fn forget(&self, bytes: usize) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Subscriptions of all clients, and the bytes that keeping them takes.
    pub fn held(&self) -> (usize, usize) {
        let (count, bytes) = (&self.count, &self.bytes);
        (count.load(Ordering::Relaxed), bytes.load(Ordering::Relaxed))
    }

    /// Shards that have any.
    pub(crate) fn having(&self) -> impl Iterator<Item = ShardId> {
        let has = |shard: &ShardId| self.matched[usize::from(shard.0)].load(Ordering::SeqCst) > 0;
        (0..self.shards()).map(ShardId).filter(has)
    }

    /// Other shards that have any.
    pub(super) fn others(&self, own: ShardId) -> impl Iterator<Item = ShardId> {
        self.having().filter(move |shard| *shard != own)
    }
}

/// What a broker counts.
#[derive(Debug, Default)]
pub struct Stats {
    published: AtomicU64,
    notified: AtomicU64,
    dropped: AtomicU64,
    lost_for_pools: AtomicU64,
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

    /// Events for pools that no member of the site has.
    pub fn lost_for_pools(&self) -> u64 {
        self.lost_for_pools.load(Ordering::Relaxed)
    }

    pub(super) fn drop_for_site(&self) {
        self.lost_for_pools.fetch_add(1, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_may_have_is_no_more_than_all() {
        let access = Access::parse("").expect("no rules are good rules");
        let mut config = BrokerConfig::new(access, 120);
        assert_eq!(config.check(), Ok(()));
        config.of_all.count = 10;
        assert_eq!(
            config.check().expect_err("they contradict"),
            "subscriptions of a client: 100000, more than those of all: 10"
        );
    }
}
