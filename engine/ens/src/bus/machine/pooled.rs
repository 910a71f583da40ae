//! A machine's pools: what crosses for a member of one, either way.

use bytes::Bytes;

use super::super::mutant::{Mutant, planted};
use super::super::pools::List;
use super::super::streams::{Came, Pooled};
use super::super::wire::{Crossing, Said, Subject};
use super::{Action, Machine};

/// How often an event for a pool is handed on.
const HOPS_MAX: u8 = 8;
/// Senders of whom it is known what they have sent; more are looked through at once.
const SENDERS_MAX: usize = 2048;

impl Machine {
    /// So many members has a pool here.
    pub fn set_members(&mut self, now_ns: u64, pattern: &Bytes, members: u32) {
        let are_first = members > 0 && !self.pools.has_members_here(pattern);
        self.have_come_blind |= are_first && !self.knows_pools(now_ns);
        if !self.pools.set_own(now_ns, pattern, members) {
            self.counts.pools_refused += 1;
        } else if members > 0 {
            self.send_waiting(now_ns);
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
        let Some(to) = self.pools.choose(&pooled.pattern) else {
            return self.keep_waiting(now_ns, pooled);
        };
        let most = self.limits.kept_bytes_max;
        let (before, number) = self.streams.send(to, pooled.clone(), most);
        let said = Said::Pooled {
            home: pooled.home,
            before,
            number,
            hops: pooled.hops,
            pattern: pooled.pattern,
            event: pooled.event,
        };
        self.say(now_ns, Subject::Origin(to), Some(number), &said);
    }

    /// Nobody is known to have a member. One that has just come may not be known yet.
    fn keep_waiting(&mut self, now_ns: u64, pooled: Pooled) {
        let most = self.limits.kept_bytes_max;
        let back = match self.pools.has_members_here(&pooled.pattern) {
            true => Some(pooled),
            false => self.streams.wait(now_ns, pooled, most),
        };
        if let Some(pooled) = back {
            self.give_back(pooled);
        }
    }

    /// Members of pools have come, for whom something may have waited.
    pub(super) fn send_waiting(&mut self, now_ns: u64) {
        let pools = &self.pools;
        let is_known =
            |pattern: &Bytes| pools.has_members_here(pattern) || pools.has_members_away(pattern);
        for pooled in self.streams.take_waiting(is_known) {
            self.send_pooled(now_ns, pooled);
        }
    }

    /// What has waited for members in vain.
    pub(super) fn give_back_overdue(&mut self, now_ns: u64) {
        for pooled in self.streams.take_overdue(now_ns) {
            self.give_back(pooled);
        }
    }

    fn give_back(&mut self, pooled: Pooled) {
        self.counts.returned += 1;
        self.actions.push(Action::Returned(pooled));
    }

    /// The bus has nobody for what was published with this number: another origin gets it.
    pub fn nobody_there(&mut self, now_ns: u64, reply: u64) {
        let Some((origin, pooled)) = self.streams.take_back(reply) else {
            // What an origin had not taken that has ended is with others.
            if !self.streams.is_resent(reply) {
                self.lost_of_pool();
            }
            return;
        };
        // Should it be there after all, its next digest says so.
        let changed = self.pools.forget(origin);
        self.tell_members(changed);
        self.send_pooled(now_ns, pooled);
    }

    /// What another origin's digest says of the streams between the two.
    pub(super) fn hear_of_streams(
        &mut self,
        now_ns: u64,
        origin: u64,
        bye: bool,
        sent: &[(u64, u64)],
        taken: &[(u64, u64)],
    ) {
        let own = |numbers: &[(u64, u64)]| {
            let own = numbers.iter().find(|(to, _)| *to == self.origin);
            own.map_or(0, |(_, number)| *number)
        };
        let (sent, taken) = (own(sent), own(taken));
        if sent > 0 {
            self.bound_senders();
            self.streams.note_sent(now_ns, origin, sent);
        }
        if !bye {
            return self.streams.taken(origin, taken);
        }
        let changed = self.pools.forget(origin);
        self.tell_members(changed);
        let (left, is_lost) = self.streams.ended(now_ns, origin, taken);
        if is_lost {
            self.lost_of_pool();
        }
        for pooled in left {
            self.send_pooled(now_ns, pooled);
        }
    }

    /// An event for a member of a pool has come, by the numbers of its sender's stream.
    pub(super) fn hear_pooled(
        &mut self,
        now_ns: u64,
        sender: u64,
        (before, number): (u64, u64),
        event: (u64, u8, Bytes, Crossing),
    ) {
        // Its sender knows that it was not taken.
        if self.has_ended {
            return;
        }
        self.bound_senders();
        match self.streams.note(sender, before, number) {
            Came::Known => return,
            Came::New => {}
            Came::BehindGap => self.lost_of_pool(),
        }
        let (home, hops, pattern, event) = event;
        self.take_pooled(now_ns, home, hops, pattern, event);
    }

    fn bound_senders(&mut self) {
        if self.streams.senders() > SENDERS_MAX {
            self.streams.prune(|origin| self.incoming.is_known(origin));
        }
    }

    /// Asks the others what they have taken.
    pub fn ask(&mut self, now_ns: u64) {
        if self.is_connected {
            self.say(now_ns, Subject::Everyone, None, &Said::Who { origin: None });
        }
    }

    /// Whether others have taken all that was sent to them.
    pub fn is_settled(&self) -> bool {
        self.streams.is_settled()
    }

    /// Whether anybody who was heard since then has something to take.
    pub fn waits_for_some(&self, since_ns: u64) -> bool {
        let mut waits = self.streams.unsettled();
        waits.any(|origin| self.incoming.is_heard_since(origin, since_ns))
    }

    fn take_pooled(&mut self, now_ns: u64, home: u64, hops: u8, pattern: Bytes, event: Crossing) {
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

    /// What was published before it was known which pools others have went to no member of those.
    pub(super) fn tell_of_blind(&mut self, now_ns: u64) {
        if !self.knows_pools(now_ns) {
            return;
        }
        let have_come = std::mem::take(&mut self.have_come_blind);
        // All pools are looked at only if something was published.
        if !std::mem::take(&mut self.is_blind) {
            return;
        }
        // Members that were here all the time have got it.
        if self.pools.has_only_away() || (have_come && self.pools.has_any_away()) {
            self.lost_of_pool();
        }
    }

    /// Members here are to get nothing more from other hosts, as this process is about to end; or
    /// they are again, as it goes on. What still comes for them is handed on.
    pub fn retire(&mut self, now_ns: u64, retired: bool) {
        if !self.pools.set_retired(now_ns, retired) {
            return;
        }
        if retired && self.is_connected {
            self.say_pools(now_ns, vec![vec![]]);
        }
    }

    /// Whether members here are to get nothing more from other hosts.
    pub fn is_retired(&self) -> bool {
        self.pools.is_retired()
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
