//! The one thread that changes anything: all that waits becomes one commit.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crossbeam_channel::Receiver;
use mail::{Event, InternalDate, Refusal, Reply, Request};

use crate::disk::Disk;
use crate::kv::Transaction;
use crate::logic::{self, Outcome, Rules};
use crate::store::{Announcer, Completion};
use crate::{Error, Options};

/// Operations in one commit: bounds how long the first of them waits for the others.
const GROUP_MAX: usize = 512;

/// Something to do, and whom to tell.
pub(crate) enum Job {
    Request(Request, Completion),
    /// Make a user known.
    EnsureUser(String, Completion),
}

/// The writer's state.
pub(crate) struct Writer {
    pub disk: Arc<Disk>,
    pub jobs: Receiver<Job>,
    pub announcer: Announcer,
    pub rules: Rules,
    /// The number of the last commit.
    pub commits: u64,
}

impl Writer {
    /// Works until nobody can give it jobs any more and all are done.
    ///
    /// Gives the number of the last commit.
    pub fn run(mut self) -> u64 {
        let mut group = Vec::with_capacity(GROUP_MAX);
        while let Ok(first) = self.jobs.recv() {
            group.push(first);
            while group.len() < GROUP_MAX {
                match self.jobs.try_recv() {
                    Ok(job) => group.push(job),
                    Err(_) => break,
                }
            }
            self.commit(&mut group);
        }
        self.commits
    }

    fn commit(&mut self, group: &mut Vec<Job>) {
        self.rules.now = (self.rules.options.now)();
        let disk = self.disk.clone();
        let view = disk.view();
        let mut txn = Transaction::new(&view);
        let mut events: Vec<Arc<Event>> = Vec::new();
        let mut answers: Vec<(Reply, Completion)> = Vec::with_capacity(group.len());
        let full = disk.free_bytes() < self.rules.options.disk_free_bytes_min;
        for job in group.drain(..) {
            txn.begin();
            let (outcome, completion) = self.apply(&mut txn, job, full);
            match outcome {
                Ok((reply, announced)) => {
                    events.extend(announced);
                    answers.push((reply, completion));
                }
                Err(error) => {
                    txn.undo();
                    answers.push((unavailable(&error), completion));
                }
            }
        }
        if !txn.is_empty() {
            let number = self.commits + 1;
            match disk.commit(txn.into_changes(), number) {
                Ok(()) => self.commits = number,
                Err(error) => {
                    tracing::error!("a commit of {} operations failed: {error}", answers.len());
                    events.clear();
                    let refusal = refusal(&Error::Database(error));
                    for (reply, _) in &mut answers {
                        *reply = Reply::Refused(refusal.clone());
                    }
                }
            }
        }
        if !events.is_empty() {
            (self.announcer)(&events);
        }
        for (reply, completion) in answers {
            completion(reply);
        }
    }

    fn apply(
        &self,
        txn: &mut Transaction<'_>,
        job: Job,
        full: bool,
    ) -> (Result<Outcome, Error>, Completion) {
        match job {
            Job::Request(request, completion) => {
                if full && grows(&request) {
                    return (Ok((disk_full(&request), vec![])), completion);
                }
                (logic::apply(txn, &self.rules, request), completion)
            }
            Job::EnsureUser(name, completion) => {
                let user = logic::ensure_user(txn, &self.rules, &name);
                (
                    user.map(|user| (Reply::Authenticated(user), vec![])),
                    completion,
                )
            }
        }
    }
}

/// Whether a request stores more than it removes.
fn grows(request: &Request) -> bool {
    matches!(
        request,
        Request::Append { .. }
            | Request::Deliver { .. }
            | Request::Spool { .. }
            | Request::Copy { .. }
            | Request::Create { .. }
    )
}

fn disk_full(request: &Request) -> Reply {
    tracing::error!("the disk is nearly full: messages are refused until there is room");
    match request {
        Request::Deliver { targets, .. } => {
            Reply::Delivered(vec![Err(Refusal::DiskFull); targets.len()])
        }
        _ => Reply::Refused(Refusal::DiskFull),
    }
}

fn refusal(error: &Error) -> Refusal {
    let full = match error {
        Error::Database(fjall::Error::Io(error)) => error.kind() == std::io::ErrorKind::StorageFull,
        _ => false,
    };
    if full {
        Refusal::DiskFull
    } else {
        Refusal::Unavailable("see the server's log".into())
    }
}

pub(crate) fn unavailable(error: &Error) -> Reply {
    tracing::error!("{error}");
    Reply::Refused(refusal(error))
}

/// Now, in UTC.
pub(crate) fn now() -> InternalDate {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    InternalDate {
        unix_s: since.as_secs() as i64,
        zone_min: 0,
    }
}

/// Removes uploads that were under way when the server ended. Gives how many.
pub(crate) fn recover(disk: &Disk, commits: &mut u64) -> Result<usize, Error> {
    let view = disk.view();
    let mut txn = Transaction::new(&view);
    let removed = logic::recover_spools(&mut txn)?;
    if removed > 0 {
        disk.commit(txn.into_changes(), *commits + 1)?;
        *commits += 1;
    }
    Ok(removed)
}

/// Rules for a request that only reads.
pub(crate) fn rules(options: Options) -> Rules {
    let now = (options.now)();
    Rules { options, now }
}
