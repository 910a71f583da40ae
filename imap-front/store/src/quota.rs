//! How much a user may keep.

/// How much a user may keep; 0 is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Bytes in all mailboxes.
    pub bytes: u64,
    /// Messages in all mailboxes.
    pub messages: u64,
}
