//! Between the bus and the shards.
#![expect(
    clippy::disallowed_methods,
    reason = "the bus has a thread of its own and the machine's clock"
)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use engine::Handle;
use engine::event::{SessionId, ShardId};
use nats::{Driver, News, Order};
use sha2::{Digest, Sha256};

use super::Retiring;
use super::counters::Counters;
use super::following::Following;
use super::meeting::Meeting;
use crate::broker::{
    BrokerMessage, FromSite, Loss, Room, SubscribingShards, owner_of_pool, publish_of,
};
use crate::bus::{
    Action, BUCKETS, Crossing, FAMILY_SHIFT, Given, Limits, MESSAGE_BYTES_MIN, Machine, Missed,
    Pooled, Port, Subject, belongs_at, in_order,
};

/// A broker that ends waits so long for others to say that they have taken what it sent them.
const TAKEN_WITHIN_NS: u64 = 8_000_000_000;
/// But only so long for the bus, if that is away, and for others who say nothing.
const AWAY_WITHIN_NS: u64 = 1_500_000_000;
/// And so long for the bus to have its last word.
const HEARD_WITHIN_NS: u64 = 2_000_000_000;
/// The number of a message to nobody: when the bus says so, it has all that was said before.
const LAST: u64 = 0;
/// How often it looks whether there is still anybody to wait for.
const LOOK_NS: u64 = 100_000_000;
/// What shards have given that is taken in one turn.
const TAKEN_PER_TURN: usize = 4096;
/// What something for the bus, and for a shard, costs besides its bytes, about.
const ORDER_BYTES: usize = 128;
const UNTOLD_BYTES: usize = 128;
/// When shards that had no room are tried again.
const AGAIN_NS: u64 = 1_000_000;

/// What a driver is made of.
pub(super) struct Parts {
    pub site: String,
    pub port: Arc<Port>,
    pub handle: Handle<(), BrokerMessage>,
    pub subscribing: Arc<SubscribingShards>,
    pub secret: [u8; 32],
    pub ending: Arc<AtomicBool>,
    pub retiring: Arc<Retiring>,
    pub following: Arc<Following>,
    pub meeting: Arc<Meeting>,
    pub counters: Arc<Counters>,
    pub room_bytes_max: usize,
    pub follows: bool,
}

pub(super) struct SiteDriver {
    parts: Parts,
    machine: Machine,
    origin: u64,
    began: Instant,
    /// Bytes of events on their way to shards.
    room: Arc<AtomicUsize>,
    /// Events for each shard that had no room yet, as they came; their bytes are of `room`.
    waiting: Vec<VecDeque<Arc<FromSite>>>,
    /// What each shard is to be told was lost.
    lost: Vec<Loss>,
    /// What shards are to be told that had no room, and how many bytes that is, about.
    untold: Vec<(SessionId, BrokerMessage, usize)>,
    untold_bytes: usize,
    /// How many members pools have on other hosts, of which no shard was told.
    members: BTreeMap<Bytes, u32>,
    orders: Vec<Order>,
    /// Bytes of what is to be published.
    order_bytes: usize,
    is_connected: bool,
    /// It knows of pools elsewhere from the process before, and was not at the bus itself yet.
    follows_until_ns: Option<u64>,
    /// Shards are to know them.
    is_following_told: bool,
    /// Since when it is to end.
    ending_ns: Option<u64>,
    has_asked: bool,
    /// Since when it has said so, and whether the bus has heard it.
    ended_ns: Option<u64>,
    is_heard: bool,
    /// What it complained of last, and until when nothing else is said of that.
    trouble: (String, u64),
    /// What was said to be lost, and until when nothing more is said of that.
    said: (u64, u64),
    /// The same of messages that are none of a broker's.
    said_strange: (u64, u64),
}

