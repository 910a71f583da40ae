//! A broker's part of the bus, without the bus.

use bytes::Bytes;

use super::incoming::{FAMILY_SHIFT, Heard, Incoming, Missed};
use super::interest::Wanted;
use super::links::{Links, ToTell};
use super::mutant::{Mutant, planted};
use super::outgoing::Outgoing;
use super::pools::SitePools;
use super::streams::{KNOWN_NS, Pooled, Streams};
use super::wire::{Crossing, Header, Said, Subject, Token};

/// How often an origin says how far it is.
const DIGEST_NS: u64 = 1_000_000_000;
/// With more buckets than these the bus is asked for all of them at once, and what is not wanted is
/// thrown away: one subscription is cheaper than many, for both sides.
const SINGLE_MAX: usize = 64;
/// With as few again, for single ones.
const SINGLE_AGAIN: usize = SINGLE_MAX / 2;

/// Bounds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of events for pools that are kept until another broker has taken them.
    pub kept_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            kept_bytes_max: 4 << 20,
        }
    }
}

/// What is to be done, by the bus's side or the broker's.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Bus: what is said there is to be heard.
    Subscribe(Subject),
    /// Bus: no more. What is under way still is.
    Unsubscribe(Subject),
    /// Bus: this is to be said.
    Publish {
        /// To whom.
        to: Subject,
        /// If nobody is there, [`Machine::nobody_there`] is to be called with it.
        reply: Option<u64>,
        /// What.
        message: Bytes,
    },
    /// Broker: an event of another host, for all subscribers but pools.
    Event {
        /// Its bucket.
        bucket: u16,
        /// By which it can be acknowledged ([`Machine::acknowledge`]) if it is linked.
        number: Option<u64>,
        /// It.
        event: Crossing,
    },
    /// Broker: whoever can have subscriptions in this bucket has missed something.
    Missed(u16, Missed),
    /// Broker: any member of a pool may have.
    PoolsMissed,
    /// Broker: so many members has a pool on other hosts.
    Members {
        /// The pool's pattern, written down.
        pattern: Bytes,
        /// How many.
        members: u32,
    },
    /// Broker: an event for one member of a pool here. If there is none any more it is handed on:
    /// [`Machine::hand_on`].
    Pooled(Pooled),
    /// Broker: nobody else takes an event for a pool. A member here does, or nobody.
    Returned(Pooled),
    /// Broker: a subscriber of another host has worked on the event of this token.
    Acknowledged(Token),
}

/// What a machine counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that are none of a broker's.
    pub strange: u64,
    /// Events of other origins that were heard.
    pub heard: u64,
    /// Events of others that were missed, as far as their number is known.
    pub missed: u64,
    /// How often it was not.
    pub unknown: u64,
    /// Events for pools that nobody took.
    pub returned: u64,
    /// Pools that the site was not offered.
    pub pools_refused: u64,
}

/// All messages that had come when they were fetched, each origin's in its order, whatever their
/// subjects. None is read yet: events have more bytes then.
pub fn in_order(mut messages: Vec<Bytes>) -> Vec<Bytes> {
    if !planted(Mutant::NoOrder) {
        messages
            .sort_by_key(|message| Header::of(message).map(|header| (header.origin, header.order)));
    }
    messages
}

/// A broker's part of the bus.
pub struct Machine {
    origin: u64,
    began_ns: u64,
    order: u64,
    limits: Limits,
    is_connected: bool,
    most: usize,
    outgoing: Outgoing,
    incoming: Incoming,
    pools: SitePools,
    streams: Streams,
    links: Links,
    wanted: Wanted,
    /// What the bus was asked for.
    single: Wanted,
    all: bool,
    digests: u64,
    digest_ns: u64,
    /// From then on it is known which pools others have; not while the bus is away.
    known_ns: Option<u64>,
    /// Something was published before, and may have been for some of those.
    is_blind: bool,
    /// Pools have got their first members here meanwhile: what came before was for none of them.
    have_come_blind: bool,
    /// It has said that it ends.
    has_ended: bool,
    actions: Vec<Action>,
    counts: Counts,
}

