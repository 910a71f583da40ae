//! The one thread that changes anything: all that waits becomes one commit.
//!
//! While a group is being committed ([`crate::committer`]) the next one is applied over it, as far
//! as it needs nothing that only commits bring up to date. It is handed on when the one before is
//! durable, and fails if that has failed. So commits, announcements and answers keep their order.

mod ending;
mod putting;
mod uploads;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, select_biased};
use mail::{Refusal, Reply};

use crate::Error;
use crate::callbacks::Announcer;
use crate::commit_marker::CommitMarker;
use crate::committer::{Commit, Outcome};
use crate::disk::{Disk, Durability};
use crate::free_space::FreeSpace;
use crate::group::{Done, Group, InFlight, More, Ongoing};
use crate::job::{self, Job, disk_full, grows, refusal, unavailable};
use crate::key_maker::KeyMaker;
use crate::kv::{Changes, Kv, Pending, Transaction};
use crate::logic::{self, Applied, Operation, Rules, Step};
use crate::notification::Notification;
use crate::pipeline::Pipeline;
use crate::running::RunningQueue;
use crate::stats::Stats;
pub(crate) use uploads::Uploads;

/// How long to wait while operations that go on wait for something else.
const PAUSE: Duration = Duration::from_millis(1);
/// How long they wait after the database has failed; what is asked meanwhile is tried at once.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// Operations of a commit from which on the next group is applied meanwhile: with fewer, waking
/// another thread costs more than it brings.
const CROWD: usize = 4;

/// What the writer does next.
enum Next {
    Job(Job),
    /// A slice of what goes on.
    Slice,
    /// The group that was being committed is, or has failed.
    Committed(Outcome),
    /// Nobody can give it jobs any more.
    End,
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
    pub key_maker: KeyMaker,
    /// What goes on slice by slice.
    pub running: RunningQueue,
    pub pipeline: Pipeline,
}

impl Writer {
    /// Works until nobody can give it jobs any more and all are done.
    pub fn run(mut self) {
        let mut pause = Duration::ZERO;
        loop {
            let (is_idle, waits) = (self.pipeline.in_flight.is_none(), Instant::now());
            self.running.work_off(waits);
            let next = self.next(pause);
            let began = if is_idle { Instant::now() } else { waits };
            match next {
                Next::Job(job) => pause = self.work(Some(job)),
                Next::Slice => pause = self.work(None),
                Next::Committed(outcome) => drop(self.settle(outcome)),
                Next::End => break,
            }
            self.stats.worked(began);
        }
        let _ = self.await_commit();
        self.end();
        self.marker.sync();
    }

    /// Waits for something to do; for no longer than that if there are slices to do.
    fn next(&mut self, pause: Duration) -> Next {
        if let Some(job) = self.pipeline.held.pop_front() {
            return Next::Job(job);
        }
        if self.pipeline.in_flight.is_some() {
            return select_biased! {
                recv(self.pipeline.committer.outcomes()) -> outcome => {
                    Next::Committed(outcome.expect("the committer has not ended"))
                }
                recv(self.jobs) -> job => job.map_or(Next::End, Next::Job),
            };
        }
        let job = match self.running.is_empty() {
            true => self.jobs.recv_deadline(self.running.work_off_at()),
            false => self.jobs.recv_timeout(pause),
        };
        match job {
            Ok(job) => Next::Job(job),
            Err(RecvTimeoutError::Timeout) => Next::Slice,
            Err(RecvTimeoutError::Disconnected) => Next::End,
        }
    }

    /// Does a group of jobs, or a slice of what goes on, or both. Gives how long what goes on waits
    /// for its next turn, if nothing else comes.
    fn work(&mut self, first: Option<Job>) -> Duration {
        let is_light = first.as_ref().is_some_and(Job::is_light) && self.running.is_empty();
        if !is_light {
            let _ = self.await_commit();
        }
        let mut group = Group {
            lasts: !self.running.is_empty(),
            ..Group::default()
        };
        first.into_iter().for_each(|job| group.take(job));
        self.gather(&mut group);
        self.rules.now = (self.rules.options.now)();
        let sound = match self.pipeline.in_flight {
            None => self.make_sound(),
            Some(_) => Ok(()),
        };
        match sound.and_then(|()| self.carry_out(&mut group)) {
            Ok(true) => Duration::ZERO,
            Ok(false) => PAUSE,
            Err(error) => {
                let refusal = refusal(&error);
                let jobs = group.jobs.drain(..);
                for (reply, completion) in jobs.filter_map(|job| job.refused(&refusal)) {
                    completion(reply);
                }
                FAILURE_PAUSE
            }
        }
    }

