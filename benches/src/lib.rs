//! Criterion benches of the hot paths, one flat file each below `benches/`:
//!
//! * pure, made of [`Case`]s: `commands` (what clients send), `parked` (what an event costs an
//!   idling session), `tail` (recent events for readers that are behind), `matcher` (which
//!   subscriptions an event of ENS matches);
//! * with the kernel: `fanout` (one buffer to many sockets, beside a bare loop), `placement` (a
//!   session on its topic's owner shard, or on another), `store` (durable appends, beside a plain
//!   file);
//! * `tls`: sealing, opening, and the server's side of handshakes.
//!
//! `cargo bench -p benches` measures; `cargo test -p benches` runs each once, with small sizes.
//! `cargo xtask instructions` counts the instructions of pure cases and compares them with
//! `instructions.toml`, which noise on the machine can't disturb.

mod case;
pub mod clients;

pub use case::{Case, run};

/// Whether times are being measured, and not only tried whether everything runs.
pub fn is_measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}
