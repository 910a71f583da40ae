//! Whose thread runs callbacks: those that dispatch. Callbacks of one connection run one at a time,
//! in order.
#![expect(
    clippy::disallowed_methods,
    reason = "timers of C programs go by the machine's clock"
)]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::ThreadId;
use std::time::Instant;

/// A callback and what it is given.
pub(crate) type Task = Box<dyn FnOnce() + Send>;

/// Callbacks of a connection that may wait; then what comes from the broker waits in its turn.
const WAITING_MAX: usize = 4096;
/// Callbacks of a connection that run before those of another have their turn.
const TURN: usize = 64;

/// A loop, run by any number of threads.
pub(crate) struct Dispatcher {
    state: Mutex<Loop>,
    changed: Condvar,
}

#[derive(Default)]
struct Loop {
    ready: VecDeque<Arc<Strand>>,
    timers: BinaryHeap<Reverse<Timer>>,
    timers_set: u64,
    shut: bool,
}

struct Timer {
    at: Instant,
    number: u64,
    strand: Arc<Strand>,
    task: Task,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl Dispatcher {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Loop> {
        self.state.lock().expect("no one panics while holding it")
    }

    /// Runs callbacks until it is shut down.
    pub fn run(&self) {
        let mut state = self.lock();
        loop {
            if state.shut {
                return;
            }
            let now = Instant::now();
            let mut due = vec![];
            while state.timers.peek().is_some_and(|first| first.0.at <= now) {
                due.extend(state.timers.pop().map(|first| first.0));
            }
            if !due.is_empty() {
                drop(state);
                for timer in due {
                    timer.strand.push(timer.task);
                }
                state = self.lock();
                continue;
            }
            if let Some(strand) = state.ready.pop_front() {
                drop(state);
                strand.run();
                state = self.lock();
                continue;
            }
            let next = state.timers.peek().map(|first| first.0.at);
            let held = "no one panics while holding it";
            state = match next {
                Some(at) => {
                    let wait = at.saturating_duration_since(now);
                    self.changed.wait_timeout(state, wait).expect(held).0
                }
                None => self.changed.wait(state).expect(held),
            };
        }
    }

    /// Ends all loops, for good.
    pub fn shut_down(&self) {
        let mut state = self.lock();
        state.shut = true;
        // What waits may hold connections, which hold this.
        let (ready, timers) = (
            std::mem::take(&mut state.ready),
            std::mem::take(&mut state.timers),
        );
        drop(state);
        self.changed.notify_all();
        drop((ready, timers));
    }

    /// Runs a callback later, on its connection's strand.
    pub fn at(&self, at: Instant, strand: &Arc<Strand>, task: Task) {
        let mut state = self.lock();
        if state.shut {
            return;
        }
        state.timers_set += 1;
        let number = state.timers_set;
        let strand = strand.clone();
        state.timers.push(Reverse(Timer {
            at,
            number,
            strand,
            task,
        }));
        drop(state);
        self.changed.notify_one();
    }

    fn ready(&self, strand: Arc<Strand>) {
        let mut state = self.lock();
        if !state.shut {
            state.ready.push_back(strand);
            drop(state);
            self.changed.notify_one();
        }
    }
}

/// The callbacks of one connection.
pub(crate) struct Strand {
    dispatcher: Arc<Dispatcher>,
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    tasks: VecDeque<Task>,
    /// It is in the dispatcher's queue, or runs.
    scheduled: bool,
    running: Option<ThreadId>,
    /// Threads that wait for an answer of the broker: nothing may hold up what comes.
    hurried: u32,
    closed: bool,
}

impl Strand {
    pub fn new(dispatcher: Arc<Dispatcher>) -> Arc<Self> {
        Arc::new(Self {
            dispatcher,
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    pub fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().expect("no one panics while holding it")
    }

    fn wait<'a>(&self, state: MutexGuard<'a, Waiting>) -> MutexGuard<'a, Waiting> {
        self.changed
            .wait(state)
            .expect("no one panics while holding it")
    }

