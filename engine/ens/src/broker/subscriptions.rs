//! The subscriptions of this shard's connections.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use engine::event::SessionId;

use super::message::BrokerMessage;
use super::session::Session;
use super::{Broker, Cx, Target, config, pools, publish};
use crate::bus::hears_others;
use crate::event_ref::Pattern;
use crate::frame::{ErrorCode, Frame, SCOPED, Scope, VERSION};
use crate::matcher::EntryId;

/// Subscriptions of connections that have ended that are removed in one turn.
pub(super) const REMOVALS_PER_TURN: usize = 2_000;

/// The subscriptions of one connection, by their numbers.
#[derive(Default)]
pub(super) struct Owned {
    by_id: HashMap<u32, Subscription, RandomState>,
    /// What keeping them takes; and in the highest bits which version its client speaks, and
    /// whether it has, or had, subscriptions of local scope.
    bytes: usize,
}

/// In [`Owned::bytes`], of the version and of the other.
const VERSION_AT: u32 = usize::BITS - 2;
const HAS_LOCAL: usize = 1 << (VERSION_AT - 1);
const COUNTED: usize = HAS_LOCAL - 1;
const _: () = assert!(VERSION < 4);

/// A subscription of a connection.
pub(super) struct Subscription {
    bytes: usize,
    pattern: Arc<Pattern>,
    place: Place,
}

/// Where a subscription's pattern is looked for.
pub(super) enum Place {
    /// In this shard's matcher.
    Matched(EntryId),
    /// In a pool, which some shard serves.
    Pooled,
}

impl Broker {
    pub(super) fn subscribe(
        &mut self,
        cx: &mut Cx<'_>,
        of: &Session,
        (id, scope): (u32, Option<Scope>),
        pattern: &str,
    ) {
        let session = cx.id();
        let version = of.version();
        if scope.is_some() && u16::from(version) < SCOPED {
            let text = "a scope needs version 3 of ENP, and HELLO has asked for an older one";
            return self.refuse(cx, ErrorCode::BadReference, id, text);
        }
        let mut pattern = match Pattern::parse(pattern) {
            Ok(pattern) => pattern,
            Err(error) => return self.refuse(cx, ErrorCode::BadReference, id, &error.to_string()),
        };
        pattern.scope = scope.unwrap_or(of.scope());
        if id == 0 || self.has_subscription(session, id) {
            let text = "the subscription's number is 0 or in use";
            return self.refuse(cx, ErrorCode::BadId, id, text);
        }
        let bytes = pattern.cost();
        if let Err(text) = self.admit(session, bytes) {
            return self.refuse(cx, ErrorCode::TooMany, id, &text);
        }
        tracing::debug!(target: "ens::server", ?session, id, key = %pattern.key, "subscribe");
        let is_service = &*pattern.key == config::SERVICE_KEY;
        let pattern = Arc::new(pattern);
        let place = if pattern.pool.is_some() {
            let owner = pools::owner(&pattern, self.subscribing.shards());
            if owner == self.shard {
                self.join(&pattern, session, id);
                cx.send(Frame::Subscribed { id }.to_bytes());
            } else {
                let message = BrokerMessage::Join {
                    pattern: pattern.clone(),
                    member: session,
                    id,
                };
                cx.message(SessionId::shard_itself(owner), message);
            }
            Place::Pooled
        } else {
            // Before the answer: who publishes after that finds it.
            let entry = self.file(&pattern, session);
            cx.send(Frame::Subscribed { id }.to_bytes());
            Place::Matched(entry)
        };
        self.keep(session, id, bytes, pattern, place);
        self.note_version(session, version);
        if is_service {
            let event = self.config.service_event("running");
            cx.send(publish::notify(0, None, &event, b""));
        }
    }

    /// A subscription outside of pools is found from now on, and the site asked for what it can
    /// match there.
    pub(super) fn file(&mut self, pattern: &Pattern, session: SessionId) -> EntryId {
        let mut target = Target::Session(session);
        if let Some(port) = &self.site {
            port.add_interest(pattern);
            if !hears_others(pattern) {
                target = Target::Local(session);
                self.locals += 1;
            }
        }
        self.subscribing.add(self.shard);
        self.matcher.insert(pattern, target)
    }

    /// Which version of ENP a client speaks, once it has subscribed.
    pub(super) fn note_version(&mut self, session: SessionId, version: u8) {
        if let Some(owned) = self.subscriptions.get_mut(&session) {
            owned.bytes &= !(0b11 << VERSION_AT);
            owned.bytes |= usize::from(version) << VERSION_AT;
        }
    }

    /// The same, of one that has.
    pub(super) fn version_of(&self, session: SessionId) -> u8 {
        let owned = self.subscriptions.get(&session);
        owned.map_or(1, |owned| (owned.bytes >> VERSION_AT).max(1) as u8)
    }

    /// Whether what a client hears of another host is to be marked as such.
    pub(super) fn tells_apart(&self, session: SessionId) -> bool {
        let owned = self.subscriptions.get(&session);
        owned.is_some_and(|owned| owned.bytes & HAS_LOCAL != 0)
            && u16::from(self.version_of(session)) >= SCOPED
    }

