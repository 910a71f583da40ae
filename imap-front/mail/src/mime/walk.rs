//! The walk over a message that finds its parts (RFC 2046 §5.1).

use std::ops::Range;

use super::budget::Budget;
use super::fields::{described, envelope};
use super::header::{self, Field};
use super::{Content, Part, Structure};

/// Deepest nesting of parts and messages that is looked into.
pub(super) const DEPTH_MAX: usize = 48;

/// The structure of the message in `bytes`, which stand at `base` in the outermost message.
pub(super) fn message(bytes: &[u8], base: u64, depth: usize, budget: &mut Budget) -> Structure {
    let split = header::length(bytes);
    let fields = header::fields(&bytes[..split]);
    let end = base + bytes.len() as u64;
    let middle = base + split as u64;
    Structure {
        header: base..middle,
        body: middle..end,
        envelope: envelope(&fields, budget),
        root: part(
            Entity {
                fields,
                bytes,
                split,
                base,
            },
            depth,
            false,
            budget,
        ),
    }
}

/// A header and a body: `bytes` stand at `base` in the outermost message, and the header with its
/// `fields` takes the first `split` of them.
struct Entity<'a> {
    fields: Vec<Field<'a>>,
    bytes: &'a [u8],
    split: usize,
    base: u64,
}

fn part(entity: Entity<'_>, depth: usize, in_digest: bool, budget: &mut Budget) -> Part {
    let body = &entity.bytes[entity.split..];
    let at = entity.base + entity.split as u64;
    let (mut part, boundary) = described(&entity.fields, in_digest, budget);
    part.header = entity.base..at;
    part.body = at..entity.base + entity.bytes.len() as u64;
    let is = |have: &[u8], want: &str| have.eq_ignore_ascii_case(want.as_bytes());
    if is(&part.media_type, "multipart") {
        let in_digest = is(&part.subtype, "digest");
        match boundary.and_then(|b| children(&b, body, at, depth, in_digest, budget)) {
            Some(parts) => part.content = Content::Multipart(parts),
            // A multipart without parts can't be described as one.
            None => {
                part.media_type = b"TEXT".to_vec();
                part.subtype = b"PLAIN".to_vec();
                part.parameters.clear();
            }
        }
    }
    if is_message(&part) {
        if depth > 0 {
            part.content = Content::Message(Box::new(message(body, at, depth - 1, budget)));
        } else {
            part.media_type = b"APPLICATION".to_vec();
            part.subtype = b"OCTET-STREAM".to_vec();
        }
    }
    // The other kinds of parts are told without their lines (RFC 3501 §7.4.2).
    if is(&part.media_type, "text") || matches!(part.content, Content::Message(_)) {
        part.lines = lines(body);
    }
    part
}

/// Whether a part is a message that can be looked into. One of RFC 6532 §3.7 may be encoded.
pub(super) fn is_message(part: &Part) -> bool {
    let is = |have: &[u8], want: &str| have.eq_ignore_ascii_case(want.as_bytes());
    let is_encoded = is(&part.encoding, "base64") || is(&part.encoding, "quoted-printable");
    let is_known = is(&part.subtype, "rfc822") || is(&part.subtype, "global") && !is_encoded;
    is(&part.media_type, "message") && is_known
}

/// The parts of a multipart; `None` if there are none.
fn children(
    boundary: &[u8],
    body: &[u8],
    at: u64,
    depth: usize,
    in_digest: bool,
    budget: &mut Budget,
) -> Option<Vec<Part>> {
    if depth == 0 {
        return None;
    }
    let pieces = pieces(body, boundary, budget.parts);
    budget.parts -= pieces.len();
    let parts: Vec<Part> = pieces
        .into_iter()
        .map(|range| {
            let base = at + range.start as u64;
            let bytes = &body[range];
            let split = header::length(bytes);
            let fields = header::fields(&bytes[..split]);
            let entity = Entity {
                fields,
                bytes,
                split,
                base,
            };
            part(entity, depth - 1, in_digest, budget)
        })
        .collect();
    (!parts.is_empty()).then_some(parts)
}

/// At most `count_max` ranges between delimiter lines. The line end before a delimiter belongs to
/// it.
fn pieces(body: &[u8], boundary: &[u8], count_max: usize) -> Vec<Range<usize>> {
    let mut pieces: Vec<Range<usize>> = Vec::new();
    let mut open: Option<usize> = None;
    let mut at = 0;
    while at < body.len() {
        let end = memchr::memchr(b'\n', &body[at..]).map_or(body.len(), |n| at + n + 1);
        let delimiter = delimiter(&body[at..end], boundary);
        if delimiter != Delimiter::No {
            if let Some(start) = open.take() {
                pieces.push(start..start.max(without_line_end(body, at)));
            }
            if delimiter == Delimiter::Close || pieces.len() >= count_max {
                return pieces;
            }
            open = Some(end);
        }
        at = end;
    }
    // No closing delimiter: the message was cut short.
    pieces.extend(open.map(|start| start..body.len()));
    pieces
}

#[derive(PartialEq, Eq)]
pub(super) enum Delimiter {
    No,
    Open,
    Close,
}

pub(super) fn delimiter(line: &[u8], boundary: &[u8]) -> Delimiter {
    let Some(rest) = line
        .strip_prefix(b"--")
        .and_then(|rest| rest.strip_prefix(boundary))
    else {
        return Delimiter::No;
    };
    if rest.trim_ascii().is_empty() {
        Delimiter::Open
    } else if rest
        .strip_prefix(b"--")
        .is_some_and(|rest| rest.trim_ascii().is_empty())
    {
        Delimiter::Close
    } else {
        Delimiter::No
    }
}

fn without_line_end(body: &[u8], at: usize) -> usize {
    let before = &body[..at];
    let before = before.strip_suffix(b"\n").unwrap_or(before);
    before.strip_suffix(b"\r").unwrap_or(before).len()
}

fn lines(body: &[u8]) -> u64 {
    let ends = memchr::memchr_iter(b'\n', body).count();
    (ends + usize::from(body.last().is_some_and(|&b| b != b'\n'))) as u64
}
