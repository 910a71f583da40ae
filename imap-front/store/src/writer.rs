//! The one thread that changes anything: all that waits becomes one commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use mail::{Body, Event, MailboxId, Refusal, Reply, Request, Uid};

use crate::callbacks::{Announcer, Completion};
use crate::commit_marker::CommitMarker;
use crate::disk::{Changes, Disk, Durability};
use crate::free_space::FreeSpace;
use crate::kv::Transaction;
use crate::logic::{self, Applied, Operation, Rules, Step};
use crate::notification::Notification;
use crate::running::{Running, RunningQueue};
use crate::stats::Stats;
use crate::structure_cache::StructureCache;
use crate::{Error, Options};

/// Operations in one commit: bounds how long the first of them waits for the others.
const GROUP_MAX: usize = 512;
/// Bytes of bodies in one commit: no more operations join it after these.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// Messages that the operations of one commit work on, about.
const GROUP_WEIGHT_MAX: usize = 512;
/// What an operation counts at most: what is larger goes on in slices.
const SLICE_WEIGHT: usize = 128;
/// How long to wait while operations that go on wait for something else.
const PAUSE: Duration = Duration::from_millis(1);
/// How long they wait after the database has failed; what is asked meanwhile is tried at once.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// What a group did.
#[derive(Default)]
struct Done {
    /// What to announce.
    events: Vec<Arc<Event>>,
    /// Whom to answer.
    answers: Vec<(Reply, Completion)>,
    /// There was something to do.
    has_moved: bool,
}

/// What goes on after a group, if that is committed.
#[derive(Default)]
struct Ongoing {
    /// What has begun.
    begun: Vec<(Operation, Option<Completion>)>,
    /// What had its turn, and its place.
    slice: Option<(usize, Running)>,
    /// What was claimed.
    claimed: Vec<(MailboxId, Uid)>,
}

/// Something to do, and whom to tell.
pub(crate) enum Job {
    Request(Request, Completion),
    /// Make a user known.
    EnsureUser(String, Completion),
    /// Note what was claimed as recent in a mailbox.
    Claimed(MailboxId),
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

    /// When what it does becomes durable: nobody outside was told of a part of an upload.
    fn durability(&self) -> Durability {
        match self {
            Self::Request(Request::Spool { .. } | Request::Discard { .. }, _) => {
                Durability::WithTheNext
            }
            _ => Durability::Now,
        }
    }

    /// How many messages it works on, about.
    fn weight(&self) -> usize {
        match self {
            Self::Request(Request::Store { uids, .. } | Request::Copy { uids, .. }, _) => {
                uids.len().clamp(1, SLICE_WEIGHT)
            }
            Self::Request(Request::Expunge { .. } | Request::Rename { .. }, _) => SLICE_WEIGHT,
            Self::Request(Request::Deliver { targets, .. }, _) => targets.len().max(1),
            _ => 1,
        }
    }

