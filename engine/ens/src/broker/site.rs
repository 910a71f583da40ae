//! What a broker has to do with the other brokers of its site.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use bytes::{Bytes, BytesMut};
use engine::event::{SessionId, ShardId};

use super::loss::{Loss, Tally};
use super::message::{FromSite, Published, Room, Way};
use super::receipt::{self, Linked};
use super::{Broker, Cx, Target, pools, publish};
use crate::bus::{Crossing, Given, Pooled, bucket_of, hears_others};
use crate::event_ref::{EventRef, Pattern};
use crate::frame::{Frame, decode, mark_away};

/// Clients that are looked at in one turn because of what was lost.
const TOLD_PER_TURN: usize = 1_000;
/// The other brokers, as a subscriber of this one: to it go the tokens of what is acknowledged.
const THE_SITE: SessionId = SessionId {
    shard: ShardId(u16::MAX),
    generation: u16::MAX,
    slot: u32::MAX,
};

/// What is being told of a loss.
#[derive(Default)]
pub(super) struct Telling {
    waiting: Loss,
    now: Loss,
    /// Clients that are still to be looked at.
    clients: Vec<SessionId>,
    /// What those were told that were looked at last, as long as it may turn out that there was no
    /// room for it.
    told: BTreeMap<SessionId, Tally>,
}

impl FromSite {
    /// One that takes room of this.
    pub fn new(event: &Crossing, number: Option<u64>, room: Arc<AtomicUsize>) -> Option<Self> {
        let published = Arc::new(Published::from_site(event, number, Way::Own)?);
        let _room = Room::new(room, event.wire_bytes());
        Some(Self { published, _room })
    }
}

impl Published {
    /// One of another host.
    fn from_site(event: &Crossing, number: Option<u64>, way: Way) -> Option<Self> {
        let text = std::str::from_utf8(&event.event).ok()?;
        EventRef::parse(text).ok()?;
        let link = event.link.as_ref().zip(number);
        let named = link.map(|((name, _), _)| ([0; 16], &name[..]));
        Some(Self {
            event: text.into(),
            notify: publish::notify(0, named, text, &event.payload),
            linked: link.map(|(_, number)| Linked::Away { number }),
            way,
        })
    }

    /// This broker's own, for another host.
    fn crossing(&self, secret: &[u8; 32]) -> Option<Crossing> {
        let Ok(Some((
            Frame::Notify {
                receipt, payload, ..
            },
            _,
        ))) = decode(&self.notify)
        else {
            return None;
        };
        let named = receipt.map(|(_, name)| self.notify.slice_ref(name));
        let link = named.zip(self.linked);
        Some(Crossing {
            event: Bytes::copy_from_slice(self.event.as_bytes()),
            payload: self.notify.slice_ref(payload),
            link: link.map(|(name, linked)| (name, receipt::make(secret, linked, THE_SITE))),
        })
    }
}

/// The PUBLISH of this broker's clients that a token is for.
pub fn publish_of(secret: &[u8; 32], shards: u16, token: &[u8; 16]) -> Option<(SessionId, u32)> {
    match receipt::read(secret, shards, token, THE_SITE)? {
        Linked::Here { publisher, id } => Some((publisher, id)),
        Linked::Away { .. } => None,
    }
}

/// The shard that serves a pool, which was written down.
pub fn owner_of_pool(pattern: &[u8], shards: u16) -> Option<(ShardId, Arc<Pattern>)> {
    let mut input = pattern;
    let pattern = Pattern::taken_over(&mut input)?;
    // Whatever others say: this is no pool of the site, or none that a client may have.
    let is_one = pattern.pool.is_some() && !pattern.is_local() && input.is_empty();
    if !is_one || !pattern.is_bounded() {
        return None;
    }
    let owner = pools::owner(&pattern, shards);
    Some((owner, Arc::new(pattern)))
}

impl Broker {
    /// Gives an event of this broker's publishers to the site.
    pub(super) fn publish_to_site(
        &self,
        event: &EventRef<'_>,
        link: Option<(Linked, &[u8])>,
        payload: &[u8],
    ) {
        let Some(port) = &self.site else { return };
        let token = |linked| receipt::make(&self.config.secret, linked, THE_SITE);
        let link = link.map(|(linked, name)| (Bytes::copy_from_slice(name), token(linked)));
        let crossing = Crossing {
            event: Bytes::copy_from_slice(event.text().as_bytes()),
            payload: Bytes::copy_from_slice(payload),
            link,
        };
        port.publish(bucket_of(&event.key()), crossing);
    }

