//! The handle: reads run where they are asked for, writes go to the writer.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, TrySendError};
use mail::{Event, Reply, Request, UserId};

use crate::disk::Disk;
use crate::logic::{self, Rules};
use crate::writer::{self, Job, Writer};
use crate::{Error, OpenError, Options};

/// Told each commit's events, in commit order, before anyone is answered. Runs on the writer's
/// thread.
pub type Announcer = Box<dyn FnMut(&[Arc<Event>]) + Send>;

/// Told the answer to a write once it is durable. Runs on the writer's thread.
pub type Completion = Box<dyn FnOnce(Reply) + Send>;

/// What opening found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Commits in the store.
    pub commits: u64,
    /// Commits that a clean stop had noted but that are gone: the journal was damaged.
    pub commits_lost: u64,
    /// Uploads that were under way and were removed.
    pub spools_removed: usize,
}

/// The mail store. Clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Arc<Disk>,
    rules: Rules,
    jobs: Mutex<Option<Sender<Job>>>,
    writer: Mutex<Option<JoinHandle<u64>>>,
    mark: Mutex<std::fs::File>,
}

impl Store {
    /// Opens the store in a folder, making it if it is not there, and recovers it.
    ///
    /// # Errors
    /// If the folder can't be used or what is there can't be read.
    pub fn open(
        folder: &Path,
        options: Options,
        announcer: Announcer,
    ) -> Result<(Self, Recovery), OpenError> {
        let path = folder.to_owned();
        let io = |cause: std::io::Error| OpenError::Database {
            path: path.clone(),
            cause: fjall::Error::Io(cause),
        };
        std::fs::create_dir_all(folder).map_err(io)?;
        let disk =
            Disk::open(&folder.join("db"), &options).map_err(|cause| OpenError::Database {
                path: path.clone(),
                cause,
            })?;
        let damaged = |cause| OpenError::Damaged {
            path: path.clone(),
            cause,
        };
        let mut commits = disk.commits().map_err(damaged)?;
        let mut mark = open_mark(folder).map_err(io)?;
        let noted = read_mark(&mut mark).map_err(io)?;
        let mut recovery = Recovery {
            commits,
            commits_lost: noted.saturating_sub(commits),
            spools_removed: 0,
        };
        if recovery.commits_lost > 0 {
            tracing::error!(
                "the store in {} ends at commit {commits}, but {noted} was durable: its journal is \
                 damaged and the last {} commits are lost; restore a backup or accept the loss",
                folder.display(),
                recovery.commits_lost,
            );
            // Said once: the counter goes on from where it was.
            commits = noted;
        }
        recovery.spools_removed = writer::recover(&disk, &mut commits).map_err(damaged)?;
        let disk = Arc::new(disk);
        let (sender, jobs) = crossbeam_channel::bounded(options.queue);
        let rules = writer::rules(options.clone());
        let worker = Writer {
            disk: disk.clone(),
            jobs,
            announcer,
            rules: writer::rules(options),
            commits,
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || worker.run())
            .map_err(io)?;
        let inner = Inner {
            disk,
            rules,
            jobs: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(thread)),
            mark: Mutex::new(mark),
        };
        Ok((
            Self {
                inner: Arc::new(inner),
            },
            recovery,
        ))
    }

    /// Answers a request that changes nothing; `None` if it has to go through [`Store::write`].
    pub fn read(&self, request: &Request) -> Option<Reply> {
        let view = self.inner.disk.view();
        logic::read(&view, &self.inner.rules, request)
            .unwrap_or_else(|error| Some(writer::unavailable(&error)))
    }

    /// Hands a request to the writer.
    ///
    /// # Errors
    /// Gives request and completion back if too many are waiting or the store was closed.
    pub fn write(
        &self,
        request: Request,
        completion: Completion,
    ) -> Result<(), (Request, Completion)> {
        match self.give(Job::Request(request, completion)) {
            Ok(()) => Ok(()),
            Err(Job::Request(request, completion)) => Err((request, completion)),
            Err(Job::EnsureUser(..)) => Ok(()),
        }
    }

    /// The user of that name if the store knows them.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn user(&self, name: &str) -> Result<Option<UserId>, Error> {
        logic::lookup_user(&self.inner.disk.view(), name)
    }

    /// Makes a user known, with an INBOX; answers `Authenticated`.
    ///
    /// # Errors
    /// Gives the completion back if too many jobs are waiting or the store was closed.
    pub fn ensure_user(&self, name: &str, completion: Completion) -> Result<(), Completion> {
        match self.give(Job::EnsureUser(name.to_owned(), completion)) {
            Ok(()) => Ok(()),
            Err(Job::EnsureUser(_, completion) | Job::Request(_, completion)) => Err(completion),
        }
    }

    fn give(&self, job: Job) -> Result<(), Job> {
        let jobs = self.inner.jobs.lock().expect("no panic while it is held");
        match jobs.as_ref() {
            Some(jobs) => jobs.try_send(job).map_err(|error| match error {
                TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
            }),
            None => Err(job),
        }
    }

    /// Does all that waits, and notes how far the store has come. Later writes are refused.
    pub fn close(&self) {
        drop(
            self.inner
                .jobs
                .lock()
                .expect("no panic while it is held")
                .take(),
        );
        let thread = self
            .inner
            .writer
            .lock()
            .expect("no panic while it is held")
            .take();
        let Some(Ok(commits)) = thread.map(JoinHandle::join) else {
            return;
        };
        let mut mark = self.inner.mark.lock().expect("no panic while it is held");
        if let Err(error) = write_mark(&mut mark, commits) {
            tracing::warn!("can't note the last commit: {error}");
        }
    }
}

/// The mark: the number of the last commit at the last clean stop, in a file of its own, since the
/// journal's reader takes damage in its middle for the end.
fn open_mark(folder: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join("commits"))
}

fn read_mark(mark: &mut std::fs::File) -> std::io::Result<u64> {
    let mut text = String::new();
    mark.read_to_string(&mut text)?;
    Ok(text.trim().parse().unwrap_or(0))
}

fn write_mark(mark: &mut std::fs::File, commits: u64) -> std::io::Result<()> {
    mark.seek(SeekFrom::Start(0))?;
    // Twenty digits, so that a later number overwrites an earlier one whole.
    mark.write_all(format!("{commits:020}\n").as_bytes())?;
    mark.sync_all()
}
