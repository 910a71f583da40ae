//! An event's way to its subscribers.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use engine::event::SessionId;

use super::message::{Published, Way};
use super::receipt::{self, Linked};
use super::{Broker, BrokerMessage, Cx, Target, config};
use crate::event_ref::{EventRef, Pattern};
use crate::frame::{Frame, LENGTH_BYTES, Receipt};

/// A NOTIFY.
pub(super) fn notify(
    subscription: u32,
    receipt: Option<(Receipt, &[u8])>,
    event: &str,
    payload: &[u8],
) -> Bytes {
    let room = LENGTH_BYTES + 40 + receipt.map_or(0, |(_, link)| link.len());
    let mut out = BytesMut::with_capacity(room + event.len() + payload.len());
    Frame::Notify {
        subscription,
        away: false,
        receipt,
        event,
        payload,
    }
    .encode(&mut out);
    out.freeze()
}

impl Published {
    /// The NOTIFY for a subscriber: the same for all, unless it carries a receipt.
    pub(super) fn notify_for(&self, secret: &[u8; 32], subscriber: SessionId) -> Bytes {
        match self.linked {
            None => self.notify.clone(),
            Some(_) => self.notify_one(secret, subscriber, 0),
        }
    }

    /// The NOTIFY for one subscription of a subscriber.
    fn notify_one(&self, secret: &[u8; 32], subscriber: SessionId, subscription: u32) -> Bytes {
        let mut out = BytesMut::from(&self.notify[..]);
        let at = LENGTH_BYTES + 1;
        out[at..at + 4].copy_from_slice(&subscription.to_be_bytes());
        if let Some(linked) = self.linked {
            let receipt = receipt::make(secret, linked, subscriber);
            let link = usize::from(out[at + 4]);
            let at = at + 5 + link;
            out[at..at + receipt.len()].copy_from_slice(&receipt);
        }
        out.freeze()
    }
}

impl Broker {
    /// Publishes for a connection of this shard, or for this process.
    pub(super) fn publish(
        &mut self,
        cx: &mut Cx<'_>,
        event: &EventRef<'_>,
        link: Option<(Linked, &[u8])>,
        payload: &[u8],
    ) {
        self.stats.publish();
        tracing::trace!(target: "ens::server", event = event.text(), "publish");
        self.told();
        self.publish_to_site(event, link, payload);
        self.spread(cx, event, link, payload);
        if event.key() == config::MONITOR_KEY {
            let text = self.config.service_event("running");
            if let Ok(event) = EventRef::parse(&text) {
                self.spread(cx, &event, None, b"");
            }
        }
    }

    fn spread(
        &mut self,
        cx: &mut Cx<'_>,
        event: &EventRef<'_>,
        link: Option<(Linked, &[u8])>,
        payload: &[u8],
    ) {
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        self.matcher.matches(event, &mut found);
        let mut others = self.subscribing.others(self.shard).peekable();
        if found.is_empty() && others.peek().is_none() {
            self.found = found;
            return;
        }
        let published = Arc::new(Published {
            event: event.text().into(),
            notify: notify(
                0,
                link.map(|(_, name)| ([0; 16], name)),
                event.text(),
                payload,
            ),
            linked: link.map(|(linked, _)| linked),
            way: Way::Own,
        });
        for shard in others {
            cx.message(
                SessionId::shard_itself(shard),
                BrokerMessage::Event(published.clone()),
            );
        }
        self.give(cx, &mut found, &published);
        self.found = found;
    }

    /// An event of another shard.
    pub(super) fn heard(&mut self, cx: &mut Cx<'_>, published: &Arc<Published>) {
        let Ok(event) = EventRef::parse(&published.event) else {
            return;
        };
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        self.matcher.matches(&event, &mut found);
        self.give(cx, &mut found, published);
        self.found = found;
    }

    /// Gives an event to those found, once to each connection, in slot order.
    pub(super) fn give(
        &mut self,
        cx: &mut Cx<'_>,
        found: &mut Vec<Target>,
        published: &Arc<Published>,
    ) {
        if self.locals > 0 {
            for target in found.iter_mut() {
                if let Target::Local(session) = *target {
                    *target = Target::Session(session);
                }
            }
        }
        if found.len() > 1 && !found.is_sorted() {
            found.sort_unstable();
        }
        found.dedup();
        let mut count = 0;
        for target in found.drain(..) {
            match target {
                Target::Session(session) => {
                    cx.post(session, published.notify_for(&self.config.secret, session));
                    count += 1;
                }
                // They were made sessions above.
                Target::Local(_) => {}
                Target::Pool(pool) => self.pooled(cx, pool, published),
            }
        }
        self.stats.notify(count);
    }