    /// An event of another host: pools are its own broker's affair.
    pub(super) fn heard_from_site(&mut self, cx: &mut Cx<'_>, from: &FromSite) {
        let published = &from.published;
        let Ok(event) = EventRef::parse(&published.event) else {
            return;
        };
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        self.matcher.matches(&event, &mut found);
        found.retain(|target| matches!(target, Target::Session(_)));
        if self.locals > 0 {
            self.give_marked(cx, &mut found, published);
        }
        self.give(cx, &mut found, published);
        self.found = found;
    }

    /// Gives an event of another host to those found who have subscriptions of both scopes, marked
    /// as such, and leaves the others.
    fn give_marked(&self, cx: &mut Cx<'_>, found: &mut Vec<Target>, published: &Arc<Published>) {
        let tells_apart = |target: &mut Target| match *target {
            Target::Session(session) => self.tells_apart(session),
            _ => false,
        };
        let mut marked: Vec<Target> = found.extract_if(.., tells_apart).collect();
        marked.sort_unstable();
        marked.dedup();
        self.stats.notify(marked.len());
        for target in marked {
            if let Target::Session(session) = target {
                let mut notify = BytesMut::from(published.notify_for(&self.config.secret, session));
                mark_away(&mut notify);
                cx.post(session, notify.freeze());
            }
        }
    }

    /// So many members has a pool on other hosts.
    pub(super) fn set_away(&mut self, pattern: &Pattern, members: u32) {
        match self.pools.set_away(pattern, members) {
            pools::Away::New(pool) => {
                let entry = self.matcher.insert(pattern, Target::Pool(pool));
                self.pools.filed(pool, entry);
                self.subscribing.add(self.shard);
            }
            pools::Away::Gone(entry) => {
                self.matcher.remove(entry);
                self.subscribing.remove(self.shard);
            }
            pools::Away::Known => {}
        }
    }

    /// The site is told how many members a pool has here.
    pub(super) fn tell_members(&mut self, pattern: &Pattern) {
        let Some(port) = &self.site else { return };
        if !hears_others(pattern) {
            return;
        }
        let mut bytes = vec![];
        pattern.hand_over(&mut bytes);
        let members = self.pools.members(pattern);
        let pattern = Bytes::from(bytes);
        let given = Given::Members {
            pattern: pattern.clone(),
            members,
        };
        if !port.give(given) {
            self.untold_members.insert(pattern);
        }
    }

    /// Once more, for those of which it could not be told.
    fn tell_untold_members(&mut self) {
        for bytes in std::mem::take(&mut self.untold_members) {
            if let Some(pattern) = Pattern::taken_over(&mut &bytes[..]) {
                self.tell_members(&pattern);
            }
        }
    }

    /// An event goes to a member of a pool on another host.
    pub(super) fn send_away(&mut self, pattern: &Pattern, event: &Arc<Published>) {
        let Some(port) = &self.site else { return };
        let given = match &event.way {
            Way::HandOn(pooled) => Given::HandOn((**pooled).clone()),
            _ => {
                let mut bytes = vec![];
                pattern.hand_over(&mut bytes);
                let Some(event) = event.crossing(&self.config.secret) else {
                    return;
                };
                Given::ForPool {
                    pattern: bytes.into(),
                    event,
                }
            }
        };
        if !port.give(given) {
            self.lose_of_pool();
        }
    }

    /// There is nobody for an event of a pool.
    pub(super) fn lose_of_pool(&self) {
        self.stats.drop_for_site();
        if let Some(port) = &self.site {
            port.lose_of_pool();
        }
    }

    /// An event of another host for a member of a pool here, or one of this host that no other
    /// takes.
    pub(super) fn pooled_from_site(
        &mut self,
        cx: &mut Cx<'_>,
        pattern: &Pattern,
        pooled: &Pooled,
        returned: bool,
    ) {
        let way = match returned {
            true => Way::Stays,
            false => Way::HandOn(Box::new(pooled.clone())),
        };
        let mut published = Published::from_site(&pooled.event, pooled.number, way);
        if let (Some(published), Some((name, token)), None) =
            (&mut published, &pooled.event.link, pooled.number)
        {
            // It is this broker's own.
            let shards = self.subscribing.shards();
            published.linked = receipt::read(&self.config.secret, shards, token, THE_SITE);
            if published.linked.is_some() {
                let named = Some(([0; 16], &name[..]));
                let payload = &pooled.event.payload;
                published.notify = publish::notify(0, named, &published.event, payload);
            }
        }
        let Some(published) = published else { return };
        let published = Arc::new(published);
        match self.pools.number(pattern) {
            Some(pool) => self.pooled_here(cx, pool, &published),
            None if returned => self.lose_of_pool(),
            None => self.send_away(pattern, &published),
        }
    }

