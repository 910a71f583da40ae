//! The walk over a message that finds its parts (RFC 2046 §5.1).

use std::ops::Range;

use super::header::{self, Field};
use super::{Content, Envelope, Part, Structure, address, parameters};

/// Deepest nesting of parts and messages that is looked into.
pub(super) const DEPTH_MAX: usize = 48;
/// Parts that are told apart in one message; more are left out.
const PARTS_MAX: usize = 10_000;
/// Addresses kept of one message, those of the messages in it included.
const ADDRESSES_MAX: usize = 50_000;
/// Tags of Content-Language kept of one part.
const LANGUAGES_MAX: usize = 64;

/// What is left of the bounds of a whole message: they keep a structure from growing far beyond
/// the message that it describes.
pub(super) struct Budget {
    parts: usize,
    addresses: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            parts: PARTS_MAX,
            addresses: ADDRESSES_MAX,
        }
    }
}

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

fn envelope(fields: &[Field<'_>], budget: &mut Budget) -> Envelope {
    let mut addresses = |name| {
        let value = header::value(fields, name).unwrap_or_default();
        let list = address::parse(&value, budget.addresses);
        budget.addresses = budget.addresses.saturating_sub(list.len());
        list
    };
    let from = addresses("From");
    let mut or_from = |name| match addresses(name) {
        list if list.is_empty() => from.clone(),
        list => list,
    };
    Envelope {
        date: header::value(fields, "Date"),
        subject: header::value(fields, "Subject"),
        sender: or_from("Sender"),
        reply_to: or_from("Reply-To"),
        to: addresses("To"),
        cc: addresses("Cc"),
        bcc: addresses("Bcc"),
        in_reply_to: header::value(fields, "In-Reply-To"),
        message_id: header::value(fields, "Message-ID"),
        from,
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
    let mut part = described(&entity.fields, in_digest);
    part.header = entity.base..at;
    part.body = at..entity.base + entity.bytes.len() as u64;
    part.lines = lines(body);
    let is = |have: &[u8], want: &str| have.eq_ignore_ascii_case(want.as_bytes());
    if is(&part.media_type, "multipart") {
        match children(&part, body, at, depth, budget) {
            Some(parts) => part.content = Content::Multipart(parts),
            // A multipart without parts can't be described as one.
            None => {
                part.media_type = b"TEXT".to_vec();
                part.subtype = b"PLAIN".to_vec();
                part.parameters.clear();
            }
        }
    } else if is(&part.media_type, "message") && is(&part.subtype, "rfc822") {
        if depth > 0 {
            part.content = Content::Message(Box::new(message(body, at, depth - 1, budget)));
        } else {
            part.media_type = b"APPLICATION".to_vec();
            part.subtype = b"OCTET-STREAM".to_vec();
        }
    }
    part
}

/// What the header says of a part.
fn described(fields: &[Field<'_>], in_digest: bool) -> Part {
    let content_type = header::value(fields, "Content-Type").unwrap_or_default();
    let (media, mut parameters) = parameters::parse(&content_type);
    let slash = media.iter().position(|&b| b == b'/');
    let (media_type, subtype) = match slash {
        Some(slash) => (
            media[..slash].trim_ascii().to_vec(),
            media[slash + 1..].trim_ascii().to_vec(),
        ),
        None => Default::default(),
    };
    // RFC 2045 §5.2 and RFC 2046 §5.1.5: what is not given or not understood.
    let (media_type, subtype) = if !media_type.is_empty() && !subtype.is_empty() {
        (media_type, subtype)
    } else if in_digest {
        (b"MESSAGE".to_vec(), b"RFC822".to_vec())
    } else {
        if parameters.is_empty() {
            parameters.push((b"CHARSET".to_vec(), b"US-ASCII".to_vec()));
        }
        (b"TEXT".to_vec(), b"PLAIN".to_vec())
    };
    let encoding = header::value(fields, "Content-Transfer-Encoding");
    let language = header::value(fields, "Content-Language").unwrap_or_default();
    Part {
        media_type,
        subtype,
        parameters,
        id: header::value(fields, "Content-ID"),
        description: header::value(fields, "Content-Description"),
        encoding: encoding
            .filter(|e| !e.is_empty())
            .unwrap_or_else(|| b"7BIT".to_vec()),
        md5: header::value(fields, "Content-MD5"),
        disposition: header::value(fields, "Content-Disposition")
            .map(|value| parameters::parse(&value))
            .filter(|(kind, _)| !kind.is_empty()),
        language: language
            .split(|&b| b == b',')
            .map(|tag| tag.trim_ascii().to_vec())
            .filter(|tag| !tag.is_empty())
            .take(LANGUAGES_MAX)
            .collect(),
        location: header::value(fields, "Content-Location"),
        ..Part::default()
    }
}

fn children(
    multipart: &Part,
    body: &[u8],
    at: u64,
    depth: usize,
    budget: &mut Budget,
) -> Option<Vec<Part>> {
    let boundary = multipart
        .parameters
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(b"boundary"))
        .map(|(_, value)| value.trim_ascii_end())
        .filter(|boundary| !boundary.is_empty())?;
    if depth == 0 {
        return None;
    }
    let in_digest = multipart.subtype.eq_ignore_ascii_case(b"digest");
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
        let end = body[at..]
            .iter()
            .position(|&b| b == b'\n')
            .map_or(body.len(), |n| at + n + 1);
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
enum Delimiter {
    No,
    Open,
    Close,
}

fn delimiter(line: &[u8], boundary: &[u8]) -> Delimiter {
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
    let ends = body.iter().filter(|&&b| b == b'\n').count();
    (ends + usize::from(body.last().is_some_and(|&b| b != b'\n'))) as u64
}