impl Machine {
    /// Of an origin, whose number no other one has.
    pub fn new(origin: u64, now_ns: u64, limits: Limits) -> Self {
        Self {
            origin,
            began_ns: now_ns,
            order: 0,
            limits,
            is_connected: false,
            most: usize::MAX,
            outgoing: Outgoing::new(),
            incoming: Incoming::new(now_ns),
            pools: SitePools::default(),
            streams: Streams::default(),
            links: Links::new(origin),
            wanted: Wanted::none(),
            single: Wanted::none(),
            all: false,
            digests: 0,
            digest_ns: 0,
            known_ns: None,
            is_blind: false,
            have_come_blind: false,
            has_ended: false,
            actions: vec![
                Action::Subscribe(Subject::Everyone),
                Action::Subscribe(Subject::Origin(origin)),
            ],
            counts: Counts::default(),
        }
    }

    /// What is to be done.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Other brokers that are there.
    pub fn others(&self) -> usize {
        self.incoming.count()
    }

    /// Events that were larger than what the bus takes.
    pub fn too_large(&self) -> u64 {
        self.outgoing.too_large()
    }

    /// Digests of others that wait to be looked at.
    #[cfg(test)]
    pub(super) fn waiting_checks(&self) -> usize {
        self.incoming.waiting_checks()
    }

    /// Origins that have sent something for pools.
    #[cfg(test)]
    pub(super) fn senders(&self) -> usize {
        self.streams.senders()
    }

    fn header(&mut self, now_ns: u64) -> Header {
        self.order += 1;
        Header {
            origin: self.origin,
            age_ns: now_ns.saturating_sub(self.began_ns),
            order: self.order,
        }
    }

    fn say(&mut self, now_ns: u64, to: Subject, reply: Option<u64>, said: &Said) {
        let message = said.encode(self.header(now_ns));
        self.actions.push(Action::Publish { to, reply, message });
    }

    /// The bus is there, and takes messages of so many bytes.
    pub fn connected(&mut self, now_ns: u64, message_bytes_max: usize) {
        self.is_connected = true;
        self.most = message_bytes_max;
        self.outgoing.set_most(message_bytes_max);
        self.incoming.connected(now_ns);
        self.known_ns.get_or_insert(now_ns + KNOWN_NS);
        self.say(now_ns, Subject::Everyone, None, &Said::Who { origin: None });
        self.pools.ask(now_ns);
        self.digest(now_ns, false);
        self.tell_pools_missed();
    }

    /// The bus is away, or was not there in time: pools have members here only.
    pub fn disconnected(&mut self) {
        self.is_connected = false;
        self.known_ns = None;
        for origin in self.pools.origins() {
            let changed = self.pools.forget(origin);
            self.tell_members(changed);
        }
    }

    /// Messages may have been lost on their way here, by whoever carries them.
    pub fn lost_some(&mut self) {
        self.tell_pools_missed();
    }

    fn tell_pools_missed(&mut self) {
        if self.pools.has_own() {
            self.actions.push(Action::PoolsMissed);
        }
    }

    /// These buckets are wanted.
    pub fn want(&mut self, now_ns: u64, wanted: Wanted) {
        self.incoming.want(now_ns, &wanted);
        let many = match self.all {
            true => wanted.is_all() || wanted.len() > SINGLE_AGAIN,
            false => wanted.is_all() || wanted.len() > SINGLE_MAX,
        };
        let single = if many { Wanted::none() } else { wanted.clone() };
        // What is heard twice meanwhile is told once.
        if many && !self.all {
            self.actions.push(Action::Subscribe(Subject::AllBuckets));
        }
        let before = std::mem::replace(&mut self.single, single);
        for bucket in self.single.iter().filter(|bucket| !before.has(*bucket)) {
            self.actions
                .push(Action::Subscribe(Subject::Bucket(bucket)));
        }
        for bucket in before.iter().filter(|bucket| !self.single.has(*bucket)) {
            self.actions
                .push(Action::Unsubscribe(Subject::Bucket(bucket)));
        }
        if !many && self.all {
            self.actions.push(Action::Unsubscribe(Subject::AllBuckets));
        }
        self.all = many;
        self.wanted = wanted;
    }

    /// From when on it is known which pools others have, unless the bus is away.
    pub fn known_ns(&self) -> Option<u64> {
        self.known_ns
    }

    /// Whether it is known which pools others have.
    pub(super) fn knows_pools(&self, now_ns: u64) -> bool {
        self.known_ns.is_some_and(|known_ns| known_ns <= now_ns)
    }

