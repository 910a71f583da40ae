//! How logins ended, by what was shown.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Scheme {
    Password,
    Scram,
    Token,
    Certificate,
}

/// How a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Ended {
    Ok,
    Failed,
    /// A token that was right once.
    Expired,
    /// Too many from the address.
    Limited,
    /// It could not be checked.
    Unavailable,
}

const SCHEMES: [&str; Scheme::Certificate as usize + 1] =
    ["password", "scram", "token", "certificate"];
const ENDS: [&str; Ended::Unavailable as usize + 1] =
    ["ok", "failed", "expired", "limited", "unavailable"];

/// Logins that have ended.
#[derive(Debug, Default)]
pub(super) struct Counts([[AtomicU64; ENDS.len()]; SCHEMES.len()]);

impl Counts {
    pub fn count(&self, scheme: Scheme, ended: Ended) {
        self.0[scheme as usize][ended as usize].fetch_add(1, Relaxed);
    }

    /// Each scheme, each end, and how often.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        SCHEMES.into_iter().zip(&self.0).flat_map(|(scheme, row)| {
            let cells = ENDS.into_iter().zip(row);
            cells.map(move |(ended, count)| (scheme, ended, count.load(Relaxed)))
        })
    }
}
