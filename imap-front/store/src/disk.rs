//! Rows in fjall, and the commit counter that makes a lost tail visible.
//!
//! What fjall guarantees: a batch is one checksummed journal record, all or nothing, seen by
//! snapshots only after it was synced. What it doesn't: after any failed write or sync, or a
//! failed flush in the background, it refuses everything until it is opened again. So this module
//! opens it again, and by the counter it finds out whether a commit that failed is there after all.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fjall::{
    AbstractTree, CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions,
    PersistMode, Readable, Snapshot,
};
use mail::{MailboxId, Uid};

use crate::claims::Claims;
use crate::index_cache::IndexCache;
use crate::index_files::IndexFiles;
use crate::inspect::{self, Record};
use crate::key_scan::KeyScan;
use crate::kv::{Changes, Kv, Space, Visit};
use crate::logic::keys;
use crate::loss::{Fault, Loss};
use crate::progress::{COMMITS, DURABLE, Progress, TOUCHED, Touched};
use crate::written_out::WrittenOut;
use crate::{Error, Options};

/// Journals are written out to tables before they take more than this.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;
/// Memtables that may wait to be written out before commits wait for them.
const FLUSHES_MAX: usize = 2;
/// Values below this size are copied when they are read, and bodies when they are written.
const COPIED_BYTES: usize = 16 << 10;
/// How long to wait before looking again whether they were written out.
const FLUSH_WAIT: Duration = Duration::from_millis(1);

/// When a commit becomes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Before it is confirmed.
    Now,
    /// With the next commit that is to be durable; what was confirmed meanwhile may be lost.
    WithTheNext,
}

/// The database, which may be closed after a failure until it can be opened again.
pub(crate) struct Disk {
    folder: PathBuf,
    options: Options,
    opened: RwLock<Option<Opened>>,
    /// As of the last commit that is there.
    progress: Mutex<Progress>,
    /// The last commit that is durable.
    durable: AtomicU64,
    indexes: IndexCache,
    claims: Claims,
    /// Which opening of a database this is: what was taken of others is of no use.
    generation: AtomicU64,
    /// What need not be read of the journal when it is opened again.
    written_out: Mutex<Option<WrittenOut>>,
}

/// A number for an opening, which no other in this process has.
fn next_generation() -> u64 {
    static OPENINGS: AtomicU64 = AtomicU64::new(1);
    OPENINGS.fetch_add(1, Ordering::Relaxed)
}

struct Opened {
    database: Database,
    spaces: Vec<Keyspace>,
}

impl Opened {
    fn open(folder: &Path, options: &Options) -> fjall::Result<Self> {
        let database = Database::builder(folder)
            .cache_size(options.cache_bytes)
            .max_cached_files(Some(options.files_max))
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .journal_compression(CompressionType::None)
            // Two, so that memtables are written out while tables are merged.
            .worker_threads(2)
            .open()?;
        let memtable_bytes = options.write_buffer_bytes / 4;
        let spaces = Space::ALL
            .into_iter()
            .map(|space| {
                database.keyspace(space.name(), || {
                    let separation = (space == Space::Bodies).then(KvSeparationOptions::default);
                    KeyspaceCreateOptions::default()
                        .max_memtable_size(memtable_bytes)
                        .with_kv_separation(separation)
                })
            })
            .collect::<fjall::Result<Vec<_>>>()?;
        // What was recovered may have been in the page cache only.
        database.persist(PersistMode::SyncAll)?;
        Ok(Self { database, spaces })
    }

    fn space(&self, space: Space) -> &Keyspace {
        &self.spaces[space as usize]
    }

    /// An error if the database refuses to go on.
    fn check(&self) -> fjall::Result<()> {
        self.database.persist(PersistMode::Buffer)
    }

    fn progress(&self) -> Result<Progress, Error> {
        match self.space(Space::Meta).get(COMMITS)? {
            Some(row) => Progress::decode(&row),
            None => Ok(Progress::default()),
        }
    }

    /// The commit that touched a keyspace last, as the keyspace has it, as of a sequence number.
    fn touched(&self, space: Space, sequence: u64) -> Result<u64, Error> {
        let tree = &self.space(space).tree;
        let row = match space {
            Space::Meta => tree.get(COMMITS, sequence),
            _ => tree.get(TOUCHED, sequence),
        };
        match row.map_err(fjall::Error::from)? {
            Some(row) if space == Space::Meta => Ok(Progress::decode(&row)?.commit),
            Some(row) => Ok(Touched::decode(&row)?.commit),
            None => Ok(0),
        }
    }

