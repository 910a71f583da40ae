//! What happened to a mailbox: the hint with the truth in it.

use std::sync::Arc;

use crate::{Acl, Flags, MailboxId, ModSeq, Uid, UserId};

/// One committed operation on one mailbox. Events of a mailbox form a gapless chain:
/// `seq == prev + 1` when the store announces it; an event that the store builds for a catch-up
/// may span more (`seq > prev + 1`).
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// HIGHESTMODSEQ before the operation.
    pub prev: ModSeq,
    /// HIGHESTMODSEQ after it.
    pub seq: ModSeq,
    /// What changed, in the order in which a client must be told: a key and keywords, then
    /// expunges, then new messages, then flags. Who may do what comes before all.
    pub changes: Vec<Change>,
    /// The mailbox was deleted; `changes` is empty.
    pub deleted: bool,
}

impl Event {
    /// The end of a delta that is cut off: more happened after `at`, which the asker gets when it
    /// asks again from there.
    pub fn more(mailbox: MailboxId, at: ModSeq) -> Arc<Self> {
        Arc::new(Self {
            mailbox,
            prev: at,
            seq: at,
            changes: Vec::new(),
            deleted: false,
        })
    }

    /// Whether it is such an end.
    pub fn is_more(&self) -> bool {
        self.seq == self.prev
    }
}

/// One change to one message, or to a run of them. `number` is the message sequence number for an
/// observer that was in sync at `prev` and has applied the changes before this one in the same
/// event.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Who may do what is this now: who may do less than before feels it at once.
    Acl(Arc<Acl>),
    /// Keywords are used in the mailbox that were not before: all that it has now. A client must
    /// know them before it is told of their use (RFC 3501 §7.2.6).
    Keywords(Arc<[Arc<str>]>),
    /// A user has given up the key by which they signed URLs of the mailbox's messages: their
    /// sessions are told (RFC 4467 §8). In an event built for a catch-up it is [`Change::SEVERAL`]
    /// if more than one has, ever: which of them since then is not kept.
    KeyReset(UserId),
    /// A message left the mailbox.
    Expunged {
        /// Its UID.
        uid: Uid,
        /// Its number at the time it left.
        number: u32,
    },
    /// A message joined; its number is `exists`.
    New {
        /// Its UID.
        uid: Uid,
        /// Messages in the mailbox, this one included.
        exists: u32,
        /// Its flags.
        flags: Arc<Flags>,
    },
    /// Very many messages joined at once: all UIDs from one to another.
    NewRun {
        /// The first UID.
        first: Uid,
        /// The last UID.
        last: Uid,
        /// Messages in the mailbox, these included.
        exists: u32,
    },
    /// A message's flags are now these.
    Flags {
        /// Its UID.
        uid: Uid,
        /// Its number.
        number: u32,
        /// All its flags now.
        flags: Arc<Flags>,
        /// The message's mod-sequence.
        modseq: ModSeq,
    },
}

impl Change {
    /// In the place of a user who has given up a key: any of several may have.
    pub const SEVERAL: UserId = UserId(0);

    /// Whether a user may have given up a key by this.
    pub fn may_reset_key_of(&self, user: UserId) -> bool {
        matches!(self, Self::KeyReset(who) if *who == user || *who == Self::SEVERAL)
    }

    /// Who is kept as the one who has given up a key last, if this user does and another, or none,
    /// was kept before.
    pub fn key_reset_by(user: UserId, before: Option<UserId>) -> UserId {
        match before {
            Some(other) if other != user => Self::SEVERAL,
            _ => user,
        }
    }
}
