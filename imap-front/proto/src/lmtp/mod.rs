//! LMTP (RFC 2033) as a pure machine: bytes in, actions out.
//!
//! In reading order: [`command`] (a line as a value), [`address`] (paths and recipients),
//! [`data`] (dot-unstuffing), [`trace`] (`Return-Path` and `Received`), [`reply`] (what is said),
//! [`session`] (the machine).
//!
//! Extensions: PIPELINING (RFC 2920), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531),
//! ENHANCEDSTATUSCODES (RFC 2034), SIZE (RFC 1870), STARTTLS (RFC 3207).

pub mod action;
pub mod address;
pub mod command;
pub mod data;
pub mod reply;
pub mod session;
pub mod trace;

pub use action::{Action, Delivery, Lookup, Undelivered};
pub use address::Recipient;
pub use session::{Ending, OverQuota, Session, SessionConfig};
pub use trace::Stamp;

/// Longest command line in bytes, its end included: RFC 5321 §4.5.3.1.4 asks for 512, paths in
/// UTF-8 and parameters need more.
pub const LINE_BYTES_MAX: usize = 2048;
/// A message goes to the host in pieces of about this many bytes.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Commands in a row that can't be understood, after which the connection is closed.
pub const ERRORS_MAX: u32 = 20;

#[cfg(test)]
mod tests;
