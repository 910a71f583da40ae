//! Opening a store: what is lost, and whether to go on.
//!
//! In order: the lock, the commit marker, the files (`inspect`), the database, and what its
//! keyspaces say of themselves. Nothing is changed before it is clear that nothing is lost, or that
//! the loss is accepted; then the damaged files are copied aside first.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::commit_marker::{self, CommitMarker, Marked};
use crate::disk::{Disk, Durability};
use crate::inspect::{self, Inspection};
use crate::job::is_full;
use crate::kv::Transaction;
use crate::logic::{self, Block, Rules};
use crate::loss::{self, Fault, Loss};
use crate::{Error, OpenError, Options, written_out};

/// The database's folder in the store's.
pub(crate) const DATABASE: &str = "db";
/// How often the lock is tried: another program may be about to end.
const LOCK_TRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Commits in the store.
    pub commits: u64,
    /// What was lost, if that was accepted.
    pub loss: Option<Loss>,
    /// Messages that can't be read after it and were dropped.
    pub messages_lost: usize,
    /// Uploads that were under way and were removed.
    pub spools_removed: usize,
}

/// An open store.
pub(crate) struct Opening {
    pub disk: Disk,
    pub marker: CommitMarker,
    pub recovery: Recovery,
    /// Whose numbers bodies get.
    pub block: Block,
}

/// Opens the store in a folder, making it if it is not there.
///
/// # Errors
/// See [`OpenError`].
pub(crate) fn open(folder: &Path, options: &Options) -> Result<Opening, OpenError> {
    let unusable = |cause| OpenError::Folder {
        path: folder.to_owned(),
        cause,
    };
    let mut make = DirBuilder::new();
    make.recursive(true).mode(0o700);
    make.create(folder).map_err(unusable)?;
    let database = folder.join(DATABASE);
    try_lock(folder, &database)?;
    let found = inspect::inspect(&database).map_err(unusable)?;
    let marked = commit_marker::read(folder).map_err(unusable)?;
    say(folder, marked, &found);
    let mut loss = before_opening(folder, marked, &found);
    if let Some(loss) = &mut loss {
        accept(loss, &found, options)?;
        mend(&database, &found).map_err(unusable)?;
    } else if found.torn.is_some() {
        // The database reads what looks like the beginning of a record, with whatever stands there.
        keep_intact(&database, &found).map_err(unusable)?;
    }
    let disk = open_database(folder, options)?;
    let is_mended = loss.is_some();
    after_opening(&disk, folder, marked, &found, &mut loss).map_err(|cause| {
        OpenError::Damaged {
            path: folder.to_owned(),
            cause,
        }
    })?;
    if let Some(loss) = loss.as_mut().filter(|_| !is_mended) {
        accept(loss, &found, options)?;
    }
    let damaged = |cause| OpenError::Damaged {
        path: folder.to_owned(),
        cause,
    };
    let mut commits = disk.commits();
    // The counter goes on from where it was, so that a loss is told once.
    commits = loss
        .as_ref()
        .map_or(commits, |loss| commits.max(loss.durable));
    let rules = Rules::new(options.clone());
    let spools_removed = recover(&disk, &rules, &mut commits, loss.is_some()).map_err(damaged)?;
    let mut marker = CommitMarker::open(folder).map_err(unusable)?;
    marker.note(commits);
    if loss.is_some() {
        marker.sync();
    }
    let recovery = Recovery {
        commits,
        loss,
        messages_lost: 0,
        spools_removed,
    };
    let block = Block::of_store(&disk.view().map_err(damaged)?).map_err(damaged)?;
    Ok(Opening {
        disk,
        block,
        marker,
        recovery,
    })
}

/// Nobody else has the database open.
fn try_lock(folder: &Path, database: &Path) -> Result<(), OpenError> {
    let unusable = |cause| OpenError::Folder {
        path: folder.to_owned(),
        cause,
    };
    let file = match File::open(database.join("lock")) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(error)),
    };
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(cause)) => return Err(unusable(cause)),
        }
    }
    Err(OpenError::InUse {
        path: folder.to_owned(),
    })
}

