//! A message with binary parts, rewritten as it comes so that it can be read without BINARY.
//!
//! RFC 3516 §6: what IMAP shows of a message without that extension has no NUL, and its structure
//! says so. So a part whose transfer encoding is `binary` is stored in base64 (§4.4 allows that),
//! and all else stays as it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::budget::Budget;
use super::fields::described;
use super::header;
use super::walk::{DEPTH_MAX, Delimiter, delimiter, is_message};

/// Longest header of a part that is looked at.
const HEADER_BYTES_MAX: usize = 64 << 10;
/// What may follow the boundary in a delimiter line.
const PADDING_BYTES_MAX: usize = 256;
/// Octets in a line of base64: 76 letters (RFC 2045 §6.8).
const LINE_OCTETS: usize = 57;
/// What a part says that is stored in another encoding than it came in.
const ENCODED: &[u8] = b"Content-Transfer-Encoding: base64\r\n";

/// A message can't be stored: there is a NUL elsewhere than in a binary part, or a header is longer
/// than one that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("NUL may only stand in parts whose Content-Transfer-Encoding is binary")]
pub struct Unencodable;

/// Rewrites a message that comes in pieces.
#[derive(Debug)]
pub struct Rewriter {
    /// The multiparts that are open, the outermost first.
    open: Vec<Open>,
    /// Messages that the present part is in.
    nested: usize,
    /// The header is that of a part of the innermost multipart, and not of a message in it.
    is_child: bool,
    state: State,
    /// A header, or a line that may turn out to be a delimiter.
    waiting: Vec<u8>,
    /// Where the last line of the header begins in `waiting`.
    line_at: usize,
    /// The end of the last line of a body: it is a delimiter's if one follows.
    held: &'static [u8],
    /// A line of a body has begun that is no delimiter.
    within_line: bool,
}

#[derive(Debug)]
struct Open {
    boundary: Vec<u8>,
    is_digest: bool,
    /// Messages that it is in.
    nested: usize,
}

#[derive(Debug)]
enum State {
    Header,
    /// As it is.
    Plain,
    /// In base64: octets of a line that is not full, and whether there is one before it.
    Encoded(Vec<u8>, bool),
}

impl Default for Rewriter {
    fn default() -> Self {
        Self {
            open: vec![],
            nested: 0,
            is_child: false,
            state: State::Header,
            waiting: vec![],
            line_at: 0,
            held: b"",
            within_line: false,
        }
    }
}

impl Rewriter {
    /// Bytes that are kept.
    pub fn held_bytes(&self) -> usize {
        self.waiting.len() + self.open.iter().map(|it| it.boundary.len()).sum::<usize>()
    }

