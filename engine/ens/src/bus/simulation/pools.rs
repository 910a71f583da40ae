//! Pools alone: members leave and come, brokers end in good order or are followed by others,
//! messages are lost or come twice. What nobody has is told; where nothing is lost on the way, each
//! event is given to somebody.

use super::hosts::{Faults, Host};
use super::run::{HOSTS, POOL, Run};

const ROUNDS: u64 = 8;
/// Steps of a round in which events are published.
const STEPS: u64 = 60;

/// Counts rounds in which something was lost, and brokers that ended.
pub fn run(seed: u64) -> (u64, u64) {
    let mut run = Run::new(seed);
    run.is_calm = false;
    run.set_members(0, 1);
    run.rest(2000);
    let (mut lost, mut ended) = (0, 0);
    for _ in 0..ROUNDS {
        let told = run.told();
        let loses = run.rng.chance(1, 3);
        run.bus.faults = Faults {
            lost: if loses { 10 } else { 0 },
            doubled: run.rng.below(2) * 20,
            delay_ms: run.rng.below(100),
        };
        for _ in 0..STEPS {
            run.work_for_pool();
            // Not if its last word may be lost: whoever misses that hears nothing for ten seconds.
            if !loses && run.rng.chance(1, 40) {
                let place = 1 + run.rng.below(HOSTS as u64 - 1) as usize;
                match run.rng.chance(1, 2) {
                    true => run.end_in_good_order(place),
                    false => run.upgrade(place),
                }
                ended += 1;
            }
        }
        run.bus.faults = Faults::default();
        run.rest(5000);
        let missing: Vec<_> = run.pooled.difference(&run.given).copied().collect();
        let is_told = run.told() > told;
        assert!(
            missing.is_empty() || is_told,
            "nobody was told of {missing:?}"
        );
        assert!(
            missing.is_empty() || loses,
            "nothing was lost on the way: {missing:?}"
        );
        lost += u64::from(!missing.is_empty());
        run.given.extend(missing);
    }
    (lost, ended)
}

impl Run {
    fn told(&self) -> u64 {
        self.hosts.iter().map(|host| host.pools_missed).sum()
    }

    fn set_members(&mut self, place: usize, members: u32) {
        let host = &mut self.hosts[place];
        host.members = members;
        host.machine.set_members(self.now_ns, &POOL, members);
        self.settle(place);
    }

    fn work_for_pool(&mut self) {
        for place in 0..HOSTS {
            self.publish_to_pool(place);
            // One host has a member at any time.
            if place > 0 && self.rng.chance(1, 10) {
                let members = self.rng.below(3) as u32;
                self.set_members(place, members);
            }
            self.settle(place);
        }
        self.step();
    }

    /// As a broker does that is told to stop; another one starts there.
    fn end_in_good_order(&mut self, place: usize) {
        self.retire(place);
        self.set_members(place, 0);
        self.settle_with_others(place);
        let host = self.host(place);
        self.end(place, host);
    }

    /// As a broker does that another process follows: its clients are with that one, who publishes
    /// at once.
    fn upgrade(&mut self, place: usize) {
        self.retire(place);
        self.settle_with_others(place);
        let mut pools = vec![];
        let old = &self.hosts[place];
        old.machine.hand_over_pools(self.now_ns, &mut pools);
        let (origin, members, away) = (old.origin + 1, old.members, old.members_away);
        let mut host = Host::new(origin, self.now_ns, vec![]);
        assert!(host.machine.take_pools_over(self.now_ns, pools.into()));
        host.members = members;
        host.machine.set_members(self.now_ns, &POOL, members);
        self.end(place, host);
        let is_known = self.hosts[place].members_away > 0;
        assert!(is_known || away == 0, "it would publish for nobody");
        self.publish_to_pool(place);
        self.settle(place);
    }

    fn retire(&mut self, place: usize) {
        self.hosts[place].machine.retire(self.now_ns, true);
        self.settle(place);
    }

    /// Until others have what a broker has sent them.
    fn settle_with_others(&mut self, place: usize) {
        self.hosts[place].machine.ask(self.now_ns);
        for _ in 0..100 {
            if self.hosts[place].machine.is_settled() {
                break;
            }
            self.work_for_pool_elsewhere(place);
        }
    }

    /// A broker ends, and another is in its place.
    fn end(&mut self, place: usize, host: Host) {
        self.hosts[place].machine.end(self.now_ns);
        self.settle(place);
        let told = self.hosts[place].pools_missed;
        self.hosts[place] = host;
        self.hosts[place].pools_missed = told;
        self.connect(place);
        self.settle(place);
    }

    fn work_for_pool_elsewhere(&mut self, place: usize) {
        for other in (0..HOSTS).filter(|other| *other != place) {
            self.publish_to_pool(other);
            self.settle(other);
        }
        self.step();
    }
}