    /// Takes what waits into a group, as far as it may be in it.
    fn gather(&mut self, group: &mut Group) {
        while !group.is_full() {
            let held = self.pipeline.held.pop_front();
            let Some(job) = held.or_else(|| self.jobs.try_recv().ok()) else {
                return;
            };
            if self.pipeline.in_flight.is_some() && !job.is_light() {
                self.pipeline.held.push_front(job);
                return;
            }
            group.take(job);
        }
    }

    /// Waits for more to do as long as the group before is being committed.
    fn more(&mut self, group: &mut Group) -> More {
        let pipeline = &mut self.pipeline;
        if pipeline.in_flight.is_none() || !pipeline.held.is_empty() || group.is_full() {
            return More::Nothing;
        }
        select_biased! {
            recv(pipeline.committer.outcomes()) -> outcome => {
                let outcome = outcome.expect("the committer has not ended");
                if outcome.result.is_err() {
                    return More::Failed(outcome);
                }
                let _ = self.settle(outcome);
                More::Nothing
            }
            recv(self.jobs) -> job => {
                match job {
                    Ok(job) if job.is_light() => group.take(job),
                    Ok(job) => pipeline.held.push_back(job),
                    Err(_) => return More::Nothing,
                }
                More::Jobs
            }
        }
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
        self.pipeline.hot.clear();
        self.rules.names.clear();
        // Opening it has synced all that was found.
        (self.commits, self.durable) = (commits, commits);
        Ok(())
    }

    /// Applies a group and hands it on. True if there was something to do.
    fn carry_out(&mut self, group: &mut Group) -> Result<bool, Error> {
        let disk = self.disk.clone();
        let view = disk.view()?;
        let hot = self.pipeline.hot.clone();
        let before = self.pipeline.in_flight.as_ref();
        let before = before.map(|group| group.commit.changes.clone());
        let pending = before.as_deref().map(|changes| Pending {
            base: &view,
            changes,
        });
        let below: &dyn Kv = pending.as_ref().map_or(&view, |pending| pending);
        let rows = hot.over(below);
        let mut txn = match &self.rules.options.observer {
            Some(_) => Transaction::observed(&rows),
            None => Transaction::new(&rows),
        };
        let mut done = Done {
            has_moved: !group.jobs.is_empty(),
            ..Done::default()
        };
        let mut ongoing = Ongoing::default();
        let failed = self.apply_all(&mut txn, group, &mut done, &mut ongoing);
        if self.pipeline.in_flight.is_none() && failed.is_none() {
            self.go_on(&mut txn, &mut done, &mut ongoing);
        }
        self.note_uploads(&done);
        for job in std::mem::take(&mut done.waits) {
            if let Err(job) = self.pipeline.wait(job) {
                done.answers.extend(job.refused(&refusal(&Error::Waits)));
            }
        }
        done.notifications = txn.take_notifications();
        done.came = self.rules.take_bodies();
        let changes = txn.into_changes();
        // The database can be opened again only when nobody looks at it.
        drop(view);
        let settled = match failed {
            Some(outcome) => self.settle(outcome),
            None => self.await_commit(),
        };
        let (has_moved, ends) = (done.has_moved, done.ends);
        match settled {
            Ok(()) => self.hand_on(changes, group, done, ongoing),
            Err(refusal) => {
                done.fail(&refusal);
                self.give_up(ongoing, &refusal);
            }
        }
        if ends || self.running.is_empty() {
            self.pipeline.wake();
        }
        Ok(has_moved)
    }

