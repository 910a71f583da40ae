//! Rounds: something breaks while all publish and hear, all is mended, and each subscriber and pool
//! is judged.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use reactor::Rng;
use reactor::rng::Stream;

use super::clients::{KEYS, Listener, MARK, POOL, Publisher, WORK, reference};
use super::faults::{self, Fault, Planned};
use super::hosts::{Hosts, Service};
use super::judge::{Counts, Heard, Pool, PoolCounts, Published, Subscriber};
use super::members::Member;

/// Publishers of each host.
const PUBLISHERS: usize = 2;
/// Members of the pool on each host, those that stay and those that leave and come all the time.
const MEMBERS: [(usize, usize); 3] = [(2, 1), (0, 2), (1, 0)];
/// Keys that a crowd subscribes to.
const CROWD: usize = 100;
/// How often anything is done.
const STEP: Duration = Duration::from_millis(10);
/// How long it may take until all hear each other once all is mended.
const HEALED_WITHIN: Duration = Duration::from_secs(40);
/// By then a host has said how far it is, and that was looked at.
const SETTLED: Duration = Duration::from_millis(2600);
/// By then a host that says nothing was missed.
const MISSED: Duration = Duration::from_millis(12_500);
/// A fault that lasts so long may be told like that.
const LONG: Duration = Duration::from_secs(6);

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// No round begins after it.
    pub lasts: Duration,
    /// Of faults and events.
    pub seed: u64,
    /// Nothing breaks of which others hear late.
    pub is_brief: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Rounds.
    pub rounds: u64,
    /// How often each kind of fault.
    pub faults: BTreeMap<&'static str, u64>,
    /// Of all subscribers.
    pub counts: Counts,
    /// Of the pool.
    pub pool: PoolCounts,
    /// The longest time until all heard each other.
    pub healed: Duration,
    /// What was wrong.
    pub wrong: Vec<String>,
}

struct Place {
    listener: Listener,
    subscriber: Subscriber,
    patterns: Vec<String>,
    /// It has heard the whole round.
    is_whole: bool,
}

struct Storm<'h> {
    hosts: &'h mut Hosts,
    rng: Rng,
    publishers: Vec<Publisher>,
    places: Vec<Place>,
    members: Vec<Member>,
    crowds: Vec<(usize, Listener)>,
    pool: Pool,
    names: u32,
    /// What those have published and heard who are gone.
    published: Vec<Published>,
    of_gone: Vec<(String, Heard)>,
    found: Found,
}

/// Rounds on hosts at which all runs, told on the way.
///
/// # Errors
/// If something can't be broken or mended, or a program dies by itself.
pub fn run(hosts: &mut Hosts, plan: &Plan) -> io::Result<Found> {
    let mut storm = Storm::new(hosts, plan.seed)?;
    // Until brokers know each other, and what is subscribed to, nothing is promised.
    storm.calm(&[])?;
    storm.pass();
    let begun = Instant::now();
    while begun.elapsed() < plan.lasts {
        storm.round(plan.is_brief)?;
    }
    Ok(storm.found)
}

/// Whether others may hear of what was lost by it only when they miss a host.
fn is_late(planned: &Planned) -> bool {
    planned.fault.ends_broker() || planned.end - planned.begin >= LONG
}

/// The same of all that breaks at a time: a broker that is replaced while the bus is away can't say
/// how far it was.
fn are_late(plan: &[Planned]) -> bool {
    let is_upgrade = |it: &Planned| matches!(it.fault, Fault::Upgrade(_));
    plan.iter().any(is_late) || plan.len() > 1 && plan.iter().any(is_upgrade)
}

impl<'h> Storm<'h> {
    fn new(hosts: &'h mut Hosts, seed: u64) -> io::Result<Self> {
        let mut storm = Self {
            hosts,
            rng: Rng::stream(seed, Stream::Workload),
            publishers: vec![],
            places: vec![],
            members: vec![],
            crowds: vec![],
            pool: Pool::default(),
            names: 0,
            published: vec![],
            of_gone: vec![],
            found: Found::default(),
        };
        for host in 0..storm.hosts.count() {
            for _ in 0..PUBLISHERS {
                let publisher = storm.publisher(host)?;
                storm.publishers.push(publisher);
            }
            let third = KEYS / 3;
            storm.place(host, "all", None)?;
            storm.place(host, "some", Some((0..third).collect()))?;
            storm.place(host, "others", Some((third..KEYS).step_by(3).collect()))?;
            let (stay, restless) = MEMBERS[host % MEMBERS.len()];
            for number in 0..stay + restless {
                let name = format!("member {number} at {host}");
                let mut member = storm.member(&name, host)?;
                member.is_restless = number >= stay;
                storm.members.push(member);
            }
        }
        Ok(storm)
    }

