//! The handle: reads run where they are asked for, writes go to the writer.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use crossbeam_channel::Sender;
use mail::reply::Opened;
use mail::{MailboxId, MailboxName, Refusal, Reply, Request, UserId};

use crate::callbacks::{Announcer, Completion};
use crate::committer::Committer;
use crate::disk::Disk;
use crate::free_space::FreeSpace;
use crate::frozen::Frozen;
use crate::index::Figures;
use crate::job::{self, Job, Jobs, PutJob};
use crate::key_maker::KeyMaker;
use crate::kv::AtOnce;
use crate::logic::{self, Block, Made, Rules};
use crate::long_read::{LongRead, Piece, Reading};
use crate::opening::{self, Opening, Recovery};
use crate::pipeline::Pipeline;
use crate::put::{Put, PutCompletion};
use crate::read_caches::ReadCaches;
use crate::reconstruct;
use crate::running::RunningQueue;
use crate::sort_keys::Taken;
use crate::stats::Stats;
use crate::writer::{Uploads, Writer};
use crate::{Error, OpenError, Options, Quota};

/// How often a read is begun again because what it needs in memory is not there or has changed.
const READS_MAX: usize = 4;

/// The mail store. Clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    options: Options,
    /// Another one after the store was let go and taken again.
    disk: ArcSwap<Disk>,
    rules: Rules,
    stats: Arc<Stats>,
    jobs: Arc<Jobs>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What is asked for is not in memory: a large mailbox has to be looked through, or a message
/// parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cold;

impl Store {
    /// Opens the store in a folder, making it if it is not there, and recovers it.
    ///
    /// # Errors
    /// If the options contradict each other, the folder can't be used, what is there can't be read,
    /// or something that was durable is gone and [`Options::accept_loss`] is not set.
    pub fn open(
        folder: &Path,
        options: Options,
        announcer: Announcer,
    ) -> Result<(Self, Recovery), OpenError> {
        options.check().map_err(OpenError::Options)?;
        let stats = Arc::new(Stats::default());
        let jobs = Arc::<Jobs>::default();
        let begun = begin(folder, &options, announcer, (&stats, &jobs))?;
        jobs.set(begun.jobs);
        let inner = Inner {
            folder: folder.to_owned(),
            disk: ArcSwap::new(begun.disk),
            rules: Rules {
                block: begun.block.into(),
                ..Rules::new(options.clone())
            },
            options,
            stats,
            jobs,
            writer: Mutex::new(Some(begun.writer)),
        };
        let inner = Arc::new(inner);
        Ok((Self { inner }, begun.recovery))
    }

    /// A store that another process still has: nothing is read or changed before
    /// [`Store::take_again`].
    ///
    /// # Errors
    /// If the options contradict each other.
    pub fn awaited(folder: &Path, options: Options) -> Result<Self, OpenError> {
        options.check().map_err(OpenError::Options)?;
        let inner = Inner {
            folder: folder.to_owned(),
            disk: ArcSwap::from_pointee(Disk::of_nothing(folder, &options)),
            rules: Rules::new(options.clone()),
            options,
            stats: Arc::default(),
            jobs: Arc::default(),
            writer: Mutex::new(None),
        };
        let inner = Arc::new(inner);
        Ok(Self { inner })
    }

    /// Makes the next opening short, while all goes on: little is left in the journal that has to
    /// be read then. False if that takes longer; nothing is lost by it.
    pub fn write_out(&self, within: Duration) -> bool {
        self.disk().write_out(Instant::now() + within)
    }

    /// Closes it, as [`Store::close`] does, and lets go of its files: another process may open
    /// them. Until it is taken again nothing is read either.
    pub fn let_go(&self) {
        self.inner.close();
        self.inner.disk.load().let_go();
    }

