//! Threads for work that takes long, so that it holds up no other request.

use std::io;
use std::thread::Builder;

use crossbeam_channel::{Sender, bounded};

/// Pieces of work that may wait for a thread; more are refused.
const WAITING_MAX: usize = 4096;

type Work = Box<dyn FnOnce() + Send>;

/// A few threads and a bounded queue. Clones share them; they end with the last clone.
#[derive(Clone)]
pub struct Workers {
    work: Sender<Work>,
}

impl Workers {
    /// Starts that many threads.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start(name: &str, count: usize) -> io::Result<Self> {
        let (sender, receiver) = bounded::<Work>(WAITING_MAX);
        for _ in 0..count.max(1) {
            let receiver = receiver.clone();
            Builder::new()
                .name(name.into())
                .spawn(move || receiver.iter().for_each(|work| work()))?;
        }
        Ok(Self { work: sender })
    }

    /// Has it done by the next free thread. False if too much is waiting already.
    pub fn run(&self, work: impl FnOnce() + Send + 'static) -> bool {
        self.work.try_send(Box::new(work)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_and_the_queue_is_bounded() {
        let workers = Workers::start("work", 1).expect("threads");
        let (begun, has_begun) = bounded(1);
        let (go, gate) = bounded::<()>(0);
        assert!(workers.run(move || {
            begun.send(()).expect("the test waits");
            // Ends when the gate is dropped.
            let _ = gate.recv();
        }));
        has_begun.recv().expect("the thread works");
        let (done, finished) = bounded(WAITING_MAX);
        for _ in 0..WAITING_MAX {
            let done = done.clone();
            assert!(workers.run(move || done.send(()).expect("there is room")));
        }
        assert!(!workers.run(|| {}), "one too many");
        drop((go, done));
        assert_eq!(finished.iter().count(), WAITING_MAX);
    }
}
