//! Clients of the broker that go to another process, or come from one: with what they have sent of
//! a frame, their subscriptions, and how many events they were not sent.

use std::sync::Arc;

use bytes::{Buf, BufMut};
use engine::event::SessionId;
use engine::protocol::Seen;

use super::Broker;
use super::loss::Tally;
use super::session::{Parked, Session};
use super::subscriptions::Place;
use crate::event_ref::Pattern;
use crate::frame::Scope;

/// Bits of a pattern.
const DEEP: u8 = 1;
const POOLED: u8 = 2;
const LOCAL: u8 = 4;

impl Pattern {
    /// Appends it.
    pub(super) fn hand_over(&self, output: &mut Vec<u8>) {
        let deep = if self.deep { DEEP } else { 0 };
        let pooled = if self.pool.is_some() { POOLED } else { 0 };
        let local = if self.is_local() { LOCAL } else { 0 };
        output.put_u8(deep | pooled | local);
        put_text(output, &self.key);
        put_text(output, self.pool.as_deref().unwrap_or_default());
        output.put_u32(self.params.len() as u32);
        for (name, value) in &self.params {
            put_text(output, name);
            put_text(output, value);
        }
    }

    /// The next one of the input.
    pub(super) fn taken_over(input: &mut &[u8]) -> Option<Self> {
        let bits = input.try_get_u8().ok()?;
        if bits & !(DEEP | POOLED | LOCAL) != 0 {
            return None;
        }
        let key = take_text(input)?.into();
        let pool = take_text(input)?;
        let count = input.try_get_u32().ok()?;
        let params = (0..count).map(|_| Some((take_text(input)?.into(), take_text(input)?.into())));
        Some(Self {
            pool: (bits & POOLED != 0).then(|| pool.into()),
            key,
            deep: bits & DEEP != 0,
            scope: match bits & LOCAL {
                0 => Scope::Site,
                _ => Scope::Local,
            },
            params: params.collect::<Option<_>>()?,
        })
    }
}

fn put_text(output: &mut Vec<u8>, text: &str) {
    output.put_u32(text.len() as u32);
    output.put_slice(text.as_bytes());
}

fn take_text<'a>(input: &mut &'a [u8]) -> Option<&'a str> {
    let length = input.try_get_u32().ok()? as usize;
    let (text, rest) = input.split_at_checked(length)?;
    *input = rest;
    std::str::from_utf8(text).ok()
}

impl Session {
    /// Appends what there is of it besides subscriptions.
    fn hand_over(&self, output: &mut Vec<u8>) {
        output.put_u8(self.greeting());
        output.put_u32(self.buffer.len() as u32);
        output.put_slice(&self.buffer);
    }

    /// The next one of the input.
    fn taken_over(input: &mut &[u8]) -> Option<Self> {
        let mut session = Self::greeted(input.try_get_u8().ok()?)?;
        let length = input.try_get_u32().ok()? as usize;
        let (buffer, rest) = input.split_at_checked(length)?;
        *input = rest;
        session.buffer.extend_from_slice(buffer);
        Some(session)
    }
}

impl Broker {
    /// Writes a client down.
    pub(super) fn write_down(
        &self,
        id: SessionId,
        seen: Seen<'_, Session, Parked>,
        output: &mut Vec<u8>,
    ) {
        match seen {
            Seen::Active(session) => session.hand_over(output),
            Seen::Parked(parked) => Session::unpark(*parked).hand_over(output),
        }
        let lagged = self.lagged.get(&id).copied().unwrap_or_default();
        output.put_u64(lagged.events);
        output.put_u8(lagged.unknown.into());
        let owned: Vec<_> = self.owned(id).collect();
        output.put_u32(owned.len() as u32);
        for (number, pattern) in owned {
            output.put_u32(number);
            pattern.hand_over(output);
        }
    }

    /// A client that another process has written down, with all it has subscribed to. None if these
    /// are not its bytes.
    pub(super) fn read_back(&mut self, id: SessionId, mut bytes: &[u8]) -> Option<Session> {
        let input = &mut bytes;
        let session = Session::taken_over(input)?;
        let lagged = Tally {
            events: input.try_get_u64().ok()?,
            unknown: input.try_get_u8().ok()? != 0,
        };
        let count = input.try_get_u32().ok()?;
        self.placement.came_anyway();
        if lagged != Tally::default() {
            self.lagged.insert(id, lagged);
        }
        for _ in 0..count {
            let number = input.try_get_u32().ok()?;
            let pattern = Pattern::taken_over(input)?;
            self.subscribing.admit_anyway(pattern.cost());
            self.place_again(id, number, pattern);
        }
        self.note_version(id, session.version());
        input.is_empty().then_some(session)
    }

