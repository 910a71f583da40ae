//! Operations that wait for their turn.

use io_uring::types;

use super::slots::slot_of;
use crate::Conn;

/// What was asked for, to be queued behind the sends of the turn.
pub(super) enum Op {
    /// Watch for room to send.
    Writable(Conn, u16),
    /// Close, with the generation and the flags that the slot had.
    Close(Conn, u16, u16),
    /// Acknowledge what has arrived.
    Acknowledge(Conn, u16),
    /// Make a socket for this connect.
    Socket(u32),
    /// Connect the socket that was made.
    Dial(u32),
    /// Ask for the address of a connection's peer.
    Peer(u32),
}

/// The descriptor of a connection.
pub(super) fn fixed(conn: Conn) -> types::Fixed {
    types::Fixed(slot_of(conn))
}
