//! The broker, as one shard has it: this shard's connections, subscriptions and pools.
//!
//! An event is matched on the shard where it was published and told once to each other shard that
//! has any subscription; each matches it against its own. Between two shards everything stays in
//! order, so each publisher's events do.

mod config;
mod host;
mod message;
mod placement;
mod pools;
mod publish;
mod session;

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use bytes::Bytes;
use engine::event::{SessionId, ShardId};
use engine::protocol::Context;

pub use config::{BrokerConfig, Stats, SubscribingShards};
pub use message::BrokerMessage;
pub use placement::Placement;

use crate::event_ref::Pattern;
use crate::frame::{ErrorCode, Frame};
use crate::matcher::Matcher;
use pools::Pools;
use session::Session;

/// The broker of one shard.
pub struct Broker {
    shard: ShardId,
    config: Arc<BrokerConfig>,
    subscribing: Arc<SubscribingShards>,
    stats: Arc<Stats>,
    placement: Arc<Placement>,
    matcher: Matcher<Target>,
    /// The subscriptions of each connection that has any.
    subscriptions: HashMap<SessionId, Vec<Subscription>, RandomState>,
    /// Events that were not sent to connections that are behind.
    lagged: HashMap<SessionId, u64, RandomState>,
    pools: Pools,
    /// Kept for its memory.
    found: Vec<Target>,
}

/// Who gets what a subscription matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Session(SessionId),
    /// One member of a pool that is served here.
    Pool(u32),
}

struct Subscription {
    id: u32,
    pattern: Pattern,
}

type Cx<'a> = Context<'a, BrokerMessage>;

impl Broker {
    /// The broker of a shard; the rest is shared by all of them.
    pub fn new(
        shard: ShardId,
        config: Arc<BrokerConfig>,
        (subscribing, stats, placement): (Arc<SubscribingShards>, Arc<Stats>, Arc<Placement>),
    ) -> Self {
        Self {
            shard,
            config,
            subscribing,
            stats,
            placement,
            matcher: Matcher::default(),
            subscriptions: HashMap::default(),
            lagged: HashMap::default(),
            pools: Pools::default(),
            found: Vec::new(),
        }
    }

    fn subscribe(&mut self, cx: &mut Cx<'_>, id: u32, pattern: &str) {
        let session = cx.id();
        let pattern = match Pattern::parse(pattern) {
            Ok(pattern) => pattern,
            Err(error) => return refuse(cx, ErrorCode::BadReference, id, &error.to_string()),
        };
        let own = self
            .subscriptions
            .get(&session)
            .map_or(&[][..], Vec::as_slice);
        if id == 0 || own.iter().any(|have| have.id == id) {
            return refuse(
                cx,
                ErrorCode::BadId,
                id,
                "the subscription's number is 0 or in use",
            );
        }
        if own.len() >= self.config.subscriptions_max {
            let text = format!("a client may have {} subscriptions", own.len());
            return refuse(cx, ErrorCode::TooMany, id, &text);
        }
        tracing::debug!(target: "ens::server", ?session, id, key = %pattern.key, "subscribe");
        let is_service = &*pattern.key == config::SERVICE_KEY;
        if pattern.pool.is_some() {
            let owner = pools::owner(&pattern, self.subscribing.shards());
            if owner == self.shard {
                self.join(&pattern, session, id);
                cx.send(Frame::Subscribed { id }.to_bytes());
            } else {
                let (pattern, member) = (Arc::new(pattern.clone()), session);
                let message = BrokerMessage::Join {
                    pattern,
                    member,
                    id,
                };
                cx.message(SessionId::shard_itself(owner), message);
            }
        } else {
            self.matcher.insert(&pattern, Target::Session(session));
            // Before the answer: who publishes after that finds it.
            self.subscribing.add(self.shard);
            cx.send(Frame::Subscribed { id }.to_bytes());
        }
        let own = self.subscriptions.entry(session).or_default();
        if own.is_empty() {
            own.reserve_exact(1);
        }
        own.push(Subscription { id, pattern });
        if is_service {
            let event = self.config.service_event("running");
            cx.send(publish::notify(0, None, &event, b""));
        }
    }

