//! Lexical tokens of structured fields (RFC 5322 §3.2), read leniently: where each stands, and
//! whether a blank stands before it.

use super::text;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `atom`, or an encoded word whatever it holds.
    Atom,
    /// `quoted-string`
    Quoted,
    /// `domain-literal`
    Literal,
    /// `comment`
    Comment,
    /// One of `<>@,;:.`
    Special(u8),
}

/// A token; `from..to` is where it stands in its value, its quotes or parentheses included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    pub is_after_blank: bool,
    from: u32,
    to: u32,
}

impl Token {
    pub fn is(&self, special: u8) -> bool {
        self.kind == Kind::Special(special)
    }

    /// What it says: quotes and parentheses are taken off, `\` before a byte too.
    pub fn push_to(&self, value: &[u8], text: &mut Vec<u8>) {
        let bytes = &value[self.from as usize..self.to as usize];
        match self.kind {
            Kind::Quoted | Kind::Comment => unescaped(&bytes[1..bytes.len() - 1], text),
            Kind::Atom | Kind::Literal | Kind::Special(_) => text.extend_from_slice(bytes),
        }
    }
}

fn unescaped(bytes: &[u8], text: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(escape) = memchr::memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..escape]);
        let Some(&escaped) = rest.get(escape + 1) else {
            rest = &rest[escape..];
            break;
        };
        text.push(escaped);
        rest = &rest[escape + 2..];
    }
    text.extend_from_slice(rest);
}

/// The tokens of a value, unfolded and shorter than 4 GiB.
pub(super) fn tokens(value: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut is_after_blank = false;
    // What opens without ever closing opens nothing: the byte is then part of an atom.
    let (mut quotes, mut parentheses, mut brackets) = (true, true, true);
    while at < value.len() {
        let (kind, end) = match value[at] {
            b' ' | b'\t' | b'\r' | b'\n' => {
                is_after_blank = true;
                at += 1;
                continue;
            }
            b'"' if quotes => (Kind::Quoted, closed(value, at, b'"', &mut quotes)),
            b'(' if parentheses => (Kind::Comment, closed(value, at, b')', &mut parentheses)),
            b'[' if brackets => (Kind::Literal, closed(value, at, b']', &mut brackets)),
            byte @ (b'<' | b'>' | b'@' | b',' | b';' | b':' | b'.') => {
                (Kind::Special(byte), Some(at + 1))
            }
            _ => (Kind::Atom, Some(atom_end(value, at))),
        };
        // Not closed: looked at again, as part of an atom.
        let Some(end) = end else { continue };
        tokens.push(Token {
            kind,
            is_after_blank,
            from: at as u32,
            to: end as u32,
        });
        (at, is_after_blank) = (end, false);
    }
    tokens
}

/// Where an atom that begins at `at` ends: at least a byte further.
fn atom_end(value: &[u8], at: usize) -> usize {
    let is_end = |b: &u8| b" \t\r\n\"(<>@,;:.[".contains(b);
    let mut end = at;
    loop {
        match text::encoded_word(&value[end..]) {
            Some(length) => end += length,
            None => end += 1,
        }
        match value.get(end) {
            Some(byte) if !is_end(byte) => {}
            _ => return end,
        }
    }
}

/// Behind the closing byte of what opens at `open`; comments nest. Clears `closes` if there is
/// none.
fn closed(value: &[u8], open: usize, close: u8, closes: &mut bool) -> Option<usize> {
    let mut depth = 0u32;
    let mut at = open + 1;
    while at < value.len() {
        match value[at] {
            b'\\' => at += 1,
            byte if byte == close && depth == 0 => return Some(at + 1),
            b')' if close == b')' => depth -= 1,
            b'(' if close == b')' => depth += 1,
            _ => {}
        }
        at += 1;
    }
    *closes = false;
    None
}
