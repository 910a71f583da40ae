//! Address lists (RFC 5322 §3.4, with the obsolete forms of §4.4), read leniently.

use super::Address;
use super::budget::Room;
use super::text::{TEXT_BYTES_MAX, bounded};
use super::tokens::{Kind, Token, tokens};

/// Bytes of one field that are looked at. An address that stands across the end is left out.
const VALUE_BYTES_MAX: usize = 1 << 20;

/// The addresses of a field's value, unfolded: as many as there is room for.
pub(crate) fn parse(value: &[u8], room: &mut Room) -> Vec<Address> {
    let is_cut = value.len() > VALUE_BYTES_MAX;
    let value = &value[..value.len().min(VALUE_BYTES_MAX)];
    let mut list = List {
        value,
        addresses: Vec::new(),
        room,
    };
    let tokens = tokens(value);
    let mut pieces = Pieces::new(&tokens);
    let mut in_group = false;
    while let Some((piece, end)) = pieces.next(in_group) {
        if end == End::Value && is_cut {
            break;
        }
        if end == End::Colon {
            in_group = list.push(Address {
                mailbox: Some(list.phrase(piece)),
                ..Address::default()
            });
            continue;
        }
        list.piece(piece);
        if in_group && end == End::Semicolon {
            in_group = false;
            list.close_group();
        }
    }
    if in_group {
        list.close_group();
    }
    list.addresses
}

/// What ends an element of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Comma,
    Semicolon,
    Colon,
    /// The next element begins without a comma between them.
    Bracket,
    Value,
}

/// The elements of a list: an address, the name of a group, or nothing at all.
struct Pieces<'a> {
    rest: &'a [Token],
    is_over: bool,
}

impl<'a> Pieces<'a> {
    fn new(tokens: &'a [Token]) -> Self {
        Self {
            rest: tokens,
            is_over: false,
        }
    }

    fn next(&mut self, in_group: bool) -> Option<(&'a [Token], End)> {
        if self.is_over {
            return None;
        }
        // Where the bracket that is open opened, and whether it holds a source route's commas.
        let (mut open, mut has_route) = (None, false);
        let mut closed = None;
        for (at, token) in self.rest.iter().enumerate() {
            let Kind::Special(byte) = token.kind else {
                continue;
            };
            let end = match byte {
                b',' if !has_route => End::Comma,
                b';' => End::Semicolon,
                b':' if !in_group && open.is_none() => End::Colon,
                b':' => {
                    has_route = false;
                    continue;
                }
                b'<' => match closed {
                    Some(closed) => return Some(self.split(closed + 1, closed + 1, End::Bracket)),
                    None => {
                        open = open.or(Some(at));
                        continue;
                    }
                },
                b'>' => {
                    closed = open.take().map(|_| at).or(closed);
                    has_route = false;
                    continue;
                }
                b'@' => {
                    has_route |= open.is_some_and(|open| open + 1 == at);
                    continue;
                }
                _ => continue,
            };
            return Some(self.split(at, at + 1, end));
        }
        self.is_over = true;
        Some((self.rest, End::Value))
    }

    fn split(&mut self, end: usize, next: usize, why: End) -> (&'a [Token], End) {
        let piece = &self.rest[..end];
        self.rest = &self.rest[next..];
        (piece, why)
    }
}

/// The addresses found so far.
struct List<'a> {
    value: &'a [u8],
    addresses: Vec<Address>,
    room: &'a mut Room,
}

