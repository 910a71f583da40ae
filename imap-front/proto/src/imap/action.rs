//! What a session asks its host to do, and what the host tells it.

use mail::{MailboxId, Request, Uid};

use super::forwarded::Forwarded;

/// An action for the host. The host takes them with [`super::Session::poll_action`] until there
/// are none, in order, after each input.
#[derive(Debug)]
pub enum Action {
    /// Send these bytes, after all bytes before.
    Send(bytes::Bytes),
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
    /// Whoever speaks for a client has named it (the command ID), before login.
    Forwarded(Box<Forwarded>),
    /// The client has given up its login (RFC 8437): who asks from now on is nobody, until another
    /// login.
    LoggedOut,
    /// Begin a TLS handshake behind what was sent so far; all that comes later is the handshake's,
    /// and then what was said within TLS.
    StartTls,
    /// Close after what was sent so far has left.
    Close,
}