    /// The answer if it can't be done, and whom to tell.
    fn refused(self, refusal: &Refusal) -> Option<(Reply, Completion)> {
        match self {
            Self::Request(request, completion) => Some((refused(&request, refusal), completion)),
            Self::EnsureUser(_, completion) => Some((Reply::Refused(refusal.clone()), completion)),
            Self::Claimed(_) => None,
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
    /// The last one that is durable. Those after it hold nothing but parts of uploads.
    pub durable: u64,
    /// Where that is noted.
    pub marker: CommitMarker,
    pub free: FreeSpace,
    pub uploads: Uploads,
    pub stats: Arc<Stats>,
    /// What goes on slice by slice.
    pub running: RunningQueue,
}

/// What is to be known of uploads when commits that hold parts of them are lost.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    /// The highest number that one was given.
    highest: u64,
    /// Commits were lost: what is left of uploads is of no use, and no number may be given again,
    /// for whoever has it may still send the next part.
    are_lost: bool,
}

impl Writer {
    /// Works until nobody can give it jobs any more and all are done. Operations that go on are
    /// refused then: what they did so far stays, but for a COPY, which is removed at the next
    /// start.
    pub fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        let mut pause = Duration::ZERO;
        loop {
            let first = match self.running.is_empty() {
                true => self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => self.jobs.recv_timeout(pause),
            };
            let (mut bytes, mut weight) = (0, 0);
            match first {
                Ok(job) => {
                    (bytes, weight) = (job.body_bytes(), job.weight());
                    group.push(job);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while group.len() < GROUP_MAX && bytes < GROUP_BYTES_MAX && weight < GROUP_WEIGHT_MAX {
                let Ok(job) = self.jobs.try_recv() else { break };
                bytes += job.body_bytes();
                weight += job.weight();
                group.push(job);
            }
            pause = self.work(&mut group, bytes);
        }
        let refusal = Refusal::Unavailable("the server is being stopped".into());
        for running in self.running.end() {
            if let Some(completion) = running.completion {
                completion(Reply::Refused(refusal.clone()));
            }
        }
        self.marker.sync();
    }

    /// Does a group of jobs and a slice of what goes on as one commit; then announces and answers.
    /// Gives how long what goes on waits for its next turn, if nothing else comes.
    fn work(&mut self, group: &mut Vec<Job>, bytes: usize) -> Duration {
        let began = Instant::now();
        self.rules.now = (self.rules.options.now)();
        let outcome = self
            .make_sound()
            .and_then(|()| self.carry_out(group, bytes));
        let (done, pause) = match outcome {
            Ok(done) if done.has_moved => (done, Duration::ZERO),
            Ok(done) => (done, PAUSE),
            Err(error) => {
                let refusal = refusal(&error);
                let jobs = group.drain(..);
                let done = Done {
                    answers: jobs.filter_map(|job| job.refused(&refusal)).collect(),
                    ..Done::default()
                };
                (done, FAILURE_PAUSE)
            }
        };
        let Done {
            events, answers, ..
        } = done;
        if !events.is_empty() {
            (self.announcer)(&events);
        }
        for (reply, completion) in answers {
            completion(reply);
        }
        self.stats.worked(began);
        pause
    }

    /// Opens the database again if it has failed since the last group.
    fn make_sound(&mut self) -> Result<(), Error> {
        if !self.disk.is_sound() {
            tracing::error!("the database has failed and is opened again");
            self.reopen()?;
        }
        if self.uploads.are_lost {
            self.forget_uploads()?;
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), Error> {
        let commits = self.disk.reopen(self.durable).inspect_err(|error| {
            tracing::error!("the database can't be opened again: {error}");
        })?;
        self.uploads.are_lost |= commits < self.commits;
        // Opening it has synced all that was found.
        (self.commits, self.durable) = (commits, commits);
        Ok(())
    }

    /// Removes what is left of uploads whose parts were lost with commits that were not durable.
    fn forget_uploads(&mut self) -> Result<(), Error> {
        let disk = self.disk.clone();
        let view = disk.view()?;
        let mut txn = Transaction::new(&view);
        let removed = logic::forget_uploads(&mut txn, self.uploads.highest)?;
        let changes = txn.into_changes();
        drop(view);
        self.commit(changes, Durability::Now)?;
        self.uploads.are_lost = false;
        tracing::warn!("{removed} uploads that were under way are lost; their clients are told");
        Ok(())
    }

    fn carry_out(&mut self, group: &mut Vec<Job>, bytes: usize) -> Result<Done, Error> {
        let disk = self.disk.clone();
        let view = disk.view()?;
        let mut txn = match &self.rules.options.observer {
            Some(_) => Transaction::observed(&view),
            None => Transaction::new(&view),
        };
        let mut done = Done {
            has_moved: !group.is_empty(),
            ..Done::default()
        };
        let mut ongoing = Ongoing::default();
        let min = self.rules.options.disk_free_bytes_min;
        // Bodies are written twice: to the journal, and later to tables.
        let full = min > 0
            && !self
                .free
                .has_room(2 * bytes as u64, min, Instant::now(), || disk.free_bytes());
        let lasts =
            !self.running.is_empty() || group.iter().any(|job| job.durability() == Durability::Now);
        let durability = match lasts {
            true => Durability::Now,
            false => Durability::WithTheNext,
        };
        for job in group.drain(..) {
            txn.begin();
            self.apply(&mut txn, job, full, &mut done, &mut ongoing);
        }
        self.go_on(&mut txn, &mut done, &mut ongoing);
        for (reply, _) in &done.answers {
            if let Reply::Spooled(id) = reply {
                self.uploads.highest = self.uploads.highest.max(id.0);
            }
        }
        let notifications = txn.take_notifications();
        if txn.is_empty() {
            self.observe(notifications);
            self.keep(ongoing, &mut done);
            return Ok(done);
        }
        let changes = txn.into_changes();
        // The database can be opened again only when nobody looks at it.
        drop(view);
        let began = Instant::now();
        let count = done.answers.len();
        if let Err(error) = self.commit(changes, durability) {
            done.events.clear();
            let refusal = refusal(&error);
            for (reply, _) in &mut done.answers {
                refuse(reply, &refusal);
            }
            self.give_up(ongoing, &refusal, &mut done);
        } else {
            match durability {
                Durability::Now => self.stats.committed(count.max(1), began),
                Durability::WithTheNext => self.stats.put_off(began),
            }
            self.observe(notifications);
            self.keep(ongoing, &mut done);
        }
        Ok(done)
    }

    /// Does a slice of what goes on.
    fn go_on(&mut self, txn: &mut Transaction<'_>, done: &mut Done, ongoing: &mut Ongoing) {
        let Some((at, mut running)) = self.running.take() else {
            return;
        };
        txn.begin();
        let name = running.operation.name();
        let slice = AssertUnwindSafe(|| running.operation.go_on(txn, &self.rules));
        let step = self.timed(name, || catch_unwind(slice));
        let step = step.unwrap_or(Err(Error::Panicked));
        match step {
            Ok(Step::More(events)) => {
                done.events.extend(events);
                done.has_moved = true;
                ongoing.slice = Some((at, running));
            }
            Ok(Step::Waits) => ongoing.slice = Some((at, running)),
            Ok(Step::Done(reply, events, then)) => {
                done.events.extend(events);
                done.has_moved = true;
                ongoing.begun.extend(then.map(|then| (then, None)));
                let completion = running.completion;
                done.answers
                    .extend(completion.map(|completion| (*reply, completion)));
            }
            Err(error) => {
                txn.undo();
                running.operation.abandon(txn);
                let reply = unavailable(&error);
                let failed = running.operation.failed(refusal(&error));
                ongoing.begun.extend(failed.map(|then| (then, None)));
                let completion = running.completion;
                done.answers
                    .extend(completion.map(|completion| (reply, completion)));
            }
        }
    }

    /// A group is committed: what has begun goes on.
    fn keep(&mut self, ongoing: Ongoing, done: &mut Done) {
        if let Some((at, running)) = ongoing.slice {
            self.running.give_back(at, running);
        }
        for (operation, completion) in ongoing.begun {
            if let Err((refusal, Some(completion))) = self.running.add(operation, completion) {
                done.answers.push((Reply::Refused(refusal), completion));
            }
        }
        for (id, from) in ongoing.claimed {
            self.disk.claims().noted(id, from);
        }
    }

    /// A group came to nothing, and so does what it would have begun, and what had its turn.
    fn give_up(&mut self, ongoing: Ongoing, refusal: &Refusal, done: &mut Done) {
        let mut refuse = |completion: Option<Completion>| {
            let reply = Reply::Refused(refusal.clone());
            let completion = completion.map(|completion| (reply, completion));
            done.answers.extend(completion);
        };
        if let Some((_, running)) = ongoing.slice {
            refuse(running.completion);
            if let Some(failed) = running.operation.failed(refusal.clone()) {
                let _ = self.running.add(failed, None);
            }
        }
        for (_, completion) in ongoing.begun {
            refuse(completion);
        }
    }

    fn observe(&self, notifications: Vec<Notification>) {
        if let Some(observer) = &self.rules.options.observer
            && !notifications.is_empty()
        {
            observer(notifications);
        }
    }

    /// Commits; if that fails, finds out whether the commit is there nevertheless.
    fn commit(&mut self, changes: Changes, durability: Durability) -> Result<(), Error> {
        let number = self.commits + 1;
        if let Err(error) = self.disk.commit(changes, number, durability) {
            tracing::error!("commit {number} failed: {error}");
            let is_there = self.reopen().is_ok() && self.commits == number;
            if !is_there {
                return Err(error);
            }
            tracing::warn!("commit {number} was found complete after opening the database again");
        }
        self.commits = number;
        if durability == Durability::Now {
            self.durable = number;
            self.marker.note(number);
        }
        Ok(())
    }

    /// Tells who wants to know how long that took.
    fn timed<T>(&self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let outcome = work();
        if let Some(timekeeper) = &self.rules.options.timekeeper {
            timekeeper(name, began.elapsed());
        }
        outcome
    }

    fn apply(
        &self,
        txn: &mut Transaction<'_>,
        job: Job,
        full: bool,
        done: &mut Done,
        ongoing: &mut Ongoing,
    ) {
        let (outcome, completion) = match job {
            Job::Request(request, completion) => {
                if full && grows(&request) {
                    done.answers.push((disk_full(&request), completion));
                    return;
                }
                // A mistake of ours costs one request, and is undone, not the writer's life.
                let name = request.name();
                let apply = AssertUnwindSafe(|| logic::apply(txn, &self.rules, request));
                let outcome = self.timed(name, || catch_unwind(apply));
                let outcome = outcome.unwrap_or(Err(Error::Panicked));
                (outcome, completion)
            }
            Job::EnsureUser(name, completion) => {
                let user = logic::ensure_user(txn, &self.rules, &name);
                let reply = |user| Applied::from((Reply::Authenticated(user), vec![]));
                (user.map(reply), completion)
            }
            Job::Claimed(id) => {
                let from = self.disk.claims().of(id).unwrap_or_default();
                match logic::note_claim(txn, id, from) {
                    Ok(()) => ongoing.claimed.push((id, from)),
                    Err(error) => tracing::error!("{error}"),
                }
                return;
            }
        };
        match outcome {
            Ok(Applied {
                reply,
                events,
                then,
            }) => {
                done.events.extend(events);
                let mut completion = Some(completion);
                if let Some(reply) = reply {
                    done.answers
                        .extend(completion.take().map(|completion| (reply, completion)));
                }
                ongoing.begun.extend(then.map(|then| (then, completion)));
            }
            Err(error) => {
                txn.undo();
                done.answers.push((unavailable(&error), completion));
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
        (false, false) => disk.commit(txn.into_changes(), number, Durability::Now),
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
    Rules {
        options,
        now,
        structures: StructureCache::new(),
    }
}
