//! The one thread that changes anything: all that waits becomes one commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Receiver;
use mail::{Body, Event, Refusal, Reply, Request};

use crate::callbacks::{Announcer, Completion};
use crate::commit_marker::CommitMarker;
use crate::disk::{Changes, Disk};
use crate::kv::Transaction;
use crate::logic::{self, Outcome, Rules};
use crate::notification::Notification;
use crate::stats::Stats;
use crate::{Error, Options};

/// Operations in one commit: bounds how long the first of them waits for the others.
const GROUP_MAX: usize = 512;
/// Bytes of bodies in one commit: no more operations join it after these.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// What a group did: what to announce, and what to answer.
type Done = (Vec<Arc<Event>>, Vec<(Reply, Completion)>);

/// Something to do, and whom to tell.
pub(crate) enum Job {
    Request(Request, Completion),
    /// Make a user known.
    EnsureUser(String, Completion),
}

impl Job {
    fn body_bytes(&self) -> usize {
        match self {
            Self::Request(Request::Spool { chunk, .. }, _) => chunk.len(),
            Self::Request(
                Request::Append {
                    body: Body::Inline(bytes),
                    ..
                }
                | Request::Deliver {
                    body: Body::Inline(bytes),
                    ..
                },
                _,
            ) => bytes.len(),
            _ => 0,
        }
    }

    /// The answer if it can't be done, and whom to tell.
    fn refused(self, refusal: &Refusal) -> (Reply, Completion) {
        match self {
            Self::Request(request, completion) => (refused(&request, refusal), completion),
            Self::EnsureUser(_, completion) => (Reply::Refused(refusal.clone()), completion),
        }
    }
}

/// The writer's state.
pub(crate) struct Writer {
    pub disk: Arc<Disk>,
    pub jobs: Receiver<Job>,
    pub announcer: Announcer,
    pub rules: Rules,
    /// The number of the last commit.
    pub commits: u64,
    /// Where that is noted.
    pub marker: CommitMarker,
    pub stats: Arc<Stats>,
}

