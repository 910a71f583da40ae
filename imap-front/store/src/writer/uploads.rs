//! Uploads whose parts were lost with commits that were not durable.

use std::sync::Arc;

use mail::Reply;

use super::Writer;
use crate::Error;
use crate::committer::Commit;
use crate::disk::Durability;
use crate::group::Done;
use crate::kv::Transaction;
use crate::logic;

/// What is to be known of uploads when commits that hold parts of them are lost.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    /// The highest of the store's numbers that one was given.
    highest: u64,
    /// Commits were lost: what is left of uploads is of no use, and no number may be given again,
    /// for whoever has it may still send the next part.
    pub(super) are_lost: bool,
}

impl Writer {
    /// Notes the numbers that uploads were given.
    pub(super) fn note_uploads(&mut self, done: &Done) {
        for (reply, _) in &done.answers {
            if let Reply::Spooled(id) = reply
                && self.rules.block().has(id.0)
            {
                self.uploads.highest = self.uploads.highest.max(id.0);
            }
        }
    }

    /// Removes what is left of uploads whose parts were lost with commits that were not durable.
    pub(super) fn forget_uploads(&mut self) -> Result<(), Error> {
        let disk = self.disk.clone();
        let view = disk.view()?;
        let mut txn = Transaction::new(&view);
        let removed = logic::forget_uploads(&mut txn, self.rules.block(), self.uploads.highest)?;
        let changes = txn.into_changes();
        drop(view);
        let commit = Commit {
            changes: Arc::new(changes),
            number: self.commits + 1,
            durability: Durability::Now,
        };
        let result = commit.carry_out(&self.disk).result;
        self.confirm(&commit, result)?;
        self.uploads.are_lost = false;
        tracing::warn!("{removed} uploads that were under way are lost; their clients are told");
        Ok(())
    }
}
