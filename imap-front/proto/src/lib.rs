//! IMAP and LMTP as pure machines.
pub mod imap;
