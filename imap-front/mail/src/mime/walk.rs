//! The walk over a message that finds its parts (RFC 2046 §5.1).

use std::ops::Range;

use super::header::{self, Field};
use super::{Content, Envelope, Part, Structure, address, parameters};

/// Deepest nesting of parts and messages that is looked into.
pub(super) const DEPTH_MAX: usize = 48;
/// Parts that one multipart may have; the rest belongs to the last.
const PARTS_MAX: usize = 2000;

/// The structure of the message in `bytes`, which stand at `base` in the outermost message.
pub(super) fn message(bytes: &[u8], base: u64, depth: usize) -> Structure {
    let split = header::length(bytes);
    let fields = header::fields(&bytes[..split]);
    let end = base + bytes.len() as u64;
    let middle = base + split as u64;
    Structure {
        header: base..middle,
        body: middle..end,
        envelope: envelope(&fields),
        root: part(&fields, bytes, split, base, depth, false),
    }
}

fn envelope(fields: &[Field<'_>]) -> Envelope {
    let addresses = |name| header::value(fields, name).map(|value| address::parse(&value));
    let from = addresses("From").unwrap_or_default();
    let or_from = |list: Option<Vec<_>>| list.filter(|l| !l.is_empty()).unwrap_or(from.clone());
    Envelope {
        date: header::value(fields, "Date"),
        subject: header::value(fields, "Subject"),
        sender: or_from(addresses("Sender")),
        reply_to: or_from(addresses("Reply-To")),
        to: addresses("To").unwrap_or_default(),
        cc: addresses("Cc").unwrap_or_default(),
        bcc: addresses("Bcc").unwrap_or_default(),
        in_reply_to: header::value(fields, "In-Reply-To"),
        message_id: header::value(fields, "Message-ID"),
        from,
    }
}

/// A part whose header takes the first `split` of `bytes`.
fn part(
    fields: &[Field<'_>],
    bytes: &[u8],
    split: usize,
    base: u64,
    depth: usize,
    in_digest: bool,
) -> Part {
    let body = &bytes[split..];
    let at = base + split as u64;
    let mut part = described(fields, in_digest);
    part.header = base..at;
    part.body = at..base + bytes.len() as u64;
    part.lines = lines(body);
    let is = |have: &[u8], want: &str| have.eq_ignore_ascii_case(want.as_bytes());
    if is(&part.media_type, "multipart") {
        match children(&part, body, at, depth) {
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
            part.content = Content::Message(Box::new(message(body, at, depth - 1)));
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
            .collect(),
        location: header::value(fields, "Content-Location"),
        ..Part::default()
    }
}

fn children(multipart: &Part, body: &[u8], at: u64, depth: usize) -> Option<Vec<Part>> {
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
    let parts: Vec<Part> = pieces(body, boundary)
        .into_iter()
        .map(|range| {
            let start = at + range.start as u64;
            let bytes = &body[range];
            let split = header::length(bytes);
            let fields = header::fields(&bytes[..split]);
            part(&fields, bytes, split, start, depth - 1, in_digest)
        })
        .collect();
    (!parts.is_empty()).then_some(parts)
}

/// The ranges between delimiter lines. The line end before a delimiter belongs to it.
fn pieces(body: &[u8], boundary: &[u8]) -> Vec<Range<usize>> {
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
            if delimiter == Delimiter::Close {
                return pieces;
            }
            if pieces.len() < PARTS_MAX {
                open = Some(end);
            }
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
