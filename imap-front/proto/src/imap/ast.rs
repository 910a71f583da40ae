//! Commands as values: what the parser makes of a client's bytes (RFC 3501 §9 `command`).
//!
//! Strings that are mailbox names are already decoded from modified UTF-7 (or UTF-8) to
//! [`MailboxName`]; other strings are bytes as the client sent them.

use bytes::Bytes;
use mail::metadata::{Entry, EntryName, MetadataQuery};
use mail::{
    Flags, MailboxName, ModSeq, QuotaLimits, Rights, RightsMode, SequenceSet, SpecialUse,
    UidValidity, request::StoreMode, search::Key, sort::Criterion, thread::Algorithm,
};

pub use super::append_part::{AppendPart, AppendPlace};
pub use super::fetch_item::{FetchItem, PartNumbers, Section, SectionText};
pub use super::search_return::{PartialRange, SearchReturn};
pub use super::search_source::{Esearch, SearchSource};

/// A command with its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// The tag, 1.. ASCII characters (RFC 3501 §9 `tag`).
    pub tag: Box<str>,
    /// The command.
    pub command: Command,
}

/// A field of ID and its value (RFC 2971 §3.3).
pub type IdField = (Vec<u8>, Option<Vec<u8>>);

/// A command. Whether it is allowed in the session's state is the session's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// RFC 3501 §6.1.1
    Capability,
    /// RFC 3501 §6.1.2
    Noop,
    /// RFC 3501 §6.1.3
    Logout,
    /// RFC 2971 §3.1; `None` is NIL.
    Id(Option<Vec<IdField>>),
    /// RFC 3501 §6.2.1
    StartTls,
    /// RFC 4978 §3: a mechanism in capitals.
    Compress(Box<str>),
    /// RFC 3501 §6.2.2, RFC 4959
    Authenticate {
        /// Mechanism name in capitals.
        mechanism: Box<str>,
        /// Initial response, decoded from base64; `=` is an empty one.
        initial: Option<Vec<u8>>,
    },
    /// RFC 3501 §6.2.3
    Login {
        /// User name.
        user: Vec<u8>,
        /// Password.
        password: Vec<u8>,
    },
    /// RFC 5161 §3.1: capability names in capitals.
    Enable(Vec<Box<str>>),
    /// RFC 3501 §6.3.1, §6.3.2
    Select {
        /// Which.
        mailbox: MailboxName,
        /// EXAMINE.
        read_only: bool,
        /// `(CONDSTORE)` was given (RFC 7162 §3.1.8).
        condstore: bool,
        /// `(QRESYNC (…))`.
        resync: Option<Box<Resync>>,
    },
    /// RFC 3691
    Unselect,
    /// RFC 3501 §6.4.2
    Close,
    /// RFC 3501 §6.3.3, RFC 6154 §3
    Create {
        /// Its name, without a trailing delimiter.
        mailbox: MailboxName,
        /// `USE (…)`.
        special_use: Vec<SpecialUse>,
    },
    /// RFC 3501 §6.3.4
    Delete(MailboxName),
    /// RFC 3501 §6.3.5
    Rename {
        /// Present name.
        from: MailboxName,
        /// New name.
        to: MailboxName,
    },
    /// RFC 3501 §6.3.6
    Subscribe(MailboxName),
    /// RFC 3501 §6.3.7
    Unsubscribe(MailboxName),
    /// RFC 3501 §6.3.8, RFC 5258
    List(List),
    /// RFC 3501 §6.3.9: a reference and a pattern.
    Lsub(List),
    /// RFC 4314 §3.1, and §3.2: DELETEACL replaces all rights by none.
    SetAcl {
        /// Of which mailbox.
        mailbox: MailboxName,
        /// Whose, after SASLprep.
        identifier: Box<str>,
        /// How.
        mode: RightsMode,
        /// Which.
        rights: Rights,
        /// DELETEACL.
        delete: bool,
    },
    /// RFC 4314 §3.3
    GetAcl(MailboxName),
    /// RFC 4314 §3.4
    ListRights {
        /// Of which mailbox.
        mailbox: MailboxName,
        /// Whose, as the client wrote it.
        written: Vec<u8>,
        /// The same after SASLprep.
        identifier: Box<str>,
    },
    /// RFC 4314 §3.5
    MyRights(MailboxName),
    /// RFC 2342
    Namespace,
    /// RFC 3501 §6.3.10
    Status {
        /// Which.
        mailbox: MailboxName,
        /// What.
        items: Vec<StatusItem>,
    },
    /// RFC 8437
    Unauthenticate,
    /// RFC 5255 §3.2: language ranges.
    Language(Vec<Box<str>>),
    /// RFC 4467 §7: URLs, each with how it is to be signed, in upper case.
    GenUrlAuth(Vec<(Vec<u8>, Box<str>)>),
    /// RFC 4467 §7: signed URLs.
    UrlFetch(Vec<Vec<u8>>),
    /// RFC 4467 §7
    ResetKey {
        /// For which mailbox; all if none.
        mailbox: Option<MailboxName>,
        /// For which mechanisms, in upper case.
        mechanisms: Vec<Box<str>>,
    },
    /// RFC 9208 §4.1.1: a quota root.
    GetQuota(Vec<u8>),
    /// RFC 9208 §4.1.2
    GetQuotaRoot(MailboxName),
    /// RFC 9208 §4.1.3
    SetQuota {
        /// Which root.
        root: Vec<u8>,
        /// All its limits.
        limits: QuotaLimits,
    },
    /// RFC 5464 §4.2
    GetMetadata {
        /// Of a mailbox, or of the server.
        mailbox: Option<MailboxName>,
        /// Which entries.
        query: MetadataQuery,
    },
    /// RFC 5464 §4.3
    SetMetadata {
        /// Of a mailbox, or of the server.
        mailbox: Option<MailboxName>,
        /// Entries; NIL is no value.
        entries: Vec<Entry>,
    },
    /// draft-daboo-imap-annotatemore-08 §4.2
    GetAnnotation {
        /// A pattern of mailboxes, decoded; the server's is empty.
        mailbox: Box<str>,
        /// Patterns of entries, in lower case.
        entries: Vec<Box<str>>,
        /// Patterns of attributes, in lower case.
        attributes: Vec<Box<str>>,
    },
    /// draft-daboo-imap-annotatemore-08 §4.3
    SetAnnotation {
        /// A pattern of mailboxes, decoded; the server's is empty.
        mailbox: Box<str>,
        /// What to set.
        annotations: Vec<Annotation>,
    },
    /// Of Netscape's clients: version and account page.
    Netscape,
    /// Of Netscape's clients: pages of the server, by keys in capitals.
    ServerInfo(Vec<Box<str>>),
    /// Of Netscape's clients: pages of a mailbox, by keys that don't matter.
    MailboxInfo(MailboxName),
    /// RFC 1176: names that match a pattern; it is none if no name can.
    Find {
        /// Those that are subscribed.
        subscribed: bool,
        /// The pattern, decoded.
        pattern: Option<Box<str>>,
    },
    /// RFC 3501 §6.3.11. Its literals are not here: they stream (see the receive module).
    Append {
        /// Where to.
        mailbox: MailboxName,
        /// What it is made of, up to the first literal.
        parts: Vec<AppendPart>,
        /// What goes for it, in the selected mailbox (RFC 8508): by UID or number, and which.
        replaces: Option<(bool, SequenceSet)>,
    },
    /// RFC 2177
    Idle,
    /// RFC 5465 §3.1; none is NONE.
    Notify(Option<Box<NotifySet>>),
    /// RFC 3501 §6.4.1
    Check,
    /// CANCELUPDATE (RFC 5267 §4.3.5): the tags of searches.
    CancelUpdate(Vec<Box<str>>),
    /// RFC 3501 §6.4.3; with a set: UID EXPUNGE (RFC 4315 §2.1).
    Expunge(Option<SequenceSet>),
    /// RFC 7377
    Esearch(Box<Esearch>),
    /// RFC 3501 §6.4.4, RFC 4731
    Search {
        /// UID SEARCH.
        uid: bool,
        /// `RETURN (…)`; none means the old answer. An empty list means ALL.
        returns: Option<Vec<SearchReturn>>,
        /// The condition; strings converted to UTF-8.
        key: Key,
    },
    /// RFC 5256 §3, RFC 5267 §3
    Sort {
        /// UID SORT.
        uid: bool,
        /// `RETURN (…)`, as of SEARCH.
        returns: Option<Vec<SearchReturn>>,
        /// By what.
        criteria: Vec<Criterion>,
        /// The condition.
        key: Key,
    },
    /// RFC 5256 §3
    Thread {
        /// UID THREAD.
        uid: bool,
        /// How.
        algorithm: Algorithm,
        /// The condition.
        key: Key,
    },
    /// RFC 3501 §6.4.5, RFC 7162 §3.1.4
    Fetch {
        /// UID FETCH.
        uid: bool,
        /// Which.
        set: SequenceSet,
        /// What; macros are expanded.
        items: Vec<FetchItem>,
        /// `(CHANGEDSINCE n)`.
        changed_since: Option<ModSeq>,
        /// `(CHANGEDSINCE n VANISHED)`, of UID FETCH (RFC 7162 §3.2.6).
        vanished: bool,
        /// `(PARTIAL n:m)` (RFC 9394 §3.3).
        partial: Option<PartialRange>,
    },
    /// RFC 3501 §6.4.6, RFC 7162 §3.1.3
    Store {
        /// UID STORE.
        uid: bool,
        /// Which.
        set: SequenceSet,
        /// How.
        mode: StoreMode,
        /// `.SILENT`
        silent: bool,
        /// Flags.
        flags: Flags,
        /// `(UNCHANGEDSINCE n)`.
        unchanged_since: Option<ModSeq>,
    },
    /// RFC 3501 §6.4.7, RFC 6851
    Copy {
        /// UID COPY, UID MOVE.
        uid: bool,
        /// Which.
        set: SequenceSet,
        /// Where to.
        mailbox: MailboxName,
        /// MOVE.
        remove: bool,
    },
}