    /// Keyspaces that stand at another commit than they should, `first` being the first record of
    /// the oldest journal: all before it must be in tables.
    fn behind(&self, first: Option<&Record>) -> Result<Vec<Behind>, Error> {
        let progress = self.progress()?;
        let mut behind = Vec::new();
        for space in Space::ALL {
            let mut compare = |sequence, should| -> Result<(), Error> {
                let has = self.touched(space, sequence)?;
                if has != should {
                    behind.push(Behind { space, has, should });
                }
                Ok(())
            };
            if !progress.is_number_only {
                compare(u64::MAX, progress.touched(space))?;
            }
            let is_to_check = |first: &&Record| {
                !first.progress.is_number_only && first.progress.commit > progress.accepted
            };
            let Some(first) = first.filter(is_to_check) else {
                continue;
            };
            let is_past = self.space(space).tree.get_highest_persisted_seqno();
            if is_past.is_none_or(|past| past < first.sequence) {
                let mut touched = first
                    .touched
                    .iter()
                    .filter(|(touched, _)| *touched == space);
                let before = match (space, touched.next()) {
                    (Space::Meta, _) => first.progress.before,
                    (_, Some((_, row))) => row.before,
                    (_, None) => first.progress.touched(space),
                };
                compare(first.sequence, before)?;
            }
        }
        Ok(behind)
    }
}

/// A keyspace that stands at another commit than it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    pub space: Space,
    pub has: u64,
    pub should: u64,
}

impl Behind {
    /// As a fault of the database in a folder.
    pub fn fault(&self, folder: &Path) -> Fault {
        let Self { space, has, should } = self;
        let what = format!(
            "its {} stand at commit {has} instead of {should}",
            space.name()
        );
        Fault::new(folder, what)
    }
}

impl Disk {
    pub fn open(folder: &Path, options: &Options) -> Result<Self, Error> {
        let opened = Opened::open(folder, options)?;
        let files = folder
            .parent()
            .map(|store| IndexFiles::new(store, options.read_at_once_messages_max));
        Ok(Self {
            folder: folder.to_owned(),
            options: options.clone(),
            progress: Mutex::new(opened.progress()?),
            // Opening it has synced all that was found.
            durable: AtomicU64::new(opened.progress()?.commit),
            opened: RwLock::new(Some(opened)),
            indexes: IndexCache::new(options.index_bytes_max, files),
            claims: Claims::default(),
            generation: AtomicU64::new(next_generation()),
            written_out: Mutex::default(),
        })
    }

    /// One that is closed until it is replaced.
    pub fn of_nothing(folder: &Path, options: &Options) -> Self {
        Self {
            folder: folder.to_owned(),
            options: options.clone(),
            progress: Mutex::default(),
            durable: AtomicU64::new(0),
            opened: RwLock::new(None),
            indexes: IndexCache::new(options.index_bytes_max, None),
            claims: Claims::default(),
            generation: AtomicU64::new(next_generation()),
            written_out: Mutex::default(),
        }
    }

    /// Closes the database for good, once nobody looks at it.
    pub fn let_go(&self) {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        drop(opened.take());
        let written_out = self.written_out().take();
        let cut_off = written_out.map(|it| it.cut_off(&self.folder));
        if let Some(Err(error)) = cut_off {
            tracing::warn!("the journal is left as long as it is: {error}");
        }
    }

    /// Has what commits wrote so far written to tables, while all goes on, so that what stands
    /// there need not be read when the database is opened: [`Disk::let_go`] cuts it off the
    /// journal. False if that is not done in time, or the database refuses.
    pub fn write_out(&self, until: Instant) -> bool {
        let guard = self.opened();
        let Some(opened) = guard.as_ref() else {
            return false;
        };
        let commit = self.commits();
        if (opened.spaces.iter()).any(|space| space.rotate_memtable().is_err()) {
            return false;
        }
        let waits = |space: &Keyspace| space.tree.sealed_memtable_count() > 0;
        while opened.spaces.iter().any(waits) {
            if opened.check().is_err() || Instant::now() > until {
                return false;
            }
            std::thread::sleep(FLUSH_WAIT);
        }
        let Ok(found) = WrittenOut::find(&self.folder, commit) else {
            return false;
        };
        *self.written_out() = found;
        true
    }

