//! A machine's pools: what crosses for a member of one, either way.

use bytes::Bytes;

use super::super::mutant::{Mutant, planted};
use super::super::pools::{Change, List, PoolId};
use super::super::wire::{Crossing, Said, Subject};
use super::{Action, Machine, Pooled};

/// How often an event for a pool is handed on.
const HOPS_MAX: u8 = 8;

impl Machine {
    /// So many members has a pool here.
    pub fn set_members(&mut self, now_ns: u64, pattern: &Bytes, members: u32) {
        let subject = Subject::Pool(PoolId::of(pattern));
        match self.pools.set_own(now_ns, pattern, members) {
            Change::First if !self.pools.is_retired() => {
                self.actions.push(Action::Subscribe(subject));
            }
            Change::Last if !self.pools.is_retired() => {
                self.actions.push(Action::Unsubscribe(subject));
            }
            Change::First | Change::Last => {}
            Change::TooMany => self.counts.pools_refused += 1,
            Change::Nothing => {}
        }
    }

    /// An event of this broker's publishers for a member of a pool on another host.
    pub fn publish_to_pool(&mut self, now_ns: u64, pattern: Bytes, event: Crossing) {
        let pooled = Pooled {
            pattern,
            event,
            home: self.origin,
            number: None,
            hops: 0,
        };
        self.send_pooled(now_ns, pooled);
    }

    /// There is no member here any more.
    pub fn hand_on(&mut self, now_ns: u64, mut pooled: Pooled) {
        pooled.hops = pooled.hops.saturating_add(1);
        if pooled.hops > HOPS_MAX || planted(Mutant::KeepPooled) {
            return self.give_back(pooled);
        }
        self.send_pooled(now_ns, pooled);
    }

    fn send_pooled(&mut self, now_ns: u64, pooled: Pooled) {
        let room = pooled.event.wire_bytes() + pooled.pattern.len() + 64;
        if !self.is_connected || room > self.most {
            return self.give_back(pooled);
        }
        let pool = PoolId::of(&pooled.pattern);
        let said = Said::Pooled {
            home: pooled.home,
            number: self.pools.number(),
            hops: pooled.hops,
            pattern: pooled.pattern.clone(),
            event: pooled.event.clone(),
        };
        self.has_sent_to_pools = true;
        self.next_asked += 1;
        self.asked_bytes += pooled.event.wire_bytes();
        self.asked.push_back((self.next_asked, pooled));
        while self.asked_bytes > self.limits.asked_bytes_max
            && let Some((_, oldest)) = self.asked.pop_front()
        {
            self.asked_bytes -= oldest.event.wire_bytes();
        }
        self.say(now_ns, Subject::Pool(pool), Some(self.next_asked), &said);
    }

    fn give_back(&mut self, pooled: Pooled) {
        self.counts.returned += 1;
        self.actions.push(Action::Returned(pooled));
    }

    /// The bus has nobody for what was published with this number.
    pub fn nobody_there(&mut self, reply: u64) {
        let Ok(at) = self
            .asked
            .binary_search_by_key(&reply, |(number, _)| *number)
        else {
            return;
        };
        if let Some((_, pooled)) = self.asked.remove(at) {
            self.asked_bytes -= pooled.event.wire_bytes();
            self.give_back(pooled);
        }
    }

    pub(super) fn take_pooled(
        &mut self,
        now_ns: u64,
        home: u64,
        hops: u8,
        pattern: Bytes,
        event: Crossing,
    ) {
        self.counts.heard += 1;
        // One's own event has come back: its publisher is here.
        let linked = event.link.as_ref().filter(|_| home != self.origin);
        let number = linked.map(|(_, token)| self.links.number(home, *token));
        let pooled = Pooled {
            pattern,
            event,
            home,
            number,
            hops,
        };
        if self.pools.is_retired() {
            return self.hand_on(now_ns, pooled);
        }
        self.actions.push(Action::Pooled(pooled));
    }

    /// An event for a pool is lost here: its members are told, on other hosts by the digest that
    /// they miss.
    pub fn lost_of_pool(&mut self) {
        self.digests += 1;
        self.tell_pools_missed();
    }

    /// Members here are to get nothing more from other hosts, as this process is about to end; or
    /// they are again, as it goes on. What still comes for them is handed on.
    pub fn retire(&mut self, now_ns: u64, retired: bool) {
        if !self.pools.set_retired(now_ns, retired) {
            return;
        }
        for pattern in self.pools.own() {
            let subject = Subject::Pool(PoolId::of(pattern));
            self.actions.push(match retired {
                true => Action::Unsubscribe(subject),
                false => Action::Subscribe(subject),
            });
        }
        if retired && self.is_connected {
            self.say_pools(now_ns, vec![vec![]]);
        }
    }

    /// Says which pools have members here.
    pub(super) fn say_pools(&mut self, now_ns: u64, parts: Vec<List>) {
        let version = self.pools.version();
        let count = parts.len() as u16;
        for (part, pools) in (0..).zip(parts) {
            let said = Said::Pools {
                version,
                part,
                parts: count,
                pools,
            };
            self.say(now_ns, Subject::Everyone, None, &said);
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