    fn publisher(&mut self, host: usize) -> io::Result<Publisher> {
        self.names += 1;
        Publisher::new(host, &self.hosts.socket(host), self.names)
    }

    fn place(&mut self, host: usize, what: &str, keys: Option<BTreeSet<usize>>) -> io::Result<()> {
        let keys = keys.map(|mut keys| {
            keys.insert(MARK);
            keys
        });
        let patterns: Vec<String> = match &keys {
            None => vec!["enp://site/*".into()],
            Some(keys) => keys.iter().map(|key| reference(*key).into()).collect(),
        };
        self.places.push(Place {
            listener: Listener::new(host, &self.hosts.socket(host), &patterns)?,
            subscriber: Subscriber::new(&format!("{what} at {host}"), keys),
            patterns,
            is_whole: true,
        });
        Ok(())
    }

    fn member(&self, name: &str, host: usize) -> io::Result<Member> {
        let pattern = reference(WORK).replacen("enp", POOL, 1);
        Member::new(name, host, &self.hosts.socket(host), &pattern)
    }

    fn round(&mut self, is_brief: bool) -> io::Result<()> {
        let has_cables = self.hosts.network().is_some();
        let mut plan = faults::plan(&mut self.rng, self.hosts.count(), has_cables);
        if is_brief {
            plan.retain(|it| !is_late(it));
            if are_late(&plan) {
                plan.truncate(1);
            }
        }
        for planned in &plan {
            *self.found.faults.entry(planned.fault.kind()).or_default() += 1;
        }
        let (mut begin, mut end): (Vec<&Planned>, Vec<&Planned>) =
            (plan.iter().collect(), plan.iter().collect());
        begin.sort_by_key(|it| std::cmp::Reverse(it.begin));
        end.sort_by_key(|it| std::cmp::Reverse(it.end));
        let begun = Instant::now();
        while !end.is_empty() {
            let at = begun.elapsed();
            while let Some(planned) = begin.pop_if(|it| it.begin <= at) {
                self.begin(planned.fault)?;
            }
            while let Some(planned) = end.pop_if(|it| it.end <= at) {
                self.end(planned.fault)?;
            }
            self.step()?;
            std::thread::sleep(STEP);
        }
        self.calm(&plan)?;
        let texts: Vec<String> = plan.iter().map(ToString::to_string).collect();
        self.judge(&texts.join(", "));
        self.found.rounds += 1;
        Ok(())
    }

    fn begin(&mut self, fault: Fault) -> io::Result<()> {
        if let Fault::Crowd(host) = fault
            && self.hosts.pid(host, Service::Broker).is_some()
        {
            let crowd = Listener::new(host, &self.hosts.socket(host), &[]);
            if let Ok(crowd) = crowd {
                for number in 0..CROWD {
                    crowd.subscribe(&format!("enp://site/crowd{number}"))?;
                }
                // Those that come and go are those of others, too.
                for key in 0..KEYS {
                    crowd.subscribe(reference(key))?;
                }
                self.crowds.push((host, crowd));
            }
        }
        fault.begin(self.hosts)
    }

    fn end(&mut self, fault: Fault) -> io::Result<()> {
        if let Fault::Crowd(host) = fault {
            self.crowds.retain(|(at, _)| *at != host);
        }
        fault.end(self.hosts)
    }

    fn step(&mut self) -> io::Result<()> {
        self.hosts.look()?;
        for member in self.members.iter_mut().filter(|it| it.is_restless) {
            if self.rng.chance(1, 20) {
                member.turn();
            }
        }
        for publisher in &mut self.publishers {
            // Some hundreds a second in all.
            for _ in 0..self.rng.below(3) {
                let key = match self.rng.chance(1, 5) {
                    true => WORK,
                    false => self.rng.below(KEYS as u64) as usize,
                };
                publisher.publish(key);
            }
        }
        Ok(())
    }

