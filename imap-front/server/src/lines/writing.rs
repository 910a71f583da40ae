//! The thread that writes lines: it looks at the queue some times a second, so that nobody who
//! puts a line has to wake it.
#![expect(
    clippy::disallowed_methods,
    reason = "this thread is nobody's to wait for, and goes by the machine's clock"
)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Lines;
use super::names::Names;
use super::repeats::Repeats;
use super::texts::{self, Teller};
use crate::panics;

/// Between two looks at the queue.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Lines that were put are written by then, if the disk keeps up.
pub const WRITTEN_WITHIN: Duration = Duration::from_millis(150);
/// How often is told what found no room.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The thread that writes lines.
pub struct Writing {
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Writing {
    /// Starts it.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start(lines: Arc<Lines>, names: impl Names + Send + 'static) -> io::Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let ends = over.clone();
        let thread = panics::spawn_plane("lines", move || write(&lines, &names, &ends))?;
        Ok(Self { over, thread })
    }

    /// Writes what is still there, and ends.
    pub fn finish(self) {
        self.over.store(true, Ordering::SeqCst);
        self.thread.thread().unpark();
        // It does not fail: that would have ended the process.
        let _ = self.thread.join();
    }
}

fn write(lines: &Lines, names: &dyn Names, over: &AtomicBool) {
    let mut teller = Teller {
        names,
        repeats: Repeats::new(Instant::now()),
    };
    let mut dropped = 0;
    let mut told = Instant::now();
    loop {
        // First: what is put before the end is written.
        let ends = over.load(Ordering::SeqCst);
        while let Some(line) = lines.take() {
            lines.refused.look(&line);
            teller.tell(line);
        }
        let now = Instant::now();
        teller.tell_left_out(now);
        if ends || now - told >= TELL_EVERY {
            told = now;
            let more = lines.dropped() - dropped;
            dropped += more;
            if more > 0 {
                texts::tell_dropped(more, dropped);
            }
        }
        if ends {
            return;
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}