    /// Takes what comes next and gives what is to be stored: no more than 1.4 times as much, and
    /// what was kept.
    ///
    /// # Errors
    /// If the message can't be stored.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Unencodable> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let is_open = !matches!(self.state, State::Header) && self.open.is_empty();
            if is_open {
                // Nothing but its end is looked for.
                return self.put(rest, out);
            }
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let (piece, after) = rest.split_at(end);
            rest = after;
            if self.within_line {
                self.text(piece, out)?;
                continue;
            }
            self.waiting.extend_from_slice(piece);
            let is_whole = piece.ends_with(b"\n");
            match self.state {
                State::Header if is_whole => self.header_line(out)?,
                State::Header if self.waiting.len() > HEADER_BYTES_MAX => return Err(Unencodable),
                State::Header => {}
                _ if is_whole || !self.may_be_delimiter() => {
                    let line = std::mem::take(&mut self.waiting);
                    self.body_line(&line, out)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The message has ended.
    ///
    /// # Errors
    /// If the message can't be stored.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        let waiting = std::mem::take(&mut self.waiting);
        match self.state {
            State::Header => self.end_header(&waiting, out)?,
            _ if !waiting.is_empty() => self.body_line(&waiting, out)?,
            _ => {}
        }
        let held = std::mem::take(&mut self.held);
        self.put(held, out)?;
        if self.end_part(out) {
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    /// A line of a header has come, the last in `waiting`.
    fn header_line(&mut self, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        let line = &self.waiting[self.line_at..];
        if self.find_delimiter(line).is_some() {
            let line = self.waiting.split_off(self.line_at);
            let header = std::mem::take(&mut self.waiting);
            self.end_header(&header, out)?;
            // A part without a body: a message in it has no header either.
            self.state = State::Plain;
            return self.body_line(&line, out);
        }
        if matches!(line, b"\r\n" | b"\n") {
            let header = std::mem::take(&mut self.waiting);
            return self.end_header(&header, out);
        }
        if self.waiting.len() > HEADER_BYTES_MAX {
            return Err(Unencodable);
        }
        self.line_at = self.waiting.len();
        Ok(())
    }

    /// A header is there: what follows it?
    fn end_header(&mut self, header: &[u8], out: &mut Vec<u8>) -> Result<(), Unencodable> {
        if header.contains(&0) {
            return Err(Unencodable);
        }
        self.line_at = 0;
        let fields = header::fields(header);
        let is_child = std::mem::take(&mut self.is_child);
        let in_digest = is_child && self.open.last().is_some_and(|it| it.is_digest);
        let (part, boundary) = described(&fields, in_digest, &mut Budget::default());
        let is = |have: &[u8], want: &str| have.eq_ignore_ascii_case(want.as_bytes());
        let has_room = self.open.len() + self.nested < DEPTH_MAX;
        self.state = State::Plain;
        if is(&part.media_type, "multipart") {
            if let Some(boundary) = boundary.filter(|_| has_room) {
                self.open.push(Open {
                    boundary,
                    is_digest: is(&part.subtype, "digest"),
                    nested: self.nested,
                });
            }
        } else if is_message(&part) {
            if has_room {
                self.nested += 1;
                self.state = State::Header;
            }
        } else if is(&part.encoding, "binary") {
            self.state = State::Encoded(vec![], false);
            out.extend(with_encoding(header));
            return Ok(());
        }
        out.extend_from_slice(header);
        Ok(())
    }

    /// A line of a body, or so much of it that it is no delimiter.
    fn body_line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), Unencodable> {
        let Some((place, kind)) = self.find_delimiter(line) else {
            return self.text(line, out);
        };
        self.end_part(out);
        out.extend_from_slice(std::mem::take(&mut self.held));
        out.extend_from_slice(line);
        let is_next = kind == Delimiter::Open;
        (self.nested, self.is_child) = (self.open[place].nested, is_next);
        self.open.truncate(place + usize::from(is_next));
        self.state = if is_next { State::Header } else { State::Plain };
        self.line_at = 0;
        Ok(())
    }

    /// Octets of a line of a body.
    fn text(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Unencodable> {
        let held = std::mem::take(&mut self.held);
        if held == b"\r" && piece == b"\n" {
            (self.held, self.within_line) = (b"\r\n", false);
            return Ok(());
        }
        self.put(held, out)?;
        let (text, end): (&[u8], &'static [u8]) = match piece {
            [text @ .., b'\r', b'\n'] => (text, b"\r\n"),
            [text @ .., b'\n'] => (text, b"\n"),
            [text @ .., b'\r'] => (text, b"\r"),
            text => (text, b""),
        };
        (self.held, self.within_line) = (end, !end.ends_with(b"\n"));
        self.put(text, out)
    }

    /// Gives octets of a body.
    fn put(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Result<(), Unencodable> {
        let State::Encoded(line, has_line) = &mut self.state else {
            if memchr::memchr(0, octets).is_some() {
                return Err(Unencodable);
            }
            out.extend_from_slice(octets);
            return Ok(());
        };
        line.extend_from_slice(octets);
        let whole = line.len() - line.len() % LINE_OCTETS;
        for octets in line[..whole].chunks(LINE_OCTETS) {
            push_line(octets, has_line, out);
        }
        line.drain(..whole);
        Ok(())
    }

    /// Ends a part; true if it is encoded.
    fn end_part(&mut self, out: &mut Vec<u8>) -> bool {
        let State::Encoded(line, mut has_line) = std::mem::replace(&mut self.state, State::Plain)
        else {
            return false;
        };
        if !line.is_empty() {
            push_line(&line, &mut has_line, out);
        }
        true
    }

    fn find_delimiter(&self, line: &[u8]) -> Option<(usize, Delimiter)> {
        self.open.iter().enumerate().find_map(|(place, open)| {
            let kind = delimiter(line, &open.boundary);
            (kind != Delimiter::No).then_some((place, kind))
        })
    }

    /// Whether what has come of a line may be the beginning of a delimiter.
    fn may_be_delimiter(&self) -> bool {
        self.open.iter().any(|open| {
            let start = [b"--", &open.boundary[..]].concat();
            start.starts_with(&self.waiting)
                || self.waiting.starts_with(&start)
                    && self.waiting.len() < start.len() + PADDING_BYTES_MAX
        })
    }
}

fn push_line(octets: &[u8], has_line: &mut bool, out: &mut Vec<u8>) {
    if std::mem::replace(has_line, true) {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(STANDARD.encode(octets).as_bytes());
}

/// A header that says that its part is in base64.
fn with_encoding(header: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len() + ENCODED.len());
    let (mut copied, mut said) = (0, false);
    for field in header::fields(header) {
        if field
            .name
            .eq_ignore_ascii_case(b"Content-Transfer-Encoding")
        {
            // It is a piece of the header.
            let at = field.raw.as_ptr() as usize - header.as_ptr() as usize;
            out.extend_from_slice(&header[copied..at]);
            if !std::mem::replace(&mut said, true) {
                out.extend_from_slice(ENCODED);
            }
            copied = at + field.raw.len();
        }
    }
    out.extend_from_slice(&header[copied..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::Structure;
    use crate::mime::transfer::Decoder;

    fn rewritten(message: &[u8], size: usize) -> Result<Vec<u8>, Unencodable> {
        let (mut rewriter, mut out) = (Rewriter::default(), Vec::new());
        for piece in message.chunks(size) {
            rewriter.feed(piece, &mut out)?;
        }
        rewriter.finish(&mut out)?;
        Ok(out)
    }

    fn same_in_any_pieces(message: &[u8]) -> Result<Vec<u8>, Unencodable> {
        let whole = rewritten(message, message.len());
        for size in [1, 2, 3, 7, 57, 100] {
            assert_eq!(rewritten(message, size), whole, "pieces of {size}");
        }
        whole
    }

    /// The content of a part as it was before.
    fn content(message: &[u8], path: &[u32]) -> Vec<u8> {
        let structure = Structure::parse(message);
        let part = structure.part(path).expect("there");
        assert_eq!(part.encoding, b"base64");
        let mut decoder = Decoder::of(part).expect("known");
        let mut out = Vec::new();
        let body = &message[part.body.start as usize..part.body.end as usize];
        assert!(body.split(|&b| b == b'\n').all(|line| line.len() <= 77));
        decoder.decode(body, true, &mut out);
        out
    }

    #[test]
    fn binary_parts_are_encoded_and_nothing_else() {
        let octets: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let mut message = b"Subject: x\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/mixed; boundary=\"b 1\"\r\n\r\npreamble\r\n--b 1\r\n\r\n\
            plain --b 1\r\n--b 1x\r\n--b 1 \r\nContent-TRANSFER-encoding:\r\n BINARY\r\n\
            Content-Type: image/png\r\n\r\n"
            .to_vec();
        message.extend_from_slice(&octets);
        message.extend_from_slice(b"\r\n--b 1\r\nContent-Type: message/rfc822\r\n\r\n");
        message.extend_from_slice(b"Content-Transfer-Encoding: binary\r\nX: y\r\n\r\n\0\r");
        message.extend_from_slice(b"\r\n--b 1--\r\nepilogue");
        let found = same_in_any_pieces(&message).expect("it can be");
        assert!(!found.contains(&0));
        let text = String::from_utf8_lossy(&found).into_owned();
        let start = "preamble\r\n--b 1\r\n\r\nplain --b 1\r\n--b 1x\r\n--b 1 \r\n\
            Content-Transfer-Encoding: base64\r\nContent-Type: image/png\r\n\r\nAAEC";
        assert!(
            text.contains(start) && text.ends_with("\r\n--b 1--\r\nepilogue"),
            "{text}"
        );
        assert_eq!(content(&found, &[2]), octets);
        assert_eq!(content(&found, &[3, 1]), b"\0\r");
        // Once encoded it stays as it is.
        assert_eq!(same_in_any_pieces(&found), Ok(found));
    }

    #[test]
    fn messages_beside_each_other_are_no_deeper() {
        let mut digest = b"Content-Type: multipart/digest; boundary=b\r\n\r\n".to_vec();
        for _ in 0..60 {
            digest.extend_from_slice(b"--b\r\n\r\nContent-Transfer-Encoding: binary\r\n");
            digest.extend_from_slice(b"\r\n\0\r\n");
        }
        digest.extend_from_slice(b"--b--\r\n");
        let found = same_in_any_pieces(&digest).expect("it can be");
        assert_eq!(content(&found, &[60, 1]), b"\0");
    }

    #[test]
    fn a_message_may_be_one_binary_part() {
        let octets: Vec<u8> = (0..=255).rev().collect();
        let header = b"Content-Type: image/gif\r\nContent-Transfer-Encoding: binary\r\n\r\n";
        let message = [&header[..], &octets].concat();
        let found = same_in_any_pieces(&message).expect("it can be");
        assert!(found.ends_with(b"=\r\n"));
        assert_eq!(content(&found, &[1]), octets);
        assert_eq!(
            same_in_any_pieces(header).expect("it can be").len(),
            header.len() + 2
        );
    }

    #[test]
    fn nul_elsewhere_is_refused() {
        for message in [
            &b"Subject: \0\r\n\r\n"[..],
            b"Subject: x\r\n\r\n\0",
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\0\r\n--b--\r\n",
        ] {
            assert_eq!(same_in_any_pieces(message), Err(Unencodable));
        }
        let long = [&b"X: "[..], &b"x".repeat(HEADER_BYTES_MAX)].concat();
        assert_eq!(rewritten(&long, 1000), Err(Unencodable));
    }

    #[test]
    fn other_messages_stay_as_they_are() {
        for message in [
            &b""[..],
            b"\r\n",
            b"Subject: x",
            b"Subject: x\r\n\r\nbody\r\n\r",
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: y\r\n--b\r\n\r\n\r\n--b--",
            b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: y\n\n--b\n--b--\n\n\n",
        ] {
            let found = rewritten(message, message.len().max(1)).expect("it can be");
            assert_eq!(found, message);
            assert_eq!(rewritten(message, 1), Ok(message.to_vec()));
        }
    }
}
