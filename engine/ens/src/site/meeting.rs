//! A broker that starts serves nobody before it knows which pools other hosts have: what it
//! published for their members would go to nobody.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// It is not waited for longer, as when a server is asked that doesn't answer.
const MET_WITHIN: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Meeting {
    is_over: Mutex<bool>,
    ended: Condvar,
}

impl Meeting {
    /// They are known, or there is no bus.
    pub fn end(&self) {
        let mut is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *is_over, true) {
            self.ended.notify_all();
        }
    }

    pub fn is_over(&self) -> bool {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for that.
    pub fn wait(&self) {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |is_over: &mut bool| !*is_over;
        let waited = self.ended.wait_timeout_while(is_over, MET_WITHIN, waits);
        drop(waited);
    }
}