    fn place_again(&mut self, id: SessionId, number: u32, pattern: Pattern) {
        let bytes = pattern.cost();
        let pattern = Arc::new(pattern);
        let place = match &pattern.pool {
            Some(_) => {
                // Who serves the pool hears of it before anything is published.
                self.joins.put(pattern.clone(), id, number);
                Place::Pooled
            }
            None => Place::Matched(self.file(&pattern, id)),
        };
        self.keep(id, number, bytes, pattern, place);
    }

    /// Forgets a client that was read back, and all it has subscribed to: it may be again.
    pub(super) fn forget_what_came(&mut self, id: SessionId) {
        self.placement.left();
        self.lagged.remove(&id);
        for (number, subscription) in self.disown(id) {
            if let Some(pattern) = self.unplace(subscription) {
                self.joins.take_back(&pattern, id, number);
            }
        }
    }

    /// Everything has come to all shards: members of the pools that are served here join them.
    pub(super) fn join_those_that_came(&mut self) {
        for ((member, id), pattern) in self.joins.take(self.shard) {
            self.join(&pattern, member, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::event::ShardId;
    use engine::protocol::{Parking, TakenOver};
    use proptest::prelude::*;

    use super::super::{BrokerConfig, Joins, Placement, Shared, SubscribingShards};
    use super::*;
    use crate::access::Access;
    use crate::event_ref::EventRef;

    fn broker() -> Broker {
        let shared = Shared {
            subscribing: Arc::new(SubscribingShards::new(1)),
            stats: Arc::default(),
            placement: Arc::new(Placement::new(vec![])),
            joins: Arc::new(Joins::new(1)),
            site: None,
        };
        let access = Access::parse("").expect("no rules are good rules");
        let config = BrokerConfig::new(access, 120);
        Broker::new(ShardId(0), Arc::new(config), shared)
    }

    #[test]
    fn a_client_that_came_early_and_comes_again_is_there_once() {
        let id = SessionId {
            shard: ShardId(0),
            generation: 1,
            slot: 2,
        };
        let pattern = |text| Pattern::parse(text).expect("a pattern");
        let (own, pooled) = (pattern("enp://h/a"), pattern("enp+pool.p://h/a"));
        let mut before = broker();
        before.place_again(id, 7, own.clone());
        before.place_again(id, 8, pooled.clone());
        let mut session = Session::default();
        session.greet(3, Scope::Site);
        let mut bytes = vec![];
        before.write_down(id, Seen::Active(&session), &mut bytes);
        let mut after = broker();
        for _ in 0..2 {
            let Some(TakenOver::Parked(parked)) = after.take_over(id, false, &bytes) else {
                panic!("it rests");
            };
            after.lagged.insert(id, Tally::default());
            after.give_up(id, &parked);
            assert_eq!(after.subscribing.held(), (0, 0));
            assert!(after.lagged.is_empty() && !after.is_subscriber(id));
        }
        after.read_back(id, &bytes).expect("its own bytes");
        after.join_those_that_came();
        assert_eq!(after.subscribing.held().0, 2);
        assert_eq!(after.pools.members(&pooled), 1);
        let event = EventRef::parse("enp://h/a").expect("a reference");
        let mut found = vec![];
        after.matcher.matches(&event, &mut found);
        assert_eq!(found.len(), 2, "the client's own, and the pool's");
        after.leave(&pooled, id, 8);
        assert_eq!(after.pools.number(&pooled), None, "nobody is left");
    }

    proptest! {
        #[test]
        fn patterns_come_out_as_they_went_in(
            text in "[a-z]{1,5}(\\+pool(\\.[a-z]{1,3})?)?://[a-z]{0,3}/[a-z%0-9]{0,5}(/\\*)?\
                     (\\?([a-z]=[a-z%0-9]{0,3}&?){0,4})?",
            local: bool,
            cut in any::<prop::sample::Index>(),
        ) {
            let Ok(mut pattern) = Pattern::parse(&text) else { return Ok(()) };
            pattern.scope = if local { Scope::Local } else { Scope::Site };
            let mut bytes = Vec::new();
            pattern.hand_over(&mut bytes);
            let mut short = &bytes[..cut.index(bytes.len())];
            prop_assert_eq!(Pattern::taken_over(&mut short), None);
            let mut left = &bytes[..];
            prop_assert_eq!(Pattern::taken_over(&mut left), Some(pattern));
            prop_assert!(left.is_empty());
        }

        #[test]
        fn a_session_goes_on_as_it_was_greeted(version in 1..=3u8, local: bool) {
            let scope = if local { Scope::Local } else { Scope::Site };
            let mut session = Session::default();
            session.greet(version, scope);
            let mut bytes = Vec::new();
            session.hand_over(&mut bytes);
            let there = Session::taken_over(&mut &bytes[..]).expect("its own bytes");
            prop_assert_eq!((there.version(), there.scope()), (version, scope));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut left = &bytes[..];
            let _ = Pattern::taken_over(&mut left);
            let mut left = &bytes[..];
            let _ = Session::taken_over(&mut left);
        }
    }
}