    /// An event of this broker's publishers. What was published is sent by [`Machine::flush`].
    pub fn publish(&mut self, now_ns: u64, bucket: u16, event: &Crossing) {
        self.is_blind |= !self.knows_pools(now_ns);
        let (origin, began_ns) = (self.origin, self.began_ns);
        let order = &mut self.order;
        let header = || {
            *order += 1;
            Header {
                origin,
                age_ns: now_ns.saturating_sub(began_ns),
                order: *order,
            }
        };
        self.outgoing.add(header, bucket, event);
    }

    /// So many events of this broker's publishers were dropped before they came here.
    pub fn skip(&mut self, bucket: u16, events: u64) {
        self.is_blind |= self.known_ns.is_none();
        self.outgoing.skip(bucket, events);
    }

    /// Sends what was published.
    pub fn flush(&mut self) {
        for (bucket, message) in self.outgoing.flush() {
            let to = Subject::Bucket(bucket);
            let reply = None;
            self.actions.push(Action::Publish { to, reply, message });
        }
    }

    /// A subscriber here has worked on the event of that number.
    pub fn acknowledge(&mut self, now_ns: u64, number: u64) {
        if let Some(to_tell) = self.links.acknowledge(now_ns, number) {
            self.tell(now_ns, to_tell);
        }
    }

    fn tell(&mut self, now_ns: u64, to_tell: ToTell) {
        let ToTell {
            origin,
            request,
            token,
        } = to_tell;
        let said = Said::Ack { request, token };
        self.say(now_ns, Subject::Origin(origin), None, &said);
    }

    fn digest(&mut self, now_ns: u64, bye: bool) {
        self.digests += 1;
        self.digest_ns = now_ns + DIGEST_NS;
        let said = Said::Digest {
            number: self.digests,
            pools: self.pools.version(),
            // Who asks later hears it again.
            bye: bye || self.has_ended,
            sent: self.streams.sent(),
            taken: self.streams.cursors(),
            buckets: self.outgoing.digest(),
        };
        self.say(now_ns, Subject::Everyone, None, &said);
    }

    /// Messages have come that no broker says so.
    pub fn note_strange(&mut self, messages: u64) {
        self.counts.strange += messages;
    }

    fn is_family(&self, origin: u64) -> bool {
        origin >> FAMILY_SHIFT == self.origin >> FAMILY_SHIFT
    }

    /// Messages that have come since the last call: all that had come when they were fetched.
    pub fn hear(&mut self, now_ns: u64, messages: Vec<Bytes>) {
        for message in in_order(messages) {
            self.hear_next(now_ns, message);
        }
    }

    /// The next of the messages that have come, [`in_order`].
    pub fn hear_next(&mut self, now_ns: u64, message: Bytes) {
        match Said::decode(message) {
            Some((header, _)) if header.origin == self.origin => {}
            // What a predecessor has published its clients, who are here now, have heard.
            Some((header, Said::Batch { .. })) if self.is_family(header.origin) => {}
            Some((header, said)) => self.hear_one(now_ns, header, said),
            None => self.counts.strange += 1,
        }
    }

    fn hear_one(&mut self, now_ns: u64, header: Header, said: Said) {
        let origin = header.origin;
        if self.incoming.note(now_ns, header) {
            self.pools.ask(now_ns);
        }
        let mut heard = Vec::new();
        match said {
            Said::Batch {
                bucket,
                first,
                events,
            } if self.incoming.is_in_order(header) => {
                let incoming = &mut self.incoming;
                incoming.batch(now_ns, origin, bucket, first, events, &mut heard);
            }
            // Whoever would have heard it is told by what comes next of its bucket.
            Said::Batch { .. } => {}
            Said::Digest {
                number,
                pools,
                bye,
                sent,
                taken,
                buckets,
            } => {
                let digest = (number, bye);
                self.incoming
                    .digest(now_ns, origin, digest, &buckets, &mut heard);
                self.hear_of_streams(now_ns, origin, bye, &sent, &taken);
                if !bye && self.pools.is_behind(origin, pools) {
                    let said = Said::Who {
                        origin: Some(origin),
                    };
                    self.say(now_ns, Subject::Everyone, None, &said);
                }
            }
            Said::Who { origin: asked } => {
                if asked.is_none_or(|asked| asked == self.origin) {
                    self.pools.ask(now_ns);
                    // Soon, and once for many who ask.
                    self.digest_ns = self.digest_ns.min(now_ns + DIGEST_NS / 10);
                }
            }
            Said::Pools {
                version,
                part,
                parts,
                pools,
            } if self.incoming.is_there(origin) => {
                let changed = self.pools.take(origin, version, (part, parts), pools);
                let have_come = changed.iter().any(|(_, members)| *members > 0);
                self.tell_members(changed);
                if have_come {
                    self.send_waiting(now_ns);
                }
            }
            Said::Pools { .. } => {}
            Said::Pooled {
                home,
                before,
                number,
                hops,
                pattern,
                event,
            } => {
                let event = (home, hops, pattern, event);
                self.hear_pooled(now_ns, origin, (before, number), event);
            }
            Said::Ack { request, token } => {
                if self.links.is_new(origin, request) {
                    self.actions.push(Action::Acknowledged(token));
                }
                let said = Said::Acked { request };
                self.say(now_ns, Subject::Origin(origin), None, &said);
            }
            Said::Acked { request } => self.links.answered(request),
        }
        self.tell_heard(origin, heard);
    }

