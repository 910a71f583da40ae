//! Structured fields: `type/subtype; name=value` (RFC 2045 §5.1, RFC 2183), read leniently.
//!
//! Values that were continued are joined (RFC 2231 §3), as its §6 asks of IMAP servers. Their
//! character sets are left to the reader: `name*` says `charset'language'%C3%BC` (§4).

use std::borrow::Cow;

use super::Parameter;

/// Parameters told apart in one field, each piece of a continued one counted.
const PARAMETERS_MAX: usize = 128;
/// Parameters whose values people leave without quotes, though there are parentheses in them.
const FILE_NAMES: [&[u8]; 2] = [b"name", b"filename"];

/// A field's leading value (up to `;`) and its parameters. Comments are dropped.
pub(super) fn parse(value: &[u8]) -> (Vec<u8>, Vec<Parameter>) {
    let mut cursor = Cursor::new(value);
    let main = cursor.until(b";").trim_ascii().to_vec();
    let mut parameters = Vec::new();
    while cursor.skip(b';') && parameters.len() < PARAMETERS_MAX {
        let name = cursor.until(b"=;").trim_ascii().to_vec();
        if !cursor.skip(b'=') {
            continue;
        }
        let base = name.split(|&b| b == b'*').next().unwrap_or_default();
        let is_file_name = FILE_NAMES
            .iter()
            .any(|file| base.eq_ignore_ascii_case(file));
        let value = cursor.value(is_file_name);
        cursor.until(b";");
        if !name.is_empty() {
            parameters.push((name, value));
        }
    }
    (main, joined(parameters))
}

/// The value of a field that has no parameters, without comments and what follows a stray `;`.
pub(super) fn token(value: &[u8]) -> Vec<u8> {
    let mut cursor = Cursor::new(value);
    loop {
        let token = cursor.until(b";");
        let token = token.trim_ascii();
        let token = token.strip_prefix(b"\"").unwrap_or(token);
        let token = token.strip_suffix(b"\"").unwrap_or(token).trim_ascii();
        if !token.is_empty() || !cursor.skip(b';') {
            return token.to_vec();
        }
    }
}

/// A parameter's value.
#[derive(Default)]
pub(crate) struct Value<'a> {
    /// What it says, its octets decoded.
    pub octets: Cow<'a, [u8]>,
    /// The character set it names, or nothing.
    pub charset: &'a [u8],
}

/// A parameter's value, given plainly or as `name*` in a character set (RFC 2231 §4).
pub(crate) fn find<'a>(parameters: &'a [Parameter], name: &[u8]) -> Option<Value<'a>> {
    let have = |(have, _): &&Parameter, star: bool| {
        let have = match star {
            true => have.strip_suffix(b"*").unwrap_or_default(),
            false => have,
        };
        have.eq_ignore_ascii_case(name)
    };
    if let Some((_, value)) = parameters.iter().find(|pair| have(pair, true)) {
        let mut parts = value.splitn(3, |&b| b == b'\'');
        return Some(match (parts.next(), parts.next(), parts.next()) {
            (Some(charset), Some(_), Some(text)) => Value {
                octets: octets(text).into(),
                charset,
            },
            _ => Value {
                octets: octets(value).into(),
                charset: b"",
            },
        });
    }
    let (_, value) = parameters.iter().find(|pair| have(pair, false))?;
    Some(Value {
        octets: Cow::Borrowed(value),
        charset: b"",
    })
}

/// A text with each `%XX` replaced by its octet.
fn octets(text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'%', [high, low, after @ ..]) if is_hex(*high) && is_hex(*low) => {
                octets.push(nibble(*high) << 4 | nibble(*low));
                rest = after;
            }
            _ => octets.push(byte),
        }
    }
    octets
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

fn nibble(digit: u8) -> u8 {
    char::from(digit).to_digit(16).unwrap_or(0) as u8
}

/// A piece of a continued value: `name*0`, `name*0*` (RFC 2231 §3, §4.1).
struct Section<'a> {
    name: &'a [u8],
    number: usize,
    is_extended: bool,
}

impl<'a> Section<'a> {
    fn parse(name: &'a [u8]) -> Option<Self> {
        let (rest, is_extended) = match name.strip_suffix(b"*") {
            Some(rest) => (rest, true),
            None => (name, false),
        };
        let star = rest.iter().rposition(|&b| b == b'*')?;
        let number = std::str::from_utf8(&rest[star + 1..]).ok()?;
        let is_number = number.bytes().all(|b| b.is_ascii_digit());
        let number = number.parse().ok().filter(|_| is_number)?;
        let name = &rest[..star];
        (!name.is_empty() && number < PARAMETERS_MAX).then_some(Self {
            name,
            number,
            is_extended,
        })
    }
}

/// The pieces of continued values put together, where the first of them stood. Pieces without a
/// beginning stay as they are.
fn joined(parameters: Vec<Parameter>) -> Vec<Parameter> {
    if parameters.iter().all(|(name, _)| !name.contains(&b'*')) {
        return parameters;
    }
    let mut taken = vec![false; parameters.len()];
    let mut whole = Vec::with_capacity(parameters.len());
    for at in 0..parameters.len() {
        if taken[at] {
            continue;
        }
        let joined = Section::parse(&parameters[at].0)
            .and_then(|section| join(&parameters, &section, &mut taken));
        whole.push(joined.unwrap_or_else(|| parameters[at].clone()));
    }
    whole
}

