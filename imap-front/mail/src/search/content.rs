//! A message's text as searches see it: decoded, and as the collation compares it.
//!
//! The walk is over [`Structure`], whose depth and number of parts are bounded; mail-parser decodes
//! what it is handed piece by piece.
//!
//! What belongs to what (RFC 3501 §6.4.4): TEXT is all of a message, the headers of its parts and
//! of the messages in it included. BODY leaves out fields of part headers that no reader sees, such
//! as `Content-Type: text/plain`, but not the names and descriptions in them.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use mail_parser::HeaderValue;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::parsers::MessageStream;

use super::Day;
use crate::collation::fold;
use crate::mime::address::parse as addresses;
use crate::mime::budget::Room;
use crate::mime::encoded_word;
use crate::mime::{self, Address, Part, Structure, header, parameters};

/// Longest field whose encoded words are decoded; a longer one is searched as it stands.
const FIELD_BYTES_MAX: usize = 256 * 1024;

/// Fields that hold addresses (RFC 5322 §3.6.2, §3.6.3, §3.6.6).
const ADDRESS_FIELDS: [&str; 12] = [
    "FROM",
    "SENDER",
    "REPLY-TO",
    "TO",
    "CC",
    "BCC",
    "RESENT-FROM",
    "RESENT-SENDER",
    "RESENT-REPLY-TO",
    "RESENT-TO",
    "RESENT-CC",
    "RESENT-BCC",
];

/// Header fields and text parts.
pub(super) struct Content {
    /// Name and text.
    fields: Vec<(String, String)>,
    /// Fields of part headers, with their names, and file names of a message that is but a file.
    part_fields: Vec<String>,
    bodies: Vec<String>,
    sent: Option<Day>,
}

impl Content {
    pub(super) fn new(bytes: Bytes) -> Self {
        let structure = Structure::parse(&bytes);
        let mut content = Self {
            fields: Vec::new(),
            part_fields: names(&structure.root),
            bodies: Vec::new(),
            sent: structure.envelope.date.as_deref().and_then(sent_day),
        };
        for field in header::fields(within(&bytes, &structure.header)) {
            let name = fold(&String::from_utf8_lossy(field.name));
            let envelope = ADDRESS_FIELDS
                .contains(&&*name)
                .then(|| listed(field.value));
            for text in texts(field.value).chain(envelope) {
                content.fields.push((name.clone(), text));
            }
        }
        content.add_bodies(&bytes, &structure.root);
        content
    }

    /// The header of a part.
    fn add_part_header(&mut self, bytes: &[u8], part: &Part) {
        for field in header::fields(within(bytes, &part.header)) {
            let name = fold(&String::from_utf8_lossy(field.name));
            let named = |text| format!("{name}: {text}");
            self.part_fields.extend(texts(field.value).map(named));
        }
        self.bodies.extend(names(part));
        let description = part.description.as_deref().map(texts);
        self.bodies.extend(description.into_iter().flatten());
    }

    fn add_bodies(&mut self, bytes: &[u8], part: &Part) {
        match &part.content {
            mime::Content::Multipart(parts) => {
                for part in parts {
                    self.add_part_header(bytes, part);
                    self.add_bodies(bytes, part);
                }
            }
            mime::Content::Message(message) => {
                for field in header::fields(within(bytes, &message.header)) {
                    let name = fold(&String::from_utf8_lossy(field.name));
                    let envelope = ADDRESS_FIELDS
                        .contains(&&*name)
                        .then(|| listed(field.value));
                    let all = texts(field.value).chain(envelope);
                    self.bodies
                        .extend(all.map(|text| format!("{name}: {text}")));
                }
                self.bodies.extend(names(&message.root));
                self.add_bodies(bytes, &message.root);
            }
            mime::Content::Leaf => {
                let is = |kind: &[u8]| part.media_type.eq_ignore_ascii_case(kind);
                if is(b"text") || is(b"message") {
                    let text = text_of(part, within(bytes, &part.body));
                    self.bodies.push(fold(&text));
                }
            }
        }
    }

    pub(super) fn header_contains(&self, name: &str, text: &str) -> bool {
        let (name, text) = (fold(name), fold(text));
        self.fields
            .iter()
            .any(|(have, value)| *have == name && value.contains(&text))
    }

    /// Whether any header contains the text, that of a part included.
    pub(super) fn any_header_contains(&self, text: &str) -> bool {
        let text = fold(text);
        let in_fields = self
            .fields
            .iter()
            .any(|(name, value)| format!("{name}: {value}").contains(&text));
        in_fields || self.part_fields.iter().any(|field| field.contains(&text))
    }

