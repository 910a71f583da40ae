//! What a session or a delivery asks of the store: one half of the seam.
//!
//! Requests that name a selected mailbox carry `since`, the mod-sequence up to which the asker's
//! view is complete; the reply's [`crate::Delta`] brings it up to date, so a command sees all that
//! was committed before it without any other message having to arrive first.
//!
//! A `user` is who asks, and names are as that user has them: a mailbox may be another's
//! ([`crate::namespace`]). What the asker has no right to is refused (RFC 4314 §4).

mod changes;
mod credentials;
mod messages;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::{
    AccessKey, Flags, InView, InternalDate, MailboxId, MailboxName, ModSeq, QuotaLimits, QuotaOf,
    Rights, RightsMode, Scope, SignedUrl, SpecialUse, SpoolId, Uid, UidRanges, UrlToSign, UserId,
    list::Query, metadata, mime::transfer::Decoder, search::Program, sort::Criterion,
    thread::Algorithm,
};

pub use changes::{CopyHow, FlagChange, StoreMode};
pub use credentials::{Credentials, Evidence};
pub use messages::{Body, NewMessage, Target, Want};

/// A request to the store (and to authentication, which stands in front of it).
#[derive(Clone, Debug)]
pub enum Request {
    /// Check who a client is. Reply: `Authenticated`, or `Proved` to a proof; or `Refused`.
    Authenticate(Credentials),
    /// LMTP: whose mail goes there? Reply: `Recipient`.
    Recipient {
        /// The whole address, if it has a domain: a user of that name comes first.
        whole: Option<Box<str>>,
        /// Its part before the `@`, a folder's name left out.
        local: Box<str>,
    },
    /// What a client of SCRAM needs for its proof (RFC 5802 §5). Reply: `Challenged`, for a user
    /// who doesn't exist too; or `Refused`.
    Challenge {
        /// Who it says to be.
        user: Box<str>,
    },
    /// LIST or LSUB, a piece of it. Reply: `Listed`; the asker asks again after its `next`.
    List {
        /// Whose.
        user: UserId,
        /// What is asked for.
        query: Arc<Query>,
        /// The end of the piece before.
        after: Option<MailboxName>,
    },
    /// CREATE, missing parents included. Reply: `Created` or `Refused`.
    Create {
        /// Whose.
        user: UserId,
        /// The new name.
        name: MailboxName,
        /// RFC 6154 §3 use attribute, if asked for.
        special_use: Option<SpecialUse>,
    },
    /// DELETE. A mailbox with children stays as a `\Noselect` name (RFC 3501 §6.3.4).
    Delete {
        /// Whose.
        user: UserId,
        /// Its name.
        name: MailboxName,
    },
    /// RENAME, children included; INBOX's messages move and INBOX stays (RFC 3501 §6.3.5).
    Rename {
        /// Whose.
        user: UserId,
        /// The present name.
        from: MailboxName,
        /// The new name.
        to: MailboxName,
    },
    /// SUBSCRIBE (`on`) or UNSUBSCRIBE. The name need not exist.
    Subscribe {
        /// Whose.
        user: UserId,
        /// The name.
        name: MailboxName,
        /// Whether to add or to remove it.
        on: bool,
    },
    /// SETACL or DELETEACL (RFC 4314 §3.1, §3.2). Reply: `Done` or `Refused`.
    SetAcl {
        /// Who asks.
        user: UserId,
        /// Its name, as that user has it.
        name: MailboxName,
        /// Whose rights; with a dash before it, what is taken away.
        identifier: Box<str>,
        /// Whether to add, to remove or to replace.
        mode: RightsMode,
        /// Which rights.
        rights: Rights,
    },
    /// GETACL, LISTRIGHTS or MYRIGHTS (RFC 4314 §3.3 to §3.5). Reply: `Acl`.
    Acl {
        /// Who asks.
        user: UserId,
        /// Its name, as that user has it.
        name: MailboxName,
        /// What is asked.
        question: AclQuestion,
    },
    /// STATUS figures. Reply: `Status`.
    Status {
        /// Whose.
        user: UserId,
        /// Its name.
        name: MailboxName,
        /// Whether the bytes of messages with `\Deleted` are asked for, which may have to be
        /// counted.
        deleted_bytes: bool,
    },
    /// GETQUOTA or GETQUOTAROOT (RFC 9208 §4.1). Reply: `Quota`.
    Quota {
        /// Who asks.
        user: UserId,
        /// For what.
        of: QuotaOf,
        /// Whether the asker may see what others have: it is not the session that knows.
        is_admin: bool,
    },
    /// SETQUOTA (RFC 9208 §4.1.3). Reply: `Quota`.
    SetQuota {
        /// Who asks.
        user: UserId,
        /// The user whose limits these are, by name.
        whose: Box<str>,
        /// All of them.
        limits: QuotaLimits,
        /// Whether the asker may do that: it is not the session that knows.
        is_admin: bool,
    },
    /// GETMETADATA (RFC 5464 §4.2). Reply: `Metadata`.
    Metadata {
        /// Who asks.
        user: UserId,
        /// Of which mailbox, or of the server.
        mailbox: Option<MailboxName>,
        /// Which entries.
        query: Arc<metadata::MetadataQuery>,
    },
    /// SETMETADATA (RFC 5464 §4.3): all of it or nothing. Reply: `Done`.
    SetMetadata {
        /// Who asks.
        user: UserId,
        /// Of which mailbox, or of the server.
        mailbox: Option<MailboxName>,
        /// Entries, those that are to go without a value.
        entries: Vec<metadata::Entry>,
        /// Whether the asker may set what all share: it is not the session that knows.
        is_admin: bool,
    },
    /// GENURLAUTH (RFC 4467 §7): all of it or nothing. Reply: `UrlsSigned`.
    SignUrls {
        /// Who asks.
        user: UserId,
        /// What is to be signed.
        urls: Vec<UrlToSign>,
        /// What keys come of where there are none yet: it is not the session that has chance.
        fresh: Option<AccessKey>,
    },
    /// A URL of URLFETCH (RFC 4467 §7). Reply: `UrlOpened`, or `Refused` with `NoMessage`, whatever
    /// is wrong with it.
    OpenUrl {
        /// Who asks.
        user: UserId,
        /// The URL.
        url: Box<SignedUrl>,
        /// Whether the asker submits messages for others: it is not the session that knows.
        submits: bool,
    },
    /// RESETKEY (RFC 4467 §7): URLs that were signed are not any more. Reply: `Done`.
    ResetKeys {
        /// Whose.
        user: UserId,
        /// For which mailbox; all if none.
        mailbox: Option<MailboxName>,
    },
    /// The mailboxes of a scope whose messages the user may hear of, or look at. Reply: `Watched`.
    Watched {
        /// Who asks.
        user: UserId,
        /// What is meant.
        scope: Arc<Scope>,
        /// Only these of them; all if it is empty.
        only: Vec<MailboxId>,
        /// What the user has to have the right to.
        needs: Rights,
        /// If there are more than so many, only that is told.
        max: usize,
    },
    /// SELECT or EXAMINE. Reply: `Opened`. If not `read_only`, the session claims `\Recent` of all
    /// messages in the mailbox that no session claimed before.
    Open {
        /// Whose.
        user: UserId,
        /// Its name.
        name: MailboxName,
        /// EXAMINE.
        read_only: bool,
    },
    /// A session that may change the mailbox was told of its messages below a UID: they are not
    /// recent for those who open it later (RFC 3501 §2.3.2). Reply: `Done`, which nobody awaits.
    Claim {
        /// The mailbox.
        mailbox: MailboxId,
        /// The UID, which is excluded.
        below: Uid,
    },
    /// What happened since. Reply: `Synced`.
    Sync {
        /// The mailbox.
        mailbox: MailboxId,
        /// The asker's mod-sequence.
        since: ModSeq,
    },
    /// The UIDs that were in the mailbox at mod-sequence `at`, and what happened since.
    /// Reply: `Viewed`.
    View {
        /// The mailbox.
        mailbox: MailboxId,
        /// A mod-sequence the asker was told.
        at: ModSeq,
    },
    /// Which messages changed or went from a mod-sequence to another. Reply: `Changes`.
    Changes {
        /// The mailbox.
        mailbox: MailboxId,
        /// What changed up to here is not asked for.
        since: ModSeq,
        /// The asker's mod-sequence: what went after it, it hears of otherwise.
        upto: ModSeq,
        /// Messages that the asker means.
        known: UidRanges,
        /// Whether those that went are asked for, and a UID up to which the asker has heard of
        /// all, should it not be known any more when they went (RFC 7162 §3.2.5.2).
        vanished: Option<Uid>,
    },
    /// Messages, also those that were expunged lately: the asker may not have been told. Reply:
    /// `Fetched` with at least one message if any of `uids` is known, and with as many as fit
    /// `budget_bytes`, in the order of `uids`; the asker asks again for the rest.
    Fetch {
        /// The mailbox.
        mailbox: MailboxId,
        /// Which, ascending.
        uids: Vec<Uid>,
        /// What of them besides flags, dates and sizes.
        want: Want,
        /// How many body bytes the reply may carry before it stops.
        budget_bytes: usize,
    },
    /// A piece of a message, also of one that was expunged lately. Reply: `Piece`, shorter than
    /// asked only at the message's end.
    Read {
        /// The mailbox.
        mailbox: MailboxId,
        /// Which message.
        uid: Uid,
        /// Byte range of the whole message.
        range: Range<u64>,
    },
    /// Some of what a range of a message is when its transfer encoding is taken off. Reply:
    /// `Decoded`.
    Decode {
        /// The mailbox.
        mailbox: MailboxId,
        /// Which message.
        uid: Uid,
        /// What of it is not decoded yet.
        range: Range<u64>,
        /// How far the part's decoding has come.
        decoder: Decoder,
        /// Only how much it is is asked for.
        only_size: bool,
    },
    /// STORE. Reply: `Stored`.
    Store {
        /// The mailbox.
        mailbox: MailboxId,
        /// Which messages: those that are there.
        ranges: UidRanges,
        /// What to do to their flags.
        change: FlagChange,
        /// The asker's mod-sequence.
        since: ModSeq,
    },
    /// EXPUNGE (all `\Deleted`) or UID EXPUNGE (those of them in `within`). Reply: `Synced`.
    Expunge {
        /// The mailbox.
        mailbox: MailboxId,
        /// UIDs to which it is limited (RFC 4315 §2.1).
        within: Option<UidRanges>,
        /// The asker's mod-sequence.
        since: ModSeq,
    },
    /// CLOSE: as `Expunge`, if the asker may still do that, without telling; else nothing (RFC 4314
    /// §4). Reply: `Synced`, which tells nothing, or `Done`.
    Close {
        /// Who asks.
        user: UserId,
        /// The mailbox.
        mailbox: MailboxId,
    },
    /// COPY or MOVE (RFC 6851): all or nothing. Reply: `Copied` or `Refused`.
    Copy {
        /// The source.
        mailbox: MailboxId,
        /// Which messages.
        messages: InView,
        /// Whose is the destination.
        user: UserId,
        /// The destination.
        to: MailboxName,
        /// Which of the two, and what about messages that are gone.
        how: CopyHow,
        /// The asker's mod-sequence in the source.
        since: ModSeq,
    },
    /// SEARCH. Reply: `Found`.
    Search {
        /// The mailbox.
        mailbox: MailboxId,
        /// What to look for; message numbers are already UIDs in it.
        program: Program,
        /// The asker's mod-sequence.
        since: ModSeq,
        /// UIDs at and above this one are `\Recent` in the asking session.
        recent_from: Uid,
    },
    /// SORT or THREAD. Reply: `Arranged`.
    Arrange {
        /// The mailbox.
        mailbox: MailboxId,
        /// What to look for; message numbers are already UIDs in it.
        program: Program,
        /// How to arrange what is found.
        how: Arrange,
        /// The asker's mod-sequence.
        since: ModSeq,
        /// UIDs at and above this one are `\Recent` in the asking session.
        recent_from: Uid,
    },
    /// Adds a piece to an upload, or begins one. Reply: `Spooled`.
    Spool {
        /// The upload, or none to begin one.
        spool: Option<SpoolId>,
        /// The piece.
        chunk: Bytes,
    },
    /// Forgets an upload. Reply: `Done`.
    Discard {
        /// The upload.
        spool: SpoolId,
    },
    /// APPEND. Reply once durable: `Appended` or `Refused`. The spool is consumed either way.
    Append {
        /// Whose.
        user: UserId,
        /// The mailbox.
        name: MailboxName,
        /// Its flags.
        flags: Flags,
        /// Its internal date; now if none.
        date: Option<InternalDate>,
        /// The message.
        body: Body,
    },
    /// APPEND of several messages (RFC 3502): all or nothing. Reply once durable: `AppendedAll` or
    /// `Refused`. Their spools are consumed either way.
    AppendAll {
        /// Whose.
        user: UserId,
        /// The mailbox.
        name: MailboxName,
        /// The messages, in their order.
        messages: Vec<NewMessage>,
    },
    /// REPLACE (RFC 8508): a message comes and another goes, by one commit. Reply: `Replaced`, or
    /// `Refused`, and nothing has changed but that the upload is used up.
    Replace {
        /// Who asks.
        user: UserId,
        /// Where the other is.
        mailbox: MailboxId,
        /// Its UID.
        uid: Uid,
        /// The asker's mod-sequence there.
        since: ModSeq,
        /// Where it comes.
        name: MailboxName,
        /// What comes.
        message: Box<NewMessage>,
    },
    /// LMTP: one message into several mailboxes, stored once. Reply once durable: `Delivered`,
    /// one result a target in their order.
    Deliver {
        /// Where to.
        targets: Vec<Target>,
        /// The message with its trace headers.
        body: Body,
        /// Who submitted it, as a deliverer says who is trusted with that (RFC 4954 §5).
        submitter: Option<Box<str>>,
    },
}

