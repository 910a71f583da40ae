//! The store as of one commit, for backups: it is read in pieces while others go on writing.
//!
//! A snapshot of the database costs nothing to take. What is removed while it is held stays on the
//! disk until it is given up. The database is held only while a piece is read: if it has to be
//! opened again after a failure, the snapshot is gone, and whoever reads it is told.

use std::sync::Arc;

use bytes::Bytes;
use fjall::Snapshot;
use mail::metadata::Entry;
use mail::{
    Flags, InternalDate, MailboxId, MailboxName, ModSeq, ObjectId, Rights, SpecialUse, Uid, UidSet,
    UidValidity, UserId,
};

use crate::Error;
use crate::disk::{Disk, View};
use crate::logic::{self, Block};
use crate::put::SetLimits;

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrozenUser {
    /// Their number.
    pub user: UserId,
    /// Their account.
    pub account: String,
}

/// A name that a user has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrozenName {
    /// The name.
    pub name: MailboxName,
    /// It exists; if not, it is only subscribed.
    pub exists: bool,
    /// It is subscribed.
    pub subscribed: bool,
    /// Its use attribute.
    pub special_use: Option<SpecialUse>,
    /// Its mailbox; none if it can't be selected.
    pub mailbox: Option<FrozenMailbox>,
}

/// A mailbox's figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrozenMailbox {
    /// Its number in this store.
    pub id: MailboxId,
    /// What clients know it by.
    pub object: ObjectId,
    /// UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// UIDNEXT.
    pub uid_next: Uid,
    /// HIGHESTMODSEQ.
    pub modseq: ModSeq,
    /// What was expunged up to here is not known any more.
    pub horizon: ModSeq,
    /// Messages from this UID on were not claimed as recent.
    pub recent_from: Uid,
    /// How many messages it has.
    pub messages: u32,
    /// Their bytes.
    pub bytes: u64,
    /// Its keywords.
    pub keywords: Vec<Arc<str>>,
    /// When its access control list was last changed; 0 if it never had one.
    pub acl_at: ModSeq,
    /// Its access control list.
    pub acl: Vec<FrozenEntry>,
}

/// An entry of an access control list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrozenEntry {
    /// The account of whom it is about; none is `anyone`.
    pub account: Option<String>,
    /// The rights are taken away.
    pub negative: bool,
    /// Which.
    pub rights: Rights,
}

/// An entry of metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrozenMetadata {
    /// The account of whose it is, if it is private.
    pub account: Option<String>,
    /// Name and value.
    pub entry: Entry,
}

/// A message without its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrozenMessage {
    /// UID.
    pub uid: Uid,
    /// MODSEQ.
    pub modseq: ModSeq,
    /// The mod-sequence at which it came.
    pub created: ModSeq,
    /// Its flags.
    pub flags: Flags,
    /// Its internal date.
    pub date: InternalDate,
    /// When it came into the mailbox, in seconds since 1970; 0 if that is not known.
    pub saved_s: u64,
    /// Who submitted it, if that is known for certain.
    pub submitter: Option<Box<str>>,
    /// Its size in bytes.
    pub size: u64,
    /// The number of its body in this store.
    pub body: u64,
}

/// The store as of one commit. Each call takes a bounded time.
pub struct Frozen {
    disk: Arc<Disk>,
    snapshot: Snapshot,
    generation: u64,
    commit: u64,
    identity: Option<u128>,
}

impl Frozen {
    /// As of the last commit.
    pub(crate) fn new(disk: &Arc<Disk>) -> Result<Self, Error> {
        let (view, generation) = disk.view_now()?;
        let commit = logic::commit_of(&view)?;
        let identity = logic::identity(&view)?;
        let snapshot = view.snapshot();
        drop(view);
        Ok(Self {
            disk: disk.clone(),
            snapshot,
            generation,
            commit,
            identity,
        })
    }

    /// The number of the last commit in it.
    pub fn commit(&self) -> u64 {
        self.commit
    }

    /// What this store, and no other, was marked with; none if it never was.
    pub fn identity(&self) -> Option<u128> {
        self.identity
    }

    fn block(&self) -> Block {
        Block::of_mark(self.identity)
    }

