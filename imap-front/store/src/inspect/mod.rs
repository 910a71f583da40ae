//! What stands in a database's folder, found out before the database is opened.
//!
//! Opening is too late: the database cuts a journal where it can't read on, goes on with the next
//! one as if nothing were missing, and removes keyspaces and tables that it does not find listed.
//! So this reads the journals and manifests first. Nothing here changes a file.

pub(crate) mod journal;
mod manifest;

use std::io;
use std::path::{Path, PathBuf};

pub(crate) use journal::Record;

use crate::kv::Space;
use crate::loss::Fault;
use crate::progress::Progress;

/// The first bytes of the database's file `version`.
pub(crate) const VERSION: &[u8] = b"FJL\x03";

/// A journal with its intact records.
#[derive(Debug)]
pub(crate) struct JournalFile {
    pub path: PathBuf,
    pub records: Vec<Record>,
    /// It has more than these: bytes that can't be read.
    pub is_spoilt: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Inspection {
    /// The folder holds a database, or what is left of one.
    pub is_there: bool,
    /// What keeps the database from being opened as it is.
    pub faults: Vec<Fault>,
    /// Among the faults are some without which the database would remove what it holds: going on
    /// would lose more.
    pub is_beyond_repair: bool,
    /// Journals, oldest first.
    pub journals: Vec<JournalFile>,
    /// The newest journal ends in bytes that may be half of a commit that was never confirmed.
    pub torn: Option<PathBuf>,
}

impl Inspection {
    fn records(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.journals.iter().flat_map(|journal| &journal.records)
    }

    /// The first commit of the oldest journal.
    pub fn first(&self) -> Option<&Record> {
        self.records().next()
    }

    /// The last commit that can be read.
    pub fn last(&self) -> Option<Progress> {
        self.records().next_back().map(|record| record.progress)
    }

    /// Commits that are missing between others and were not accepted as lost: the first and the
    /// last of each gap.
    pub fn gaps(&self) -> Vec<(u64, u64)> {
        let accepted = self.last().map_or(0, |last| last.accepted);
        let pairs = self.records().zip(self.records().skip(1));
        let gap = |(one, next): (&Record, &Record)| {
            let (one, next) = (&one.progress, &next.progress);
            (next.before != one.commit).then_some((one.commit + 1, next.before))
        };
        let gaps = pairs.filter_map(gap);
        gaps.filter(|(_, last)| *last >= accepted).collect()
    }
}

/// Looks at the database in a folder.
///
/// # Errors
/// If files are there that can't be read.
pub(crate) fn inspect(folder: &Path) -> io::Result<Inspection> {
    let mut found = Inspection::default();
    let paths = match std::fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<Vec<_>>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    found.is_there = paths.iter().any(|path| !path.ends_with("lock"));
    if !found.is_there {
        return Ok(found);
    }
    let version = folder.join("version");
    match std::fs::read(&version) {
        Ok(bytes) if bytes.starts_with(VERSION) => {}
        Ok(_) => found.faults.push(Fault::new(&version, "it is damaged")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            found.faults.push(Fault::missing(&version));
        }
        Err(error) => return Err(error),
    }
    let (faults, keyspaces) = manifest::check(&folder.join("keyspaces"))?;
    found.is_beyond_repair = !faults.is_empty();
    found.faults.extend(faults);
    read_journals(&mut found, &paths)?;
    if let Some(last) = found.last() {
        for space in Space::ALL {
            let id = journal::keyspace_id(space);
            if last.touched(space) > 0 && !keyspaces.contains(&id) {
                let path = folder.join("keyspaces").join(id.to_string());
                found.faults.push(Fault::missing(&path));
                found.is_beyond_repair = true;
            }
        }
    }
    Ok(found)
}

fn read_journals(found: &mut Inspection, paths: &[PathBuf]) -> io::Result<()> {
    let mut journals: Vec<(u64, &PathBuf)> = Vec::new();
    for path in paths.iter().filter(|path| has_journal_name(path)) {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        match stem.and_then(|stem| stem.parse().ok()) {
            Some(number) => journals.push((number, path)),
            None => found
                .faults
                .push(Fault::new(path, "it does not belong there")),
        }
    }
    journals.sort_unstable();
    let newest = journals.last().map(|(number, _)| *number);
    for (number, path) in journals {
        let last = found.records().next_back();
        let sequence = last.map(|record| record.sequence);
        let commit = last.map_or(0, |record| record.progress.commit);
        let bytes = std::fs::read(path)?;
        let journal = journal::read(&bytes, sequence, commit);
        if let Some(unreadable) = journal.unreadable {
            let is_end = !unreadable.is_followed && Some(number) == newest;
            if is_end && !unreadable.is_whole {
                found.torn = Some(path.clone());
            } else {
                let what = format!("damaged from byte {} on", unreadable.at);
                found.faults.push(Fault::new(path, what));
            }
        }
        found.journals.push(JournalFile {
            path: path.clone(),
            records: journal.records,
            is_spoilt: journal.unreadable.is_some(),
        });
    }
    if newest.is_none() {
        let missing = PathBuf::from("0.jnl");
        let folder = paths.first().and_then(|path| path.parent());
        let missing = folder.map_or(missing.clone(), |folder| folder.join(missing));
        found
            .faults
            .push(Fault::new(&missing, "no journal is there"));
    }
    for (first, last) in found.gaps() {
        let follows = |journal: &&JournalFile| {
            let mut records = journal.records.iter();
            records.any(|record| record.progress.commit > last)
        };
        let path = found
            .journals
            .iter()
            .find(follows)
            .map(|it| it.path.clone());
        let what = match last - first {
            0 => format!("commit {first} is missing in it or before it"),
            _ => format!("commits {first} to {last} are missing in it or before it"),
        };
        found.faults.extend(path.map(|file| Fault { file, what }));
    }
    Ok(())
}

/// Whether a file is named as the database names its journals.
pub(crate) fn has_journal_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jnl")
}
