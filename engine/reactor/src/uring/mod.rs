//! The kernel's reactor: raw io_uring with direct descriptors.
//!
//! In reading order: [`options`], [`ring`] (one ring, its file table and its batch), [`token`]
//! (what a completion belongs to), [`alarm`] (the wake-up), [`reactor`] (the trait).
//!
//! Decisions, each seen on a Linux 6.18 kernel:
//!
//! * A ring's file table is capped at RLIMIT_NOFILE, so a reactor may have several rings. Ring 0 is
//!   the main ring: it is the one that sleeps. The others' deferred work rings an eventfd that the
//!   main ring watches (polling their ring descriptors would never fire).
//! * A quiet connection has one multishot poll (256 bytes of kernel memory) and no buffer. Receives
//!   carry MSG_DONTWAIT, so they run while they are submitted and can be given a pool buffer
//!   directly: nothing is ever provided to the kernel ahead of time, and nothing runs out.
//! * Sends carry MSG_DONTWAIT, MSG_WAITALL and CQE_SKIP_SUCCESS: they run while they are submitted,
//!   success is silent, and the buffer is free when the submit returns. A refused or short send
//!   completes with what was sent; the batch table finds its bytes.
//! * Two sends to one connection never share a batch: if the first came back short, the second
//!   would leave in front of the first one's rest.
#![allow(unsafe_code)]

pub mod alarm;
mod connect;
pub mod options;
pub mod reactor;
mod ring;
mod token;

pub use options::Options;
pub use reactor::Uring;
