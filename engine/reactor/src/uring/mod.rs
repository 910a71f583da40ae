//! The kernel's reactor: raw io_uring with direct descriptors.
//!
//! In reading order: [`options`], [`reactor`] (the trait, and how a turn goes), then its parts
//! `accept`, `receive`, `send` and `connect`; below them `ring` (one ring), `slots` (the state of
//! its descriptors), `op` (operations that wait), `token` (what a completion belongs to) and
//! [`alarm`] (wake-up and clock).
//!
//! Decisions, each seen on a Linux 6.18 kernel:
//!
//! * A ring's file table is capped at RLIMIT_NOFILE, so a reactor may have several rings. Ring 0 is
//!   the main ring: it is the one that sleeps. The others, the park rings, ring an eventfd that the
//!   main ring watches (polling their ring descriptors would never fire); only while it sleeps,
//!   because their own submits would ring, too.
//! * A quiet connection has one poll (256 bytes of kernel memory), eight bytes here, and no buffer.
//! * Receives and sends run while they are submitted. So a receive is given a buffer of the shared
//!   pool directly, with no ring of provided buffers that could run out; and a send's buffer is
//!   free when the submit returns.
//! * A closed connection's polls are cancelled by their user data: a cancel by descriptor would
//!   search all polls of the ring. It searches every 256th as it is (the kernel has 256 lists,
//!   however many polls there are), so nobody who has hung up has one any more, and a reactor that
//!   [winds down](crate::Reactor::wind_down) lets the end of its rings do it.
#![allow(unsafe_code)]

mod accept;
pub mod alarm;
mod connect;
mod denied;
mod op;
pub mod options;
mod peer;
pub mod reactor;
mod receive;
mod restrict;
mod ring;
mod send;
mod slots;
mod token;

pub use alarm::monotonic_ns;
pub use options::{Options, open_files_max};
pub use reactor::Uring;
pub use restrict::can_restrict;