    /// Opens a store that was let go, or is awaited, and recovers it: another process may have
    /// changed it.
    ///
    /// # Errors
    /// As of [`Store::open`]; it stays let go then.
    pub fn take_again(&self, announcer: Announcer) -> Result<Recovery, OpenError> {
        let Inner {
            folder,
            options,
            stats,
            jobs,
            ..
        } = &*self.inner;
        let begun = begin(folder, options, announcer, (stats, jobs))?;
        self.inner.rules.block.get_or_init(|| begun.block);
        self.inner.disk.store(begun.disk);
        let mut writer = self.inner.writer.lock().expect("no panic while it is held");
        *writer = Some(begun.writer);
        jobs.set(begun.jobs);
        Ok(begun.recovery)
    }

    fn disk(&self) -> Guard<Arc<Disk>> {
        self.inner.disk.load()
    }

    /// Answers a request that changes nothing; `None` if it has to go through [`Store::write`].
    /// A SELECT claims recent messages; that becomes durable a little later.
    pub fn read(&self, request: &Request) -> Option<Reply> {
        let (disk, rules) = (&self.disk(), &self.inner.rules);
        let mut reading = Reading::default();
        loop {
            let piece = reading.piece(disk, rules, request);
            self.keep_made(&mut reading);
            match piece {
                Ok(Piece::More) => {}
                Ok(Piece::Done(reply)) => return self.finish_read(request, Ok(reply)),
                Err(error) => return self.finish_read(request, Err(error)),
            }
        }
    }

    /// Does a piece of a read: some milliseconds of work. None if there is another piece. What a
    /// search finds is right as of the piece that finds it, and what happened since the asker's
    /// mod-sequence as of the last.
    pub fn read_piece(&self, read: &mut LongRead) -> Option<Reply> {
        let piece = read.piece(&self.disk(), &self.inner.rules);
        self.keep_made(read.reading());
        let outcome = match piece {
            Ok(Piece::More) => return None,
            Ok(Piece::Done(reply)) => Ok(reply),
            Err(error) => Err(error),
        };
        let reply = self.finish_read(read.request(), outcome);
        Some(reply.unwrap_or(Reply::Refused(Refusal::Bug)))
    }

    /// Has kept what a read had to make.
    fn keep_made(&self, reading: &mut Reading) {
        let mut made = reading.take_made();
        made.extend(self.inner.rules.made.take());
        while !made.is_empty() {
            let max = self.inner.rules.options.slice_messages;
            let some = made.split_off(made.len().saturating_sub(max));
            let mut taken = Taken::none_of(&self.inner.jobs.made_room);
            // If too much waits they are made again.
            if !taken.grow_to(some.iter().map(Made::bytes).sum())
                || self.give(Job::Made(some, taken)).is_err()
            {
                self.inner.stats.keys_dropped();
            }
        }
    }

    /// Does some of what can wait until those who asked are answered: saves indexes that were
    /// dropped from memory or have just been made.
    pub fn work_off(&self) {
        self.disk().indexes().work_off();
    }

