//! Quotas (RFC 9208): each user is the quota root of what is theirs.

use crate::MailboxName;

/// What there may be under a quota root; none is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaLimits {
    /// Bytes of messages (STORAGE, which is told in units of 1,024).
    pub bytes: Option<u64>,
    /// Messages (MESSAGE).
    pub messages: Option<u64>,
    /// Mailboxes, and subscriptions to what is not there (MAILBOX).
    pub mailboxes: Option<u64>,
}

/// How a quota root is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotaOf {
    /// That of a mailbox.
    Mailbox(MailboxName),
    /// That of a user, by name.
    User(Box<str>),
}

/// A quota root: what it may have, and what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaRoot {
    /// The user.
    pub user: Box<str>,
    /// Bytes that are used.
    pub bytes: u64,
    /// Messages that there are.
    pub messages: u64,
    /// Mailboxes that there are, and subscriptions to what is not there.
    pub mailboxes: u64,
    /// The limits.
    pub limits: QuotaLimits,
}
