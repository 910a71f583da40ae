//! The number of the last commit, in a file beside the database.
//!
//! The database's journal takes damage in its middle for its end and goes on without what came
//! after. The commit marker is written when a commit is durable, so at start the database must
//! have come at least as far as the marker says. It is not synced with every commit: after a power
//! failure it may be old, but never ahead. A sum over the digits tells a damaged marker from one
//! that says another number.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

/// Its name in the store's folder.
pub(crate) const FILE: &str = "commits";
/// Digits of the number; as many as a `u64` may have, so that a later one overwrites an earlier.
const DIGITS: usize = 20;

/// What a commit marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    /// There is none: of a store that never committed anything, or it was removed.
    Nothing,
    /// It can't be read, so only the database says how far it came.
    Unreadable,
    /// This commit was durable.
    Commit(u64),
}

/// The commit marker's file.
pub(crate) struct CommitMarker {
    file: File,
    is_failing: bool,
}

/// What the marker in a folder says.
///
/// # Errors
/// If the file is there and the system does not let it be read.
pub(crate) fn read(folder: &Path) -> io::Result<Marked> {
    match std::fs::read(folder.join(FILE)) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Marked::Nothing),
        Err(error) => Err(error),
    }
}

pub(crate) fn parse(text: &[u8]) -> Marked {
    let number = |digits: &[u8]| {
        let is_number = digits.iter().all(u8::is_ascii_digit);
        let digits = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
        digits.parse().ok()
    };
    let said = match text.split_at_checked(DIGITS) {
        // Made and not yet written.
        None if text.is_empty() => return Marked::Nothing,
        None => None,
        // Of version 0.1, without a sum.
        Some((digits, b"\n")) => number(digits),
        Some((digits, rest)) => number(digits).filter(|_| rest == sum(digits).as_bytes()),
    };
    said.map_or(Marked::Unreadable, Marked::Commit)
}

/// What a marker of that commit says.
pub(crate) fn text(commit: u64) -> String {
    let digits = format!("{commit:0DIGITS$}");
    let sum = sum(digits.as_bytes());
    digits + &sum
}

fn sum(digits: &[u8]) -> String {
    format!(" {:016x}\n", xxh3_64(digits))
}

impl CommitMarker {
    /// Opens the marker in a folder, making it if it is not there.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(folder.join(FILE))?;
        Ok(Self {
            file,
            is_failing: false,
        })
    }

    /// Notes a commit that is durable. A failure is said once: the marker only guards.
    pub fn note(&mut self, commit: u64) {
        let outcome = self.file.write_all_at(text(commit).as_bytes(), 0);
        if let Err(error) = &outcome
            && !self.is_failing
        {
            tracing::warn!("can't note the last commit: {error}");
        }
        self.is_failing = outcome.is_err();
    }

    /// Makes the marker durable.
    pub fn sync(&self) {
        if let Err(error) = self.file.sync_all() {
            tracing::warn!("can't make the commit marker durable: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_byte_never_passes_for_another_number() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(read(folder.path()).expect("reads"), Marked::Nothing);
        let mut marker = CommitMarker::open(folder.path()).expect("opens");
        assert_eq!(read(folder.path()).expect("reads"), Marked::Nothing);
        marker.note(24_818);
        assert_eq!(read(folder.path()).expect("reads"), Marked::Commit(24_818));
        let path = folder.path().join(FILE);
        let text = std::fs::read(&path).expect("there");
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut other = text.clone();
                other[at] ^= 1 << bit;
                assert_eq!(parse(&other), Marked::Unreadable, "{at}/{bit}");
            }
            if at > 0 && at != DIGITS + 1 {
                assert_eq!(parse(&text[..at]), Marked::Unreadable, "cut at {at}");
            }
        }
        assert_eq!(parse(b"00000000000000000007\n"), Marked::Commit(7));
    }
}
