//! IMAP and LMTP as pure machines: bytes in, actions out.
//!
//! In reading order: [`imap`] (the session, its commands, its view), [`lmtp`], and [`proxy`] (whose
//! connection a proxy passes on).
//!
//! Invariants: no sockets, no files, no clock, no chance; every output is a function of the inputs
//! so far. Nothing here blocks and nothing here is `async`.

mod http;
pub mod imap;
pub mod lmtp;
pub mod plain;
pub mod proxy;