    pub(super) fn body_contains(&self, text: &str) -> bool {
        let text = fold(text);
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
pub(super) fn texts(value: &[u8]) -> impl Iterator<Item = String> + use<> {
    let line = header::unfold(value);
    let plain = fold(&String::from_utf8_lossy(&line));
    std::iter::once(plain).chain(decoded_words(&line).map(|text| fold(&text)))
}

/// The text with its encoded words decoded, if it has some.
///
/// Each is found by a look at what stands around it and decoded by itself, so the work is as much
/// as the text is long, whatever only looks like the beginning of one.
pub(crate) fn decoded_words(text: &[u8]) -> Option<String> {
    if text.len() > FIELD_BYTES_MAX {
        return None;
    }
    let mut decoded = String::new();
    // What stands since the last word, and whether there was one.
    let (mut rest, mut at, mut has_words) = (0, 0, false);
    while let Some(next) = memchr::memmem::find(&text[at..], b"=?") {
        at += next;
        let Some(length) = encoded_word(&text[at..]) else {
            at += 2;
            continue;
        };
        let Some(word) = decoded_word(&text[at..at + length]) else {
            at += length;
            continue;
        };
        // RFC 2047 §6.2: blanks between words are not shown.
        let between = &text[rest..at];
        if !has_words || !between.trim_ascii().is_empty() {
            decoded.push_str(&String::from_utf8_lossy(between));
        }
        decoded.push_str(&word);
        at += length;
        (rest, has_words) = (at, true);
    }
    decoded.push_str(&String::from_utf8_lossy(&text[rest..]));
    has_words.then_some(decoded)
}

/// An encoded word that is whole, decoded.
fn decoded_word(word: &[u8]) -> Option<String> {
    let line = [word, b"\n"].concat();
    match MessageStream::new(&line).parse_unstructured() {
        HeaderValue::Text(text) if text.as_bytes() != word => Some(text.into_owned()),
        _ => None,
    }
}

/// The addresses of a field as the envelope has them: without comments and quotes, and their names
/// decoded.
pub(super) fn listed(value: &[u8]) -> String {
    let mut text = String::new();
    for address in addresses(&header::unfold(value), &mut Room::default()) {
        let Address {
            name,
            route: _,
            mailbox,
            host,
        } = &address;
        let of = |bytes: &Option<Vec<u8>>| {
            let bytes = bytes.as_deref().unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        };
        let name_text = name.as_deref().and_then(decoded_words);
        let name = name_text.unwrap_or_else(|| of(name));
        let (mailbox, host) = (of(mailbox), of(host));
        text.push_str(&format!("{name} <{mailbox}@{host}>, "));
    }
    fold(&text)
}

/// The file names of a part, folded: as its fields give them and decoded (RFC 2231, or
/// RFC 2047 where that was used instead).
fn names(part: &Part) -> Vec<String> {
    let disposition = part.disposition.as_ref();
    let fields = [
        Some((&part.parameters, &b"name"[..])),
        disposition.map(|(_, list)| (list, &b"filename"[..])),
    ];
    let mut names = Vec::new();
    for (list, name) in fields.into_iter().flatten() {
        let Some(value) = parameters::find(list, name) else {
            continue;
        };
        names.extend(decoded_words(&value.octets));
        names.push(in_charset(value.octets, value.charset).into_owned());
    }
    names.iter().map(|name| fold(name)).collect()
}

/// The text of a part. What can't be decoded is taken as it stands.
pub(crate) fn text_of<'a>(part: &Part, body: &'a [u8]) -> Cow<'a, str> {
    let is = |encoding: &[u8]| part.encoding.eq_ignore_ascii_case(encoding);
    let bytes = if is(b"base64") {
        base64_decode(body)
    } else if is(b"quoted-printable") {
        quoted_printable_decode(body)
    } else {
        None
    };
    let bytes = bytes.map_or(Cow::Borrowed(body), Cow::Owned);
    let charset = parameters::find(&part.parameters, b"charset").unwrap_or_default();
    in_charset(bytes, &charset.octets)
}

/// Text in a character set. Much that says ASCII or nothing is UTF-8; what is not known is taken
/// for it.
fn in_charset<'a>(bytes: Cow<'a, [u8]>, charset: &[u8]) -> Cow<'a, str> {
    let is_utf8 = [&b""[..], b"us-ascii", b"utf-8"]
        .iter()
        .any(|name| charset.eq_ignore_ascii_case(name));
    match charset_decoder(charset).filter(|_| !is_utf8) {
        Some(decode) => Cow::Owned(decode(&bytes)),
        None => match bytes {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        },
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

#[cfg(test)]
mod tests {
    use super::decoded_words;

    #[test]
    fn encoded_words_are_decoded_one_by_one() {
        for (text, expected) in [
            ("plain", None),
            ("=?utf-8?q?caf=C3=A9?=", Some("café")),
            ("a =?utf-8?q?b?= \t =?iso-8859-1?b?6Q==?= c", Some("a bé c")),
            ("(=?utf-8?q?b_c?=)x=?utf-8?q?d?=", Some("(b c)xd")),
            ("=?utf-8?q?b?= =?utf-8?x?b?=", Some("b =?utf-8?x?b?=")),
            ("=?", None),
        ] {
            assert_eq!(
                decoded_words(text.as_bytes()).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    /// What only begins as a word costs a look, and not one at all that follows.
    #[test]
    fn the_work_is_as_much_as_the_text_is_long() {
        for begun in [
            "=?ab?q?x",
            "=?utf-8?q?",
            "=?",
            "=?utf-8?b?YQ==",
            "=?x?q?a?=",
            "=?a?q?=41",
        ] {
            decoded_words(begun.repeat(256 * 1024 / begun.len()).as_bytes());
        }
    }
}
