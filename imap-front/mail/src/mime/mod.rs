//! A message's MIME structure with byte offsets, and its envelope (RFC 3501 §7.4.2).
//!
//! In reading order: the values, [`header`] (where fields are), `text` (encoded words, values cut
//! to a bound), `tokens` and `address` (lists of addresses), `parameters`, `budget` (how much a
//! structure may hold), `fields` (what they say), `walk` (the tree), `weight` (what it takes in
//! memory), `kept` (as bytes), [`transfer`] (parts decoded), [`binary`] (binary parts encoded),
//! [`preview`] (the beginning of a text).
//! Text is kept as the message has it: encoded words stay encoded, eight-bit bytes stay bytes.

pub mod header;
mod lines;

pub(crate) mod address;
pub mod binary;
pub(crate) mod budget;
mod fields;
mod kept;
pub(crate) mod parameters;
pub mod preview;
#[cfg(test)]
mod tests;
mod text;
mod tokens;
pub mod transfer;
mod walk;
mod weight;

pub use lines::with_crlf;
pub use text::TEXT_BYTES_MAX;
pub(crate) use text::encoded_word;

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The structure of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structure {
    /// Where the header is, its closing blank line included.
    pub header: Range<u64>,
    /// Where the body is.
    pub body: Range<u64>,
    /// The envelope.
    pub envelope: Envelope,
    /// The body as a tree of parts.
    pub root: Part,
}

/// A name and a value.
pub type Parameter = (Vec<u8>, Vec<u8>);

/// One part of the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Media type, `TEXT` if not given.
    pub media_type: Vec<u8>,
    /// Subtype, `PLAIN` if not given.
    pub subtype: Vec<u8>,
    /// Parameters of Content-Type.
    pub parameters: Vec<Parameter>,
    /// Content-ID
    pub id: Option<Vec<u8>>,
    /// Content-Description
    pub description: Option<Vec<u8>>,
    /// Content-Transfer-Encoding, `7BIT` if not given.
    pub encoding: Vec<u8>,
    /// Content-MD5
    pub md5: Option<Vec<u8>>,
    /// Content-Disposition with its parameters.
    pub disposition: Option<(Vec<u8>, Vec<Parameter>)>,
    /// Content-Language, one tag each.
    pub language: Vec<Vec<u8>>,
    /// Content-Location
    pub location: Option<Vec<u8>>,
    /// Lines in the body of a text or a message; 0 for the others, of which they are not told.
    pub lines: u64,
    /// Where the part's own header is, its closing blank line included.
    pub header: Range<u64>,
    /// Where its content is, still encoded.
    pub body: Range<u64>,
    /// What is in it.
    pub content: Content,
}

/// What a part holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Bytes.
    #[default]
    Leaf,
    /// Parts, at least one.
    Multipart(Vec<Part>),
    /// Another message.
    Message(Box<Structure>),
}

/// The envelope (RFC 3501 §7.4.2): header fields, unfolded, each text of at most
/// [`TEXT_BYTES_MAX`]. The addresses of a field that occurs several times are joined (RFC 5322
/// §4.5.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Date
    pub date: Option<Vec<u8>>,
    /// Subject
    pub subject: Option<Vec<u8>>,
    /// From
    pub from: Vec<Address>,
    /// Sender, else From.
    pub sender: Vec<Address>,
    /// Reply-To, else From.
    pub reply_to: Vec<Address>,
    /// To
    pub to: Vec<Address>,
    /// Cc
    pub cc: Vec<Address>,
    /// Bcc
    pub bcc: Vec<Address>,
    /// In-Reply-To
    pub in_reply_to: Option<Vec<u8>>,
    /// Message-ID
    pub message_id: Option<Vec<u8>>,
}

/// An address. A group begins with one that has only a mailbox (the group's name) and ends with one
/// that has nothing (RFC 3501 §7.4.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Display name.
    pub name: Option<Vec<u8>>,
    /// Source route.
    pub route: Option<Vec<u8>>,
    /// Local part, or the name of a group.
    pub mailbox: Option<Vec<u8>>,
    /// Domain.
    pub host: Option<Vec<u8>>,
}

/// What of a message or part (RFC 3501 §6.4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// All of a message; the content of a part.
    Whole,
    /// The header of a message.
    Header,
    /// The body of a message.
    Text,
    /// The header of a part.
    Mime,
}

impl Structure {
    /// The structure of a message. Never fails: what is malformed is taken as plain text.
    pub fn parse(bytes: &[u8]) -> Self {
        walk::message(bytes, 0, walk::DEPTH_MAX, &mut budget::Budget::default())
    }

    /// Where a section is; `None` if the message has no such section.
    pub fn resolve(&self, path: &[u32], what: What) -> Option<Range<u64>> {
        if path.is_empty() {
            return match what {
                What::Whole => Some(self.header.start..self.body.end),
                What::Header => Some(self.header.clone()),
                What::Text => Some(self.body.clone()),
                What::Mime => None,
            };
        }
        let part = self.part(path)?;
        match (what, &part.content) {
            (What::Whole, _) => Some(part.body.clone()),
            (What::Mime, _) => Some(part.header.clone()),
            (What::Header, Content::Message(message)) => Some(message.header.clone()),
            (What::Text, Content::Message(message)) => Some(message.body.clone()),
            _ => None,
        }
    }
}

impl Structure {
    /// A part by its numbers; none without any.
    pub fn part(&self, path: &[u32]) -> Option<&Part> {
        let (&first, rest) = path.split_first()?;
        let mut part = child(&self.root, first, true)?;
        for &number in rest {
            part = match &part.content {
                Content::Message(message) => child(&message.root, number, true)?,
                _ => child(part, number, false)?,
            };
        }
        Some(part)
    }
}

/// Part `number` of a part; a message's body that is not a multipart is its own part 1.
fn child(part: &Part, number: u32, is_root: bool) -> Option<&Part> {
    match &part.content {
        Content::Multipart(parts) => parts.get((number as usize).checked_sub(1)?),
        _ if is_root && number == 1 => Some(part),
        _ => None,
    }
}
