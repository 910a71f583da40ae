//! What the store answers: the other half of the seam.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::{
    EmailId, Event, Flags, InternalDate, MailboxId, ModSeq, ObjectId, QuotaRoot, Rights, SpoolId,
    ThreadId, Uid, UidRanges, UidSet, UidValidity, UserId, Watched, list::Piece,
    metadata::MetadataFound, mime::Structure, mime::transfer::Decoder, signed_url::Token,
    thread::Part,
};

/// What happened to a mailbox after the asker's `since`: a chain of events, oldest first, whose
/// first `prev` is `since`. Empty if nothing happened. If so much happened that it does not tell
/// all, it ends in [`Event::more`].
pub type Delta = Vec<Arc<Event>>;

/// An answer to a [`crate::Request`].
#[derive(Clone, Debug)]
pub enum Reply {
    /// Done, nothing to add.
    Done,
    /// The mailbox was made.
    Created(ObjectId),
    /// Not done.
    Refused(Refusal),
    /// The client is who it says.
    Authenticated(UserId),
    /// The name under which the store knows a recipient; none if there is no such user.
    Recipient(Option<Box<str>>),
    /// Of no request: a connection of deliverers that does nothing gives way to one that has come,
    /// one of the peer with this key if there is one.
    GiveWay(Option<u32>),
    /// The proof is right. The client is logged in once it has seen the signature.
    Proved {
        /// Who it is.
        user: UserId,
        /// `ServerSignature` (RFC 5802 §3): shows that the server knows the user's verifier.
        signature: Box<[u8]>,
    },
    /// What SCRAM's proof is to be made of.
    Challenged(Challenge),
    /// A piece of a listing.
    Listed(Piece),
    /// What was asked of an access control list.
    Acl(AclAnswer),
    /// A mailbox's figures.
    Status(Status),
    /// A quota root.
    Quota(QuotaRoot),
    /// Entries of metadata.
    Metadata(MetadataFound),
    /// What proves that URLs were signed, in their order.
    UrlsSigned(Vec<Token>),
    /// The mailbox that a signed URL names: the asker may read the message there.
    UrlOpened(MailboxId),
    /// Mailboxes that are meant.
    Watched(Watched),
    /// A mailbox, selected.
    Opened(Opened),
    /// What happened.
    Synced(Delta),
    /// A view as it was, and what happened since.
    Viewed {
        /// UIDs at the mod-sequence asked for, ascending. Sessions may share the list.
        uids: Arc<[Uid]>,
        /// The mailbox's keywords, as far as the asker may know them from then; none if they have
        /// changed since.
        keywords: Vec<Arc<str>>,
        /// What happened since.
        delta: Delta,
    },
    /// Which messages changed or went, of those asked for.
    Changes {
        /// Those that went. If it is not known any more when that was, or there are very many, all
        /// of those asked for that are not there.
        vanished: UidRanges,
        /// Where those that came or changed lie. Others may lie there too.
        changed: UidRanges,
    },
    /// Messages, in the order asked for; those that are gone are left out.
    Fetched {
        /// The messages.
        messages: Vec<Message>,
        /// How many of the UIDs asked for are dealt with (found, gone or unreadable).
        done: usize,
        /// How many of these are there and can't be read: they are damaged.
        unreadable: usize,
    },
    /// A piece of a message.
    Piece(Bytes),
    /// What some of a message is without its transfer encoding.
    Decoded {
        /// What of the range is not decoded yet.
        rest: Range<u64>,
        /// How far the decoding has come.
        decoder: Decoder,
        /// How many octets came out.
        size: u64,
        /// Whether there is a NUL among them.
        has_nul: bool,
        /// The octets, unless only their number was asked for.
        octets: Bytes,
    },
    /// Flags were stored.
    Stored {
        /// Messages left alone because of UNCHANGEDSINCE.
        modified: UidSet,
        /// The mod-sequences of the operation, from one to another: one for each of its slices.
        own: Vec<(ModSeq, ModSeq)>,
        /// Messages asked for whose flags others have changed since the asker's mod-sequence.
        crossed: UidSet,
        /// What happened, this change included.
        delta: Delta,
    },
    /// Messages were copied or moved.
    Copied {
        /// UIDVALIDITY of the destination.
        uid_validity: UidValidity,
        /// Their UIDs in the source.
        from: UidSet,
        /// Their UIDs in the destination, in the same order and as many.
        to: UidSet,
        /// What happened in the source.
        delta: Delta,
    },
    /// Search hits.
    Found {
        /// The messages.
        hits: UidSet,
        /// Their mod-sequences, if there are any and the program asks for such.
        modseqs: Option<HitModSeqs>,
        /// How many messages can't be read, and so may be hits or not: they are damaged.
        unreadable: usize,
        /// What happened.
        delta: Delta,
    },
    /// Search hits, arranged.
    Arranged {
        /// The messages.
        arrangement: Arrangement,
        /// The same, as a set.
        found: UidSet,
        /// Mod-sequences of the first and the last that were sorted, and the highest of all, if
        /// there are any and the program asks for such.
        modseqs: Option<HitModSeqs>,
        /// How many messages can't be read, and so may be missing or in a wrong place.
        unreadable: usize,
        /// What happened.
        delta: Delta,
    },
    /// The upload goes on under this id.
    Spooled(SpoolId),
    /// The message is durable.
    Appended(Appended),
    /// The messages are durable: as many as were given, with ascending UIDs from the first on.
    AppendedAll {
        /// Where the first one went.
        first: Appended,
        /// How many they are.
        count: u32,
    },
    /// A message came, and another went.
    Replaced {
        /// Where it came.
        appended: Appended,
        /// What happened since the asker's mod-sequence, that included.
        delta: Delta,
    },
    /// One result for each target of a delivery.
    Delivered(Vec<Result<Appended, Refusal>>),
}

