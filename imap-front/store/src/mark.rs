//! The number of the last commit, in a file beside the database.
//!
//! The database's journal takes damage in its middle for its end and goes on without what came
//! after. The mark is written when a commit is durable, so at start the database must have come at
//! least as far as the mark says. It is not synced with every commit: after a power failure it may
//! be old, but never ahead.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Digits of the number; as many as a `u64` may have, so that a later one overwrites an earlier.
const DIGITS: usize = 20;

/// The mark's file.
pub(crate) struct Mark {
    file: File,
    is_failing: bool,
}

impl Mark {
    /// Opens the mark in a folder, making it if it is not there, and reads it.
    pub fn open(folder: &Path) -> io::Result<(Self, u64)> {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join("commits"))?;
        let mut text = [0; DIGITS];
        let noted = match file.read_exact_at(&mut text, 0) {
            Ok(()) => std::str::from_utf8(&text)
                .ok()
                .and_then(|text| text.parse().ok()),
            // A new file.
            Err(_) => None,
        };
        Ok((
            Self {
                file,
                is_failing: false,
            },
            noted.unwrap_or(0),
        ))
    }

    /// Notes a commit that is durable. A failure is said once: the mark only guards.
    pub fn note(&mut self, commit: u64) {
        let text = format!("{commit:0DIGITS$}\n");
        let outcome = self.file.write_all_at(text.as_bytes(), 0);
        if let Err(error) = &outcome
            && !self.is_failing
        {
            tracing::warn!("can't note the last commit: {error}");
        }
        self.is_failing = outcome.is_err();
    }

    /// Makes the mark durable.
    pub fn sync(&self) {
        if let Err(error) = self.file.sync_all() {
            tracing::warn!("can't make the note of the last commit durable: {error}");
        }
    }
}