    fn view(&self) -> Result<View<'_>, Error> {
        self.disk.view_of(&self.snapshot, self.generation)
    }

    /// The user with the lowest number after one.
    ///
    /// # Errors
    /// If the disk fails, a row is damaged, or the database was opened again.
    pub fn user_after(&self, after: UserId) -> Result<Option<FrozenUser>, Error> {
        logic::user_after(&self.view()?, after)
    }

    /// The user of an account.
    ///
    /// # Errors
    /// As [`Frozen::user_after`].
    pub fn user(&self, account: &str) -> Result<Option<UserId>, Error> {
        logic::lookup_user(&self.view()?, account)
    }

    /// All names of a user, in their order.
    ///
    /// # Errors
    /// As [`Frozen::user_after`].
    pub fn names(&self, user: UserId) -> Result<Vec<FrozenName>, Error> {
        logic::frozen_names(&self.view()?, self.block(), user)
    }

    /// Limits of a user that were set by SETQUOTA, if any were.
    ///
    /// # Errors
    /// As [`Frozen::user_after`].
    pub fn limits(&self, user: UserId) -> Result<Option<SetLimits>, Error> {
        logic::frozen_limits(&self.view()?, user)
    }

    /// All metadata of a mailbox, with the accounts of those whose it is, if it is private.
    ///
    /// # Errors
    /// As [`Frozen::user_after`].
    pub fn entries(&self, mailbox: MailboxId) -> Result<Vec<FrozenMetadata>, Error> {
        logic::frozen_entries(&self.view()?, mailbox, None)
    }

    /// Metadata of the server: what is a user's, or what all share.
    ///
    /// # Errors
    /// As [`Frozen::user_after`].
    pub fn server_entries(&self, user: Option<UserId>) -> Result<Vec<FrozenMetadata>, Error> {
        let user = user.unwrap_or(UserId(0));
        logic::frozen_entries(&self.view()?, MailboxId(0), Some(user))
    }

    /// The commit that a backup of this store is as of; none if the store knows of no such, or of
    /// none any more.
    ///
    /// # Errors
    /// As [`Frozen::user_after`].
    pub fn backed_up(&self, backup: u128) -> Result<Option<u64>, Error> {
        logic::backed_up(&self.view()?, backup)
    }

    /// A mailbox's figures; none if it is not there.
    ///
    /// # Errors
    /// As [`Frozen::user_after`].
    pub fn mailbox(&self, mailbox: MailboxId) -> Result<Option<FrozenMailbox>, Error> {
        logic::frozen_mailbox(&self.view()?, self.block(), mailbox)
    }

    /// Messages from a UID on, by UID, some at a time.
    ///
    /// # Errors
    /// As [`Frozen::user_after`].
    pub fn messages(
        &self,
        mailbox: MailboxId,
        from: Uid,
        max: usize,
    ) -> Result<Vec<FrozenMessage>, Error> {
        logic::frozen_messages(&self.view()?, mailbox, from, max)
    }

    /// Messages that have changed after a mod-sequence, by mod-sequence and UID, some at a time;
    /// those that came after it are not all among them.
    ///
    /// # Errors
    /// As [`Frozen::user_after`].
    pub fn changed(
        &self,
        mailbox: MailboxId,
        after: (ModSeq, Uid),
        max: usize,
    ) -> Result<Vec<FrozenMessage>, Error> {
        logic::frozen_changes(&self.view()?, mailbox, after, max)
    }

    /// What was expunged after a mod-sequence; none if that is not known any more.
    ///
    /// # Errors
    /// As [`Frozen::user_after`].
    pub fn gone(&self, mailbox: MailboxId, since: ModSeq) -> Result<Option<UidSet>, Error> {
        logic::frozen_expunges(&self.view()?, mailbox, since)
    }

    /// Some bytes of a message, from a place on: up to the end of a piece of 64 KiB.
    ///
    /// # Errors
    /// As [`Frozen::user_after`].
    pub fn bytes(&self, message: &FrozenMessage, at: u64) -> Result<Bytes, Error> {
        logic::frozen_bytes(&self.view()?, message, at)
    }
}