impl Reply {
    /// What it takes in memory while it waits, in bytes, about. What the store shares with others
    /// (events, structures) is not counted.
    pub fn bytes(&self) -> usize {
        let more = match self {
            Self::Listed(piece) => piece.bytes(),
            Self::Metadata(found) => found.bytes(),
            Self::Watched(watched) => watched.bytes(),
            Self::UrlsSigned(tokens) => size_of_val(&tokens[..]),
            Self::Fetched { messages, .. } => {
                let bytes = |it: &Message| {
                    let preview = it.preview.as_ref().map_or(0, |text| text.len());
                    preview + it.bytes.as_ref().map_or(0, Bytes::len)
                };
                size_of_val(&messages[..]) + messages.iter().map(bytes).sum::<usize>()
            }
            Self::Changes { vanished, changed } => vanished.bytes() + changed.bytes(),
            Self::Acl(AclAnswer::Entries(entries)) => {
                let bytes = |(name, _): &(Box<str>, Rights)| name.len();
                size_of_val(&entries[..]) + entries.iter().map(bytes).sum::<usize>()
            }
            Self::Piece(bytes) | Self::Decoded { octets: bytes, .. } => bytes.len(),
            Self::Stored {
                modified,
                own,
                crossed,
                ..
            } => modified.bytes() + size_of_val(&own[..]) + crossed.bytes(),
            Self::Copied { from, to, .. } => from.bytes() + to.bytes(),
            Self::Found { hits, .. } => hits.bytes(),
            Self::Arranged {
                arrangement, found, ..
            } => found.bytes() + arrangement.bytes(),
            _ => 0,
        };
        size_of::<Self>() + more
    }

    /// What happened, as far as the answer tells it.
    pub fn delta_mut(&mut self) -> Option<&mut Delta> {
        match self {
            Self::Synced(delta)
            | Self::Viewed { delta, .. }
            | Self::Stored { delta, .. }
            | Self::Copied { delta, .. }
            | Self::Found { delta, .. }
            | Self::Arranged { delta, .. } => Some(delta),
            _ => None,
        }
    }

    /// Whether what happened is cut off, and the asker gets the rest when it asks again from
    /// where the delta ends. The mark of that ([`Event::more`]) is taken out.
    pub fn take_more(&mut self) -> bool {
        let cut = |delta: &&mut Delta| delta.last().is_some_and(|event| event.is_more());
        self.delta_mut().filter(cut).and_then(Vec::pop).is_some()
    }
}

/// Messages in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrangement {
    /// SORT.
    Sorted(Vec<Uid>),
    /// THREAD.
    Threaded(Vec<Part>),
}

impl Arrangement {
    /// What it takes in memory, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Sorted(uids) => size_of_val(&uids[..]),
            Self::Threaded(parts) => size_of_val(&parts[..]),
        }
    }
}

/// Mod-sequences of search hits (RFC 4731 §3.2, RFC 7162 §3.1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HitModSeqs {
    /// That of the hit with the lowest UID.
    pub first: ModSeq,
    /// That of the hit with the highest UID.
    pub last: ModSeq,
    /// The highest of all.
    pub highest: ModSeq,
}

impl HitModSeqs {
    /// With those of another hit, whose UID is above those of the others.
    pub fn then(had: Option<Self>, modseq: ModSeq) -> Self {
        Self {
            first: had.map_or(modseq, |had| had.first),
            last: modseq,
            highest: had.map_or(modseq, |had| had.highest.max(modseq)),
        }
    }
}

/// The answer to an [`crate::request::AclQuestion`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AclAnswer {
    /// Identifiers and their rights, the owner first.
    Entries(Vec<(Box<str>, Rights)>),
    /// What the asker may do.
    Mine(Rights),
    /// What an identifier has in any case, and what it can be given besides.
    Grantable {
        /// In any case.
        always: Rights,
        /// Besides.
        optional: Rights,
    },
}

/// Where a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Its UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// The message's UID.
    pub uid: Uid,
    /// The message's mod-sequence.
    pub modseq: ModSeq,
}

