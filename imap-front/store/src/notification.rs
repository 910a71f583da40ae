//! What a write did, for those who notify others: more than an event tells, and only collected if
//! somebody wants it.

use mail::request::StoreMode;
use mail::{MailboxId, MailboxName, Uid, UidValidity, UserId};

use crate::Quota;

/// Who is told what each commit did. Called by the writer's thread, which must not wait for it.
pub trait Observer: Send + Sync {
    /// Told each commit's notifications, in order, once it is durable, before anybody is answered.
    fn note(&self, notifications: Vec<Notification>);

    /// All are answered, for whom it matters how soon: threads may be woken for what was noted.
    fn answered(&self);
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Whose mailbox, or whose quota.
    pub user: UserId,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// To a message.
    Message {
        /// Its mailbox.
        mailbox: MailboxId,
        /// Its UID.
        uid: Uid,
        /// What happened to it.
        change: MessageChange,
        /// The mailbox after the whole operation.
        counts: Counts,
    },
    /// A mailbox was made.
    Created(MailboxName),
    /// A mailbox was deleted.
    Deleted(MailboxName),
    /// A mailbox, with those below it, has another name.
    Renamed {
        /// Before.
        from: MailboxName,
        /// Now.
        to: MailboxName,
    },
    /// Messages were refused because there is no room, or there is more room than before.
    Use {
        /// Messages were refused.
        refused: bool,
        /// What is used.
        used: Quota,
        /// What may be used.
        quota: Quota,
    },
}

/// What happened to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageChange {
    /// It came.
    Came {
        /// How.
        how: How,
        /// Its size in bytes.
        size: u64,
        /// Bytes of its header, with the empty line, if they are at hand.
        header: Option<u64>,
    },
    /// Its flags are others than before.
    Flags {
        /// The system flags before, as [`mail::SystemFlag`] numbers them.
        old: u8,
        /// And now.
        new: u8,
        /// How they were changed.
        mode: StoreMode,
    },
    /// It was expunged.
    Expunged,
    /// It was moved away.
    Moved,
}

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By LMTP.
    Delivered,
    /// By APPEND.
    Appended,
    /// From another mailbox.
    Copied,
}

/// A mailbox's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages.
    pub messages: u32,
    /// With `\Seen`.
    pub seen: u32,
    /// With `\Deleted`.
    pub deleted: u32,
    /// With both of them.
    pub seen_deleted: u32,
    /// UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// The UID given last; 0 if none was.
    pub last_uid: Uid,
}
