//! Threads for work that takes long, so that it holds up no other request: fair between users, in
//! pieces, and only as long as somebody wants it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use mail::UserId;

use super::fair_queue::{FairQueue, Full, Owner, QueueLimits};
use crate::bounds::{Bound, Bounds};
use crate::stalls::{Plane, Stalls};
use crate::{panics, planted};

/// Whether work has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It has, and was answered.
    Done,
    /// There is another piece, which waits its turn.
    More,
}

/// Why work was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// Its user, or its address, has enough waiting.
    TooManyOfOne,
    /// Too much waits in all.
    TooMany,
    /// It panicked.
    Failed,
}

/// Work in pieces of a few milliseconds.
pub trait Work: Send {
    /// Does a piece, and answers after the last.
    fn piece(&mut self) -> Progress;
    /// Whether anybody still waits for the answer.
    fn is_wanted(&self) -> bool;
    /// Answers that it was not done.
    fn refuse(self: Box<Self>, why: NotDone);
    /// What it is, and for whom, for the log.
    fn about(&self) -> (&'static str, Option<UserId>);
}

/// A few threads and a bounded queue. Clones share them; they end with the last clone.
#[derive(Clone)]
pub struct Workers {
    shared: Arc<Shared>,
    _end: Arc<End>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    bounds: Arc<Bounds>,
    stalls: Arc<Stalls>,
}

/// How far workers give way to all else of this process, as `nice` has it.
const NICE: i32 = 10;

struct State {
    queue: FairQueue<Box<dyn Work>>,
    closed: bool,
}

/// Ends the threads when it is dropped.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.changed.notify_all();
    }
}

