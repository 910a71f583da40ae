//! Address lists (RFC 5322 §3.4, with §4.4's source routes), read leniently.

use super::Address;

/// Bytes of one field that are looked at.
const VALUE_BYTES_MAX: usize = 1 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// An atom, a quoted string's content, or a domain literal.
    Word(Vec<u8>),
    /// One of `<>@,;:.`
    Special(u8),
}

/// At most `budget` addresses of a field's value, unfolded.
pub(super) fn parse(value: &[u8], budget: usize) -> Vec<Address> {
    let (tokens, comments) = tokens(&value[..value.len().min(VALUE_BYTES_MAX)]);
    let mut addresses = Vec::new();
    let (mut in_group, mut in_angle) = (false, false);
    let mut start = 0;
    for at in 0..=tokens.len() {
        let ends = match tokens.get(at) {
            None => true,
            Some(Token::Special(b',')) => !in_angle,
            Some(Token::Special(b';')) => true,
            Some(Token::Special(b':')) => !in_group && !in_angle,
            Some(Token::Special(byte @ (b'<' | b'>'))) => {
                in_angle = *byte == b'<';
                false
            }
            _ => false,
        };
        if !ends || addresses.len() >= budget {
            continue;
        }
        let piece = &tokens[start..at];
        (start, in_angle) = (at + 1, false);
        match tokens.get(at) {
            Some(Token::Special(b':')) => {
                in_group = true;
                let mailbox = Some(phrase(piece));
                addresses.push(Address {
                    mailbox,
                    ..Address::default()
                });
            }
            end => {
                addresses.extend(address(piece, &comments));
                if in_group && matches!(end, None | Some(Token::Special(b';'))) {
                    in_group = false;
                    addresses.push(Address::default());
                }
            }
        }
    }
    addresses
}

/// One address: `phrase <route:local@domain>` or `local@domain (comment)`.
fn address(tokens: &[Token], comments: &[Vec<u8>]) -> Option<Address> {
    if tokens.is_empty() {
        return None;
    }
    let open = tokens
        .iter()
        .position(|token| *token == Token::Special(b'<'));
    let (name, spec) = match open {
        Some(open) => {
            let close = tokens
                .iter()
                .rposition(|token| *token == Token::Special(b'>'));
            let end = close.filter(|&close| close > open).unwrap_or(tokens.len());
            let name = phrase(&tokens[..open]);
            ((!name.is_empty()).then_some(name), &tokens[open + 1..end])
        }
        // The old way of giving a name is a comment; only if there is just one it is surely ours.
        None => ((comments.len() == 1).then(|| comments[0].clone()), tokens),
    };
    let colon = spec.iter().position(|token| *token == Token::Special(b':'));
    let (route, spec) = match colon {
        Some(colon) => (Some(joined(&spec[..colon])), &spec[colon + 1..]),
        None => (None, spec),
    };
    let at = spec
        .iter()
        .rposition(|token| *token == Token::Special(b'@'));
    let (mailbox, host) = match at {
        Some(at) => (joined(&spec[..at]), Some(joined(&spec[at + 1..]))),
        None => (joined(spec), Some(Vec::new())),
    };
    Some(Address {
        name,
        route,
        mailbox: Some(mailbox),
        host,
    })
}

fn phrase(tokens: &[Token]) -> Vec<u8> {
    let mut text = Vec::new();
    for token in tokens {
        match token {
            Token::Word(word) => {
                if !text.is_empty() {
                    text.push(b' ');
                }
                text.extend_from_slice(word);
            }
            Token::Special(byte) => text.push(*byte),
        }
    }
    text
}

fn joined(tokens: &[Token]) -> Vec<u8> {
    let mut text = Vec::new();
    for token in tokens {
        match token {
            Token::Word(word) => text.extend_from_slice(word),
            Token::Special(byte) => text.push(*byte),
        }
    }
    text
}

/// Tokens and comments of a value.
fn tokens(value: &[u8]) -> (Vec<Token>, Vec<Vec<u8>>) {
    let (mut tokens, mut comments) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < value.len() {
        match value[at] {
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            b'"' => {
                let (text, end) = enclosed(value, at, b'"');
                tokens.push(Token::Word(text));
                at = end;
            }
            b'(' => {
                let (text, end) = enclosed(value, at, b')');
                comments.push(text);
                at = end;
            }
            b'[' => {
                let (text, end) = enclosed(value, at, b']');
                tokens.push(Token::Word([b"[", &text[..], b"]"].concat()));
                at = end;
            }
            byte @ (b'<' | b'>' | b'@' | b',' | b';' | b':' | b'.') => {
                tokens.push(Token::Special(byte));
                at += 1;
            }
            _ => {
                let is_end = |b: &u8| b" \t\r\n\"(<>@,;:.[".contains(b);
                let len = value[at..]
                    .iter()
                    .position(is_end)
                    .unwrap_or(value.len() - at)
                    .max(1);
                tokens.push(Token::Word(value[at..at + len].to_vec()));
                at += len;
            }
        }
    }
    (tokens, comments)
}

/// The unescaped text from an opening byte to its closing one (parentheses nest), and where to go
/// on.
fn enclosed(value: &[u8], open: usize, close: u8) -> (Vec<u8>, usize) {
    let mut text = Vec::new();
    let mut depth = 0u32;
    let mut at = open + 1;
    while at < value.len() {
        match value[at] {
            b'\\' if at + 1 < value.len() => {
                at += 1;
                text.push(value[at]);
            }
            byte if byte == close && depth == 0 => return (text, at + 1),
            byte => {
                if close == b')' {
                    depth = depth + u32::from(byte == b'(') - u32::from(byte == b')');
                }
                text.push(byte);
            }
        }
        at += 1;
    }
    (text, value.len())
}
