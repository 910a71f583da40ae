//! From a stream of bytes to commands: lines, literals, and the message of an APPEND.

use bytes::{Buf, Bytes, BytesMut};

use super::ast::{Command, Tagged};
use super::lexer::literal_at_end;
use super::parse::parse_command;

/// Bytes that may lie unread before the host is asked to hold the client back.
const UNREAD_BYTES_MAX: usize = 128 << 10;
/// First bytes of a refused command that are kept for its tag.
const FIRST_BYTES: usize = 64;
/// Last bytes of a line that can be a literal's announcement and a line end.
const ANNOUNCEMENT_BYTES: usize = 32;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A command without its CRLF; literals stand inline.
    Command(Bytes),
    /// The line of an APPEND up to its message, which follows.
    Append(Box<Tagged>),
    /// The client waits for `+` before it sends a literal.
    WantsContinuation,
    /// A command, or a literal in it, that is longer than allowed. The first bytes are given for
    /// their tag. What had to be skipped was skipped.
    TooLong(Bytes),
}

/// The receiving half of a session.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    input: BytesMut,
    /// Bytes of the present command that are complete lines and literals.
    scanned: usize,
    /// Bytes of a literal that must still come before the next line of the command.
    literal: usize,
    /// Bytes to drop: a refused literal.
    skip: u64,
    /// Drop until the end of the line, then report these first bytes as too long.
    too_long: Option<Bytes>,
}

impl Receiver {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    pub fn is_empty(&self) -> bool {
        self.input.is_empty() && self.skip == 0 && self.too_long.is_none()
    }

    pub fn has_room(&self) -> bool {
        self.input.len() < UNREAD_BYTES_MAX
    }

    /// Gives memory back when nothing is there.
    pub fn shrink(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
    }

    /// A line without its line end, whatever it says.
    pub fn line(&mut self, bytes_max: usize) -> Option<Result<Bytes, ()>> {
        match self.input.iter().position(|&b| b == b'\n') {
            Some(end) if end <= bytes_max => Some(Ok(self.take_line(end))),
            Some(end) => {
                self.input.advance(end + 1);
                Some(Err(()))
            }
            None if self.input.len() > bytes_max => {
                self.input.clear();
                self.too_long = Some(Bytes::new());
                Some(Err(()))
            }
            None => None,
        }
    }

    /// The next command.
    pub fn command(&mut self, bytes_max: usize) -> Option<Received> {
        loop {
            if !self.skipped() {
                return None;
            }
            if let Some(first) = self.too_long.take() {
                let Some(end) = self.input.iter().position(|&b| b == b'\n') else {
                    let dropped = self.input.len().saturating_sub(ANNOUNCEMENT_BYTES);
                    self.input.advance(dropped);
                    self.too_long = Some(first);
                    return None;
                };
                match self.drop_line(end, first) {
                    Some(received) => return Some(received),
                    None => continue,
                }
            }
            if self.literal > 0 {
                let there = self.input.len() - self.scanned;
                let taken = there.min(self.literal);
                self.scanned += taken;
                self.literal -= taken;
                if self.literal > 0 {
                    return None;
                }
            }
            let unscanned = &self.input[self.scanned..];
            let Some(end) = unscanned.iter().position(|&b| b == b'\n') else {
                // One more for the CR of the line end.
                if self.input.len() > bytes_max + 1 {
                    self.give_up();
                    continue;
                }
                return None;
            };
            if let Some(received) = self.line_end(self.scanned + end, bytes_max) {
                return Some(received);
            }
        }
    }

    /// A line of the present command ends at `end`.
    fn line_end(&mut self, end: usize, bytes_max: usize) -> Option<Received> {
        // A CR that a literal ends with is no part of a line end.
        let has_cr = end > self.scanned && self.input[end - 1] == b'\r';
        let stop = end - usize::from(has_cr);
        let Some(literal) = literal_at_end(&self.input[self.scanned..stop]) else {
            self.scanned = 0;
            let mut line = self.input.split_to(end + 1);
            line.truncate(stop);
            let line = line.freeze();
            return Some(if stop > bytes_max {
                Received::TooLong(line.slice(..stop.min(FIRST_BYTES)))
            } else {
                Received::Command(line)
            });
        };
        let so_far = &self.input[..stop];
        if is_append(so_far)
            && let Ok(tagged) = parse_command(so_far)
            && matches!(tagged.command, Command::Append { .. })
        {
            self.input.advance(end + 1);
            self.scanned = 0;
            return Some(Received::Append(Box::new(tagged)));
        }
        if end > bytes_max || literal.size > (bytes_max - end) as u64 {
            // RFC 7888 §4: a literal that is too large is refused before it comes, or dropped.
            let first = Bytes::copy_from_slice(&self.input[..stop.min(FIRST_BYTES)]);
            self.input.advance(end + 1);
            self.scanned = 0;
            if !literal.non_sync {
                return Some(Received::TooLong(first));
            }
            self.skip = literal.size;
            self.too_long = Some(first);
            return None;
        }
        self.scanned = end + 1;
        self.literal = literal.size as usize;
        (!literal.non_sync).then_some(Received::WantsContinuation)
    }