impl Request {
    /// Whether it changes what is stored. Opening a mailbox for writing and a claim do not: what is
    /// claimed as recent may be noted later.
    pub fn is_write(&self) -> bool {
        match self {
            Self::Authenticate(_)
            | Self::Recipient { .. }
            | Self::Challenge { .. }
            | Self::List { .. }
            | Self::Status { .. }
            | Self::Watched { .. }
            | Self::Acl { .. }
            | Self::Quota { .. }
            | Self::Metadata { .. }
            | Self::OpenUrl { .. }
            | Self::Sync { .. }
            | Self::View { .. }
            | Self::Changes { .. }
            | Self::Fetch { .. }
            | Self::Read { .. }
            | Self::Decode { .. }
            | Self::Search { .. }
            | Self::Arrange { .. }
            | Self::Open { .. }
            | Self::Claim { .. } => false,
            Self::Create { .. }
            | Self::Delete { .. }
            | Self::Rename { .. }
            | Self::Subscribe { .. }
            | Self::SetAcl { .. }
            | Self::SetQuota { .. }
            | Self::SetMetadata { .. }
            | Self::SignUrls { .. }
            | Self::ResetKeys { .. }
            | Self::Store { .. }
            | Self::Expunge { .. }
            | Self::Close { .. }
            | Self::Copy { .. }
            | Self::Spool { .. }
            | Self::Discard { .. }
            | Self::Append { .. }
            | Self::AppendAll { .. }
            | Self::Replace { .. }
            | Self::Deliver { .. } => true,
        }
    }

