//! The broker, as one shard has it: this shard's connections, subscriptions and pools.
//!
//! An event is matched on the shard where it was published and told once to each other shard that
//! has any subscription; each matches it against its own. Between two shards everything stays in
//! order, so each publisher's events do.

mod config;
mod handover;
mod host;
mod joins;
mod loss;
mod message;
mod placement;
mod pools;
mod publish;
mod receipt;
mod session;
mod site;
mod subscriptions;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use ahash::RandomState;
use bytes::Bytes;
use engine::event::{SessionId, ShardId};
use engine::protocol::Context;
use tls::Failure;

pub use config::{BrokerConfig, Stats, SubscribingShards, SubscriptionLimits};
pub use joins::Joins;
pub use loss::{Loss, Tally};
pub use message::{BrokerMessage, FromSite, Room};
pub use placement::Placement;
pub use site::{owner_of_pool, publish_of};

use crate::bus::Port;
use crate::event_ref::Pattern;
use crate::frame::{ErrorCode, Frame, SCOPED};
use crate::matcher::Matcher;
use crate::sparing::Sparing;
use pools::Pools;
use session::Session;
use subscriptions::Owned;

/// The broker of one shard.
pub struct Broker {
    shard: ShardId,
    config: Arc<BrokerConfig>,
    subscribing: Arc<SubscribingShards>,
    stats: Arc<Stats>,
    placement: Arc<Placement>,
    joins: Arc<Joins>,
    matcher: Matcher<Target>,
    /// The subscriptions of each connection that has any.
    subscriptions: HashMap<SessionId, Owned, RandomState>,
    /// What connections that have ended have left: it is removed a little a turn.
    left_over: VecDeque<(SessionId, Owned)>,
    /// How many more may be removed in this turn.
    removals: usize,
    /// Events that were not sent to connections that are behind.
    lagged: HashMap<SessionId, Tally, RandomState>,
    /// Connections that were not let in and are being closed.
    refused: HashSet<SessionId, RandomState>,
    /// What the log says of those, and of those who may not connect, or come no further than that.
    full: Sparing,
    strangers: Sparing,
    /// Of frames that are refused, and of subscribers that lag: who is let in could have a line for
    /// each frame.
    bad_frames: Sparing,
    slow: Sparing,
    /// What is wrong with the TLS of the connection that ends next; whose it was that has ended.
    failure: Option<Failure>,
    failed: Option<(Option<IpAddr>, Failure)>,
    /// Members of pools that are being closed, and are members no more.
    dismissed: HashSet<SessionId, RandomState>,
    pools: Pools,
    /// Members of pools here get nothing that others may have.
    retires: bool,
    /// Entries of [`Target::Local`] in the matcher.
    locals: usize,
    /// The other brokers, if this one has joined a site.
    site: Option<Arc<Port>>,
    /// Pools, written down, of which the site was not told how many members they have.
    untold_members: BTreeSet<Bytes>,
    telling: Box<site::Telling>,
    /// Kept for its memory.
    found: Vec<Target>,
}

/// What the brokers of all shards share, besides how they are set up.
#[derive(Clone)]
pub struct Shared {
    /// Who has subscriptions.
    pub subscribing: Arc<SubscribingShards>,
    /// What they count.
    pub stats: Arc<Stats>,
    /// Where connections live.
    pub placement: Arc<Placement>,
    /// Members of pools that come from another process.
    pub joins: Arc<Joins>,
    /// The other brokers, if this one has joined a site.
    pub site: Option<Arc<Port>>,
}

/// Who gets what a subscription matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Session(SessionId),
    /// The same, of a broker of a site, for events of its own publishers only.
    Local(SessionId),
    /// One member of a pool that is served here.
    Pool(u32),
}

type Cx<'a> = Context<'a, BrokerMessage>;

impl Broker {
    /// The broker of a shard; the rest is shared by all of them.
    pub fn new(
        shard: ShardId,
        config: Arc<BrokerConfig>,
        Shared {
            subscribing,
            stats,
            placement,
            joins,
            site,
        }: Shared,
    ) -> Self {
        Self {
            shard,
            config,
            subscribing,
            stats,
            placement,
            joins,
            matcher: Matcher::default(),
            subscriptions: HashMap::default(),
            left_over: VecDeque::new(),
            removals: subscriptions::REMOVALS_PER_TURN,
            lagged: HashMap::default(),
            refused: HashSet::default(),
            full: Sparing::default(),
            strangers: Sparing::default(),
            bad_frames: Sparing::default(),
            slow: Sparing::default(),
            failure: None,
            failed: None,
            dismissed: HashSet::default(),
            pools: Pools::default(),
            retires: false,
            locals: 0,
            site,
            untold_members: BTreeSet::new(),
            telling: Box::default(),
            found: Vec::new(),
        }
    }