    /// A client has worked on an event of another host.
    pub(super) fn acknowledge_away(&self, number: u64) {
        if let Some(port) = &self.site
            && !port.give(Given::Acknowledge(number))
        {
            tracing::debug!(target: "ens::renl", number, "no room for an acknowledgement");
        }
    }

    /// Events of other hosts were lost.
    pub(super) fn lost(&mut self, loss: &Loss) {
        self.telling.waiting.join(loss);
    }

    /// There was no room for what was posted to a client last, if that was how much it has missed.
    pub(super) fn untold(&mut self, client: SessionId) -> Option<Tally> {
        self.telling.told.remove(&client)
    }

    /// What was told before is told.
    pub(super) fn told(&mut self) {
        self.telling.told.clear();
    }

    /// Tells some clients what they have missed. Gives whether there are more.
    pub(super) fn tell_some(&mut self, cx: &mut Cx<'_>) -> bool {
        self.tell_untold_members();
        self.told();
        let mut telling = std::mem::take(&mut self.telling);
        if telling.clients.is_empty() && !telling.waiting.is_empty() {
            telling.now = std::mem::take(&mut telling.waiting);
            telling.clients = self.subscriptions.keys().copied().collect();
        }
        for _ in 0..TOLD_PER_TURN {
            let Some(client) = telling.clients.pop() else {
                break;
            };
            let tally = self.tally(client, &telling.now);
            if !tally.is_nothing() {
                cx.post(client, tally.frame(self.version_of(client)));
                telling.told.insert(client, tally);
            }
        }
        let more = !telling.clients.is_empty() || !telling.waiting.is_empty();
        self.telling = telling;
        more || !self.untold_members.is_empty()
    }

    /// How much of a loss may concern a client.
    fn tally(&self, client: SessionId, loss: &Loss) -> Tally {
        let mut tally = Tally::default();
        let mut buckets = std::collections::BTreeSet::new();
        for (_, pattern) in self.owned(client) {
            if pattern.is_local() {
                continue;
            }
            if pattern.pool.is_some() {
                tally.unknown |= loss.pools;
            } else if pattern.deep {
                loss.buckets.values().for_each(|one| tally.join(*one));
                return tally;
            } else {
                buckets.insert(bucket_of(&pattern.key));
            }
        }
        let concerned = buckets.iter().filter_map(|bucket| loss.buckets.get(bucket));
        concerned.for_each(|one| tally.join(*one));
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_number_is_one_at_least_to_a_client_of_version_1() {
        let tally = |events, unknown| Tally { events, unknown };
        let lagged = |events| Frame::Lagged { events }.to_bytes();
        assert_eq!(tally(5, false).frame(1), lagged(5));
        assert_eq!(tally(5, false).frame(2), lagged(5));
        assert_eq!(tally(0, true).frame(1), lagged(1));
        assert_eq!(tally(5, true).frame(1), lagged(5));
        assert_eq!(tally(5, true).frame(2), Frame::Missed.to_bytes());
    }

    #[test]
    fn an_event_that_crosses_is_the_same_on_the_other_side() {
        let secret = [7; 32];
        let publisher = SessionId {
            shard: ShardId(1),
            generation: 2,
            slot: 3,
        };
        let named = Some(([0; 16], &b"link"[..]));
        let published = Published {
            event: "enp://h/x?a=b".into(),
            notify: publish::notify(0, named, "enp://h/x?a=b", b"payload"),
            linked: Some(Linked::Here { publisher, id: 9 }),
            way: Way::Own,
        };
        let crossing = published.crossing(&secret).expect("a NOTIFY");
        let (_, token) = crossing.link.clone().expect("it is linked");
        assert_eq!(publish_of(&secret, 2, &token), Some((publisher, 9)));
        assert_eq!(publish_of(&[8; 32], 2, &token), None, "another broker's");
        let there = Published::from_site(&crossing, Some(1), Way::Own).expect("an event");
        assert_eq!(there.notify, published.notify);
        assert_eq!(there.linked, Some(Linked::Away { number: 1 }));
    }
}