    /// Whether it claims messages as recent: a change in whatever notes it at once.
    pub fn claims(&self) -> bool {
        matches!(
            self,
            Self::Open {
                read_only: false,
                ..
            } | Self::Claim { .. }
        )
    }
}

impl Request {
    /// What it is called in logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Authenticate(_) => "Authenticate",
            Self::Recipient { .. } => "Recipient",
            Self::Challenge { .. } => "Challenge",
            Self::List { .. } => "List",
            Self::Create { .. } => "Create",
            Self::Delete { .. } => "Delete",
            Self::Rename { .. } => "Rename",
            Self::Subscribe { .. } => "Subscribe",
            Self::SetAcl { .. } => "SetAcl",
            Self::Acl { .. } => "Acl",
            Self::Status { .. } => "Status",
            Self::Quota { .. } => "Quota",
            Self::SetQuota { .. } => "SetQuota",
            Self::Metadata { .. } => "Metadata",
            Self::SetMetadata { .. } => "SetMetadata",
            Self::SignUrls { .. } => "SignUrls",
            Self::OpenUrl { .. } => "OpenUrl",
            Self::ResetKeys { .. } => "ResetKeys",
            Self::Watched { .. } => "Watched",
            Self::Open { .. } => "Open",
            Self::Claim { .. } => "Claim",
            Self::Sync { .. } => "Sync",
            Self::View { .. } => "View",
            Self::Changes { .. } => "Changes",
            Self::Fetch { .. } => "Fetch",
            Self::Read { .. } => "Read",
            Self::Decode { .. } => "Decode",
            Self::Store { .. } => "Store",
            Self::Expunge { .. } => "Expunge",
            Self::Close { .. } => "Close",
            Self::Copy { .. } => "Copy",
            Self::Search { .. } => "Search",
            Self::Arrange { how, .. } => how.name(),
            Self::Spool { .. } => "Spool",
            Self::Discard { .. } => "Discard",
            Self::Append { .. } => "Append",
            Self::AppendAll { .. } => "AppendAll",
            Self::Replace { .. } => "Replace",
            Self::Deliver { .. } => "Deliver",
        }
    }

    /// What it takes in memory while it waits, in bytes, about.
    pub fn bytes(&self) -> usize {
        let more = match self {
            Self::Fetch { uids, .. } => size_of_val(&uids[..]),
            Self::Changes { known, .. } => known.bytes(),
            Self::Store { ranges, .. } => ranges.bytes(),
            Self::Copy { messages, .. } => messages.bytes(),
            Self::Expunge { within, .. } => within.as_ref().map_or(0, UidRanges::bytes),
            Self::Spool { chunk, .. } => chunk.len(),
            Self::Append { body, .. } | Self::Deliver { body, .. } => body.bytes(),
            Self::Replace { message, .. } => message.body.bytes(),
            Self::AppendAll { messages, .. } => {
                let bodies = messages.iter().map(|message| message.body.bytes());
                size_of_val(&messages[..]) + bodies.sum::<usize>()
            }
            Self::Search { program, .. } | Self::Arrange { program, .. } => program.bytes(),
            Self::List { query, .. } => query.patterns.iter().map(|it| it.len()).sum(),
            Self::Recipient { whole, local } => {
                whole.as_ref().map_or(0, |whole| whole.len()) + local.len()
            }
            Self::Authenticate(credentials) => credentials.bytes(),
            Self::Challenge { user } => user.len(),
            Self::SetAcl { identifier, .. } => identifier.len(),
            Self::Metadata { query, .. } => query.bytes(),
            Self::SetMetadata { entries, .. } => entries.iter().map(|it| it.cost() as usize).sum(),
            Self::SignUrls { urls, .. } => {
                size_of_val(&urls[..]) + urls.iter().map(UrlToSign::bytes).sum::<usize>()
            }
            Self::OpenUrl { url, .. } => size_of::<SignedUrl>() + url.url.bytes(),
            Self::Watched { only, .. } => size_of_val(&only[..]),
            _ => 0,
        };
        size_of::<Self>() + more
    }
}

/// How messages that were found are arranged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrange {
    /// SORT, by these in this order; then by UID.
    Sort(Box<[Criterion]>),
    /// THREAD.
    Thread(Algorithm),
}

impl Arrange {
    /// What it is called in logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sort(_) => "Sort",
            Self::Thread(_) => "Thread",
        }
    }
}

/// What is asked of an access control list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AclQuestion {
    /// GETACL.
    Entries,
    /// MYRIGHTS.
    Mine,
    /// LISTRIGHTS of this identifier.
    Grantable(Box<str>),
}