    /// What is kept in memory because it was used lately, and how many bytes it takes.
    pub fn memory(&self) -> [(&'static str, u64); 5] {
        let caches = self.inner.rules.caches.get();
        let of = |bytes: fn(&ReadCaches) -> u64| caches.map_or(0, bytes);
        [
            ("indexes", self.disk().indexes().bytes()),
            ("structures", of(|caches| caches.structures.bytes())),
            ("headers", of(|caches| caches.headers.bytes())),
            ("sort_keys", of(|caches| caches.sort_keys.bytes())),
            ("header_texts", of(|caches| caches.texts.bytes())),
        ]
    }

    /// Bytes that are free on its disk.
    pub fn free_bytes(&self) -> u64 {
        self.disk().free_bytes()
    }

    /// How many mailboxes' indexes were made of what was saved, how many by a look at all rows, and
    /// how many of those saved could not be trusted.
    pub fn index_counts(&self) -> (u64, u64, u64) {
        self.disk().indexes().counts()
    }

    /// As [`Store::read`], for a thread that others wait for.
    ///
    /// # Errors
    /// If a large mailbox has to be looked through or a message parsed before, or much happened
    /// that the asker has not heard of; nothing was done.
    pub fn read_at_once(&self, request: &Request) -> Result<Option<Reply>, Cold> {
        if let Request::Fetch { want, .. } = request
            && (want.structure || want.header)
        {
            let disk = self.disk();
            let view = disk.view();
            let known = view.and_then(|it| logic::fetch_known(&it, &self.inner.rules, request));
            return match known {
                Ok(None) => Err(Cold),
                known => Ok(self.finish_read(request, known)),
            };
        }
        let mut reading = Reading::default();
        for _ in 0..READS_MAX {
            match self.piece_at_once(&mut reading, request) {
                Ok(Piece::Done(reply)) => return Ok(self.finish_read(request, Ok(reply))),
                Ok(Piece::More) | Err(Error::Moved) => {}
                Err(Error::Cold(_) | Error::Long) => return Err(Cold),
                Err(error) => return Ok(self.finish_read(request, Err(error))),
            }
        }
        Err(Cold)
    }

    /// Claims what a SELECT claims, and says what went wrong.
    fn finish_read(
        &self,
        request: &Request,
        mut reply: Result<Option<Reply>, Error>,
    ) -> Option<Reply> {
        if let Request::Claim { mailbox, below } = request {
            self.disk().claims().told(*mailbox, *below);
        }
        if let (Ok(Some(Reply::Opened(opened))), Request::Open { read_only, .. }) =
            (&mut reply, request)
            && !read_only
            && opened.rights.may_change()
            && let Err(error) = self.claim(opened)
        {
            reply = Err(error);
        }
        reply.unwrap_or_else(|error| {
            if let (Some(mailbox), Ok(view)) = (mailbox_of(request), self.disk().view()) {
                tracing::error!("{} can't be read", logic::place(&view, mailbox));
            }
            Some(job::unavailable(&error))
        })
    }

    /// Reads, or builds the index of a mailbox that is not large.
    fn piece_at_once(&self, reading: &mut Reading, request: &Request) -> Result<Piece, Error> {
        let (disk, rules) = (&self.disk(), &self.inner.rules);
        let view = disk.view()?;
        let outcome = reading.read(&AtOnce(&view), rules, request);
        let Err(Error::Cold(id)) = outcome else {
            return outcome;
        };
        let mailbox = logic::mailbox(&view, id)?;
        let messages_max = rules.options.read_at_once_messages_max;
        if mailbox.is_some_and(|mailbox| mailbox.messages > messages_max) {
            return outcome;
        }
        if let Some(shared) = disk.indexes().build(id) {
            let Ok(mut build) = shared.try_lock() else {
                return outcome;
            };
            logic::build_some(&disk.view()?, &shared, &mut build, usize::MAX)?;
        }
        Ok(Piece::More)
    }

    /// Claims what is recent in a mailbox for the session that has opened it.
    fn claim(&self, opened: &mut Opened) -> Result<(), Error> {
        let (disk, id) = (self.disk(), opened.mailbox);
        let row = || {
            let row = logic::mailbox(&disk.view()?, id)?;
            Ok(row.map_or(opened.uid_next, |row| row.recent_from))
        };
        let (from, is_new) = disk.claims().claim(id, opened.uid_next, row)?;
        opened.recent_from = from;
        if is_new {
            // If the queue is full the next claim notes it too.
            let _ = self.give(Job::Claimed(id));
        }
        Ok(())
    }

    /// Hands a request to the writer.
    ///
    /// # Errors
    /// Gives request and completion back if too many are waiting or the store was closed.
    #[allow(
        clippy::result_large_err,
        reason = "what was not taken is given back as it is"
    )]
    pub fn write(
        &self,
        request: Request,
        completion: Completion,
    ) -> Result<(), (Request, Completion)> {
        match self.give(Job::Request(request, completion)) {
            Ok(()) => Ok(()),
            Err(Job::Request(request, completion)) => Err((request, completion)),
            Err(_) => Ok(()),
        }
    }

    /// The user of that name if the store knows them.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn user(&self, name: &str) -> Result<Option<UserId>, Error> {
        logic::lookup_user(&self.disk().view()?, name)
    }

    /// Whose a mailbox is, and its name; none if it is gone.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn name_of(&self, mailbox: MailboxId) -> Result<Option<(UserId, MailboxName)>, Error> {
        logic::name_of(&self.disk().view()?, mailbox)
    }

    /// The mailbox that an account has under a name; none if there is no such.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn mailbox_named(
        &self,
        account: &str,
        name: &MailboxName,
    ) -> Result<Option<MailboxId>, Error> {
        let disk = self.disk();
        let view = disk.view()?;
        let Some(user) = logic::lookup_user(&view, account)? else {
            return Ok(None);
        };
        Ok(logic::named_mailbox(&view, user, name)?.map(|(id, _)| id))
    }

    /// A user's name.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn user_name(&self, user: UserId) -> Result<String, Error> {
        logic::user_name(&self.disk().view()?, user)
    }

    /// Makes a user known, with an INBOX; answers `Authenticated`.
    ///
    /// # Errors
    /// Gives the completion back if too many jobs are waiting or the store was closed.
    pub fn ensure_user(&self, name: &str, completion: Completion) -> Result<(), Completion> {
        match self.give(Job::EnsureUser(name.to_owned(), completion)) {
            Ok(()) => Ok(()),
            Err(Job::EnsureUser(_, completion) | Job::Request(_, completion)) => Err(completion),
            Err(_) => Ok(()),
        }
    }

    /// Hands something of a restore or an import to the writer.
    ///
    /// # Errors
    /// Gives it back if too many jobs are waiting or the store was closed; nobody is told then.
    #[allow(
        clippy::result_large_err,
        reason = "what was not taken is given back as it is"
    )]
    pub fn put(&self, put: Put, told: PutCompletion) -> Result<(), Put> {
        match self.give(Job::Put(PutJob::new(put, told))) {
            Ok(()) => Ok(()),
            Err(Job::Put(job)) => Err(job.put),
            Err(_) => Ok(()),
        }
    }

    /// What a user has, and what they may have.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn usage(&self, user: UserId) -> Result<(Quota, Quota), Error> {
        logic::usage(&self.disk().view()?, &self.inner.rules, user)
    }

    /// The store as of the last commit.
    ///
    /// # Errors
    /// If the disk fails or the database is closed.
    pub fn freeze(&self) -> Result<Frozen, Error> {
        Frozen::new(&self.disk())
    }

    #[allow(
        clippy::result_large_err,
        reason = "what was not taken is given back as it is"
    )]
    fn give(&self, job: Job) -> Result<(), Job> {
        self.inner.jobs.give(job)
    }

    /// Whether it was closed: nothing can be changed any more.
    pub fn is_closed(&self) -> bool {
        !self.inner.jobs.are_taken()
    }

    /// Whether the writer has ended although the store was not closed: nothing can be changed any
    /// more.
    pub fn has_failed(&self) -> bool {
        let writer = self.inner.writer.lock().expect("no panic while it is held");
        writer.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// What the writer has counted.
    pub fn stats(&self) -> &Stats {
        &self.inner.stats
    }

    /// Does all that waits, and notes how far the store has come. Later writes are refused, reads
    /// are answered as before.
    pub fn close(&self) {
        self.inner.close();
    }
}

