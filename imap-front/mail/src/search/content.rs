//! A message's text as searches see it: decoded, in lower case.
//!
//! The walk is over [`Structure`], whose depth and number of parts are bounded; mail-parser decodes
//! what it is handed piece by piece.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use mail_parser::HeaderValue;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::parsers::MessageStream;

use super::Day;
use crate::mime::{self, Part, Structure, header};

/// Longest field whose encoded words are decoded; a longer one is searched as it stands.
const FIELD_BYTES_MAX: usize = 256 * 1024;

/// Header fields and text parts.
pub(super) struct Content {
    /// Name and text.
    fields: Vec<(String, String)>,
    bodies: Vec<String>,
    sent: Option<Day>,
}

impl Content {
    pub(super) fn new(bytes: Bytes) -> Self {
        let structure = Structure::parse(&bytes);
        let mut content = Self {
            fields: Vec::new(),
            bodies: Vec::new(),
            sent: structure.envelope.date.as_deref().and_then(sent_day),
        };
        for field in header::fields(within(&bytes, &structure.header)) {
            let name = String::from_utf8_lossy(field.name).to_lowercase();
            for text in texts(field.value) {
                content.fields.push((name.clone(), text));
            }
        }
        content.add_bodies(&bytes, &structure.root);
        content
    }

    fn add_bodies(&mut self, bytes: &[u8], part: &Part) {
        match &part.content {
            mime::Content::Multipart(parts) => {
                parts.iter().for_each(|part| self.add_bodies(bytes, part));
            }
            mime::Content::Message(message) => {
                for field in header::fields(within(bytes, &message.header)) {
                    self.bodies.extend(texts(field.value));
                }
                self.add_bodies(bytes, &message.root);
            }
            mime::Content::Leaf => {
                let is = |kind: &[u8]| part.media_type.eq_ignore_ascii_case(kind);
                if is(b"text") || is(b"message") {
                    let text = decoded(part, within(bytes, &part.body));
                    self.bodies.push(text.to_lowercase());
                }
            }
        }
    }

    pub(super) fn header_contains(&self, name: &str, text: &str) -> bool {
        let (name, text) = (name.to_lowercase(), text.to_lowercase());
        self.fields
            .iter()
            .any(|(have, value)| *have == name && value.contains(&text))
    }

    pub(super) fn any_header_contains(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.fields.iter().any(|(name, value)| {
            value.contains(&text) || format!("{name}: {value}").contains(&text)
        })
    }

    pub(super) fn body_contains(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.bodies.iter().any(|body| body.contains(&text))
    }

    pub(super) fn sent(&self) -> Option<Day> {
        self.sent
    }
}

fn within<'a>(bytes: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    &bytes[range.start as usize..range.end as usize]
}

/// A field's value as it stands and, if it has encoded words (RFC 2047), decoded.
fn texts(value: &[u8]) -> impl Iterator<Item = String> {
    let mut line = header::unfold(value);
    let plain = String::from_utf8_lossy(&line).to_lowercase();
    let has_words = line.len() <= FIELD_BYTES_MAX && line.windows(2).any(|pair| pair == b"=?");
    line.push(b'\n');
    let decoded = has_words.then(|| MessageStream::new(&line).parse_unstructured());
    let decoded = match decoded {
        Some(HeaderValue::Text(text)) => Some(text.to_lowercase()),
        _ => None,
    };
    std::iter::once(plain).chain(decoded)
}

/// The text of a part. What can't be decoded is taken as it stands.
fn decoded<'a>(part: &Part, body: &'a [u8]) -> Cow<'a, str> {
    let is = |encoding: &[u8]| part.encoding.eq_ignore_ascii_case(encoding);
    let bytes = if is(b"base64") {
        base64_decode(body)
    } else if is(b"quoted-printable") {
        quoted_printable_decode(body)
    } else {
        None
    };
    let bytes = bytes.map_or(Cow::Borrowed(body), Cow::Owned);
    let charset = part
        .parameters
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(b"charset"))
        .map_or(&b"us-ascii"[..], |(_, charset)| charset);
    if charset.eq_ignore_ascii_case(b"us-ascii") || charset.eq_ignore_ascii_case(b"utf-8") {
        // Much that calls itself ASCII is UTF-8.
        return match bytes {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        };
    }
    match charset_decoder(charset) {
        Some(decode) => Cow::Owned(decode(&bytes)),
        None => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// The day that a Date field gives, in its own zone.
fn sent_day(date: &[u8]) -> Option<Day> {
    let line = [date, b"\n"].concat();
    match MessageStream::new(&line).parse_date() {
        HeaderValue::DateTime(date) => day(
            i64::from(date.year),
            u32::from(date.month),
            u32::from(date.day),
        ),
        _ => None,
    }
}

/// Days since 1970-01-01 of a date that a header gave.
fn day(year: i64, month: u32, day: u32) -> Option<Day> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * i64::from((month + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100
        + day_of_year
        - 719_468;
    i32::try_from(days).ok().map(Day)
}
