//! Checking all rows of a store against each other, and repairing what can be repaired.
//!
//! In reading order: this (what is found, and the run), `survey` (users, names, mailboxes), `acls`
//! (who may do what with them), `messages` (what is in a mailbox), `metadata`, `access_keys`,
//! `bodies` (what messages share).
//!
//! A repair is a list of rows to write. What is gone stays gone: rows whose body can't be read are
//! dropped and told; figures are counted again; indexes are written anew; mailboxes without a name
//! are named `Recovered/NUMBER`; a mailbox that lost something gets a new UIDVALIDITY.

mod access_keys;
mod acls;
mod bodies;
mod messages;
mod metadata;
mod survey;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use bytes::Bytes;
use mail::{InternalDate, Uid};

use self::survey::Survey;
use crate::disk::Durability;
use crate::key_scan::KeyScan;
use crate::kv::{Changes, Space};
use crate::logic::Block;
use crate::opening::{self, Opening};
use crate::{Error, Loss, OpenError, Options};

/// Rows in one commit of a repair.
const COMMIT_ROWS: usize = 4096;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whose, if that is known.
    pub user: Option<String>,
    /// In which mailbox.
    pub mailbox: Option<String>,
    /// Which message.
    pub uid: Option<Uid>,
    /// What is wrong, and what a repair does.
    pub what: String,
    /// Mail is lost by it.
    pub is_lost: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}: ")?;
        }
        if let Some(mailbox) = &self.mailbox {
            write!(f, "{mailbox}: ")?;
        }
        if let Some(uid) = self.uid {
            write!(f, "UID {uid}: ")?;
        }
        write!(f, "{}", self.what)
    }
}

/// What a run saw and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Users.
    pub users: usize,
    /// Mailboxes.
    pub mailboxes: usize,
    /// Messages that can be read.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// What the files have lost, if going on without it was wanted.
    pub loss: Option<Loss>,
    /// Rows that were written or removed.
    pub repaired: usize,
}

/// Rows to be written instead of those that are there.
#[derive(Debug, Default)]
struct Repair(Changes);

impl Repair {
    fn put(&mut self, space: Space, key: Vec<u8>, row: impl Into<Bytes>) {
        self.0.insert((space, key), Some(row.into()));
    }

    fn delete(&mut self, space: Space, key: Vec<u8>) {
        self.0.insert((space, key), None);
    }
}

/// Checks the store in a folder; repairs it if that is wanted, and then goes on without what its
/// files have lost.
///
/// # Errors
/// If the store can't be opened, or a repair can't be written.
pub fn run(folder: &Path, options: &Options, repair: bool) -> Result<Summary, OpenError> {
    let options = Options {
        accept_loss: repair,
        disk_free_bytes_min: 0,
        ..options.clone()
    };
    let mut open = opening::open(folder, &options)?;
    let mut summary = survey(&mut open, &options, repair).map_err(|cause| OpenError::Damaged {
        path: folder.to_owned(),
        cause,
    })?;
    summary.loss = open.recovery.loss.take();
    Ok(summary)
}

/// Reads everything; gives what is wrong, and the rows that mend it.
fn find_faults(rows: &dyn KeyScan, block: Block, now: InternalDate) -> (Summary, Repair) {
    let mut survey = Survey::new(rows, block, now);
    survey.read();
    acls::check(&mut survey);
    messages::check(&mut survey);
    metadata::check(&mut survey);
    access_keys::check(&mut survey);
    survey.check_accounts();
    bodies::check(&mut survey);
    survey.done()
}

/// Checks an open store; repairs it if that is wanted.
///
/// # Errors
/// If a repair can't be written.
pub(crate) fn survey(
    open: &mut Opening,
    options: &Options,
    repair: bool,
) -> Result<Summary, Error> {
    let view = open.disk.view()?;
    let (mut summary, rows) = find_faults(&view, open.block, (options.now)());
    drop(view);
    if !repair {
        return Ok(summary);
    }
    if let Some(files) = open.disk.indexes().files() {
        files.forget_all();
    }
    summary.repaired = rows.0.len();
    let mut rows = rows.0.into_iter();
    loop {
        let some: Changes = rows.by_ref().take(COMMIT_ROWS).collect();
        if some.is_empty() {
            break;
        }
        open.recovery.commits += 1;
        open.disk
            .commit(&some, open.recovery.commits, Durability::Now)?;
        open.marker.note(open.recovery.commits);
    }
    open.marker.sync();
    Ok(summary)
}