    fn written_out(&self) -> MutexGuard<'_, Option<WrittenOut>> {
        self.written_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keyspaces that stand at another commit than they should; see [`Opened::behind`].
    ///
    /// # Errors
    /// If what commits noted can't be read.
    pub fn behind(&self, first: Option<&Record>) -> Result<Vec<Behind>, Error> {
        self.opened().as_ref().ok_or(Error::Closed)?.behind(first)
    }

    fn opened(&self) -> RwLockReadGuard<'_, Option<Opened>> {
        self.opened.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A consistent view of what is committed.
    ///
    /// # Errors
    /// If the database is closed.
    pub fn view(&self) -> Result<View<'_>, Error> {
        let opened = self.opened();
        let snapshot = opened.as_ref().ok_or(Error::Closed)?.database.snapshot();
        Ok(View {
            opened,
            snapshot,
            indexes: &self.indexes,
            claims: &self.claims,
            // It changes only while nobody has a view.
            generation: self.generation.load(Ordering::Relaxed),
        })
    }

    /// A view of what is committed, and what [`Disk::view_of`] needs for another of the same.
    ///
    /// # Errors
    /// If the database is closed.
    pub fn view_now(&self) -> Result<(View<'_>, u64), Error> {
        let view = self.view()?;
        let generation = view.generation;
        Ok((view, generation))
    }

    /// The view of a snapshot.
    ///
    /// # Errors
    /// If the database was closed since it was taken.
    pub fn view_of(&self, snapshot: &Snapshot, generation: u64) -> Result<View<'_>, Error> {
        let opened = self.opened();
        if opened.is_none() || self.generation.load(Ordering::Relaxed) != generation {
            return Err(Error::Closed);
        }
        Ok(View {
            opened,
            snapshot: snapshot.clone(),
            indexes: &self.indexes,
            claims: &self.claims,
            generation,
        })
    }

    /// Commits changes as one atomic batch with the next number of the counter.
    ///
    /// # Errors
    /// If it failed; it may be there nevertheless: see [`Disk::reopen`].
    pub fn commit(
        &self,
        changes: &Changes,
        number: u64,
        durability: Durability,
    ) -> Result<(), Error> {
        let mut touched: Vec<Space> = changes.keys().map(|(space, _)| *space).collect();
        touched.dedup();
        let progress = self.progress().next(number, &touched);
        self.write(changes, &touched, progress, durability)
    }

    /// As [`Disk::commit`]; what was lost before is accepted.
    ///
    /// # Errors
    /// If it failed.
    pub fn accept(&self, changes: &Changes, number: u64) -> Result<(), Error> {
        let progress = self.progress().accepting(number);
        self.write(changes, &Space::ALL, progress, Durability::Now)
    }

    fn write(
        &self,
        changes: &Changes,
        touched: &[Space],
        progress: Progress,
        durability: Durability,
    ) -> Result<(), Error> {
        let guard = self.opened();
        let opened = guard.as_ref().ok_or(Error::Closed)?;
        // What is not synced can't get ahead of the journal: the database syncs that before it
        // writes a table.
        let mode = (durability == Durability::Now).then_some(PersistMode::SyncData);
        let mut batch = opened.database.batch().durability(mode);
        for ((space, key), value) in changes {
            match value {
                // A small body may be a part of a large buffer, which it would keep in memory.
                Some(value) if *space == Space::Bodies && value.len() < COPIED_BYTES => {
                    batch.insert(opened.space(*space), &key[..], &value[..]);
                }
                Some(value) => batch.insert(opened.space(*space), &key[..], value.clone()),
                None => batch.remove(opened.space(*space), &key[..]),
            }
        }
        for &space in touched.iter().filter(|space| **space != Space::Meta) {
            let commit = progress.commit;
            let before = self.progress().touched(space);
            let row = Touched { commit, before }.encode();
            batch.insert(opened.space(space), TOUCHED, &row[..]);
        }
        let durable = self.durable.load(Ordering::Relaxed);
        if durable < progress.before || durability == Durability::WithTheNext {
            batch.insert(opened.space(Space::Meta), DURABLE, keys::number(durable));
        }
        batch.insert(opened.space(Space::Meta), COMMITS, progress.encode());
        // The database waits without end for memtables to be written out, even if what should
        // write them has failed; so that waiting is done here, where it can end.
        while opened.database.outstanding_flushes() > FLUSHES_MAX {
            opened.check()?;
            std::thread::sleep(FLUSH_WAIT);
        }
        batch.commit()?;
        self.indexes.committed(changes);
        *self.progress() = progress;
        if durability == Durability::Now {
            self.durable.store(progress.commit, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The number of the last commit that is there.
    pub fn commits(&self) -> u64 {
        self.progress().commit
    }

    /// Whether the database is open and accepts writes.
    pub fn is_sound(&self) -> bool {
        self.opened()
            .as_ref()
            .is_some_and(|opened| opened.check().is_ok())
    }

    /// Closes the database and opens it again; waits for all views to be dropped. Gives the number
    /// of the last commit that is there.
    ///
    /// # Errors
    /// If it can't be opened, or ends before the commit that was durable; it is closed then, and
    /// this may be tried again.
    pub fn reopen(&self, durable: u64) -> Result<u64, Error> {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        // One at a time: the folder is locked.
        drop(opened.take());
        self.generation.store(next_generation(), Ordering::Relaxed);
        self.indexes.clear();
        let found = inspect::inspect(&self.folder)?;
        let ends_at = found.last().map(|last| last.commit);
        let lost = |ends_at, faults| {
            let loss = Loss {
                folder: self.folder.clone(),
                ends_at,
                durable,
                gaps: found.gaps(),
                faults,
                copies: None,
            };
            Err(Error::Lost(Box::new(loss)))
        };
        if !found.faults.is_empty() || ends_at.is_some_and(|ends_at| ends_at < durable) {
            return lost(ends_at.unwrap_or(0), found.faults.clone());
        }
        let again = Opened::open(&self.folder, &self.options)?;
        let (progress, behind) = (again.progress()?, again.behind(found.first())?);
        if progress.commit < durable || !behind.is_empty() {
            let faults = behind.iter().map(|behind| behind.fault(&self.folder));
            return lost(progress.commit, faults.collect());
        }
        *self.progress() = progress;
        self.durable.store(progress.commit, Ordering::Relaxed);
        *opened = Some(again);
        Ok(progress.commit)
    }

    /// The indexes, which every commit keeps up to date.
    pub fn indexes(&self) -> &IndexCache {
        &self.indexes
    }

    /// What was claimed as recent, and is not in the rows yet.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Free bytes on the disk.
    pub fn free_bytes(&self) -> u64 {
        match rustix::fs::statvfs(&self.folder) {
            Ok(stat) => stat.f_bavail * stat.f_frsize,
            // Not knowing is no reason to refuse mail; a full disk will fail the commit.
            Err(_) => u64::MAX,
        }
    }
}

/// Reads from the database. A panic of its code is damage that it does not expect.
fn guarded<T>(read: impl FnOnce() -> fjall::Result<T>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => Ok(read?),
        Err(_) => Err(Error::Damaged {
            space: "the database",
            what: "a table that can't be read",
        }),
    }
}

/// A consistent view.
pub(crate) struct View<'a> {
    opened: RwLockReadGuard<'a, Option<Opened>>,
    snapshot: Snapshot,
    indexes: &'a IndexCache,
    claims: &'a Claims,
    generation: u64,
}

