//! The journal without what stands in tables.
//!
//! Opening a database reads its whole journal, some 64 MB before a new one is begun, whatever of it
//! stands in tables already: half a second in which nobody is served at an upgrade. The database
//! removes journals whose records are all in tables; this does it with the beginning of the last.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::inspect::{has_journal_name, journal};

/// Where the part of a journal ends that stands in tables.
#[derive(Debug)]
pub(crate) struct WrittenOut {
    journal: PathBuf,
    /// In bytes.
    end: u64,
    /// The last commit before it.
    commit: u64,
}

impl WrittenOut {
    /// Finds the end of a commit in a database that may be at work. None if there are several
    /// journals, or the commit is in none.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn find(database: &Path, commit: u64) -> io::Result<Option<Self>> {
        let Some(path) = only_journal(database)? else {
            return Ok(None);
        };
        // What is being written at its end is not looked at.
        let read = journal::read(&fs::read(&path)?, None, 0);
        let mut records = read.records.iter();
        let last = records.rfind(|record| record.progress.commit <= commit);
        Ok(last.map(|last| Self {
            journal: path,
            end: last.at.end as u64,
            commit: last.progress.commit,
        }))
    }

    /// Cuts it off, in a database that is closed. False if that can't be, since it is open, another
    /// journal was begun, or not all that follows can be read.
    ///
    /// # Errors
    /// If files can't be read or written; what stood there still does.
    pub fn cut_off(&self, database: &Path) -> io::Result<bool> {
        let lock = File::open(database.join("lock"))?;
        if lock.try_lock().is_err() || only_journal(database)?.as_ref() != Some(&self.journal) {
            return Ok(false);
        }
        let old = File::open(&self.journal)?;
        let Some(len) = old.metadata()?.len().checked_sub(self.end) else {
            return Ok(false);
        };
        let mut rest = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        old.read_exact_at(&mut rest, self.end)?;
        let read = journal::read(&rest, None, self.commit);
        let follows = |first: &journal::Record| first.progress.before == self.commit;
        if read.unreadable.is_some() || !read.records.first().is_none_or(follows) {
            return Ok(false);
        }
        rest.truncate(read.records.last().map_or(0, |last| last.at.end));
        replace(&self.journal, |new| new.write_all_at(&rest, 0))?;
        File::open(database)?.sync_all()?;
        Ok(true)
    }
}

/// Puts another journal in the place of one, whole or not at all. It is durable once its folder is
/// synced.
///
/// # Errors
/// If it can't be written; the old one is there still.
pub(crate) fn replace(
    journal: &Path,
    write: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    let path = journal.with_extension("mended");
    let new = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)?;
    write(&new)?;
    new.sync_all()?;
    fs::rename(&path, journal)
}

/// The journal of a database that has no other.
fn only_journal(database: &Path) -> io::Result<Option<PathBuf>> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(database)? {
        let path = entry?.path();
        if has_journal_name(&path) {
            journals.push(path);
        }
    }
    Ok(journals.pop().filter(|_| journals.is_empty()))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::Options;
    use crate::disk::{Disk, Durability};
    use crate::kv::{Changes, Space};

    fn commit(disk: &Disk, number: u64) {
        let value = vec![1; 100].into();
        let changes = Changes::from([((Space::Users, number.to_be_bytes().into()), Some(value))]);
        disk.commit(&changes, number, Durability::Now)
            .expect("a disk that works");
    }

    /// A database with so many commits, of which so many stand in tables, and is closed.
    fn database(folder: &Path, written_out: u64, commits: u64) -> WrittenOut {
        let disk = Disk::open(folder, &Options::default()).expect("a new database");
        (1..=written_out).for_each(|number| commit(&disk, number));
        assert!(disk.write_out(Instant::now() + Duration::from_secs(60)));
        let found = WrittenOut::find(folder, written_out).expect("a journal");
        (written_out + 1..=commits).for_each(|number| commit(&disk, number));
        let found = found.expect("the only journal");
        assert_eq!(found.cut_off(folder).ok(), Some(false), "it is open");
        found
    }

    #[test]
    fn what_follows_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let found = database(folder.path(), 3, 5);
        assert_eq!(found.cut_off(folder.path()).ok(), Some(true));
        let rest = journal::read(&fs::read(&found.journal).expect("it is there"), None, 3);
        let commits = rest.records.iter().map(|record| record.progress.commit);
        assert_eq!(commits.collect::<Vec<_>>(), [4, 5]);
        let disk = Disk::open(folder.path(), &Options::default()).expect("it is whole");
        assert_eq!(disk.commits(), 5);
        assert_eq!(disk.behind(rest.records.first()).ok(), Some(vec![]));
    }

    #[test]
    fn a_journal_that_is_damaged_or_not_the_only_one_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let found = database(folder.path(), 3, 5);
        let intact = fs::read(&found.journal).expect("it is there");
        let mut damaged = intact.clone();
        damaged[found.end as usize + 30] ^= 1;
        fs::write(&found.journal, &damaged).expect("it can be written");
        assert_eq!(found.cut_off(folder.path()).ok(), Some(false));
        let left = fs::read(&found.journal).expect("it is there");
        assert!(left == damaged, "nothing was changed");
        fs::write(&found.journal, &intact).expect("it can be written");
        fs::write(folder.path().join("7.jnl"), b"").expect("another");
        assert_eq!(found.cut_off(folder.path()).ok(), Some(false));
    }
}
