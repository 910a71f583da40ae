//! What restores and imports put into the store: messages with the UIDs, flags and dates that they
//! have elsewhere.
//!
//! A mailbox is made where nobody sees it, filled, and given its name by one commit: then it has
//! the UIDVALIDITY, UIDs and mod-sequences that were wanted, and all of its messages at once. That
//! can be done only where there is no mailbox of that name, or one that never had a message. One
//! that was not given a name is removed, at the latest when the store is opened again.

use std::sync::Arc;

use mail::metadata::Entry;
use mail::{
    Body, Flags, InternalDate, MailboxId, MailboxName, ModSeq, ObjectId, QuotaLimits, Refusal,
    Rights, SpecialUse, SpoolId, Uid, UidValidity, UserId,
};

use crate::Quota;

/// Told what became of a [`Put`] once that is durable.
pub type PutCompletion = Box<dyn FnOnce(Result<PutDone, Refusal>) + Send>;

/// Something to put into the store. Quotas are counted, and refuse nothing.
#[derive(Clone, Debug)]
pub enum Put {
    /// Makes a mailbox that nobody sees: `Begun`, or `InUse`.
    Begin(Box<NewMailbox>),
    /// Puts messages into it: `Put`.
    Stage(MailboxId, Vec<PutMessage>),
    /// Gives it its name: `Placed`, or `InUse`.
    Place(Box<Placing>),
    /// Removes it: `Put`.
    Abandon(MailboxId),
    /// Adds messages to a mailbox that is there: `Put`.
    Add(MailboxId, Vec<PutMessage>),
    /// Adds what a name is besides its mailbox: `Put`.
    Name(Box<PutName>),
    /// Limits of a user that were set by SETQUOTA, unless others were: `Put`.
    Limits(UserId, SetLimits),
    /// Metadata of the mailbox, which must have no name yet; of the server if there is none: `Put`.
    /// What is there stays.
    Entries(Option<MailboxId>, Vec<PutEntry>),
    /// Begins an upload with the number that a body had: `Spool`.
    SpoolAs(u64),
    /// Notes a backup, and the commit that it is as of: `Put`.
    Backup(u128, u64),
    /// Removes messages of a mailbox, as long as it has its name: `Put`.
    Expire(Box<Expiring>),
}

/// Limits that were set by SETQUOTA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetLimits {
    /// The limits.
    pub limits: QuotaLimits,
    /// What the user directory said when they were set: they hold as long as it says so.
    pub instead_of: Quota,
}

/// An entry of metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutEntry {
    /// Whose it is, if it is private.
    pub user: Option<UserId>,
    /// Name and value.
    pub entry: Entry,
}

/// Messages that are to go.
#[derive(Clone, Debug)]
pub struct Expiring {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Whose it is.
    pub user: UserId,
    /// The name that it has to have still.
    pub name: MailboxName,
    /// The messages; those that are gone count for nothing.
    pub uids: Vec<Uid>,
    /// Those stay that have changed since.
    pub unchanged_since: ModSeq,
}

/// A mailbox to be made.
#[derive(Clone, Debug)]
pub struct NewMailbox {
    /// Whose.
    pub user: UserId,
    /// What it is going to be called.
    pub name: MailboxName,
    /// UIDVALIDITY; a new one if none.
    pub uid_validity: Option<UidValidity>,
    /// UIDNEXT there: of two of the same UIDVALIDITY that never had a message, none is made.
    pub uid_next: Uid,
    /// Its keywords, in their places.
    pub keywords: Vec<Arc<str>>,
    /// What clients knew it by: they do so again if it keeps its UIDVALIDITY and no other mailbox
    /// is known by that (RFC 8474 §4).
    pub object: Option<ObjectId>,
}

/// A mailbox gets its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placing {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The least that UIDNEXT is going to be.
    pub uid_next: Uid,
    /// The least that HIGHESTMODSEQ is going to be.
    pub modseq: ModSeq,
    /// Messages from this UID on are recent.
    pub recent_from: Uid,
    /// When its access control list was last changed; 0 if it never had one.
    pub acl_at: ModSeq,
    /// Its access control list: the account of each entry, or `anyone` if none; whether it takes
    /// the rights away; which. If none is given it is that of the mailbox that it replaces, or what
    /// a mailbox that is made there inherits.
    pub acl: Option<Vec<(Option<String>, bool, Rights)>>,
}

/// What a name is besides its mailbox.
#[derive(Clone, Debug)]
pub struct PutName {
    /// Whose.
    pub user: UserId,
    /// The name.
    pub name: MailboxName,
    /// It exists, if only for what is below it.
    pub exists: bool,
    /// It is subscribed.
    pub subscribed: bool,
    /// Its use attribute.
    pub special_use: Option<SpecialUse>,
}

/// A message.
#[derive(Clone, Debug)]
pub struct PutMessage {
    /// Its UID; the next one if none.
    pub uid: Option<Uid>,
    /// MODSEQ and the mod-sequence at which it came; new ones if none.
    pub modseqs: Option<(ModSeq, ModSeq)>,
    /// Its flags. Keywords for which the mailbox has no place are left out.
    pub flags: Flags,
    /// Its internal date.
    pub date: InternalDate,
    /// When it came into the mailbox, in seconds since 1970; now if that is 0.
    pub saved_s: u64,
    /// Who submitted it, if that is known for certain.
    pub submitter: Option<Box<str>>,
    /// Its bytes.
    pub body: Body,
    /// The number that its body had: it is its own again if nothing else has it (RFC 8474 §5.1).
    pub was: Option<u64>,
}

/// What became of a [`Put`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutDone {
    /// It is done. Keywords of so many messages were left out.
    Put {
        /// Messages.
        without_keywords: u32,
    },
    /// The new mailbox.
    Begun(MailboxId),
    /// The mailbox has its name. So many messages that had come to its predecessor meanwhile are
    /// in it, behind the others.
    Placed {
        /// Messages.
        taken_over: u32,
    },
    /// A mailbox of that name has, or had, messages.
    InUse(MailboxId),
    /// The upload that was begun; none if it can't have that number.
    Spool(Option<SpoolId>),
}