impl List<'_> {
    /// Adds an address if there is room.
    fn push(&mut self, address: Address) -> bool {
        let fits = self.room.take(&address);
        if fits {
            self.addresses.push(address);
        }
        fits
    }

    /// Ends a group. Its end always has room, as its beginning had.
    fn close_group(&mut self) {
        self.addresses.push(Address::default());
    }

    /// One element: `phrase <@route:local@domain> (comment)`, `local@domain (comment)`, or a name
    /// without an address.
    fn piece(&mut self, tokens: &[Token]) {
        let says_something =
            |token: &Token| !matches!(token.kind, Kind::Comment | Kind::Special(b'>' | b':'));
        if !tokens.iter().any(says_something) {
            return;
        }
        let Some(open) = tokens.iter().position(|token| token.is(b'<')) else {
            return self.bare(tokens);
        };
        let close = tokens.iter().rposition(|token| token.is(b'>'));
        let close = close.filter(|&close| close > open).unwrap_or(tokens.len());
        let after = tokens.get(close + 1..).unwrap_or_default();
        let outside = || tokens[..open].iter().chain(after);
        let name = [&tokens[..open], after]
            .iter()
            .map(|tokens| self.phrase(tokens))
            .find(|name| !name.is_empty())
            .or_else(|| self.comment(outside()));
        let address = self.specified(&tokens[open + 1..close], name);
        self.push(address);
    }

    /// What stands between brackets: `@route:local@domain`.
    fn specified(&self, tokens: &[Token], name: Option<Vec<u8>>) -> Address {
        let mut spec: Vec<Token> = tokens.to_vec();
        spec.retain(|token| token.kind != Kind::Comment && !token.is(b'<') && !token.is(b'>'));
        let mut route = None;
        let mut spec = &spec[..];
        if let Some(colon) = spec.iter().position(|token| token.is(b':')) {
            let (before, after) = (&spec[..colon], &spec[colon + 1..]);
            if before.first().is_some_and(|token| token.is(b'@')) {
                route = Some(self.joined(before));
                spec = after;
            } else {
                // `mailto:a@b`, or a group that was put between brackets.
                spec = if after.is_empty() { before } else { after };
            }
        }
        let at = spec.iter().rposition(|token| token.is(b'@'));
        let (mailbox, host) = match at {
            Some(at) => (self.joined(&spec[..at]), self.joined(&spec[at + 1..])),
            None => (self.joined(spec), Vec::new()),
        };
        Address {
            name,
            route,
            mailbox: Some(mailbox),
            host: Some(host),
        }
    }

    /// An element without brackets. Words before an address are its name, if it should have had
    /// brackets; addresses with nothing but blanks between them are several.
    fn bare(&mut self, tokens: &[Token]) {
        let name = self.comment(tokens.iter());
        let mut words: Vec<Token> = tokens.to_vec();
        words.retain(|token| token.kind != Kind::Comment);
        let joins = |token: &Token| token.is(b'@') || token.is(b'.');
        let mut runs: Vec<&[Token]> = words
            .chunk_by(|one, next| !next.is_after_blank || joins(one) || joins(next))
            .collect();
        let has_at = |run: &[Token]| run.iter().any(|token| token.is(b'@'));
        if !runs.iter().any(|run| has_at(run)) {
            return self.without_address(&words, name);
        }
        // Words behind the last address name it, if nothing before it does.
        let last = runs.iter().rposition(|run| has_at(run)).unwrap_or(0);
        let behind = self.phrase(&runs.split_off(last + 1).concat());
        let mut from = 0;
        for at in 0..runs.len() {
            if !has_at(runs[at]) {
                continue;
            }
            let before = self.phrase(&runs[from..at].concat());
            from = at + 1;
            let mut own = Some(before).filter(|name| !name.is_empty());
            if at == last {
                own = own
                    .or(name.clone())
                    .or_else(|| Some(behind.clone()).filter(|name| !name.is_empty()));
            }
            let address = self.specified(runs[at], own);
            self.push(address);
        }
    }

    /// One word is a mailbox of the host that sent it; several, or one in quotes, are a name.
    fn without_address(&mut self, words: &[Token], comment: Option<Vec<u8>>) {
        let text = self.phrase(words);
        let is_name = words.iter().any(|word| word.kind == Kind::Quoted)
            || text.iter().any(|b| matches!(b, b' ' | b'\t'))
            || text.starts_with(b"=?");
        let (name, mailbox) = match is_name {
            true => (Some(text), Vec::new()),
            false => (comment, text),
        };
        self.push(Address {
            name,
            route: None,
            mailbox: Some(mailbox),
            host: Some(Vec::new()),
        });
    }

    /// Words with a blank where some blank or comment stood.
    fn phrase(&self, tokens: &[Token]) -> Vec<u8> {
        let mut text = Vec::new();
        let mut is_after_comment = false;
        for token in tokens {
            if token.kind == Kind::Comment {
                is_after_comment = true;
                continue;
            }
            if (token.is_after_blank || is_after_comment) && !text.is_empty() {
                text.push(b' ');
            }
            token.push_to(self.value, &mut text);
            is_after_comment = false;
        }
        bounded(text, TEXT_BYTES_MAX)
    }

    /// A local part or a domain: no blanks around dots (RFC 5322 §4.4).
    fn joined(&self, tokens: &[Token]) -> Vec<u8> {
        let mut text = Vec::new();
        let mut joins = true;
        for token in tokens {
            let is_joint = matches!(token.kind, Kind::Special(_));
            if token.is_after_blank && !joins && !is_joint {
                text.push(b' ');
            }
            token.push_to(self.value, &mut text);
            joins = is_joint;
        }
        bounded(text, TEXT_BYTES_MAX)
    }

    /// The old way of giving a name: the last comment that says something.
    fn comment<'t>(&self, tokens: impl DoubleEndedIterator<Item = &'t Token>) -> Option<Vec<u8>> {
        tokens
            .rev()
            .filter(|token| token.kind == Kind::Comment)
            .map(|token| {
                let mut text = Vec::new();
                token.push_to(self.value, &mut text);
                bounded(text.trim_ascii().to_vec(), TEXT_BYTES_MAX)
            })
            .find(|text| !text.is_empty())
    }
}
