//! What a session asks its host to do.

use bytes::Bytes;
use mail::Refusal;
use mail::request::Target;

use super::Recipient;

/// An action for the host. The host takes them with [`super::Session::poll_action`] until there
/// are none, in order, after each input, and carries each out before it takes the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send these bytes, after all bytes before.
    Send(Bytes),
    /// Who is that? Answered by `handle_lookup`.
    Lookup(Recipient),
    /// A message begins: what are its id and the time? Answered by `handle_begin`.
    Begin,
    /// A piece of the message, about [`super::CHUNK_BYTES`] long; more follows.
    Chunk(Bytes),
    /// Forget the pieces of the message: it is refused.
    Discard,
    /// The message is complete: deliver it. Answered by `handle_delivered` once it is durable.
    Deliver(Delivery),
    /// The message is complete and refused, as its recipients will hear; it is still known where it
    /// was to go.
    Undelivered(Undelivered),
    /// A message was refused by the size that MAIL announced.
    TooBig,
    /// Begin a TLS handshake behind what was sent so far.
    StartTls,
    /// Close after what was sent so far has left.
    Close,
}

/// A complete message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where to; no target twice.
    pub targets: Vec<Target>,
    /// The sender's address without angle brackets; empty for `<>`.
    pub return_path: Box<str>,
    /// The message's last piece: all of it, trace headers included, if there was no
    /// [`Action::Chunk`].
    pub last: Bytes,
    /// Bytes of the whole message, trace headers included.
    pub size: u64,
    /// BODY=8BITMIME was given (RFC 6152).
    pub eight_bit: bool,
    /// SMTPUTF8 was given (RFC 6531).
    pub utf8: bool,
    /// Who submitted it, as the client says (RFC 4954 §5).
    pub submitter: Option<Box<str>>,
}

/// A message that was refused as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// Why.
    pub refusal: Refusal,
    /// The sender's address without angle brackets; empty for `<>`.
    pub return_path: Box<str>,
    /// Bytes of its text.
    pub size: u64,
}

/// The host's answer to [`Action::Lookup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// A user, by the name that the store knows.
    Found(Box<str>),
    /// No such user.
    Unknown,
    /// The domain is not one of ours.
    NotHere,
    /// The user has no room.
    OverQuota,
    /// It can't be told now.
    Unavailable,
}