/// Says what is no loss and yet not as it should be.
fn say(folder: &Path, marked: Marked, found: &Inspection) {
    let last = found.last().map_or(0, |last| last.commit);
    let path = folder.join(commit_marker::FILE);
    match marked {
        Marked::Nothing if last > 0 => tracing::warn!(
            "{} is missing: that commit {last} is the last one is what the journal says alone",
            path.display()
        ),
        Marked::Unreadable => tracing::warn!(
            "{} is damaged: that commit {last} is the last one is what the journal says alone",
            path.display()
        ),
        _ => {}
    }
    if let Some(torn) = &found.torn {
        tracing::warn!(
            "{} ends in a commit that was not written to its end; it is removed, as nobody was \
             told that it is durable",
            torn.display()
        );
    }
}

/// What is lost, as far as the files tell.
fn before_opening(folder: &Path, marked: Marked, found: &Inspection) -> Option<Loss> {
    let marked = match marked {
        Marked::Commit(commit) => commit,
        Marked::Nothing | Marked::Unreadable => 0,
    };
    let last = found.last().map(|last| last.commit);
    let mut faults = found.faults.clone();
    if !found.is_there {
        if marked == 0 {
            return None;
        }
        faults.push(Fault::new(&folder.join(DATABASE), "it is missing"));
    }
    // Without a record the tables tell, once the database is open.
    let is_short = last.is_some_and(|last| last < marked);
    if is_short {
        let newest = found
            .journals
            .iter()
            .rfind(|journal| !journal.records.is_empty());
        let what = "it ends too early, or one after it is missing";
        faults.extend(newest.map(|journal| Fault::new(&journal.path, what)));
    }
    // A store that never committed anything may be half made.
    let is_unused = marked == 0 && last.is_none() && !is_used(folder);
    if faults.is_empty() || (is_unused && found.torn.is_none()) {
        return None;
    }
    Some(Loss {
        folder: folder.to_owned(),
        ends_at: last.unwrap_or(0),
        durable: marked.max(last.unwrap_or(0)),
        gaps: found.gaps(),
        faults,
        copies: None,
    })
}

/// Whether the database has written any table.
fn is_used(folder: &Path) -> bool {
    let keyspaces = folder.join(DATABASE).join("keyspaces");
    let entries = std::fs::read_dir(keyspaces).into_iter().flatten().flatten();
    let tables = entries
        // The database's own has tables from the beginning.
        .filter(|entry| entry.file_name() != "0")
        .map(|entry| entry.path().join("tables"));
    tables
        .flat_map(std::fs::read_dir)
        .any(|mut tables| tables.next().is_some())
}

/// What is lost, as the database itself tells.
fn after_opening(
    disk: &Disk,
    folder: &Path,
    marked: Marked,
    found: &Inspection,
    loss: &mut Option<Loss>,
) -> Result<(), Error> {
    let commits = disk.commits();
    let marked = match marked {
        Marked::Commit(commit) => commit,
        Marked::Nothing | Marked::Unreadable => 0,
    };
    let behind = disk.behind(found.first())?;
    let database = folder.join(DATABASE);
    let mut faults: Vec<Fault> = behind.iter().map(|one| one.fault(&database)).collect();
    if commits < marked && loss.is_none() {
        faults.push(Fault::new(&database, "its end is missing"));
    }
    match loss {
        Some(loss) => {
            loss.ends_at = commits;
            loss.faults.extend(faults);
        }
        None if faults.is_empty() => {}
        None => {
            *loss = Some(Loss {
                folder: folder.to_owned(),
                ends_at: commits,
                durable: marked.max(commits),
                gaps: vec![],
                faults,
                copies: None,
            });
        }
    }
    Ok(())
}