    /// Adds a callback; waits for room. Once the connection is closed nothing is added.
    pub fn push(self: &Arc<Self>, task: Task) {
        let mut state = self.lock();
        let me = std::thread::current().id();
        let full = |state: &Waiting| {
            let room = state.tasks.len() < WAITING_MAX || state.hurried > 0;
            !room && !state.closed && state.running != Some(me)
        };
        while full(&state) {
            state = self.wait(state);
        }
        if state.closed {
            return;
        }
        state.tasks.push_back(task);
        let first = !std::mem::replace(&mut state.scheduled, true);
        drop(state);
        if first {
            self.dispatcher.ready(self.clone());
        }
    }

    fn run(self: &Arc<Self>) {
        for _ in 0..TURN {
            let mut state = self.lock();
            let Some(task) = state.tasks.pop_front() else {
                state.scheduled = false;
                return;
            };
            state.running = Some(std::thread::current().id());
            drop(state);
            self.changed.notify_all();
            task();
            self.lock().running = None;
            self.changed.notify_all();
        }
        self.dispatcher.ready(self.clone());
    }

    /// While this runs, `wait` may wait for the broker, even within a callback.
    pub fn hurry<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.lock().hurried += 1;
        self.changed.notify_all();
        let outcome = wait();
        self.lock().hurried -= 1;
        outcome
    }

    /// Waits until no callback runs, but the one that calls this.
    pub fn settle(&self) {
        let me = std::thread::current().id();
        let mut state = self.lock();
        while state.running.is_some_and(|thread| thread != me) {
            state = self.wait(state);
        }
    }

    /// From now on no callback begins; waits for the one that runs, unless it calls this.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        self.changed.notify_all();
        drop(tasks);
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn many_threads_keep_the_order_of_each_strand() {
        let dispatcher = Dispatcher::new();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let dispatcher = dispatcher.clone();
                std::thread::spawn(move || dispatcher.run())
            })
            .collect();
        let strands = [(); 2].map(|()| Strand::new(dispatcher.clone()));
        let (sender, order) = channel();
        let inside = Arc::new(AtomicU32::new(0));
        for number in 0..1000u32 {
            for (which, strand) in strands.iter().enumerate() {
                let (sender, inside) = (sender.clone(), inside.clone());
                strand.push(Box::new(move || {
                    let bit = 1 << which;
                    assert_eq!(inside.fetch_or(bit, Ordering::SeqCst) & bit, 0);
                    sender.send((which, number)).expect("somebody listens");
                    inside.fetch_and(!bit, Ordering::SeqCst);
                }));
            }
        }
        drop(sender);
        let all: Vec<(usize, u32)> = order.iter().collect();
        dispatcher.shut_down();
        for thread in threads {
            thread.join().expect("no assertion failed");
        }
        for which in 0..2 {
            let of_one: Vec<u32> = all
                .iter()
                .filter(|(it, _)| *it == which)
                .map(|(_, number)| *number)
                .collect();
            assert!(of_one.into_iter().eq(0..1000));
        }
    }

    #[test]
    fn timers_come_in_their_order_and_closing_waits() {
        let dispatcher = Dispatcher::new();
        let runs = dispatcher.clone();
        let thread = std::thread::spawn(move || runs.run());
        let strand = Strand::new(dispatcher.clone());
        let (sender, order) = channel();
        let now = Instant::now();
        for wait in [20, 1, 10] {
            let sender = sender.clone();
            let at = now + Duration::from_millis(wait);
            let task = Box::new(move || sender.send(wait).expect("somebody listens"));
            dispatcher.at(at, &strand, task);
        }
        let came: Vec<u64> = order.iter().take(3).collect();
        assert_eq!(came, [1, 10, 20]);
        let (begun, begins) = channel();
        let ended = Arc::new(AtomicBool::new(false));
        let ends = ended.clone();
        strand.push(Box::new(move || {
            begun.send(()).expect("somebody listens");
            std::thread::sleep(Duration::from_millis(20));
            ends.store(true, Ordering::SeqCst);
        }));
        begins.recv().expect("it begins");
        strand.close();
        assert!(ended.load(Ordering::SeqCst));
        let late = ended.clone();
        strand.push(Box::new(move || late.store(false, Ordering::SeqCst)));
        dispatcher.shut_down();
        thread.join().expect("it ends");
        assert!(ended.load(Ordering::SeqCst));
    }
}
