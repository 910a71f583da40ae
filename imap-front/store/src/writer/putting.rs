//! Restores and imports.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Writer;
use crate::Error;
use crate::callbacks::Completion;
use crate::group::Done;
use crate::job::{self, Job, PutJob};
use crate::kv::Transaction;
use crate::logic::{self, Applied};

impl Writer {
    /// Applies it; none if it waits or was refused.
    pub(super) fn apply_put(
        &self,
        txn: &mut Transaction<'_>,
        job: PutJob,
        full: bool,
        done: &mut Done,
    ) -> Option<(Result<Applied, Error>, Completion)> {
        if full && job.grows() {
            done.answers.extend(Job::Put(job).refused(&job::full()));
            return None;
        }
        let mut outcome = None;
        let apply = || logic::put(txn, &self.rules, &job.put, &mut outcome);
        let applied = self.timed("Put", || catch_unwind(AssertUnwindSafe(apply)));
        let applied = applied.unwrap_or(Err(Error::Panicked));
        if let Err(Error::Waits) = applied {
            txn.undo();
            done.waits.push(Job::Put(job));
            return None;
        }
        let (outcomes, completion) = job.parts();
        *outcomes.lock().expect("no panic while it is held") = outcome;
        Some((applied, completion))
    }
}