    /// Says no to a frame.
    fn refuse(&mut self, cx: &mut Cx<'_>, code: ErrorCode, id: u32, text: &str) {
        if let Some(more) = self.bad_frames.due(cx.now_ns()) {
            let session = cx.id();
            tracing::info!(target: "ens::server", ?session, id, "refused: {text}{more}");
        }
        let error = Frame::Error {
            code: code as u16,
            id,
            text,
        };
        cx.send(error.to_bytes());
    }

    /// A connection has ended.
    fn gone(&mut self, cx: &mut Cx<'_>) {
        let session = cx.id();
        if !self.refused.remove(&session) {
            self.placement.left();
        }
        let is_dismissed = self.dismissed.remove(&session);
        let has_lagged = self.lagged.remove(&session).is_some();
        // Few have lagged; only of those all subscriptions are looked through.
        if has_lagged && (is_dismissed || self.is_member(session)) {
            // It was not told, and what was for it goes nowhere else.
            self.lose_of_pool();
        }
        self.leave_all(cx);
    }

    /// Whether it shares a pool with others of its site.
    fn is_member(&self, session: SessionId) -> bool {
        let is_shared = |pattern: &Pattern| pattern.pool.is_some() && !pattern.is_local();
        self.site.is_some() && self.owned(session).any(|(_, pattern)| is_shared(pattern))
    }

    /// A connection is to end: its subscriptions are those of nobody any more.
    fn dismiss(&mut self, cx: &mut Cx<'_>, text: &str) {
        close(cx, text);
        if self.is_member(cx.id()) {
            self.dismissed.insert(cx.id());
        }
        self.leave_all(cx);
    }

    fn join(&mut self, pattern: &Pattern, member: SessionId, id: u32) {
        if let Some(pool) = self.pools.join(pattern, member, id) {
            let entry = self.matcher.insert(pattern, Target::Pool(pool));
            self.pools.filed(pool, entry);
            self.subscribing.add(self.shard);
        }
        self.tell_members(pattern);
    }

    fn leave(&mut self, pattern: &Pattern, member: SessionId, id: u32) {
        if let Some(entry) = self.pools.leave(pattern, member, id) {
            self.matcher.remove(entry);
            self.subscribing.remove(self.shard);
        }
        self.tell_members(pattern);
    }

    fn greet(&mut self, cx: &mut Cx<'_>, session: &mut Session, version: u16, name: &str) {
        if version == 0 {
            self.refuse(
                cx,
                ErrorCode::Version,
                0,
                "version 0 is not spoken; 1 to 3 are",
            );
            return close(cx, "another version is needed");
        }
        tracing::debug!(target: "gap::session", id = ?cx.id(), name, "hello");
        let version = version.min(crate::frame::VERSION);
        session.greet(version as u8, self.config.scope);
        self.note_version(cx.id(), version as u8);
        let welcome = Frame::Welcome {
            version,
            payload_max: crate::frame::PAYLOAD_BYTES_MAX as u32,
            keepalive_s: self.config.keepalive_s,
            scope: (version >= SCOPED).then(|| session.scope()),
            name: &self.config.name,
        };
        cx.send(welcome.to_bytes());
        cx.deadline(self.keepalive_ns(cx.now_ns()));
    }

    fn keepalive_ns(&self, now_ns: u64) -> u64 {
        match self.config.keepalive_s {
            0 => u64::MAX / 4,
            seconds => now_ns + u64::from(seconds) * 1_000_000_000,
        }
    }

    fn lagged(&mut self, session: SessionId, now_ns: u64) -> Option<Bytes> {
        let tally = self.lagged.remove(&session)?;
        let Tally { events, .. } = tally;
        if let Some(more) = self.slow.due(now_ns) {
            let text = "a slow subscriber lagged";
            tracing::warn!(target: "ens::server", ?session, events, "{text}{more}");
        }
        Some(tally.frame(self.version_of(session)))
    }
}

fn close(cx: &mut Cx<'_>, text: &str) {
    cx.send(Frame::Bye { text }.to_bytes());
    cx.close();
}