/// NOTIFY SET (RFC 5465 §3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifySet {
    /// `STATUS`: what the mailboxes are now is to be told.
    pub status: bool,
    /// Which events of which mailboxes.
    pub groups: Vec<EventGroup>,
}

/// Events of some mailboxes (RFC 5465 §8 `event-group`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventGroup {
    /// Which mailboxes.
    pub mailboxes: NotifyMailboxes,
    /// Which events; NONE is an empty list.
    pub events: Vec<NotifyEvent>,
}

/// Mailboxes of an event group (RFC 5465 §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyMailboxes {
    /// `SELECTED`
    Selected,
    /// `SELECTED-DELAYED`
    SelectedDelayed,
    /// `INBOXES`
    Inboxes,
    /// `PERSONAL`
    Personal,
    /// `SUBSCRIBED`
    Subscribed,
    /// `SUBTREE`
    Subtree(Vec<MailboxName>),
    /// `MAILBOXES`
    Mailboxes(Vec<MailboxName>),
}

/// An event (RFC 5465 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyEvent {
    /// `MessageNew`, and what is to be told of new messages.
    MessageNew(Vec<FetchItem>),
    /// `MessageExpunge`
    MessageExpunge,
    /// `FlagChange`
    FlagChange,
    /// `MailboxName`
    MailboxName,
    /// `SubscriptionChange`
    SubscriptionChange,
    /// `MailboxMetadataChange`
    MailboxMetadataChange,
    /// `ServerMetadataChange`
    ServerMetadataChange,
    /// One that is not known.
    Unknown,
}

