//! The login delay: failed logins are kept waiting, so that guessing takes time.

use std::io;
use std::thread::Builder;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use engine::event::SessionId;
use mail::{Refusal, Reply};

use crate::control::Replier;

/// How long.
const FAILURE_DELAY: Duration = Duration::from_secs(1);
/// Failed logins that wait; with more than this many, guessing is slow as it is.
const WAITING_MAX: usize = 16 * 1024;

/// Answers failed logins later, in the order in which they failed. Clones share its thread, which
/// ends with the last of them.
#[derive(Clone)]
pub struct Delay {
    failed: Sender<(Instant, SessionId)>,
    replier: Replier,
}

impl Delay {
    /// Starts its thread.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start(replier: Replier) -> io::Result<Self> {
        let (sender, receiver) = bounded::<(Instant, SessionId)>(WAITING_MAX);
        let repliers = replier.clone();
        Builder::new().name("refuse".into()).spawn(move || {
            for (due, id) in receiver {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                repliers.reply(id, refusal());
            }
        })?;
        Ok(Self {
            failed: sender,
            replier,
        })
    }

    /// Refuses a login after a while.
    pub fn refuse(&self, id: SessionId) {
        let due = Instant::now() + FAILURE_DELAY;
        if self.failed.try_send((due, id)).is_err() {
            self.replier.reply(id, refusal());
        }
    }
}

fn refusal() -> Reply {
    Reply::Refused(Refusal::Credentials)
}
