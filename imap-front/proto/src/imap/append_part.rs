//! What an APPEND is made of.

use mail::{Flags, InternalDate};

use super::lexer::Literal;

/// A part of an APPEND, or of one of its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendPart {
    /// Another message begins.
    Message {
        /// Its flags.
        flags: Flags,
        /// Its internal date; when it comes, if there is none.
        date: Option<InternalDate>,
    },
    /// It is put together from what follows (RFC 4469 §3).
    Catenate,
    /// What a literal brings that follows.
    Literal(Literal),
    /// What a URL names.
    Url(Box<[u8]>),
    /// The same; the literal that follows is the URL.
    UrlLiteral(Literal),
    /// A message ends that was put together.
    End,
}

/// Where in an APPEND a line goes on after a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendPlace {
    /// Behind a message.
    Message,
    /// Behind a part of one that is put together.
    Part,
}