impl View<'_> {
    /// What it is a view of.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.clone()
    }

    fn space(&self, space: Space) -> &Keyspace {
        self.opened
            .as_ref()
            .expect("a view is made of an open database")
            .space(space)
    }
}

impl KeyScan for View<'_> {
    fn keys(&self, space: Space, visit: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let mut rows = self.snapshot.iter(self.space(space));
        while let Some(key) = guarded(|| rows.next().map(fjall::Guard::key).transpose())? {
            if space == Space::Meta || key != TOUCHED {
                visit(&key);
            }
        }
        Ok(())
    }
}

impl Kv for View<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let value = guarded(|| self.snapshot.get(self.space(space), key))?;
        // Small values are copied, so that they don't keep the block they came from; large ones
        // have one of their own.
        Ok(value.map(|value| match value.len() {
            0..COPIED_BYTES => Bytes::copy_from_slice(&value),
            _ => value.into(),
        }))
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        if from >= to {
            return Ok(());
        }
        let mut rows = self.snapshot.range(self.space(space), from..to);
        loop {
            let row = guarded(|| {
                let row = if reverse {
                    rows.next_back()
                } else {
                    rows.next()
                };
                row.map(fjall::Guard::into_inner).transpose()
            })?;
            let Some((key, value)) = row else {
                return Ok(());
            };
            if let ControlFlow::Break(()) = visit(&key, &value) {
                return Ok(());
            }
        }
    }

    fn indexes(&self) -> Option<&IndexCache> {
        Some(self.indexes)
    }

    fn claimed(&self, mailbox: MailboxId) -> Option<Uid> {
        self.claims.of(mailbox)
    }

    fn generation(&self) -> u64 {
        self.generation
    }
}