    pub(super) fn keep(
        &mut self,
        session: SessionId,
        id: u32,
        bytes: usize,
        pattern: Arc<Pattern>,
        place: Place,
    ) {
        let owned = self.subscriptions.entry(session).or_default();
        owned.bytes += bytes;
        owned.bytes |= if pattern.is_local() { HAS_LOCAL } else { 0 };
        let subscription = Subscription {
            bytes,
            pattern,
            place,
        };
        owned.by_id.insert(id, subscription);
    }

    /// The subscriptions of a connection, with their numbers.
    pub(super) fn owned(&self, session: SessionId) -> impl Iterator<Item = (u32, &Pattern)> {
        let owned = self.subscriptions.get(&session).into_iter();
        let each = owned.flat_map(|owned| &owned.by_id);
        each.map(|(id, subscription)| (*id, &*subscription.pattern))
    }

    /// Whether one more subscription fits, which is counted then; or why it doesn't.
    fn admit(&self, session: SessionId, bytes: usize) -> Result<(), String> {
        let limits = &self.config.of_client;
        let owned = self.subscriptions.get(&session);
        let (count, before) =
            owned.map_or((0, 0), |owned| (owned.by_id.len(), owned.bytes & COUNTED));
        if count >= limits.count {
            return Err(format!("a client may have {} subscriptions", limits.count));
        }
        if before + bytes > limits.bytes {
            let most = limits.bytes;
            return Err(format!(
                "the subscriptions of a client may take {most} bytes"
            ));
        }
        if !self.subscribing.admit(bytes, &self.config.of_all) {
            return Err("the broker has too many subscriptions of all clients together".into());
        }
        Ok(())
    }

    pub(super) fn is_subscriber(&self, session: SessionId) -> bool {
        self.subscriptions.contains_key(&session)
    }

    pub(super) fn has_subscription(&self, session: SessionId, id: u32) -> bool {
        let owned = self.subscriptions.get(&session);
        owned.is_some_and(|owned| owned.by_id.contains_key(&id))
    }

    pub(super) fn unsubscribe(&mut self, cx: &mut Cx<'_>, id: u32) {
        let session = cx.id();
        let owned = self.subscriptions.get_mut(&session);
        let subscription = owned.and_then(|owned| {
            let subscription = owned.by_id.remove(&id)?;
            owned.bytes -= subscription.bytes;
            Some((subscription, owned.by_id.is_empty()))
        });
        let Some((subscription, was_last)) = subscription else {
            let text = "there is no subscription of that number";
            return self.refuse(cx, ErrorCode::BadId, id, text);
        };
        if was_last {
            self.subscriptions.remove(&session);
        }
        self.forget(cx, session, id, subscription);
        cx.send(Frame::Unsubscribed { id }.to_bytes());
    }

    /// A connection has ended: what it leaves is removed now and in later turns.
    pub(super) fn leave_all(&mut self, cx: &mut Cx<'_>) {
        let session = cx.id();
        if let Some(owned) = self.subscriptions.remove(&session) {
            self.left_over.push_back((session, owned));
            self.remove_some(cx);
        }
        if self.subscriptions.len() * 8 < self.subscriptions.capacity() {
            self.subscriptions.shrink_to(self.subscriptions.len() * 2);
        }
    }

    /// Removes what connections have left, as much as fits into this turn. Gives whether there is
    /// more.
    pub(super) fn remove_some(&mut self, cx: &mut Cx<'_>) -> bool {
        while let Some((session, mut owned)) = self.left_over.pop_front() {
            let some: Vec<u32> = owned.by_id.keys().take(self.removals).copied().collect();
            self.removals -= some.len();
            for id in some {
                if let Some(subscription) = owned.by_id.remove(&id) {
                    self.forget(cx, session, id, subscription);
                }
            }
            if !owned.by_id.is_empty() {
                self.left_over.push_front((session, owned));
                return true;
            }
        }
        false
    }

    /// All subscriptions of a connection, which has none any more.
    pub(super) fn disown(
        &mut self,
        session: SessionId,
    ) -> impl Iterator<Item = (u32, Subscription)> + use<> {
        let owned = self.subscriptions.remove(&session);
        owned.into_iter().flat_map(|owned| owned.by_id)
    }

    /// Nobody's any more. Gives the pattern of one that is in a pool, which is still to be left.
    pub(super) fn unplace(&mut self, gone: Subscription) -> Option<Arc<Pattern>> {
        self.subscribing.forget(gone.bytes);
        let Place::Matched(entry) = gone.place else {
            return Some(gone.pattern);
        };
        self.matcher.remove(entry);
        if let Some(port) = &self.site {
            port.remove_interest(&gone.pattern);
            self.locals -= usize::from(!hears_others(&gone.pattern));
        }
        self.subscribing.remove(self.shard);
        None
    }

    fn forget(&mut self, cx: &mut Cx<'_>, session: SessionId, id: u32, gone: Subscription) {
        let Some(pattern) = self.unplace(gone) else {
            return;
        };
        let owner = pools::owner(&pattern, self.subscribing.shards());
        if owner == self.shard {
            return self.leave(&pattern, session, id);
        }
        let message = BrokerMessage::Leave {
            pattern,
            member: session,
            id,
        };
        cx.message(SessionId::shard_itself(owner), message);
    }
}