impl Workers {
    /// Starts that many threads. A group has at most half of them at a time.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start(
        name: &'static str,
        count: usize,
        (group_max, all_max): (usize, usize),
        (bounds, stalls): (Arc<Bounds>, Arc<Stalls>),
    ) -> io::Result<Self> {
        let count = count.max(1);
        let limits = QueueLimits {
            group_max,
            all_max,
            out_max: count.div_ceil(2),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queue: FairQueue::new(limits),
                closed: false,
            }),
            changed: Condvar::new(),
            bounds,
            stalls,
        });
        let end = Arc::new(End(shared.clone()));
        for _ in 0..count {
            let shared = shared.clone();
            panics::spawn_plane(name, move || {
                shared.give_way();
                shared.serve();
            })?;
        }
        Ok(Self { shared, _end: end })
    }

    /// Has it done, in its owner's turn; work that can't wait is refused.
    pub fn run(&self, owner: Owner, work: Box<dyn Work>) {
        let mut state = self.shared.state();
        let mut outcome = state.queue.push(owner, work);
        if let Err(Full::Group(work)) = outcome {
            // Those who left take no room from those who stay.
            let dropped = state
                .queue
                .drop_unwanted(owner.group, |work| work.is_wanted());
            self.shared.bounds.add(Bound::WorkAbandoned, dropped);
            outcome = state.queue.push(owner, work);
        }
        drop(state);
        match outcome {
            Ok(made_room) => {
                self.shared.changed.notify_one();
                if let Some(work) = made_room {
                    work.refuse(NotDone::TooMany);
                }
            }
            Err(Full::Group(work)) => work.refuse(NotDone::TooManyOfOne),
            Err(Full::All(work)) => work.refuse(NotDone::TooMany),
        }
    }

    /// How much waits.
    pub fn waiting(&self) -> usize {
        self.shared.state().queue.len()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this thread gives way to the planes, whose calls are short.
    fn give_way(&self) {
        // If it is not permitted, the scheduler shares as it does.
        let _ = rustix::process::nice(NICE);
    }

    fn serve(&self) {
        let mut state = self.state();
        loop {
            if state.closed {
                return;
            }
            let Some((owner, work)) = state.queue.pop() else {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            planted::here("worker-loop");
            let more = self.work(work);
            state = self.state();
            state.queue.done(owner);
            if let Some(work) = more {
                state.queue.put_back(owner, work);
            }
            // The group may have been held back because of what was out.
            if state.queue.len() > 1 {
                self.changed.notify_one();
            }
        }
    }

    /// Does a piece; gives the work back if there is more.
    fn work(&self, mut work: Box<dyn Work>) -> Option<Box<dyn Work>> {
        if !work.is_wanted() {
            self.bounds.meet(Bound::WorkAbandoned);
            return None;
        }
        let (name, user) = work.about();
        let piece = || panics::catch(name, || work.piece());
        match self.stalls.time(Plane::Worker, name, (user, None), piece) {
            Some(Progress::Done) => None,
            Some(Progress::More) => Some(work),
            None => {
                work.refuse(NotDone::Failed);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

    use super::*;
    use crate::control::fair_queue::Standing;

    /// Says its name at each piece.
    struct Piece {
        name: &'static str,
        pieces: usize,
        said: Sender<&'static str>,
        gone: Arc<AtomicBool>,
    }

    impl Work for Piece {
        fn piece(&mut self) -> Progress {
            assert!(self.name != "broken", "planted");
            // A test that has heard enough may be gone.
            let _ = self.said.send(self.name);
            self.pieces -= 1;
            if self.pieces == 0 {
                Progress::Done
            } else {
                Progress::More
            }
        }

        fn is_wanted(&self) -> bool {
            !self.gone.load(Ordering::Relaxed)
        }

        fn refuse(self: Box<Self>, why: NotDone) {
            let word = match why {
                NotDone::TooManyOfOne => "too many of one",
                NotDone::TooMany => "too many",
                NotDone::Failed => "failed",
            };
            let _ = self.said.send(word);
        }

        fn about(&self) -> (&'static str, Option<UserId>) {
            (self.name, None)
        }
    }

    /// A piece that waits at a gate.
    struct Gate(Sender<()>, Receiver<()>);

    impl Work for Gate {
        fn piece(&mut self) -> Progress {
            self.0.send(()).unwrap();
            // Ends when the gate is dropped.
            let _ = self.1.recv();
            Progress::Done
        }

        fn is_wanted(&self) -> bool {
            true
        }

        fn refuse(self: Box<Self>, _: NotDone) {}

        fn about(&self) -> (&'static str, Option<UserId>) {
            ("gate", None)
        }
    }

    struct Set {
        workers: Workers,
        bounds: Arc<Bounds>,
        said: Sender<&'static str>,
        heard: Receiver<&'static str>,
    }

    fn owner(group: u64, member: u64) -> Owner {
        Owner {
            group,
            member,
            standing: Standing::New,
        }
    }

    fn workers(threads: usize) -> Set {
        let bounds = Arc::new(Bounds::default());
        let watch = (bounds.clone(), Arc::new(Stalls::new(0)));
        let workers = Workers::start("work", threads, (64, 128), watch).unwrap();
        let (said, heard) = unbounded();
        Set {
            workers,
            bounds,
            said,
            heard,
        }
    }

    impl Set {
        fn run(&self, owner: Owner, name: &'static str, pieces: usize) -> Arc<AtomicBool> {
            let gone = Arc::new(AtomicBool::new(false));
            let piece = Piece {
                name,
                pieces,
                said: self.said.clone(),
                gone: gone.clone(),
            };
            self.workers.run(owner, Box::new(piece));
            gone
        }

        /// Keeps a thread busy until what is given back is dropped.
        fn close(&self, group: u64) -> Sender<()> {
            let (begun, has_begun) = bounded(1);
            let (open, gate) = bounded(0);
            self.workers
                .run(owner(group, 0), Box::new(Gate(begun, gate)));
            has_begun.recv().unwrap();
            open
        }

        fn end(self) -> Vec<&'static str> {
            while self.workers.waiting() > 0 {
                std::thread::yield_now();
            }
            drop((self.workers, self.said));
            self.heard.iter().collect()
        }
    }

    #[test]
    fn a_flood_costs_another_user_a_few_pieces_only() {
        let set = workers(1);
        let gate = set.close(9);
        for _ in 0..60 {
            set.run(owner(1, 1), "flood", 100);
        }
        set.run(owner(2, 1), "single", 3);
        drop(gate);
        // Between two pieces of the single request the flood has one.
        let order: Vec<_> = set.heard.iter().take(6).collect();
        assert_eq!(order, ["flood", "single"].repeat(3));
        drop(set);
    }

    #[test]
    fn one_user_never_has_both_threads() {
        let set = workers(2);
        let gate = set.close(1);
        set.run(owner(1, 2), "of the same", 1);
        set.run(owner(2, 1), "of another", 1);
        assert_eq!(set.heard.recv().unwrap(), "of another");
        drop(gate);
        assert_eq!(set.heard.recv().unwrap(), "of the same");
    }

    #[test]
    fn what_nobody_wants_is_not_begun_and_takes_no_room() {
        let set = workers(1);
        let gate = set.close(9);
        let gone: Vec<_> = (0..64).map(|_| set.run(owner(1, 1), "left", 1)).collect();
        set.run(owner(1, 1), "one too many", 1);
        assert_eq!(set.heard.recv().unwrap(), "too many of one");
        gone.iter()
            .for_each(|gone| gone.store(true, Ordering::Relaxed));
        set.run(owner(1, 2), "stays", 1);
        drop(gate);
        assert_eq!(set.heard.recv().unwrap(), "stays");
        assert_eq!(set.bounds.met(Bound::WorkAbandoned), 64);
    }

    #[test]
    fn a_panic_costs_the_work_and_not_its_thread() {
        let set = workers(1);
        set.run(owner(1, 1), "broken", 1);
        set.run(owner(1, 1), "sound", 1);
        assert_eq!(set.end(), ["failed", "sound"]);
    }
}