/// A store at work.
struct Begun {
    disk: Arc<Disk>,
    block: Block,
    jobs: Sender<Job>,
    writer: JoinHandle<()>,
    recovery: Recovery,
}

/// Opens the files and starts the writer.
fn begin(
    folder: &Path,
    options: &Options,
    announcer: Announcer,
    (stats, to_writer): (&Arc<Stats>, &Arc<Jobs>),
) -> Result<Begun, OpenError> {
    let mut opening = opening::open(folder, options)?;
    let damaged = |cause| OpenError::Damaged {
        path: folder.to_owned(),
        cause,
    };
    if opening.recovery.loss.is_some() {
        mend(&mut opening, options).map_err(damaged)?;
    }
    forget_indexes_of_none(&opening.disk).map_err(damaged)?;
    let disk = Arc::new(opening.disk);
    let (sender, jobs) = crossbeam_channel::bounded(options.queue);
    let cannot_start = |cause| OpenError::Folder {
        path: folder.to_owned(),
        cause,
    };
    let to_writer_of_maker = to_writer.clone();
    #[allow(
        clippy::result_large_err,
        reason = "what was not taken is given back as it is"
    )]
    let give = move |job| to_writer_of_maker.give(job);
    let key_maker = KeyMaker::start(stats.clone(), to_writer.made_room.clone(), give);
    let key_maker = key_maker.map_err(cannot_start)?;
    let block = opening.block;
    let worker = Writer {
        key_maker,
        pipeline: Pipeline::new(Committer::start(disk.clone()).map_err(cannot_start)?),
        disk: disk.clone(),
        jobs,
        announcer,
        rules: Rules {
            block: block.into(),
            came: Some(Mutex::default()),
            ..Rules::new(options.clone())
        },
        commits: opening.recovery.commits,
        durable: opening.recovery.commits,
        marker: opening.marker,
        free: FreeSpace::default(),
        uploads: Uploads::default(),
        stats: stats.clone(),
        running: RunningQueue::unfinished(&disk).map_err(damaged)?,
    };
    let writer = std::thread::Builder::new()
        .name("store-writer".into())
        .spawn(move || worker.run())
        .map_err(cannot_start)?;
    Ok(Begun {
        disk,
        block,
        jobs: sender,
        writer,
        recovery: opening.recovery,
    })
}