impl SiteDriver {
    pub fn new(parts: Parts) -> Self {
        let mut bytes = [0; 8];
        // So few bytes come at once, once the system has started.
        let flags = rustix::rand::GetRandomFlags::empty();
        while rustix::rand::getrandom(&mut bytes, flags) != Ok(bytes.len()) {}
        // A successor has the secret, too: others know it by that.
        let family = Sha256::digest([&b"origin"[..], &parts.secret].concat());
        let (family, _) = family.split_first_chunk().expect("it has 32 bytes");
        let family = u64::from_be_bytes(*family) >> FAMILY_SHIFT << FAMILY_SHIFT;
        let own = u64::from_be_bytes(bytes) % (1 << FAMILY_SHIFT);
        let origin = family | own;
        let shards = usize::from(parts.subscribing.shards());
        Self {
            parts,
            machine: Machine::new(origin, 0, Limits::default()),
            origin,
            began: Instant::now(),
            room: Arc::default(),
            waiting: vec![VecDeque::new(); shards],
            lost: vec![Loss::default(); shards],
            untold: vec![],
            untold_bytes: 0,
            members: BTreeMap::new(),
            orders: vec![],
            order_bytes: 0,
            is_connected: false,
            follows_until_ns: None,
            is_following_told: true,
            ending_ns: None,
            has_asked: false,
            ended_ns: None,
            is_heard: false,
            trouble: (String::new(), 0),
            said: (0, 0),
            said_strange: (0, 0),
        }
    }

