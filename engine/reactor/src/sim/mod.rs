//! A deterministic world: shards and their peers on one thread, under a clock that only moves when
//! nobody has anything to do, over a network that splits, delays, blocks and breaks.
//!
//! A [`World`] makes [`SimReactor`]s. Their owners take turns as [`World::next`] says: it picks a
//! reactor that has something to do, or moves the clock to when one will. A `turn` that would sleep
//! returns at once with nothing, and its reactor is not picked again until there is news, its
//! waker was used or its time has come. The same seed gives the same run, and [`World::trace`] the
//! same number.

mod connections;
mod end;
mod heirs;
mod network;
mod options;
mod reactor;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use connections::{Connections, News};
pub use options::{Options, Ratio};
pub use reactor::SimReactor;

use crate::rng::{Rng, Stream};
use crate::waker::{Alarm, Waker};
use end::End;
use reactor::Host;

/// A turn of a shard takes at least this long, so that one that only polls lets time pass.
const TURN_NS_MIN: u64 = 500;

/// A simulated world. Clones are the same world.
#[derive(Clone)]
pub struct World {
    inner: Rc<RefCell<Inner>>,
}

/// What a world holds now, for whoever checks that it holds no more than it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// Connections that are open at one reactor, of all reactors together.
    pub open: usize,
    /// Bytes on their way or received and not read.
    pub buffered_bytes: usize,
}

struct Inner {
    options: Options,
    seed: u64,
    now_ns: u64,
    network: Rng,
    schedule: Rng,
    trace: u64,
    hosts: Vec<Host>,
    ends: Vec<End>,
    listeners: BTreeMap<SocketAddr, Vec<(usize, u8)>>,
    /// What happens when; the second number keeps the order of things of one moment.
    future: BTreeMap<(u64, u64), Due>,
    futures: u64,
    ports: u16,
    /// Which end a descriptor stands for that was made of it.
    descriptors: BTreeMap<RawFd, usize>,
}

/// What can happen by itself.
enum Due {
    /// An end may have something for its reactor.
    Look(usize),
    /// A connection reaches a listener.
    Arrival { listener: (usize, u8), end: usize },
    /// A connect ends.
    Connected {
        host: usize,
        token: u64,
        end: Option<usize>,
    },
    /// A connection breaks, at this end.
    Break(usize),
}

/// The alarm of a simulated reactor: the scheduler looks at it.
#[derive(Default)]
struct Rung(AtomicBool);