impl Writer {
    /// Works until nobody can give it jobs any more and all are done.
    pub fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        while let Ok(first) = self.jobs.recv() {
            let mut bytes = first.body_bytes();
            group.push(first);
            while group.len() < GROUP_MAX && bytes < GROUP_BYTES_MAX {
                let Ok(job) = self.jobs.try_recv() else { break };
                bytes += job.body_bytes();
                group.push(job);
            }
            self.work(&mut group, bytes);
        }
        self.marker.sync();
    }

    /// Does a group of jobs as one commit; then announces, then answers.
    fn work(&mut self, group: &mut Vec<Job>, bytes: usize) {
        let began = Instant::now();
        self.rules.now = (self.rules.options.now)();
        let outcome = self
            .make_sound()
            .and_then(|()| self.carry_out(group, bytes));
        let (events, answers) = match outcome {
            Ok(done) => done,
            Err(error) => {
                let refusal = refusal(&error);
                (
                    vec![],
                    group.drain(..).map(|job| job.refused(&refusal)).collect(),
                )
            }
        };
        if !events.is_empty() {
            (self.announcer)(&events);
        }
        for (reply, completion) in answers {
            completion(reply);
        }
        self.stats.worked(began);
    }

    /// Opens the database again if it has failed since the last group.
    fn make_sound(&mut self) -> Result<(), Error> {
        if !self.disk.is_sound() {
            tracing::error!("the database has failed and is opened again");
            self.reopen()?;
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), Error> {
        let commits = self.disk.reopen(self.commits).inspect_err(|error| {
            tracing::error!("the database can't be opened again: {error}");
        })?;
        self.commits = commits;
        Ok(())
    }

    fn carry_out(&mut self, group: &mut Vec<Job>, bytes: usize) -> Result<Done, Error> {
        let disk = self.disk.clone();
        let view = disk.view()?;
        let mut txn = match &self.rules.options.observer {
            Some(_) => Transaction::observed(&view),
            None => Transaction::new(&view),
        };
        let mut events: Vec<Arc<Event>> = Vec::new();
        let mut answers: Vec<(Reply, Completion)> = Vec::with_capacity(group.len());
        let min = self.rules.options.disk_free_bytes_min;
        // Bodies are written twice: to the journal, and later to tables.
        let full = min > 0 && disk.free_bytes() < min.saturating_add(2 * bytes as u64);
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
        let notifications = txn.take_notifications();
        if txn.is_empty() {
            self.observe(notifications);
            return Ok((events, answers));
        }
        let changes = txn.into_changes();
        // The database can be opened again only when nobody looks at it.
        drop(view);
        let began = Instant::now();
        if let Err(error) = self.commit(changes) {
            events.clear();
            let refusal = refusal(&error);
            for (reply, _) in &mut answers {
                refuse(reply, &refusal);
            }
        } else {
            self.stats.committed(answers.len(), began);
            self.observe(notifications);
        }
        Ok((events, answers))
    }

    fn observe(&self, notifications: Vec<Notification>) {
        if let Some(observer) = &self.rules.options.observer
            && !notifications.is_empty()
        {
            observer(notifications);
        }
    }

    /// Commits; if that fails, finds out whether the commit is there nevertheless.
    fn commit(&mut self, changes: Changes) -> Result<(), Error> {
        let number = self.commits + 1;
        if let Err(error) = self.disk.commit(changes, number) {
            tracing::error!("commit {number} failed: {error}");
            let is_there = self.reopen().is_ok() && self.commits == number;
            if !is_there {
                return Err(error);
            }
            tracing::warn!("commit {number} was found complete after opening the database again");
        }
        self.commits = number;
        self.marker.note(number);
        Ok(())
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
                // A mistake of ours costs one request, and is undone, not the writer's life.
                let (name, began) = (request.name(), Instant::now());
                let apply = AssertUnwindSafe(|| logic::apply(txn, &self.rules, request));
                let outcome = catch_unwind(apply).unwrap_or(Err(Error::Panicked));
                if let Some(timekeeper) = &self.rules.options.timekeeper {
                    timekeeper(name, began.elapsed());
                }
                (outcome, completion)
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
    refused(request, &Refusal::DiskFull)
}

/// The refusal of a request: of a delivery, to each of its targets.
fn refused(request: &Request, refusal: &Refusal) -> Reply {
    match request {
        Request::Deliver { targets, .. } => {
            Reply::Delivered(vec![Err(refusal.clone()); targets.len()])
        }
        _ => Reply::Refused(refusal.clone()),
    }
}

/// Takes back an answer whose commit failed.
fn refuse(reply: &mut Reply, refusal: &Refusal) {
    *reply = match reply {
        Reply::Delivered(results) => Reply::Delivered(vec![Err(refusal.clone()); results.len()]),
        _ => Reply::Refused(refusal.clone()),
    };
}

fn refusal(error: &Error) -> Refusal {
    if is_full(error) {
        Refusal::DiskFull
    } else if matches!(error, Error::Panicked) {
        Refusal::Bug
    } else {
        Refusal::Unavailable("see the server's log".into())
    }
}

/// Whether the error, or what caused it, is that the disk is full.
fn is_full(error: &Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|error| error.kind() == std::io::ErrorKind::StorageFull) {
            return true;
        }
        cause = error.source();
    }
    false
}

pub(crate) fn unavailable(error: &Error) -> Reply {
    tracing::error!("{error}");
    Reply::Refused(refusal(error))
}

/// Removes uploads that were under way when the server ended. If commits were lost, gives every
/// mailbox a new UIDVALIDITY, since UIDs of lost messages will be given again.
pub(crate) fn recover(
    disk: &Disk,
    rules: &Rules,
    commits: &mut u64,
    is_damaged: bool,
) -> Result<usize, Error> {
    let view = disk.view()?;
    let mut txn = Transaction::new(&view);
    let removed = logic::recover_spools(&mut txn)?;
    if is_damaged {
        logic::renew_uid_validities(&mut txn, rules)?;
    }
    let number = *commits + 1;
    let done = match (is_damaged, txn.is_empty()) {
        (true, _) => disk.accept(txn.into_changes(), number),
        (false, true) => return Ok(0),
        (false, false) => disk.commit(txn.into_changes(), number),
    };
    match done {
        Ok(()) => {
            *commits += 1;
            Ok(removed)
        }
        Err(error) if is_full(&error) && !is_damaged => {
            tracing::warn!("{removed} unfinished uploads are kept: the disk is full");
            Ok(0)
        }
        Err(error) => Err(error),
    }
}

/// Rules for a request that only reads.
pub(crate) fn rules(options: Options) -> Rules {
    let now = (options.now)();
    Rules { options, now }
}
