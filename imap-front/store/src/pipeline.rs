//! What lets a group be applied while the one before is being committed, and what waits meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::committer::Committer;
use crate::group::InFlight;
use crate::hot_rows::HotRows;
use crate::job::Job;

/// Jobs that may wait for operations that go on; more are refused.
const WAITING_MAX: usize = 16 << 10;

/// What lets a group be applied while the one before is being committed.
pub(crate) struct Pipeline {
    pub committer: Committer,
    pub in_flight: Option<InFlight>,
    /// Jobs that come next: they waited for what was in flight, or for an operation.
    pub held: VecDeque<Job>,
    /// Jobs that wait until an operation that goes on is done.
    pub waiting: Vec<Job>,
    /// Operations of the largest commit, one less for each since.
    pub crowd: usize,
    pub hot: Arc<HotRows>,
}

impl Pipeline {
    pub fn new(committer: Committer) -> Self {
        Self {
            committer,
            in_flight: None,
            held: VecDeque::new(),
            waiting: Vec::new(),
            crowd: 0,
            hot: Arc::new(HotRows::new()),
        }
    }

    /// Has a job wait until an operation that goes on is done.
    ///
    /// # Errors
    /// Gives it back if too many wait.
    #[allow(
        clippy::result_large_err,
        reason = "what was not taken is given back as it is"
    )]
    pub fn wait(&mut self, job: Job) -> Result<(), Job> {
        if self.waiting.len() >= WAITING_MAX {
            return Err(job);
        }
        self.waiting.push(job);
        Ok(())
    }

    /// An operation that went on is done: what waits is tried again.
    pub fn wake(&mut self) {
        self.held.extend(self.waiting.drain(..));
    }
}
