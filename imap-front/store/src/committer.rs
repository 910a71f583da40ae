//! A thread that commits a group while the writer applies the next one.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::Error;
use crate::disk::{Disk, Durability};
use crate::kv::Changes;

/// What is to be committed.
#[derive(Clone)]
pub(crate) struct Commit {
    pub changes: Arc<Changes>,
    pub number: u64,
    pub durability: Durability,
}

impl Commit {
    /// Commits it, on this thread.
    pub fn carry_out(&self, disk: &Disk) -> Outcome {
        let began = Instant::now();
        let result = disk.commit(&self.changes, self.number, self.durability);
        let took = began.elapsed();
        Outcome { result, took }
    }
}

/// What became of it.
pub(crate) struct Outcome {
    /// After an error it may be there nevertheless; see [`Disk::reopen`].
    pub result: Result<(), Error>,
    pub took: Duration,
}

/// The thread. It is given one commit at a time.
pub(crate) struct Committer {
    commits: Option<Sender<Commit>>,
    outcomes: Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// # Errors
    /// If the thread can't be made.
    pub fn start(disk: Arc<Disk>) -> io::Result<Self> {
        let (commits, work) = bounded::<Commit>(1);
        let (done, outcomes) = bounded(1);
        let thread = std::thread::Builder::new()
            .name("store-committer".into())
            .spawn(move || {
                for commit in work {
                    let outcome = commit.carry_out(&disk);
                    drop(commit);
                    if done.send(outcome).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self {
            commits: Some(commits),
            outcomes,
            thread: Some(thread),
        })
    }

    /// Begins to commit.
    ///
    /// # Panics
    /// If the thread has ended: nothing can be changed any more.
    pub fn begin(&self, commit: Commit) {
        let commits = self.commits.as_ref().expect("it was not dropped");
        commits.send(commit).expect("the committer has not ended");
    }

    /// What became of what was begun, once it is known; ends if the thread has.
    pub fn outcomes(&self) -> &Receiver<Outcome> {
        &self.outcomes
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        drop(self.commits.take());
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the store's committer had panicked");
        }
    }
}