    /// Takes up to `wanted` bytes of a message.
    pub fn message(&mut self, wanted: u64) -> Bytes {
        let len = self
            .input
            .len()
            .min(usize::try_from(wanted).unwrap_or(usize::MAX));
        self.input.split_to(len).freeze()
    }

    /// Drops a message that was refused although it comes, and the rest of its line.
    pub fn drop_message(&mut self, size: u64) {
        self.skip = size;
        self.too_long = Some(Bytes::new());
    }

    fn skipped(&mut self) -> bool {
        let dropped = (self.input.len() as u64).min(self.skip);
        self.input.advance(dropped as usize);
        self.skip -= dropped;
        self.skip == 0
    }

    fn give_up(&mut self) {
        let first = Bytes::copy_from_slice(&self.input[..self.input.len().min(FIRST_BYTES)]);
        self.input.advance(self.scanned);
        self.scanned = 0;
        self.too_long = Some(first);
    }

    /// Drops a line of a command that is refused; a literal that it announces is next.
    fn drop_line(&mut self, end: usize, first: Bytes) -> Option<Received> {
        let line = self.input.split_to(end + 1);
        if first.is_empty() {
            return None;
        }
        let line = line[..end].strip_suffix(b"\r").unwrap_or(&line[..end]);
        match literal_at_end(line) {
            Some(literal) if literal.non_sync => {
                self.skip = literal.size;
                self.too_long = Some(first);
                None
            }
            _ => Some(Received::TooLong(first)),
        }
    }

    fn take_line(&mut self, end: usize) -> Bytes {
        let mut line = self.input.split_to(end + 1);
        line.truncate(end);
        if line.last() == Some(&b'\r') {
            line.truncate(end - 1);
        }
        line.freeze()
    }
}

fn is_append(line: &[u8]) -> bool {
    let mut words = line.split(|&b| b == b' ');
    words
        .nth(1)
        .is_some_and(|word| word.eq_ignore_ascii_case(b"APPEND"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(bytes: &[u8], piece: usize) -> Vec<Received> {
        let (mut receiver, mut all) = (Receiver::default(), Vec::new());
        for bytes in bytes.chunks(piece) {
            receiver.feed(bytes);
            while let Some(received) = receiver.command(200) {
                all.push(received);
            }
        }
        all
    }

    #[test]
    fn literals_stand_inline_at_any_split() {
        let input = b"a LOGIN {3}\r\nb\r\n {2+}\r\ncc\r\nd NOOP\r\n";
        for piece in [1, 3, input.len()] {
            let first = Bytes::from_static(b"a LOGIN {3}\r\nb\r\n {2+}\r\ncc");
            let second = Bytes::from_static(b"d NOOP");
            let expected = [
                Received::WantsContinuation,
                Received::Command(first),
                Received::Command(second),
            ];
            assert_eq!(received(input, piece), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn a_literal_may_end_with_cr() {
        let input = b"a LOGIN {1+}\r\n\r\nb NOOP\n";
        for piece in [1, input.len()] {
            let first = Bytes::from_static(b"a LOGIN {1+}\r\n\r");
            let second = Bytes::from_static(b"b NOOP");
            let expected = [Received::Command(first), Received::Command(second)];
            assert_eq!(received(input, piece), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn what_is_too_long_is_skipped() {
        let long = [b"a X ".repeat(100), b"\r\nb NOOP\r\n".to_vec()].concat();
        let literal = b"a LOGIN {999+}\r\n".to_vec();
        let literal = [literal, vec![b'x'; 999], b" y\r\nb NOOP\r\n".to_vec()].concat();
        for input in [long, literal] {
            for piece in [1, 64, input.len()] {
                let got = received(&input, piece);
                assert!(matches!(got[0], Received::TooLong(_)), "{got:?}");
                assert_eq!(got[1..], [Received::Command(Bytes::from_static(b"b NOOP"))]);
            }
        }
    }
}