    fn now_ns(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    fn connected(&mut self, server: &str, message_bytes_max: usize) {
        if message_bytes_max < MESSAGE_BYTES_MIN {
            return self.say_trouble(format!(
                "{server} takes messages of {message_bytes_max} bytes: brokers need \
                 {MESSAGE_BYTES_MIN}, raise its max_payload"
            ));
        }
        // A connect may be told twice, or was lost at once: then it is made known once more.
        if !std::mem::replace(&mut self.is_connected, true) {
            tracing::info!(
                target: "ens::site", site = self.parts.site, server, message_bytes_max,
                "joined the site; events that make larger messages stay on this host"
            );
            self.parts.counters.set_connected(true);
        }
        self.trouble = (String::new(), 0);
        self.follows_until_ns = None;
        let now_ns = self.now_ns();
        self.machine.connected(now_ns, message_bytes_max);
        if std::mem::take(&mut self.parts.follows) {
            for bucket in 0..BUCKETS {
                self.lose(None, bucket, Missed::Unknown);
            }
            self.lost.iter_mut().for_each(|loss| loss.pools = true);
        }
    }

    fn is_ending(&self) -> bool {
        self.parts.ending.load(Ordering::SeqCst)
    }

    fn disconnected(&mut self) {
        if std::mem::take(&mut self.is_connected) {
            let site = &self.parts.site;
            tracing::warn!(target: "ens::site", site, "the bus is away; this host goes on alone");
            self.parts.counters.set_connected(false);
            self.machine.disconnected();
        }
    }

    /// Something was lost that a shard, or all, would have heard.
    fn lose(&mut self, shard: Option<usize>, bucket: u16, missed: Missed) {
        for (number, loss) in self.lost.iter_mut().enumerate() {
            if shard.is_none_or(|shard| shard == number) {
                loss.buckets.entry(bucket).or_default().add(missed);
            }
        }
    }

    fn heard(&mut self, messages: Vec<nats::Message>) {
        let now_ns = self.now_ns();
        let mut said = Vec::with_capacity(messages.len());
        let mut strange = 0;
        let own = format!("ens.{}.", self.parts.site);
        let is_in_place = |message: &nats::Message| {
            let name = message.subject.strip_prefix(&own);
            name.is_some_and(|name| belongs_at(name, &message.payload))
        };
        for message in messages {
            if message.nobody {
                let number = message
                    .subject
                    .rsplit_once('.')
                    .map(|(_, number)| number.parse());
                match number {
                    Some(Ok(LAST)) => self.is_heard = self.ended_ns.is_some(),
                    Some(Ok(number)) => self.machine.nobody_there(now_ns, number),
                    _ => {}
                }
            } else if is_in_place(&message) {
                said.push(message.payload);
            } else {
                strange += 1;
            }
        }
        self.machine.note_strange(strange);
        for message in in_order(said) {
            self.machine.hear_next(now_ns, message);
            self.carry_out(self.parts.room_bytes_max);
        }
    }

    /// What shards have given.
    fn take_given(&mut self) {
        let now_ns = self.now_ns();
        if let Some(wanted) = self.parts.port.take_wanted() {
            self.machine.want(now_ns, wanted);
        }
        // What waits for a bus that is away keeps waiting, as far as there is room.
        let is_ending = self.is_ending();
        let most = match (self.is_connected, is_ending) {
            (true, false) => TAKEN_PER_TURN,
            // There is no other turn.
            (true, true) => usize::MAX,
            (false, _) => 0,
        };
        for _ in 0..most {
            let Some(given) = self.parts.port.take() else {
                break;
            };
            match given {
                Given::Event { bucket, event } => {
                    self.parts.counters.add_sent();
                    self.machine.publish(now_ns, bucket, &event);
                }
                Given::ForPool { pattern, event } => {
                    self.parts.counters.add_sent();
                    self.machine.publish_to_pool(now_ns, pattern, event);
                }
                Given::HandOn(pooled) => self.machine.hand_on(now_ns, pooled),
                Given::Members { pattern, members } => {
                    self.machine.set_members(now_ns, &pattern, members);
                }
                Given::Acknowledge(number) => self.machine.acknowledge(now_ns, number),
            }
        }
        if self.parts.port.take_lost_of_pool() {
            self.machine.lost_of_pool();
        }
        for (bucket, events) in self.parts.port.take_skipped() {
            self.machine.skip(bucket, events);
        }
        self.machine.flush();
    }

    /// What is to be published is bounded, unless the port has bounded it already.
    fn carry_out(&mut self, most: usize) {
        for action in self.machine.take_actions() {
            match action {
                Action::Subscribe(subject) => self.subscribe(subject),
                Action::Unsubscribe(subject) => {
                    let name = subject.name(&self.parts.site);
                    self.orders.push(Order::Unsubscribe(name));
                }
                Action::Publish { to, reply, message } => {
                    // What is said of pools and acknowledgements is said again when it is missed.
                    if self.order_bytes > 0 && self.order_bytes + message.len() > most {
                        self.parts.counters.add_unsent();
                        continue;
                    }
                    self.order_bytes += ORDER_BYTES + message.len();
                    let answers = Subject::Origin(self.origin).name(&self.parts.site);
                    self.orders.push(Order::Publish {
                        subject: to.name(&self.parts.site),
                        reply: reply.map(|number| format!("{answers}.{number}")),
                        payload: message,
                    });
                }
                Action::Event {
                    bucket,
                    number,
                    event,
                } => self.event(bucket, number, &event),
                Action::Missed(bucket, missed) => self.lose(None, bucket, missed),
                Action::PoolsMissed => self.lose_pools(),
                // The last word counts.
                Action::Members { pattern, members } => {
                    _ = self.members.insert(pattern, members);
                }
                Action::Pooled(pooled) => self.pooled(pooled, false),
                // Its members here are gone, or will be before it is with them.
                Action::Returned(_) if self.machine.is_retired() => self.machine.lost_of_pool(),
                Action::Returned(pooled) => self.pooled(pooled, true),
                Action::Acknowledged(token) => {
                    let shards = self.parts.subscribing.shards();
                    if let Some((publisher, id)) = publish_of(&self.parts.secret, shards, &token) {
                        let message = BrokerMessage::Acknowledged { id };
                        // A publisher that hears nothing thinks that nobody has worked on it.
                        _ = self.tell(publisher, message, UNTOLD_BYTES);
                    }
                }
            }
        }
    }

    fn subscribe(&mut self, subject: Subject) {
        let name = subject.name(&self.parts.site);
        if matches!(subject, Subject::Origin(_)) {
            self.orders.push(Order::Subscribe {
                subject: format!("{name}.*"),
            });
        }
        self.orders.push(Order::Subscribe { subject: name });
    }

    fn owner(&self, pattern: &[u8]) -> Option<(SessionId, Arc<crate::event_ref::Pattern>)> {
        let (owner, pattern) = owner_of_pool(pattern, self.parts.subscribing.shards())?;
        Some((SessionId::shard_itself(owner), pattern))
    }

    fn pooled(&mut self, pooled: Pooled, returned: bool) {
        let Some((owner, pattern)) = self.owner(&pooled.pattern) else {
            return;
        };
        let bytes = UNTOLD_BYTES + pooled.pattern.len() + pooled.event.wire_bytes();
        let full = self.room.load(Ordering::Relaxed) > self.parts.room_bytes_max;
        let told = !full && {
            let message = BrokerMessage::PooledFromSite {
                pattern,
                pooled: Arc::new(pooled),
                returned,
                room: Arc::new(Room::new(self.room.clone(), bytes)),
            };
            self.tell(owner, message, bytes)
        };
        if !told {
            self.parts.counters.add_crowded();
            self.lose_pools();
        }
    }

    fn lose_pools(&mut self) {
        self.lost.iter_mut().for_each(|loss| loss.pools = true);
    }

    /// Whether others have taken all, or it ends without that.
    fn waits_no_longer(&self) -> bool {
        self.ending_ns.is_some_and(|ending_ns| {
            let now_ns = self.now_ns();
            let is_settled = self.is_connected && self.machine.is_settled();
            // Who is there says so more often.
            let since_ns = now_ns.saturating_sub(AWAY_WITHIN_NS);
            let waits = self.is_connected && self.machine.waits_for_some(since_ns);
            let is_vain = ending_ns <= since_ns && !waits;
            is_settled || is_vain || now_ns >= ending_ns + TAKEN_WITHIN_NS
        })
    }

    /// Says that it ends. A server may throw away what it has not read of a connection that ends
    /// while it writes to it: so the connection stays until the last word was read.
    fn end(&mut self, now_ns: u64) {
        self.carry_out(usize::MAX);
        self.machine.end(now_ns);
        self.ended_ns = Some(now_ns);
        self.carry_out(usize::MAX);
        let own = Subject::Origin(self.origin).name(&self.parts.site);
        self.orders.push(Order::Publish {
            reply: Some(format!("{own}.{LAST}")),
            subject: own,
            payload: Bytes::new(),
        });
    }

    /// An event goes to all shards that have subscriptions.
    fn event(&mut self, bucket: u16, number: Option<u64>, event: &Crossing) {
        let shards: Vec<ShardId> = self.parts.subscribing.having().collect();
        let full = self.room.load(Ordering::Relaxed) > self.parts.room_bytes_max;
        let from = match full {
            true => None,
            false => FromSite::new(event, number, self.room.clone()).map(Arc::new),
        };
        for shard in shards {
            let place = usize::from(shard.0);
            match &from {
                Some(from) => {
                    self.waiting[place].push_back(from.clone());
                    self.give_waiting(shard);
                }
                None => {
                    self.parts.counters.add_crowded();
                    self.lose(Some(place), bucket, Missed::AtMost(1));
                }
            }
        }
    }

    /// Gives a shard the events that wait for it, as far as it has room. False if some still wait.
    fn give_waiting(&mut self, shard: ShardId) -> bool {
        let waiting = &mut self.waiting[usize::from(shard.0)];
        while let Some(event) = waiting.front() {
            let message = BrokerMessage::FromSite(event.clone());
            let to = SessionId::shard_itself(shard);
            if self.parts.handle.reply(to, message).is_err() {
                return false;
            }
            waiting.pop_front();
        }
        true
    }

    /// Tells a shard something, now or when it has room. False if too much waits for that.
    #[must_use = "it may be lost"]
    fn tell(&mut self, to: SessionId, message: BrokerMessage, bytes: usize) -> bool {
        if self.untold_bytes > 0 && self.untold_bytes + bytes > self.parts.room_bytes_max {
            return false;
        }
        self.untold_bytes += bytes;
        self.untold.push((to, message, bytes));
        true
    }

    fn tell_members(&mut self) {
        while let Some((pattern, members)) = self.members.pop_first() {
            let Some((owner, read)) = self.owner(&pattern) else {
                continue;
            };
            let message = BrokerMessage::Away {
                pattern: read,
                members,
            };
            if self.parts.handle.reply(owner, message).is_err() {
                self.members.insert(pattern, members);
                return;
            }
        }
    }

    fn tell_untold(&mut self) {
        self.tell_members();
        let mut untold = std::mem::take(&mut self.untold).into_iter();
        for (to, message, bytes) in untold.by_ref() {
            if let Err(message) = self.parts.handle.reply(to, message) {
                self.untold.push((to, message, bytes));
                break;
            }
            self.untold_bytes -= bytes;
        }
        self.untold.extend(untold);
        for place in 0..self.lost.len() {
            let shard = ShardId(place as u16);
            // A loss is told behind what came before it.
            let has_room = self.give_waiting(shard);
            let loss = &mut self.lost[place];
            if !has_room || loss.is_empty() {
                continue;
            }
            let message = BrokerMessage::Lost(Arc::new(loss.clone()));
            if self
                .parts
                .handle
                .reply(SessionId::shard_itself(shard), message)
                .is_ok()
            {
                *loss = Loss::default();
            }
        }
    }
}

impl Driver for SiteDriver {
    fn news(&mut self, news: News) {
        match news {
            News::Connected {
                server,
                message_bytes_max,
            } => self.connected(&server, message_bytes_max),
            News::Disconnected => self.disconnected(),
            News::Dropped { messages } => {
                self.parts.counters.add_flooded(messages);
                self.machine.lost_some();
            }
            News::Trouble(trouble) => self.say_trouble(trouble),
            News::Messages(messages) => self.heard(messages),
            News::Look => {}
        }
        let now_ns = self.now_ns();
        self.follow(now_ns);
        self.meet(now_ns);
        let retires = self.parts.retiring.is_wanted() || self.is_ending();
        self.machine.retire(now_ns, retires);
        if self.is_ending() {
            self.ending_ns.get_or_insert(now_ns);
        }
        if now_ns >= self.machine.next_ns() {
            self.machine.tick(now_ns);
            let (counts, others) = (self.machine.counts(), self.machine.others());
            let (dropped, large) = (self.parts.port.dropped(), self.machine.too_large());
            self.parts.counters.set(counts, others, dropped, large);
            self.say_lost(now_ns);
            self.say_strange(now_ns);
        }
        self.carry_out(self.parts.room_bytes_max);
        self.tell_untold();
        self.retire(retires);
        if !self.is_following_told && self.members.is_empty() {
            self.is_following_told = true;
            self.parts.following.set_told();
        }
    }