/// A mailbox's figures (RFC 3501 §6.3.10, RFC 7162 §3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// What clients know it by.
    pub object: ObjectId,
    /// Messages.
    pub messages: u32,
    /// Messages that no session has claimed as recent yet.
    pub recent: u32,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// The next UID.
    pub uid_next: Uid,
    /// UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// HIGHESTMODSEQ.
    pub highest_modseq: ModSeq,
    /// Sum of message sizes in bytes.
    pub size: u64,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// Sum of their sizes in bytes, if that was asked for.
    pub deleted_bytes: u64,
}

/// What a client of SCRAM is told, so that it can prove its password (RFC 5802 §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Salt of the user's verifier.
    pub salt: Box<[u8]>,
    /// Rounds of PBKDF2.
    pub iterations: u32,
    /// The server's part of the nonce, in printable letters without a comma.
    pub nonce: Box<str>,
}

/// A selected mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// What clients know it by.
    pub object: ObjectId,
    /// UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// The next UID.
    pub uid_next: Uid,
    /// HIGHESTMODSEQ: the view below is as of it.
    pub highest_modseq: ModSeq,
    /// All UIDs, ascending: position + 1 is the message sequence number.
    /// Sessions may share the list.
    pub uids: Arc<[Uid]>,
    /// Messages with this UID or a higher one are `\Recent` in this session.
    pub recent_from: Uid,
    /// The number of the first message without `\Seen`.
    pub first_unseen: Option<u32>,
    /// Keywords in use in the mailbox.
    pub keywords: Vec<Arc<str>>,
    /// What the asker may do with it.
    pub rights: Rights,
}

/// One message of a `Fetched` reply.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its UID.
    pub uid: Uid,
    /// It was expunged, and is kept for those who have not heard of that (RFC 2180 §4.1).
    pub is_gone: bool,
    /// Its mod-sequence.
    pub modseq: ModSeq,
    /// Its flags.
    pub flags: Arc<Flags>,
    /// When it was received.
    pub date: InternalDate,
    /// When it came into the mailbox (RFC 8514 §3), if that is known.
    pub saved: Option<InternalDate>,
    /// Its content.
    pub email: EmailId,
    /// Its thread, if wanted and known.
    pub thread: Option<ThreadId>,
    /// Its size in bytes.
    pub size: u64,
    /// Its structure, if wanted.
    pub structure: Option<Arc<Structure>>,
    /// The beginning of its text, if wanted; empty if there is none.
    pub preview: Option<Box<str>>,
    /// Its bytes, if wanted and few enough.
    pub bytes: Option<Bytes>,
    /// Its header, if wanted and not too long.
    pub header: Option<Bytes>,
    /// Who submitted it, if wanted and known.
    pub submitter: Option<Box<str>>,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Wrong name or password.
    #[error("authentication failed")]
    Credentials,
    /// The token is right, and lacks a scope that is needed.
    #[error("the token lacks a scope that is needed")]
    Scope,
    /// The client's certificate names nobody, and why.
    #[error("your certificate names nobody: {0}")]
    Certificate(&'static str),
    /// No such mailbox.
    #[error("no such mailbox")]
    NoMailbox,
    /// No such message, or it is gone.
    #[error("no such message")]
    NoMessage,
    /// The mailbox is there for the asker, who has no right to do that (RFC 4314).
    #[error("you have no right to do that")]
    NoPermission,
    /// The name is taken.
    #[error("a mailbox of that name exists")]
    Exists,
    /// The name is of no mailbox, and others lie below it.
    #[error("the name has inferior names; delete these first")]
    HasInferiors,
    /// The name can't be used, and why.
    #[error("{0}")]
    Name(&'static str),
    /// The user's quota is used up.
    #[error("quota exceeded")]
    OverQuota,
    /// There is no such quota root for the asker.
    #[error("no such quota root")]
    NoQuotaRoot,
    /// The asker may not do that, and who may.
    #[error("{0}")]
    Denied(&'static str),
    /// The message is larger than the server takes, in bytes.
    #[error("the message is larger than {0} bytes")]
    TooBig(u64),
    /// An entry's value is larger than the server takes, in bytes.
    #[error("a value may have {0} bytes")]
    MetadataTooBig(u64),
    /// The user has as much metadata as anybody may have.
    #[error("you have as much metadata as you may")]
    MetadataTooMany,
    /// A limit other than the quota, and which.
    #[error("{0}")]
    Limit(&'static str),
    /// The operation makes no sense for that mailbox, and why.
    #[error("{0}")]
    Cannot(&'static str),
    /// No room on the disk; nothing was changed.
    #[error("the disk is full")]
    DiskFull,
    /// Too much of the kind waits already, and what to do; nothing was looked at.
    #[error("{0}")]
    Busy(&'static str),
    /// The server made a mistake with this request; what it was is in its log.
    #[error("the server made a mistake, which is in its log")]
    Bug,
    /// The store can't do it now; nothing was changed. The reason is in the server's log.
    #[error("the store is not available: {0}")]
    Unavailable(Arc<str>),
}