/// One continued value, whose pieces stand in any order: from piece 0 to the one before the first
/// that is missing. `None` if there is no piece 0.
fn join(parameters: &[Parameter], of: &Section<'_>, taken: &mut [bool]) -> Option<Parameter> {
    let mut pieces: Vec<Option<(usize, bool)>> = vec![None; PARAMETERS_MAX];
    for (at, (name, _)) in parameters.iter().enumerate() {
        if let Some(section) = Section::parse(name)
            && section.name.eq_ignore_ascii_case(of.name)
            && !taken[at]
        {
            // Of two with the same number the first counts.
            let piece = &mut pieces[section.number];
            *piece = piece.or(Some((at, section.is_extended)));
        }
    }
    let pieces: Vec<(usize, bool)> = pieces.into_iter().map_while(|piece| piece).collect();
    if pieces.is_empty() || of.number >= pieces.len() {
        return None;
    }
    let has_charset = pieces.iter().any(|&(_, is_extended)| is_extended);
    let mut value = Vec::new();
    if has_charset && !pieces[0].1 {
        // Only later pieces are encoded: there is no character set.
        value.extend_from_slice(b"''");
    }
    for (at, is_extended) in pieces {
        taken[at] = true;
        let piece = &parameters[at].1;
        if has_charset && !is_extended {
            encode(piece, &mut value);
        } else {
            value.extend_from_slice(piece);
        }
    }
    let name = match has_charset {
        true => [of.name, b"*"].concat(),
        false => of.name.to_vec(),
    };
    Some((name, value))
}

/// Adds a piece that is not encoded to a value that is: decoded, it is the same.
fn encode(piece: &[u8], value: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in piece {
        // RFC 2231 §7 attribute-char
        if byte.is_ascii_graphic() && !b"*'%()<>@,;:\\\"/[]?=".contains(&byte) {
            value.push(byte);
        } else {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            value.extend_from_slice(&[b'%', HEX[high], HEX[low]]);
        }
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
    /// What once opened without ever closing opens nothing from there on.
    quotes: bool,
    comments: bool,
}

impl<'a> Cursor<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self {
            rest,
            quotes: true,
            comments: true,
        }
    }

    /// How long the quoted string or the comment at the front is, if there is one.
    fn enclosed(&mut self) -> Option<usize> {
        let closes = match self.rest.first() {
            Some(b'"') => &mut self.quotes,
            Some(b'(') => &mut self.comments,
            _ => return None,
        };
        let length = if *closes { enclosed(self.rest) } else { None };
        *closes &= length.is_some();
        length
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        self.rest = &self.rest[usize::from(found)..];
        found
    }

    /// Bytes before the first of `stops` that stands outside quotes and comments.
    fn until(&mut self, stops: &[u8]) -> Vec<u8> {
        let mut taken = Vec::new();
        while let Some(&byte) = self.rest.first() {
            if stops.contains(&byte) {
                break;
            }
            let length = self.enclosed().unwrap_or(1);
            if byte != b'(' || length == 1 {
                taken.extend_from_slice(&self.rest[..length]);
            } else {
                // A comment parts words as a blank does.
                taken.push(b' ');
            }
            self.rest = &self.rest[length..];
        }
        taken
    }

    /// A token or a quoted string. With `parentheses`, those that follow a byte other than a blank
    /// are part of a token.
    fn value(&mut self, parentheses: bool) -> Vec<u8> {
        self.skip_blanks_and_comments(parentheses);
        if self.rest.first() == Some(&b'"')
            && let Some(length) = self.enclosed()
        {
            let mut text = Vec::with_capacity(length);
            let mut quoted = self.rest[1..length - 1].iter();
            while let Some(&byte) = quoted.next() {
                text.push(match byte {
                    b'\\' => *quoted.next().unwrap_or(&b'\\'),
                    byte => byte,
                });
            }
            self.rest = &self.rest[length..];
            return text;
        }
        // Quotes that never close are left out.
        self.skip(b'"');
        if !parentheses {
            return self.until(b";").trim_ascii().to_vec();
        }
        let end = memchr::memchr(b';', self.rest).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        let comment = token.windows(2).position(|pair| pair == b" (");
        let is_comment = |_: &usize| token.trim_ascii_end().ends_with(b")");
        let end = comment.filter(is_comment).unwrap_or(token.len());
        token[..end].trim_ascii().to_vec()
    }

    fn skip_blanks_and_comments(&mut self, parentheses: bool) {
        self.rest = self.rest.trim_ascii_start();
        while !parentheses
            && self.rest.first() == Some(&b'(')
            && let Some(length) = self.enclosed()
        {
            self.rest = self.rest[length..].trim_ascii_start();
        }
    }
}

/// How long the quoted string or the comment at the front is; comments nest. `None` if it never
/// closes.
fn enclosed(bytes: &[u8]) -> Option<usize> {
    let is_comment = bytes.first() == Some(&b'(');
    let close = if is_comment { b')' } else { b'"' };
    let mut depth = 0u32;
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            byte if byte == close && depth == 0 => return Some(at + 1),
            b'(' if is_comment => depth += 1,
            b')' if is_comment => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}