impl Alarm for Rung {
    fn ring(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl World {
    /// A world in which everything that is up to chance follows from the seed.
    pub fn new(seed: u64, options: Options) -> Self {
        let inner = Inner {
            options,
            seed,
            now_ns: 1,
            network: Rng::stream(seed, Stream::Network),
            schedule: Rng::stream(seed, Stream::Schedule),
            trace: 0xCBF2_9CE4_8422_2325,
            hosts: Vec::new(),
            ends: Vec::new(),
            listeners: BTreeMap::new(),
            future: BTreeMap::new(),
            futures: 0,
            ports: 1024,
            descriptors: BTreeMap::new(),
        };
        Self {
            inner: Rc::new(RefCell::new(inner)),
        }
    }

    /// A new reactor in this world, for at most `room` connections. [`World::next`] calls it by
    /// its number: the first is 0.
    pub fn reactor(&self, room: usize) -> SimReactor {
        let mut inner = self.inner.borrow_mut();
        let number = inner.hosts.len();
        let rung = Arc::new(Rung::default());
        let waker = Waker::new(rung.clone());
        let rng = Rng::stream(inner.seed, Stream::Shard(number as u16));
        let pool = inner.options.pool();
        inner.hosts.push(Host::new(room, rung, waker.clone()));
        SimReactor::new(self.inner.clone(), number, waker, rng, (pool, inner.now_ns))
    }

    /// A reactor listens from now on where another one did, by their numbers, with those who wait
    /// there.
    pub fn pass_listeners(&self, from: usize, to: usize) {
        self.inner.borrow_mut().pass_listeners(from, to);
    }

    /// The number of the reactor whose owner turns next. The clock moves if nobody has anything
    /// to do. `None` if nothing happens before `until_ns`, which is the time then, or ever.
    pub fn next(&self, until_ns: u64) -> Option<usize> {
        self.inner.borrow_mut().next(until_ns)
    }

    /// Turns actors, the owner of reactor 0 first, until `until_ns` or until nothing can happen
    /// any more.
    pub fn run(&self, actors: &mut [&mut dyn FnMut()], until_ns: u64) {
        while let Some(number) = self.next(until_ns) {
            actors[number]();
        }
    }

    /// The time, in nanoseconds.
    pub fn now_ns(&self) -> u64 {
        self.inner.borrow().now_ns
    }

    /// A hash over all that has happened.
    pub fn trace(&self) -> u64 {
        self.inner.borrow().trace
    }

    /// What the world holds now.
    pub fn census(&self) -> Census {
        let inner = self.inner.borrow();
        Census {
            open: inner.hosts.iter().map(Host::open).sum(),
            buffered_bytes: inner.ends.iter().map(End::buffered).sum(),
        }
    }

    /// Ends all faults: nothing is refused, reset, stalled or held back from now on.
    pub fn heal(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.options = inner.options.without_faults();
        inner.heal_ends();
    }
}

impl Inner {
    fn next(&mut self, until_ns: u64) -> Option<usize> {
        loop {
            self.fire();
            let runnable: Vec<usize> = (0..self.hosts.len())
                .filter(|host| self.is_runnable(*host))
                .collect();
            if !runnable.is_empty() {
                if self.now_ns >= until_ns {
                    return None;
                }
                let host = runnable[self.schedule.below(runnable.len() as u64) as usize];
                // A turn takes time.
                self.now_ns += TURN_NS_MIN + self.schedule.below(self.options.turn_ns_max);
                if self.options.stall.draw(&mut self.schedule) {
                    let stall_ns = self.schedule.below(self.options.stall_ns_max);
                    self.hosts[host].stalled_until_ns = self.now_ns + stall_ns;
                    continue;
                }
                self.fold(&[1, host as u64, self.now_ns]);
                return Some(host);
            }
            let next_ns = self.next_ns()?;
            if next_ns > until_ns {
                self.now_ns = self.now_ns.max(until_ns);
                return None;
            }
            self.now_ns = self.now_ns.max(next_ns);
        }
    }

    fn is_runnable(&self, host: usize) -> bool {
        let host = &self.hosts[host];
        host.stalled_until_ns <= self.now_ns && host.wants_turn(self.now_ns)
    }

    /// When something will happen by itself.
    fn next_ns(&self) -> Option<u64> {
        let future = self.future.keys().next().map(|(at_ns, _)| *at_ns);
        let hosts = self.hosts.iter().filter_map(|host| {
            let wants_ns = if host.wants_turn(self.now_ns) {
                0
            } else {
                host.until_ns()?
            };
            Some(wants_ns.max(host.stalled_until_ns))
        });
        hosts.chain(future).min()
    }

    fn schedule(&mut self, at_ns: u64, due: Due) {
        self.futures += 1;
        self.future.insert((at_ns, self.futures), due);
    }

    /// Lets happen what is due.
    fn fire(&mut self) {
        while let Some(entry) = self.future.first_entry() {
            if entry.key().0 > self.now_ns {
                return;
            }
            match entry.remove() {
                Due::Look(end) => self.look(end),
                Due::Arrival { listener, end } => self.arrive(listener, end),
                Due::Connected { host, token, end } => self.connected(host, token, end),
                Due::Break(end) => self.break_end(end),
            }
        }
    }

    /// Folds numbers into the trace (FNV-1a over words).
    fn fold(&mut self, words: &[u64]) {
        for word in words {
            self.trace = (self.trace ^ word).wrapping_mul(0x0100_0000_01B3);
            self.trace ^= self.trace >> 29;
        }
    }

    fn fold_bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }
}
