//! IMAP4rev1 (RFC 3501) and its extensions.

pub mod action;
pub mod ast;
pub mod encode;
pub mod lexer;
pub mod mutf7;
pub mod parse;
pub mod render;
