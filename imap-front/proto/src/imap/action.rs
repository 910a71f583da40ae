//! What a session asks its host to do, and what the host tells it.

use std::sync::Arc;

use bytes::Bytes;
use mail::{MailboxId, ModSeq, Request, Uid, UserId};

use super::forwarded::Forwarded;
use super::notify::Spec;

/// What is watched beside the selected mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FurtherWatch {
    /// A mailbox: it was told up to there, and which kinds of events it wants.
    Mailbox(MailboxId, ModSeq, u8),
    /// The names of a user, or those that everybody has ([`mail::NameChange::ANYONE`]).
    Names(UserId),
}

/// An action for the host. The host takes them with [`super::Session::poll_action`] until there
/// are none, in order, after each input.
#[derive(Debug)]
pub enum Action {
    /// Send these bytes, after all bytes before.
    Send(Bytes),
    /// Ask the store. There is never more than one request under way for a session; the answer
    /// comes through `handle_reply`.
    Request(Request),
    /// The client was told of this mailbox's messages below a UID, and may change it: they are not
    /// recent for those who open it later (RFC 3501 §2.3.2). [`Request::Claim`] tells the store;
    /// there is no answer.
    Claim(MailboxId, Uid),
    /// Watch this mailbox for events; answered by `handle_watching` once no later event can be
    /// missed. The watch stays until `Unwatch` or another `Watch`.
    Watch(MailboxId),
    /// No longer watch.
    Unwatch,
    /// Watch these too, instead of any others beside the one above; answered by
    /// `handle_further_watching` once no later news can be missed. What was watched before keeps
    /// how far it was told. What is given is kept beside the session while it is parked.
    WatchFurther(Arc<Spec>, Vec<FurtherWatch>),
    /// Watch nothing beside the one above.
    UnwatchFurther,
    /// The client was told by other means what happened to a mailbox, up to there.
    Told(MailboxId, ModSeq),
    /// Whoever speaks for a client has named it (the command ID), before login.
    Forwarded(Box<Forwarded>),
    /// The client has given up its login (RFC 8437): who asks from now on is nobody, until another
    /// login.
    LoggedOut,
    /// Begin a TLS handshake behind what was sent so far; all that comes later is the handshake's,
    /// and then what was said within TLS.
    StartTls,
    /// Compress what is said from now on, and inflate what comes (RFC 4978): the stream begins with
    /// these bytes, which came behind the command.
    Compress(Bytes),
    /// No longer compress what is said from now on; what came behind the command that ended this is
    /// not compressed either (RFC 8437 §4.1).
    EndCompression,
    /// Close after what was sent so far has left.
    Close,
}
