//! Handing all connections over to another process, which runs another version of this program.
//!
//! The successor connects to `run/control` and asks for them. What both say, in order:
//!
//! | successor | predecessor |
//! |---|---|
//! | a line of JSON: format, version, shards | a line of JSON: yes, or why not |
//! | | `Sockets`: what it listens on; `Streams`: the way of each shard's connections |
//! | `Prepared`: all but the store is there | descriptors of connections, while all goes on |
//! | | sessions come to rest, the store is closed, rows are written down; `Released` |
//! | opens the store, takes the rows; `Ready` | `Commit` |
//! | `Taken`, and goes on | ends |
//!
//! Who hears the connection's end before `Taken` goes on alone: the predecessor with what it has,
//! once the store is its own again. What passes holds keys; it passes from memory to memory.
//!
//! In reading order: `wire` (frames with descriptors), `giving`, `taking`.

mod giving;
mod taking;
mod wire;

use std::sync::atomic::{AtomicBool, Ordering};

pub use giving::{Giving, Hello, Subscribers};
pub use taking::{Coming, Successor, TakingError};

/// What connections are written down as. To be raised with every change of what `hand_over` writes
/// in `tls`, `engine`, `proto` and here: another one is refused before anything happens.
pub const FORMAT: u64 = 1;

/// Names of listening sockets that are no ports.
pub(crate) const CONTROL: &str = "control";
pub(crate) const LMTP_SOCKET: &str = "lmtp-socket";

/// Whether this process awaits what another one has: names of sockets are still that one's.
static AWAITS: AtomicBool = AtomicBool::new(false);

/// Whether the names of sockets that this process listens on are its own, to be removed at its end.
pub(crate) fn owns_names() -> bool {
    !AWAITS.load(Ordering::SeqCst)
}