    /// Gives an event to the one member of a pool whose turn it is, here or on another host.
    fn pooled(&mut self, cx: &mut Cx<'_>, pool: u32, event: &Arc<Published>) {
        if matches!(event.way, Way::Own)
            && let Some(pattern) = self.pools.turn_away(pool, self.retires)
        {
            return self.send_away(&pattern, event);
        }
        self.pooled_here(cx, pool, event);
    }

    /// Gives an event to a member of a pool here.
    pub(super) fn pooled_here(&mut self, cx: &mut Cx<'_>, pool: u32, event: &Arc<Published>) {
        let (pattern, member, id) = loop {
            let Some((pattern, member, id)) = self.pools.choose(pool) else {
                return self.pooled_nowhere(pool, event);
            };
            if member.shard != self.shard {
                break (pattern, member, id);
            }
            if self.has_subscription(member, id) {
                self.stats.notify(1);
                return cx.post(member, event.notify_one(&self.config.secret, member, id));
            }
            // It has left, and its subscriptions are still being removed.
            self.leave(&pattern, member, id);
        };
        let event = event.clone();
        let message = BrokerMessage::Pooled {
            pattern,
            member,
            id,
            event,
        };
        cx.message(SessionId::shard_itself(member.shard), message);
    }

    /// There is no member here.
    fn pooled_nowhere(&mut self, pool: u32, event: &Arc<Published>) {
        match self.pools.pattern(pool) {
            Some(pattern) => self.member_elsewhere(&pattern, event),
            None if matches!(event.way, Way::Stays) => self.lose_of_pool(),
            None => {}
        }
    }

    /// Gives an event to a member on another host, if one may have it.
    fn member_elsewhere(&mut self, pattern: &Pattern, event: &Arc<Published>) {
        match event.way {
            Way::Stays => self.lose_of_pool(),
            Way::Own | Way::HandOn(_) if self.site.is_some() && !pattern.is_local() => {
                self.send_away(pattern, event);
            }
            Way::Own | Way::HandOn(_) => {}
        }
    }

    /// What other shards, or this process, have to say.
    pub(super) fn message_to_shard(&mut self, cx: &mut Cx<'_>, message: BrokerMessage) {
        self.told();
        match message {
            BrokerMessage::FromSite(from) => self.heard_from_site(cx, &from),
            BrokerMessage::Lost(loss) => self.lost(&loss),
            BrokerMessage::Away { pattern, members } => self.set_away(&pattern, members),
            BrokerMessage::Retire(_) => self.retires = true,
            BrokerMessage::PooledFromSite {
                pattern,
                pooled,
                returned,
                room: _,
            } => self.pooled_from_site(cx, &pattern, &pooled, returned),
            BrokerMessage::Publish { event, payload } => match EventRef::parse(&event) {
                Ok(event) => self.publish(cx, &event, None, &payload),
                Err(error) => tracing::error!(target: "ens::server", "not published: {error}"),
            },
            BrokerMessage::Event(published) => self.heard(cx, &published),
            BrokerMessage::Join {
                pattern,
                member,
                id,
            } => {
                self.join(&pattern, member, id);
                cx.message(member, BrokerMessage::Joined { id });
            }
            BrokerMessage::Leave {
                pattern,
                member,
                id,
            } => self.leave(&pattern, member, id),
            BrokerMessage::Pooled {
                pattern,
                member,
                id,
                event,
            } => {
                if self.has_subscription(member, id) {
                    self.stats.notify(1);
                    cx.post(member, event.notify_one(&self.config.secret, member, id));
                } else {
                    let owner = super::pools::owner(&pattern, self.subscribing.shards());
                    cx.message(
                        SessionId::shard_itself(owner),
                        BrokerMessage::Bounced { pattern, event },
                    );
                }
            }
            BrokerMessage::Bounced { pattern, event } => {
                match self.pools.number(&pattern) {
                    Some(pool) => self.pooled(cx, pool, &event),
                    // It was the last one.
                    None => self.member_elsewhere(&pattern, &event),
                }
            }
            // These go to sessions.
            BrokerMessage::Joined { .. } | BrokerMessage::Acknowledged { .. } => {}
        }
    }
}