    fn orders(&mut self) -> Vec<Order> {
        self.take_given();
        let now_ns = self.now_ns();
        if self.ending_ns.is_some() && !std::mem::replace(&mut self.has_asked, true) {
            self.machine.ask(now_ns);
        }
        if self.waits_no_longer() && self.ended_ns.is_none() {
            self.end(now_ns);
        }
        self.carry_out(usize::MAX);
        self.tell_untold();
        self.order_bytes = 0;
        std::mem::take(&mut self.orders)
    }

    fn idle_ns(&self) -> u64 {
        // Shards that have no room may have some soon.
        let is_held = !self.untold.is_empty()
            || !self.members.is_empty()
            || self.waiting.iter().any(|waiting| !waiting.is_empty())
            || self.lost.iter().any(|loss| !loss.is_empty());
        let mut next_ns = self.machine.next_ns();
        if let (false, Some(known_ns)) = (self.parts.meeting.is_over(), self.machine.known_ns()) {
            next_ns = next_ns.min(known_ns);
        }
        let idle_ns = next_ns.saturating_sub(self.now_ns());
        let idle_ns = match self.ending_ns {
            Some(_) => idle_ns.min(LOOK_NS),
            None => idle_ns,
        };
        if is_held {
            idle_ns.min(AGAIN_NS)
        } else {
            idle_ns
        }
    }

    fn is_over(&self) -> bool {
        let Some(ending_ns) = self.ending_ns else {
            return false;
        };
        let now_ns = self.now_ns();
        match self.ended_ns {
            Some(ended_ns) => {
                self.is_heard || !self.is_connected || now_ns >= ended_ns + HEARD_WITHIN_NS
            }
            // What was ordered before does not leave.
            None if self.is_connected => now_ns >= ending_ns + TAKEN_WITHIN_NS + HEARD_WITHIN_NS,
            None => now_ns >= ending_ns + AWAY_WITHIN_NS + LOOK_NS,
        }
    }
}

#[path = "driver/following.rs"]
mod following;
#[path = "driver/saying.rs"]
mod saying;
#[cfg(test)]
#[path = "driver/tests.rs"]
mod tests;