/// Copies the damaged files aside, says what is lost, and goes on only if that is accepted.
fn accept(loss: &mut Loss, found: &Inspection, options: &Options) -> Result<(), OpenError> {
    let mut files: Vec<PathBuf> = loss.faults.iter().map(|fault| fault.file.clone()).collect();
    // What follows a damaged journal is needed to understand it.
    files.extend(found.journals.iter().map(|journal| journal.path.clone()));
    files.sort();
    files.dedup();
    let copied = loss::set_aside(&loss.folder, &files, (options.now)());
    match copied {
        Ok(copies) => loss.copies = copies,
        Err(cause) if options.accept_loss => {
            // Going on changes the files.
            tracing::error!("damaged files can't be copied aside: {cause}");
            return Err(OpenError::Folder {
                path: loss.folder.clone(),
                cause,
            });
        }
        Err(cause) => tracing::warn!("damaged files can't be copied aside: {cause}"),
    }
    if found.is_beyond_repair {
        return Err(OpenError::Beyond(Box::new(loss.clone())));
    }
    if options.accept_loss {
        tracing::error!("{loss}; this loss was accepted: every mailbox gets a new UIDVALIDITY");
        Ok(())
    } else {
        Err(OpenError::Lost(Box::new(loss.clone())))
    }
}

/// Makes what the database can open of what is there: its version is known, and journals keep
/// their intact records.
fn mend(database: &Path, found: &Inspection) -> io::Result<()> {
    if found.is_there {
        std::fs::write(database.join("version"), inspect::VERSION)?;
    }
    if found.is_there && found.journals.is_empty() {
        // Without any the database would number its records from 0 again, below those in tables.
        File::create_new(database.join("0.jnl"))?.sync_all()?;
    }
    keep_intact(database, found)
}

/// Makes journals that have more than intact records hold these alone.
fn keep_intact(database: &Path, found: &Inspection) -> io::Result<()> {
    for journal in found.journals.iter().filter(|journal| journal.is_spoilt) {
        let old = File::open(&journal.path)?;
        written_out::replace(&journal.path, |new| {
            let mut end = 0;
            for record in &journal.records {
                let mut bytes = vec![0; record.at.len()];
                old.read_exact_at(&mut bytes, record.at.start as u64)?;
                new.write_all_at(&bytes, end)?;
                end += bytes.len() as u64;
            }
            Ok(())
        })?;
    }
    if found.is_there {
        File::open(database)?.sync_all()?;
    }
    Ok(())
}

/// Opens the database. One that ends in a panic is damaged in a way that it does not expect.
fn open_database(folder: &Path, options: &Options) -> Result<Disk, OpenError> {
    let path = folder.to_owned();
    let open = AssertUnwindSafe(|| Disk::open(&folder.join(DATABASE), options));
    match catch_unwind(open) {
        Ok(Ok(disk)) => Ok(disk),
        Ok(Err(Error::Database(fjall::Error::Locked))) => Err(OpenError::InUse { path }),
        Ok(Err(Error::Database(cause))) => Err(OpenError::Database { path, cause }),
        Ok(Err(cause)) => Err(OpenError::Damaged { path, cause }),
        Err(_) => Err(OpenError::Database {
            path,
            cause: fjall::Error::Unrecoverable,
        }),
    }
}

/// Removes uploads that were under way when the server ended. If commits were lost, gives every
/// mailbox a new UIDVALIDITY, since UIDs of lost messages will be given again.
fn recover(
    disk: &Disk,
    rules: &Rules,
    commits: &mut u64,
    is_damaged: bool,
) -> Result<usize, Error> {
    let view = disk.view()?;
    let mut txn = Transaction::new(&view);
    let removed = logic::recover_spools(&mut txn)?;
    if let Some(mark) = rules.options.mark {
        logic::mark(&mut txn, mark)?;
    }
    if is_damaged {
        logic::renew_uid_validities(&mut txn, rules)?;
    }
    let number = *commits + 1;
    let done = match (is_damaged, txn.is_empty()) {
        (true, _) => disk.accept(&txn.into_changes(), number),
        (false, true) => return Ok(0),
        (false, false) => disk.commit(&txn.into_changes(), number, Durability::Now),
    };
    match done {
        Ok(()) => {
            *commits += 1;
            Ok(removed)
        }
        Err(error) if is_full(&error) && !is_damaged => {
            tracing::warn!(
                "{removed} unfinished uploads are kept, and the store gets no mark if it has none: \
                 the disk is full"
            );
            Ok(0)
        }
        Err(error) => Err(error),
    }
}
