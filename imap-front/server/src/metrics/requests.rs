//! Requests of the HTTP door.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Requests that were answered, by path and code.
#[derive(Debug, Default)]
pub struct HttpCounts(Mutex<BTreeMap<(&'static str, u16), u64>>);

impl HttpCounts {
    /// A request was answered.
    pub(crate) fn count(&self, path: &'static str, code: u16) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry((path, code)).or_default() += 1;
    }

    /// Each path and code, and how often.
    pub fn all(&self) -> Vec<((&'static str, String), u64)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let each = all.iter();
        each.map(|((path, code), count)| ((*path, code.to_string()), *count))
            .collect()
    }
}