    fn tell_members(&mut self, changed: Vec<(Bytes, u32)>) {
        let tell = |(pattern, members)| Action::Members { pattern, members };
        self.actions.extend(changed.into_iter().map(tell));
    }

    fn tell_heard(&mut self, origin: u64, heard: Vec<Heard>) {
        for one in heard {
            match one {
                Heard::Event(bucket, event) => {
                    self.counts.heard += 1;
                    let token = event.link.as_ref().map(|(_, token)| *token);
                    let number = token.map(|token| self.links.number(origin, token));
                    self.actions.push(Action::Event {
                        bucket,
                        number,
                        event,
                    });
                }
                Heard::Missed(bucket, missed) => {
                    match missed {
                        Missed::AtMost(events) => {
                            self.counts.missed = self.counts.missed.saturating_add(events);
                        }
                        Missed::Unknown => self.counts.unknown += 1,
                    }
                    self.actions.push(Action::Missed(bucket, missed));
                }
                Heard::PoolsMissed => self.tell_pools_missed(),
            }
        }
    }

    /// When [`Machine::tick`] is to be called at the latest.
    pub fn next_ns(&self) -> u64 {
        let pools_ns = self.pools.due_ns().filter(|_| self.is_connected);
        let waiting_ns = self.streams.due_ns();
        let others_ns = [pools_ns, waiting_ns].into_iter().flatten().min();
        self.digest_ns.min(others_ns.unwrap_or(u64::MAX))
    }

    /// Does what time brings along.
    pub fn tick(&mut self, now_ns: u64) {
        let mut heard = Vec::new();
        self.incoming.tick(now_ns, self.is_connected, &mut heard);
        self.tell_heard(0, heard);
        if self.streams.tick(now_ns) {
            self.lost_of_pool();
        }
        // Those who were not there yet when it fell silent hear of that by this one's digest.
        if self
            .streams
            .give_up(|origin| self.incoming.is_there(origin))
        {
            self.lost_of_pool();
        }
        self.give_back_overdue(now_ns);
        self.tell_of_blind(now_ns);
        for origin in self.pools.origins() {
            if self.is_connected && !self.incoming.is_there(origin) {
                let changed = self.pools.forget(origin);
                self.tell_members(changed);
            }
        }
        if !self.is_connected {
            self.digest_ns = now_ns + DIGEST_NS;
            return;
        }
        let again = self.links.tick(now_ns);
        again.into_iter().for_each(|one| self.tell(now_ns, one));
        let parts = self.pools.parts(now_ns);
        self.say_pools(now_ns, parts);
        if self.digest_ns <= now_ns {
            self.streams.prune(|origin| self.incoming.is_known(origin));
            self.digest(now_ns, false);
        }
    }

    /// The process ends: what it has published is all, and it takes nothing more.
    pub fn end(&mut self, now_ns: u64) {
        self.retire(now_ns, true);
        self.flush();
        // Those who are still there send to others what was not taken here.
        if self
            .streams
            .misses(|origin| !self.incoming.is_there(origin))
        {
            self.lost_of_pool();
        }
        self.has_ended = true;
        self.digest(now_ns, true);
    }
}

#[path = "machine/following.rs"]
mod following;
#[path = "machine/pooled.rs"]
mod pooled;
