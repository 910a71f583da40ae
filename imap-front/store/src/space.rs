//! The keyspaces of the database, and changes to their rows.

use std::collections::BTreeMap;

use bytes::Bytes;

/// The keyspaces. Numbers in keys are big-endian, so that rows sort by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// Counters of the whole store, by name.
    Meta,
    /// User name → user id.
    Users,
    /// User id → name and use.
    Accounts,
    /// User id, mailbox name → mailbox id, subscription, use attribute.
    Names,
    /// Mailbox id → figures.
    Mailboxes,
    /// Mailbox id, UID → message.
    Messages,
    /// Mailbox id, mod-sequence, UID → nothing: messages changed after they came.
    Changes,
    /// Mailbox id, mod-sequence, UID → the mod-sequence at which the message came.
    Expunged,
    /// Body id, piece → bytes.
    Bodies,
    /// Body id → messages that use it, if they are not just one.
    References,
    /// Body id → nothing: an upload that no message uses yet.
    Spools,
    /// Task, mailbox id → what it needs: work that goes on after the server was ended.
    Tasks,
    /// Mailbox id, UID → a message that was expunged, for who still has it in view.
    Kept,
    /// What waits, when it began to, mailbox id, mod-sequence of an expunge → nothing.
    Departed,
    /// Body id → what its header gives to sort and thread by ([`mail::sort::keys`]).
    SortKeys,
    /// Body id → the structure of a message of more than one piece ([`mail::mime::Structure`]).
    Structures,
    /// Mailbox id → who may do what; and the same by who may: see `logic::keys`.
    Acls,
    /// Mailbox id or 0 for the server, user id or 0 for what all share, an entry's name in lower
    /// case → the entry.
    Metadata,
    /// Mailbox id, user id → a key to sign URLs by; with 0 for the mailbox, how often the user has
    /// given up all of theirs.
    AccessKeys,
}

impl Space {
    /// All keyspaces.
    pub const ALL: [Space; 19] = [
        Self::Meta,
        Self::Users,
        Self::Accounts,
        Self::Names,
        Self::Mailboxes,
        Self::Messages,
        Self::Changes,
        Self::Expunged,
        Self::Bodies,
        Self::References,
        Self::Spools,
        Self::Tasks,
        Self::Kept,
        Self::Departed,
        Self::SortKeys,
        Self::Structures,
        Self::Acls,
        Self::Metadata,
        Self::AccessKeys,
    ];

    /// Its name on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Users => "users",
            Self::Accounts => "accounts",
            Self::Names => "names",
            Self::Mailboxes => "mailboxes",
            Self::Messages => "messages",
            Self::Changes => "changes",
            Self::Expunged => "expunged",
            Self::Bodies => "bodies",
            Self::References => "references",
            Self::Spools => "spools",
            Self::Tasks => "tasks",
            Self::Kept => "kept",
            Self::Departed => "departed",
            Self::SortKeys => "sort_keys",
            Self::Structures => "structures",
            Self::Acls => "acls",
            Self::Metadata => "metadata",
            Self::AccessKeys => "access_keys",
        }
    }
}

/// Changed rows: a new value, or none for a removed row.
pub type Changes = BTreeMap<(Space, Vec<u8>), Option<Bytes>>;
