//! Handing all connections of a program over to another process, which runs another version of it.
//!
//! The successor connects to a socket of the running program and asks for them. What both say, in
//! order:
//!
//! | successor | predecessor |
//! |---|---|
//! | a line of JSON: format, version, shards | a line of JSON: yes, or why not |
//! | | `Sockets`: what it listens on; `Secret`; `Streams`: a way for each shard's connections |
//! | `Prepared`: all but what only one can have | descriptors of connections, while all goes on |
//! | | sessions come to rest, rows are written down; `Released` |
//! | opens what it needs (imapd: the store), takes the rows; `Ready` | `Commit` |
//! | tells whoever started it; `Taken`, and goes on | ends |
//!
//! Who hears the connection's end before `Taken` goes on alone: the predecessor with what it has,
//! once that is its own again. A successor ends when it hears it, whatever it is at, and when
//! nobody is left who waits for it. What passes holds keys: from memory to memory.
//!
//! In reading order: `wire` (frames with descriptors), `shards` (all that are given, or taken),
//! `giving`, `taking`.

mod giving;
mod memory;
mod shards;
mod taking;
pub mod wire;

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

pub use giving::{Giving, Hello, Kept};
pub use memory::{put_parts, take_part};
pub use shards::{Mesh, Shards};
pub use taking::{Coming, Successor, TakingError};

/// How long a successor may take to read its configuration, and what else it needs.
const PREPARED_WITHIN: Duration = Duration::from_secs(120);
/// How long a step may take while all goes on.
const SHARED_WITHIN: Duration = Duration::from_secs(60);
/// How long the program may take to be ready for what follows.
const TURNED_TO_WITHIN: Duration = Duration::from_secs(10);
/// How long sessions may take to end what they are in the middle of, while all goes on.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);
/// The same while those who rest are held back.
const HELD_WITHIN: Duration = Duration::from_secs(1);
/// The longest that this takes with those who wait for an answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);
/// How long a step may take while nobody is served.
const STILL_WITHIN: Duration = Duration::from_secs(30);
/// How long a successor waits for anything that its predecessor does.
const PATIENCE: Duration = Duration::from_secs(150);
/// After this time in all a successor that has not taken over is of no use, whatever it waits for.
const OVER_AFTER: Duration = Duration::from_secs(300);
/// How long what only one can have may stay with a successor that has failed.
pub const BACK_WITHIN: Duration = Duration::from_secs(330);

// A successor waits for what its predecessor may do before `Released`, ends by itself before nobody
// would wait for it, and has ended before its predecessor gives up.
const _: () = {
    let steps = SHARED_WITHIN.as_secs() + TURNED_TO_WITHIN.as_secs() + SETTLED_WITHIN.as_secs();
    let held = ANSWERED_WITHIN.as_secs() + STILL_WITHIN.as_secs();
    assert!(HELD_WITHIN.as_secs() + 11 < ANSWERED_WITHIN.as_secs());
    assert!(PATIENCE.as_secs() > steps + held);
    assert!(OVER_AFTER.as_secs() > PREPARED_WITHIN.as_secs() + PATIENCE.as_secs());
    assert!(BACK_WITHIN.as_secs() > OVER_AFTER.as_secs());
};

/// What this process is to another one. Whoever changes it from [`AWAITS`] decides.
static STANDING: AtomicU8 = AtomicU8::new(SERVES);
/// It has what it has; so it is at the beginning.
const SERVES: u8 = 0;
/// It awaits what another one has.
const AWAITS: u8 = 1;
/// It is too late for that.
const IS_OVER: u8 = 2;

/// Whether the names of sockets that this process listens on are its own, to be removed at its end,
/// and not those of a process that it was to follow.
pub fn owns_names() -> bool {
    STANDING.load(Ordering::SeqCst) == SERVES
}

/// Whether this process awaits what another one has.
fn is_awaiting() -> bool {
    STANDING.load(Ordering::SeqCst) == AWAITS
}

/// Ends that; false if somebody else has.
fn decide(standing: u8) -> bool {
    let order = Ordering::SeqCst;
    STANDING
        .compare_exchange(AWAITS, standing, order, order)
        .is_ok()
}