/// What was lost may have left rows that don't belong together: they are repaired before anybody
/// sees them.
fn mend(opening: &mut Opening, options: &Options) -> Result<(), Error> {
    let summary = reconstruct::survey(opening, options, true)?;
    let lost = summary.findings.iter().filter(|finding| finding.is_lost);
    opening.recovery.messages_lost = lost.clone().filter(|it| it.uid.is_some()).count();
    for finding in &summary.findings {
        tracing::error!("after the loss: {finding}");
    }
    Ok(())
}

/// Saved indexes of mailboxes that are gone are not needed any more, and those from after what the
/// store holds are of another history. This has to be seen before anything else happens to them.
fn forget_indexes_of_none(disk: &Disk) -> Result<(), Error> {
    let Some(files) = disk.indexes().files() else {
        return Ok(());
    };
    let view = disk.view()?;
    for id in files.saved() {
        // A damaged row is that mailbox's trouble, not all others'.
        let row = logic::mailbox(&view, id).ok().flatten();
        if !row.is_some_and(|row| files.may_be_before(id, &Figures::from(&row))) {
            files.forget(id);
        }
    }
    files.work_off();
    Ok(())
}

/// The mailbox that a request reads.
fn mailbox_of(request: &Request) -> Option<MailboxId> {
    match request {
        Request::Sync { mailbox, .. }
        | Request::View { mailbox, .. }
        | Request::Changes { mailbox, .. }
        | Request::Fetch { mailbox, .. }
        | Request::Read { mailbox, .. }
        | Request::Decode { mailbox, .. }
        | Request::Search { mailbox, .. }
        | Request::Arrange { mailbox, .. } => Some(*mailbox),
        _ => None,
    }
}

impl Inner {
    fn close(&self) {
        self.jobs.end();
        let thread = self
            .writer
            .lock()
            .expect("no panic while it is held")
            .take();
        let Some(thread) = thread else {
            // It was closed before.
            return;
        };
        // A completion that held the last handle is run by the writer itself.
        let is_writer = thread.thread().id() == std::thread::current().id();
        if !is_writer && thread.join().is_err() {
            tracing::error!("the store's writer had panicked");
        }
        self.disk.load().indexes().save_all();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}
