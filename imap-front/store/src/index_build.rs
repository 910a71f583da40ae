//! An index that is being built, in pieces if need be: each from a newer view, and by whoever waits
//! for it.

use std::sync::{Arc, Mutex};

use mail::{MailboxId, Uid};

use crate::index::MailboxIndex;

/// As those share it who wait for it. Nobody builds it any more once all of them have let it go.
pub(crate) type SharedBuild = Arc<Mutex<Build>>;

/// What was looked at, and what is left.
pub(crate) struct Build {
    pub id: MailboxId,
    pub index: MailboxIndex,
    /// Rows from this UID on are left.
    pub next: Uid,
    /// It was handed on, or can't be.
    pub is_done: bool,
}

impl Build {
    pub fn new(id: MailboxId) -> Self {
        Self {
            id,
            index: MailboxIndex::default(),
            next: Uid(0),
            is_done: false,
        }
    }
}