    /// Whose connection has ended comes again.
    fn come_again(&mut self) -> io::Result<()> {
        for at in 0..self.publishers.len() {
            if self.publishers[at].is_over() {
                let host = self.publishers[at].host;
                let new = self.publisher(host)?;
                let mut old = std::mem::replace(&mut self.publishers[at], new);
                self.published.extend(old.take());
            }
        }
        for at in 0..self.members.len() {
            if self.members[at].is_over() {
                let old = &self.members[at];
                let mut new = self.member(&old.name, old.host)?;
                new.is_restless = old.is_restless;
                let old = std::mem::replace(&mut self.members[at], new);
                self.of_gone.push((old.name.clone(), old.take()));
            }
        }
        for place in &mut self.places {
            if place.listener.is_over() {
                let host = place.listener.host;
                let socket = self.hosts.socket(host);
                place.listener = Listener::new(host, &socket, &place.patterns)?;
                place.is_whole = false;
            }
        }
        Ok(())
    }

    /// Until all hear each other, and know what they have missed.
    fn calm(&mut self, plan: &[Planned]) -> io::Result<()> {
        self.hosts.look()?;
        let mended = Instant::now();
        let mut first = BTreeMap::new();
        loop {
            self.come_again()?;
            let marks: BTreeMap<u32, u64> =
                self.publishers.iter_mut().map(Publisher::mark).collect();
            // Those who came again meanwhile have others.
            if first.keys().ne(marks.keys()) {
                first = marks;
            }
            std::thread::sleep(10 * STEP);
            if self.places.iter().all(|it| it.listener.has_marks(&first)) {
                break;
            }
            if mended.elapsed() > HEALED_WITHIN {
                let deaf = self
                    .places
                    .iter()
                    .filter(|it| !it.listener.has_marks(&first));
                let deaf: Vec<_> = deaf.map(|it| it.subscriber.name.clone()).collect();
                self.found
                    .wrong
                    .push(format!("{deaf:?} don't hear all again"));
                break;
            }
        }
        self.found.healed = self.found.healed.max(mended.elapsed());
        let until = Instant::now() + Duration::from_secs(10);
        while !self.publishers.iter().all(Publisher::is_answered) && Instant::now() < until {
            std::thread::sleep(STEP);
        }
        std::thread::sleep(SETTLED);
        if are_late(plan) {
            std::thread::sleep(MISSED.saturating_sub(mended.elapsed()));
        }
        self.hosts.look()
    }

    /// What has come until now is judged no more.
    fn pass(&mut self) {
        for publisher in &mut self.publishers {
            publisher.take();
        }
        for place in &mut self.places {
            place.subscriber.pass(&place.listener.take().0);
        }
        for member in &self.members {
            member.take();
        }
    }

    fn judge(&mut self, what: &str) {
        let mut wrong = vec![];
        let mut published = std::mem::take(&mut self.published);
        for publisher in &mut self.publishers {
            published.extend(publisher.take());
        }
        let mut counts = Counts::default();
        for place in &mut self.places {
            let (heard, strange) = place.listener.take();
            let name = &place.subscriber.name;
            wrong.extend(strange.into_iter().map(|it| format!("{name}: {it}")));
            if std::mem::replace(&mut place.is_whole, true) {
                let (some, faults) = place.subscriber.judge(&published, &heard);
                counts += some;
                wrong.extend(faults);
            } else {
                place.subscriber.pass(&heard);
            }
        }
        let mut of_members = std::mem::take(&mut self.of_gone);
        for member in &self.members {
            of_members.push((member.name.clone(), member.take()));
        }
        published.retain(|one| one.key == WORK);
        let (pool, faults) = self.pool.judge(&published, &of_members);
        wrong.extend(faults);
        let Counts {
            heard,
            missed,
            unknown,
        } = counts;
        println!(
            "{:4}: {what}: {heard} heard, {missed} told as missed, {unknown} without a number; of \
             the pool {} given, {} told as lost",
            self.found.rounds, pool.given, pool.lost,
        );
        for fault in &wrong {
            println!("      WRONG {fault}");
        }
        self.found.counts += counts;
        self.found.pool += pool;
        let round = self.found.rounds;
        let wrong = wrong.into_iter();
        self.found
            .wrong
            .extend(wrong.map(|it| format!("round {round} ({what}): {it}")));
    }
}
