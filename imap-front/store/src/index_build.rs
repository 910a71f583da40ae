//! An index that is being built, in pieces if need be: each from a newer view, and by whoever waits
//! for it.

use std::sync::{Arc, Mutex};

use mail::{MailboxId, ModSeq, Uid};

use crate::index::MailboxIndex;

/// As those share it who wait for it. Nobody builds it any more once all of them have let it go.
pub(crate) type SharedBuild = Arc<Mutex<Build>>;

/// What was looked at, and what is left.
pub(crate) struct Build {
    pub id: MailboxId,
    pub index: MailboxIndex,
    pub stage: Stage,
    /// What was saved and is brought up to date was as of this mod-sequence.
    pub saved_at: Option<ModSeq>,
    /// The mailbox's mod-sequence in the first view that was looked at.
    pub first: Option<ModSeq>,
    /// The newest in any of them.
    pub seen: ModSeq,
    /// Rows from this UID on are looked at.
    pub next: Uid,
    /// It was handed on, or can't be.
    pub is_done: bool,
}

/// What is to be looked at next; keys are where that goes on.
pub(crate) enum Stage {
    /// What was saved.
    Begin,
    /// What was expunged since.
    Expunged(Vec<u8>),
    /// What was changed since.
    Changed(Vec<u8>),
    /// Rows, of all messages or of those that came since.
    Rows,
}

impl Build {
    /// Begins anew, with nothing that was saved.
    pub fn scan(&mut self) {
        *self = Self {
            stage: Stage::Rows,
            ..Self::new(self.id)
        };
    }

    pub fn new(id: MailboxId) -> Self {
        Self {
            id,
            index: MailboxIndex::default(),
            stage: Stage::Begin,
            saved_at: None,
            first: None,
            seen: ModSeq(0),
            next: Uid(0),
            is_done: false,
        }
    }
}
