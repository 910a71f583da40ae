//! IMAP4rev1 (RFC 3501) and its extensions.

pub mod ast;
pub mod action;