/// What a client remembers of a mailbox that it selects again (RFC 7162 §3.2.5). No set has `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resync {
    /// The mailbox's UIDVALIDITY then.
    pub uid_validity: UidValidity,
    /// Its mod-sequence.
    pub modseq: ModSeq,
    /// The UIDs that the client knows; none if it does not say.
    pub known: Option<SequenceSet>,
    /// Some message numbers and the UIDs that they had, as many.
    pub matches: Option<(SequenceSet, SequenceSet)>,
}

/// What SETANNOTATION says of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The entry of METADATA that is the user's own.
    pub private: EntryName,
    /// The one that all share.
    pub shared: EntryName,
    /// Attributes.
    pub values: Vec<Attribute>,
}

/// An attribute that is set; NIL is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// `value.priv`
    Private(Option<Bytes>),
    /// `value.shared`
    Shared(Option<Bytes>),
    /// One that means nothing.
    Ignored,
}

/// LIST with its options (RFC 5258 §3, RFC 5819, RFC 6154).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Selection options.
    pub select: ListSelect,
    /// Reference name, decoded.
    pub reference: Box<str>,
    /// Patterns, decoded; one in the old form. Those that can't name a mailbox are left out.
    pub patterns: Vec<Box<str>>,
    /// The command was in the extended form: any selection or return option, or a pattern list.
    pub extended: bool,
    /// Return options.
    pub returns: ListReturn,
}

/// LIST selection options (RFC 5258 §3.1, RFC 6154 §2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListSelect {
    /// `SUBSCRIBED`
    pub subscribed: bool,
    /// `REMOTE`
    pub remote: bool,
    /// `RECURSIVEMATCH`
    pub recursive_match: bool,
    /// `SPECIAL-USE`
    pub special_use: bool,
}

/// LIST return options (RFC 5258 §3.2, RFC 5819, RFC 6154 §2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListReturn {
    /// `SUBSCRIBED`
    pub subscribed: bool,
    /// `CHILDREN`
    pub children: bool,
    /// `SPECIAL-USE`
    pub special_use: bool,
    /// `STATUS (…)`
    pub status: Option<Vec<StatusItem>>,
    /// `MYRIGHTS` (RFC 8440)
    pub my_rights: bool,
    /// `METADATA (…)` (RFC 9590)
    pub metadata: Option<MetadataQuery>,
}

/// STATUS data items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusItem {
    /// `MESSAGES`
    Messages,
    /// `RECENT`
    Recent,
    /// `UIDNEXT`
    UidNext,
    /// `UIDVALIDITY`
    UidValidity,
    /// `UNSEEN`
    Unseen,
    /// `HIGHESTMODSEQ` (RFC 7162 §3.1.7)
    HighestModSeq,
    /// `SIZE` (RFC 8438)
    Size,
    /// `APPENDLIMIT` (RFC 7889)
    AppendLimit,
    /// `MAILBOXID` (RFC 8474 §4.3)
    MailboxId,
    /// `DELETED` (RFC 9208 §4.1.4)
    Deleted,
    /// `DELETED-STORAGE` (RFC 9208 §4.1.4): in bytes.
    DeletedStorage,
}