    /// Applies a group, and what comes while the one before is being committed. Gives what became
    /// of that if it has failed.
    fn apply_all(
        &mut self,
        txn: &mut Transaction<'_>,
        group: &mut Group,
        done: &mut Done,
        ongoing: &mut Ongoing,
    ) -> Option<Outcome> {
        loop {
            let bytes: usize = group.jobs.iter().map(Job::body_bytes).sum();
            let min = self.rules.options.disk_free_bytes_min;
            let disk = &self.disk;
            // Bodies are written twice: to the journal, and later to tables.
            let full = min > 0
                && !self
                    .free
                    .has_room(2 * bytes as u64, min, Instant::now(), || disk.free_bytes());
            for job in group.jobs.drain(..) {
                txn.begin();
                self.apply(txn, job, full, done, ongoing);
            }
            match self.more(group) {
                More::Jobs => self.gather(group),
                More::Nothing => return None,
                More::Failed(outcome) => return Some(outcome),
            }
        }
    }

    /// Commits a group, or has it committed while the next one is applied.
    fn hand_on(&mut self, changes: Changes, group: &Group, done: Done, ongoing: Ongoing) {
        if changes.is_empty() {
            self.finish(done);
            self.keep(ongoing);
            return;
        }
        self.pipeline.hot.apply(&changes);
        let commit = Commit {
            changes: Arc::new(changes),
            number: self.commits + 1,
            durability: match group.lasts {
                true => Durability::Now,
                false => Durability::WithTheNext,
            },
        };
        let pipeline = &mut self.pipeline;
        pipeline.crowd = group.count.max(pipeline.crowd.saturating_sub(1));
        if ongoing.is_empty() && pipeline.crowd >= CROWD {
            pipeline.committer.begin(commit.clone());
            pipeline.in_flight = Some(InFlight { commit, done });
            return;
        }
        let outcome = commit.carry_out(&self.disk);
        pipeline.in_flight = Some(InFlight { commit, done });
        match self.settle(outcome) {
            Ok(()) => self.keep(ongoing),
            Err(refusal) => self.give_up(ongoing, &refusal),
        }
    }

    /// Waits until nothing is in flight.
    ///
    /// # Errors
    /// Why not if what was has failed.
    fn await_commit(&mut self) -> Result<(), Refusal> {
        if self.pipeline.in_flight.is_none() {
            return Ok(());
        }
        let outcome = self.pipeline.committer.outcomes().recv();
        self.settle(outcome.expect("the committer has not ended"))
    }

    /// Tells everybody what became of the group that was being committed.
    ///
    /// # Errors
    /// Why not if it has failed: then so has what was applied over it.
    fn settle(&mut self, outcome: Outcome) -> Result<(), Refusal> {
        let Some(InFlight { commit, done }) = self.pipeline.in_flight.take() else {
            return Ok(());
        };
        let Outcome { result, took } = outcome;
        match self.confirm(&commit, result) {
            Ok(()) => {
                match commit.durability {
                    Durability::Now => self.stats.committed(done.answers.len().max(1), took),
                    Durability::WithTheNext => self.stats.put_off(took),
                }
                self.finish(done);
                Ok(())
            }
            Err(error) => {
                self.pipeline.hot.clear();
                self.rules.names.clear();
                let refusal = refusal(&error);
                done.fail(&refusal);
                Err(refusal)
            }
        }
    }

    /// A commit came to an end; if it has failed, finds out whether it is there nevertheless.
    fn confirm(&mut self, commit: &Commit, result: Result<(), Error>) -> Result<(), Error> {
        let number = commit.number;
        if let Err(error) = result {
            tracing::error!("commit {number} failed: {error}");
            let is_there = self.reopen().is_ok() && self.commits == number;
            if !is_there {
                return Err(error);
            }
            tracing::warn!("commit {number} was found complete after opening the database again");
        }
        self.commits = number;
        if commit.durability == Durability::Now {
            self.durable = number;
            self.marker.note(number);
        }
        Ok(())
    }

    /// A group is committed: announces it and answers.
    fn finish(&mut self, done: Done) {
        for (id, from) in done.claimed {
            self.disk.claims().noted(id, from);
        }
        if !done.news.is_empty() {
            (self.announcer)(done.news);
        }
        // Who is answered may log out, and that comes after this.
        self.observe(done.notifications);
        for (reply, completion) in done.answers {
            completion(reply);
        }
        // On few cores a thread that is woken takes the core of those who are answered.
        if let Some(observer) = &self.rules.options.observer {
            observer.answered();
        }
        for (body, begins) in done.came {
            self.key_maker.came(body, begins);
        }
    }

