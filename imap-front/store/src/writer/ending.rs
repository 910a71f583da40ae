//! What is left to do when the store is closed, and what waits until the writer has time.

use std::time::Instant;

use mail::{Refusal, Reply};

use super::Writer;
use crate::group::Done;
use crate::kv::Transaction;
use crate::logic;

/// Claims that are noted in rows in one slice.
const CLAIMS_MAX: usize = 256;

impl Writer {
    /// Operations that somebody waits for are finished if that takes no longer than they may. Of
    /// those that are left, a COPY is removed at the next start, and what others did so far stays:
    /// who asked is told, and the log.
    pub(super) fn end(&mut self) {
        let (began, max) = (Instant::now(), self.rules.options.closing_max);
        while (self.running.is_awaited() || !self.pipeline.held.is_empty()) && began.elapsed() < max
        {
            std::thread::sleep(self.work(None));
        }
        self.running.work_off_now();
        while !self.disk.claims().is_empty() && began.elapsed() < max {
            std::thread::sleep(self.work(None));
        }
        let _ = self.await_commit();
        let stopped = Refusal::Unavailable("the server is being stopped".into());
        self.pipeline.wake();
        for job in self.pipeline.held.drain(..) {
            if let Some((reply, completion)) = job.refused(&stopped) {
                completion(reply);
            }
        }
        for running in self.running.end() {
            if let Some(completion) = running.completion {
                let name = running.operation.name();
                tracing::warn!("the store is closed before the last of {name}; a part may be done");
                let why = "the server is being stopped; a part may be done";
                completion(Reply::Refused(Refusal::Unavailable(why.into())));
            }
        }
    }

    /// Puts some claims that nobody has noted yet into rows. False if there are none.
    pub(super) fn note_claims(&self, txn: &mut Transaction<'_>, done: &mut Done) -> bool {
        let some = self.disk.claims().some(CLAIMS_MAX);
        for (id, from) in &some {
            if let Err(error) = logic::note_claim(txn, *id, *from) {
                tracing::error!("{error}");
            }
        }
        let is_any = !some.is_empty();
        done.claimed.extend(some);
        is_any
    }
}