    fn unsubscribe(&mut self, cx: &mut Cx<'_>, id: u32) {
        let session = cx.id();
        let own = self.subscriptions.get_mut(&session);
        let place = own
            .as_ref()
            .and_then(|own| own.iter().position(|have| have.id == id));
        let (Some(own), Some(place)) = (own, place) else {
            return refuse(
                cx,
                ErrorCode::BadId,
                id,
                "there is no subscription of that number",
            );
        };
        let subscription = own.remove(place);
        if own.is_empty() {
            self.subscriptions.remove(&session);
        }
        self.forget(cx, session, &subscription);
        cx.send(Frame::Unsubscribed { id }.to_bytes());
    }

    /// A connection has ended.
    fn gone(&mut self, cx: &mut Cx<'_>) {
        let session = cx.id();
        self.placement.left();
        self.lagged.remove(&session);
        for subscription in self.subscriptions.remove(&session).unwrap_or_default() {
            self.forget(cx, session, &subscription);
        }
        if self.subscriptions.len() * 8 < self.subscriptions.capacity() {
            self.subscriptions.shrink_to(self.subscriptions.len() * 2);
        }
    }

    fn forget(&mut self, cx: &mut Cx<'_>, session: SessionId, subscription: &Subscription) {
        let Subscription { id, pattern } = subscription;
        if pattern.pool.is_none() {
            self.matcher.remove(pattern, Target::Session(session));
            return self.subscribing.remove(self.shard);
        }
        let owner = pools::owner(pattern, self.subscribing.shards());
        if owner == self.shard {
            self.leave(pattern, session, *id);
        } else {
            let pattern = Arc::new(pattern.clone());
            let message = BrokerMessage::Leave {
                pattern,
                member: session,
                id: *id,
            };
            cx.message(SessionId::shard_itself(owner), message);
        }
    }

    fn join(&mut self, pattern: &Pattern, member: SessionId, id: u32) {
        if let Some(pool) = self.pools.join(pattern, member, id) {
            self.matcher.insert(pattern, Target::Pool(pool));
            self.subscribing.add(self.shard);
        }
    }

    fn leave(&mut self, pattern: &Pattern, member: SessionId, id: u32) {
        if let Some(pool) = self.pools.leave(pattern, member, id) {
            self.matcher.remove(pattern, Target::Pool(pool));
            self.subscribing.remove(self.shard);
        }
    }

    fn greet(&self, cx: &mut Cx<'_>, session: &mut Session, version: u16, name: &str) {
        if version == 0 {
            refuse(cx, ErrorCode::Version, 0, "version 0 is not spoken; 1 is");
            return close(cx, "another version is needed");
        }
        tracing::debug!(target: "gap::session", id = ?cx.id(), name, "hello");
        session.greet();
        let welcome = Frame::Welcome {
            version: crate::frame::VERSION,
            payload_max: crate::frame::PAYLOAD_BYTES_MAX as u32,
            keepalive_s: self.config.keepalive_s,
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

    fn lagged(&mut self, session: SessionId) -> Option<Bytes> {
        let events = self.lagged.remove(&session)?;
        tracing::warn!(target: "ens::server", ?session, events, "a slow subscriber lagged");
        Some(Frame::Lagged { events }.to_bytes())
    }
}

fn refuse(cx: &mut Cx<'_>, code: ErrorCode, id: u32, text: &str) {
    tracing::info!(target: "ens::server", session = ?cx.id(), id, "refused: {text}");
    cx.send(
        Frame::Error {
            code: code as u16,
            id,
            text,
        }
        .to_bytes(),
    );
}

fn close(cx: &mut Cx<'_>, text: &str) {
    cx.send(Frame::Bye { text }.to_bytes());
    cx.close();
}
