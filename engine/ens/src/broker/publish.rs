//! An event's way to its subscribers.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use engine::event::{SessionId, ShardId};

use super::message::Published;
use super::{Broker, BrokerMessage, Cx, Target, config};
use crate::event_ref::EventRef;
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
        receipt,
        event,
        payload,
    }
    .encode(&mut out);
    out.freeze()
}

/// The same NOTIFY for one subscription.
fn for_subscription(notify: &Bytes, subscription: u32) -> Bytes {
    let mut out = BytesMut::from(&notify[..]);
    let place = LENGTH_BYTES + 1;
    out[place..place + 4].copy_from_slice(&subscription.to_be_bytes());
    out.freeze()
}

/// Where an acknowledgement of this PUBLISH goes.
pub(super) fn receipt(secret: u32, publisher: SessionId, id: u32) -> Receipt {
    let mut receipt = [0; 16];
    receipt[..4].copy_from_slice(&secret.to_be_bytes());
    receipt[4..6].copy_from_slice(&publisher.shard.0.to_be_bytes());
    receipt[6..8].copy_from_slice(&publisher.generation.to_be_bytes());
    receipt[8..12].copy_from_slice(&publisher.slot.to_be_bytes());
    receipt[12..].copy_from_slice(&id.to_be_bytes());
    receipt
}

/// The PUBLISH that a receipt is for, if this broker made it.
pub(super) fn of_receipt(secret: u32, shards: u16, receipt: &Receipt) -> Option<(SessionId, u32)> {
    let u16_at = |at: usize| u16::from_be_bytes([receipt[at], receipt[at + 1]]);
    let u32_at = |at: usize| u32::from(u16_at(at)) << 16 | u32::from(u16_at(at + 2));
    let shard = ShardId(u16_at(4));
    let (generation, slot) = (u16_at(6), u32_at(8));
    let is_ours = u32_at(0) == secret && shard.0 < shards && slot != u32::MAX;
    is_ours.then_some((
        SessionId {
            shard,
            generation,
            slot,
        },
        u32_at(12),
    ))
}

impl Broker {
    /// Publishes for a connection of this shard, or for this process.
    pub(super) fn publish(
        &mut self,
        cx: &mut Cx<'_>,
        event: &EventRef<'_>,
        receipt: Option<(Receipt, &[u8])>,
        payload: &[u8],
    ) {
        self.stats.publish();
        tracing::trace!(target: "ens::server", event = event.text(), "publish");
        self.spread(cx, event, receipt, payload);
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
        receipt: Option<(Receipt, &[u8])>,
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
            notify: notify(0, receipt, event.text(), payload),
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
    fn give(&mut self, cx: &mut Cx<'_>, found: &mut Vec<Target>, published: &Arc<Published>) {
        if found.len() > 1 && !found.is_sorted() {
            found.sort_unstable();
        }
        found.dedup();
        let mut count = 0;
        for target in found.drain(..) {
            match target {
                Target::Session(session) => {
                    cx.post(session, published.notify.clone());
                    count += 1;
                }
                Target::Pool(pool) => self.pooled(cx, pool, published),
            }
        }
        self.stats.notify(count);
    }

    /// Gives an event to the one member of a pool whose turn it is.
    fn pooled(&mut self, cx: &mut Cx<'_>, pool: u32, event: &Arc<Published>) {
        let Some((pattern, member, id)) = self.pools.choose(pool) else {
            return;
        };
        if member.shard == self.shard {
            self.stats.notify(1);
            return cx.post(member, for_subscription(&event.notify, id));
        }
        let event = event.clone();
        let message = BrokerMessage::Pooled {
            pattern,
            member,
            id,
            event,
        };
        cx.message(SessionId::shard_itself(member.shard), message);
    }

    /// What other shards, or this process, have to say.
    pub(super) fn message_to_shard(&mut self, cx: &mut Cx<'_>, message: BrokerMessage) {
        match message {
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
                let own = self.subscriptions.get(&member);
                if own.is_some_and(|own| own.iter().any(|have| have.id == id)) {
                    self.stats.notify(1);
                    cx.post(member, for_subscription(&event.notify, id));
                } else {
                    let owner = super::pools::owner(&pattern, self.subscribing.shards());
                    cx.message(
                        SessionId::shard_itself(owner),
                        BrokerMessage::Bounced { pattern, event },
                    );
                }
            }
            BrokerMessage::Bounced { pattern, event } => {
                if let Some(pool) = self.pools.number(&pattern) {
                    self.pooled(cx, pool, &event);
                }
            }
            // These go to sessions.
            BrokerMessage::Joined { .. } | BrokerMessage::Acknowledged { .. } => {}
        }
    }
}