    /// Does a slice of what goes on.
    fn go_on(&mut self, txn: &mut Transaction<'_>, done: &mut Done, ongoing: &mut Ongoing) {
        let Some((at, mut running)) = self.running.take() else {
            return;
        };
        txn.begin();
        let name = running.operation.name();
        if running.operation.is_work_off() && self.note_claims(txn, done) {
            done.has_moved = true;
            ongoing.slice = Some((at, running));
            return;
        }
        let slice = AssertUnwindSafe(|| running.operation.go_on(txn, &self.rules));
        let step = self.timed(name, || catch_unwind(slice));
        let step = step.unwrap_or(Err(Error::Panicked));
        match step {
            Ok(Step::More(events)) => {
                done.news.extend(logic::news_of(txn, &self.rules, events));
                done.has_moved = true;
                ongoing.slice = Some((at, running));
            }
            Ok(Step::Waits) => ongoing.slice = Some((at, running)),
            Ok(Step::Done(reply, events, then)) => {
                done.news.extend(logic::news_of(txn, &self.rules, events));
                done.has_moved = true;
                done.ends = true;
                ongoing.begun.extend(then.map(|then| (then, None)));
                let completion = running.completion;
                done.answers
                    .extend(completion.map(|completion| (*reply, completion)));
            }
            Err(error) => {
                txn.undo();
                let reply = unavailable(&error);
                done.ends = true;
                let failed = running.operation.failed(refusal(&error));
                ongoing.begun.extend(failed.map(|then| (then, None)));
                let completion = running.completion;
                done.answers
                    .extend(completion.map(|completion| (reply, completion)));
            }
        }
    }

    /// A group is committed: what has begun goes on.
    fn keep(&mut self, ongoing: Ongoing) {
        if let Some((at, running)) = ongoing.slice {
            self.running.give_back(at, running);
        }
        for (operation, completion) in ongoing.begun {
            if let Err((refusal, Some(completion))) = self.running.add(operation, completion) {
                completion(Reply::Refused(refusal));
            }
        }
    }

    fn give_up(&mut self, ongoing: Ongoing, refusal: &Refusal) {
        if let Some(undoes) = ongoing.fail(refusal) {
            let _ = self.running.add(undoes, None);
        }
    }

    fn observe(&self, notifications: Vec<Notification>) {
        if let Some(observer) = &self.rules.options.observer
            && !notifications.is_empty()
        {
            observer.note(notifications);
        }
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
                let may_wait = !self.running.is_empty()
                    || !ongoing.begun.is_empty()
                    || job::may_be_cold(&request);
                let again = may_wait.then(|| request.clone());
                let apply = AssertUnwindSafe(|| logic::apply(txn, &self.rules, request));
                let outcome = self.timed(name, || catch_unwind(apply));
                let outcome = outcome.unwrap_or(Err(Error::Panicked));
                match (outcome, again) {
                    (Err(error @ (Error::Waits | Error::Cold(_))), Some(request)) => {
                        txn.undo();
                        if let Error::Cold(id) = error {
                            ongoing.begun.push((Operation::warm_up(id), None));
                        }
                        done.waits.push(Job::Request(request, completion));
                        return;
                    }
                    (outcome, _) => (outcome, completion),
                }
            }
            Job::EnsureUser(name, completion) => {
                let user = logic::ensure_user(txn, &self.rules, &name);
                let reply = |user| Applied::from((Reply::Authenticated(user), vec![]));
                (user.map(reply), completion)
            }
            Job::Claimed(id) => {
                let from = self.disk.claims().of(id).unwrap_or_default();
                match logic::note_claim(txn, id, from) {
                    Ok(()) => done.claimed.push((id, from)),
                    Err(error) => tracing::error!("{error}"),
                }
                return;
            }
            Job::Made(made, _taken) => return logic::keep_made(txn, made),
            Job::Put(job) => match self.apply_put(txn, job, full, done) {
                Some(outcome) => outcome,
                None => return,
            },
        };
        match outcome {
            Ok(Applied {
                reply,
                events,
                then,
            }) => {
                done.news.extend(logic::news_of(txn, &self.rules, events));
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
