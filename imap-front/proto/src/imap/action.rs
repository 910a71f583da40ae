//! What a session asks its host to do, and what the host tells it.

use mail::{MailboxId, ModSeq, Request};

/// An action for the host. The host takes them with [`super::Session::poll_action`] until there
/// are none, in order, after each input.
#[derive(Debug)]
pub enum Action {
    /// Send these bytes, after all bytes before.
    Send(bytes::Bytes),
    /// Ask the store. There is never more than one request under way for a session; the answer
    /// comes through `handle_reply`.
    Request(Request),
    /// Watch this mailbox for events; answered by `handle_watching` once no later event can be
    /// missed. The watch stays until `Unwatch` or another `Watch`.
    Watch(MailboxId),
    /// No longer watch.
    Unwatch,
    /// Close after what was sent so far has left.
    Close,
}

/// A session packed away (design: parked). Small and `Copy`: a million of these are kept.
///
/// `Idle`: in IDLE, in sync with the mailbox at `modseq`. `Quiet`: not in IDLE, quiet; the client
/// is told nothing until it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Who is logged in.
    pub user: mail::UserId,
    /// The selected mailbox; `MailboxId(0)` if none.
    pub mailbox: MailboxId,
    /// The client has been told everything up to here.
    pub modseq: ModSeq,
    /// Messages in the client's view.
    pub exists: u32,
    /// Messages with this UID or a higher one are `\Recent` in this session.
    pub recent_from: mail::Uid,
    /// How many they are.
    pub recent: u32,
    /// When the client last said something: seconds on the host's clock, which sets it.
    pub heard_s: u32,
    /// Bit set, see the `parked` module: read-only, CONDSTORE enabled, ….
    pub bits: u16,
    /// In IDLE.
    pub idling: bool,
    /// Length of the tag of the IDLE command in `tag`; a longer tag keeps a session active.
    pub tag_len: u8,
    /// The tag of the IDLE command.
    pub tag: [u8; 12],
}

const _: () = assert!(size_of::<Parked>() == 56);
