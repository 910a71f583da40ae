//! From a stream of bytes to commands: lines, literals, and the message of an APPEND.

use bytes::{Buf, Bytes, BytesMut};

use super::ast::{AppendPart, AppendPlace, Command, Tagged};
use super::lexer::{Announcement, literal_at_end};
use super::name_form::NameForm;
use super::parse::{next_parts, parse_command_in};

/// First bytes of a refused command that are kept for its tag.
const FIRST_BYTES: usize = 64;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A command without its CRLF; literals stand inline.
    Command(Bytes),
    /// The line of an APPEND up to its first literal, which follows.
    Append(Box<Tagged>),
    /// The client waits for `+` before it sends a literal.
    WantsContinuation,
    /// A command with a non-synchronizing literal that should have waited for its continuation
    /// request. The first bytes are given for their tag; the literal was skipped, and the rest.
    TooLongUnasked(Bytes),
    /// A command, or a literal in it, that is longer than allowed. The first bytes are given for
    /// their tag. What had to be skipped was skipped.
    TooLong(Bytes),
}

impl Received {
    /// Whether it is a command, right or wrong, that a client has given.
    pub fn is_command(&self) -> bool {
        match self {
            Self::Command(line) => !line.is_empty(),
            Self::Append(_) | Self::TooLong(_) | Self::TooLongUnasked(_) => true,
            Self::WantsContinuation => false,
        }
    }

    /// How it begins, unless it is a message's command.
    pub fn first_line(&self) -> Option<&[u8]> {
        match self {
            Self::Command(line) | Self::TooLong(line) | Self::TooLongUnasked(line) => Some(line),
            Self::Append(_) | Self::WantsContinuation => None,
        }
    }
}

/// What follows a literal of an APPEND.
#[derive(Debug)]
pub(super) enum AfterLiteral {
    /// This, and then the command ends.
    End(Vec<AppendPart>),
    /// This, of which the last is another literal.
    Next(Vec<AppendPart>),
    /// Something else, which is dropped.
    Fault,
}

/// The receiving half of a session.
///
/// The octets of a non-synchronizing literal belong to the command that announces it, whatever is
/// wrong with that command (RFC 7888 §3): they are taken with it, or dropped with it.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    input: BytesMut,
    /// Bytes of the present command that are complete lines and literals.
    scanned: usize,
    /// Bytes of a literal that must still come before the next line of the command.
    literal: usize,
    /// The rest of a refused command is being dropped.
    dropping: Option<Dropping>,
    /// Commands that came.
    given: u32,
}

/// What is left of a refused command.
#[derive(Debug)]
struct Dropping {
    /// Octets of a literal that come first; then a line.
    literal: u64,
    announcement: Announcement,
    /// Its first bytes, if it is yet to be reported as too long.
    first: Option<Bytes>,
    /// It is, because of a literal that came unasked.
    unasked: bool,
}

impl Receiver {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    pub fn is_empty(&self) -> bool {
        self.input.is_empty() && self.dropping.is_none()
    }

    /// Bytes that wait to be worked on.
    pub fn unread(&self) -> usize {
        self.input.len()
    }

    /// Whether these bytes are the last that wait, in upper or lower case.
    pub fn ends_in(&self, end: &[u8]) -> bool {
        let at = self.input.len().checked_sub(end.len());
        at.is_some_and(|at| self.input[at..].eq_ignore_ascii_case(end))
    }

    /// All that came behind the commands that were taken.
    pub fn take_rest(&mut self) -> Bytes {
        std::mem::take(&mut self.input).freeze()
    }

    /// Gives memory back when nothing is there.
    pub fn shrink(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
    }

    /// A line that is not a command, without its line end. `Err` if it is too long or announces a
    /// literal, which has no place in such a line: the literal and what follows it are dropped.
    pub fn line(&mut self, bytes_max: usize) -> Option<Result<Bytes, ()>> {
        if !self.dropped() {
            return None;
        }
        match self.input.iter().position(|&b| b == b'\n') {
            Some(end) => {
                let line = self.take_line(end);
                match literal_at_end(&line) {
                    Some(literal) if literal.non_sync => self.drop_rest(literal.size, None),
                    _ if line.len() <= bytes_max => return Some(Ok(line)),
                    _ => {}
                }
                Some(Err(()))
            }
            // One more for the CR of the line end.
            None if self.input.len() > bytes_max + 1 => {
                self.drop_line(None);
                Some(Err(()))
            }
            None => None,
        }
    }

    /// Commands that came so far, those that were refused too.
    pub fn commands_given(&self) -> u32 {
        self.given
    }

    /// The next command.
    /// Longer non-synchronizing literals than `non_sync_max` bytes are dropped with their commands.
    pub fn command(
        &mut self,
        bytes_max: usize,
        non_sync_max: u64,
        form: NameForm,
    ) -> Option<Received> {
        let received = self.next_received(bytes_max, (non_sync_max, form));
        let is_command = received.as_ref().is_some_and(Received::is_command);
        self.given = self.given.saturating_add(u32::from(is_command));
        received
    }

    fn next_received(&mut self, bytes_max: usize, rest: (u64, NameForm)) -> Option<Received> {
        loop {
            let dropping = self.dropping.as_ref();
            let first = dropping.and_then(|rest| Some((rest.first.clone()?, rest.unasked)));
            if !self.dropped() {
                return None;
            }
            match first {
                Some((first, true)) => return Some(Received::TooLongUnasked(first)),
                Some((first, false)) => return Some(Received::TooLong(first)),
                None => {}
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
                    let first = self.first_bytes(self.input.len());
                    self.input.advance(std::mem::take(&mut self.scanned));
                    self.drop_line(Some(first));
                    continue;
                }
                return None;
            };
            let end = self.scanned + end;
            if let Some(received) = self.line_end(end, bytes_max, rest) {
                return Some(received);
            }
        }
    }

    /// A line of the present command ends at `end`.
    fn line_end(
        &mut self,
        end: usize,
        bytes_max: usize,
        (non_sync_max, form): (u64, NameForm),
    ) -> Option<Received> {
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
            && let Ok(tagged) = parse_command_in(so_far, form)
            && matches!(tagged.command, Command::Append { .. })
        {
            self.input.advance(end + 1);
            self.scanned = 0;
            return Some(Received::Append(Box::new(tagged)));
        }
        if literal.non_sync && literal.size > non_sync_max {
            let first = self.first_bytes(stop);
            self.input.advance(end + 1);
            self.scanned = 0;
            self.drop_rest(literal.size, Some(first));
            if let Some(dropping) = &mut self.dropping {
                dropping.unasked = true;
            }
            return None;
        }
        if end > bytes_max || literal.size > (bytes_max - end) as u64 {
            // RFC 7888 §4: a literal that is too large is refused before it comes, or dropped.
            let first = self.first_bytes(stop);
            self.input.advance(end + 1);
            self.scanned = 0;
            if !literal.non_sync {
                return Some(Received::TooLong(first));
            }
            self.drop_rest(literal.size, Some(first));
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

    /// What follows a literal, or the parenthesis behind it if it is enclosed.
    pub fn after_literal(
        &mut self,
        bytes_max: usize,
        is_enclosed: bool,
        (place, form): (AppendPlace, NameForm),
    ) -> Option<AfterLiteral> {
        if !self.dropped() {
            return None;
        }
        let Some(end) = self.input.iter().position(|&b| b == b'\n') else {
            // One more for the CR of the line end.
            if self.input.len() <= bytes_max + 1 {
                return None;
            }
            self.drop_line(None);
            return Some(AfterLiteral::Fault);
        };
        let whole = self.take_line(end);
        let line = match is_enclosed {
            true => whole.strip_prefix(b")"),
            false => Some(&whole[..]),
        };
        let literal = literal_at_end(&whole);
        let parts = line
            .filter(|line| line.len() <= bytes_max)
            .and_then(|line| next_parts(line, place, form).ok());
        Some(match (literal, parts) {
            (None, Some(parts)) => AfterLiteral::End(parts),
            (Some(_), Some(parts)) => AfterLiteral::Next(parts),
            (literal, None) => {
                if let Some(literal) = literal.filter(|literal| literal.non_sync) {
                    self.drop_rest(literal.size, None);
                }
                AfterLiteral::Fault
            }
        })
    }

    /// Drops a message that was refused although it comes, and the rest of its command.
    pub fn drop_message(&mut self, size: u64) {
        self.drop_rest(size, None);
    }

    fn first_bytes(&self, stop: usize) -> Bytes {
        Bytes::copy_from_slice(&self.input[..stop.min(FIRST_BYTES)])
    }

    fn drop_line(&mut self, first: Option<Bytes>) {
        self.drop_rest(0, first);
    }

    fn drop_rest(&mut self, literal: u64, first: Option<Bytes>) {
        let announcement = Announcement::default();
        self.dropping = Some(Dropping {
            literal,
            announcement,
            first,
            unasked: false,
        });
    }

    /// Drops what is to be dropped, as far as it is there. True if nothing is left to drop.
    fn dropped(&mut self) -> bool {
        let Some(rest) = &mut self.dropping else {
            return true;
        };
        loop {
            let octets = (self.input.len() as u64).min(rest.literal);
            self.input.advance(octets as usize);
            rest.literal -= octets;
            if rest.literal > 0 {
                return false;
            }
            let end = self.input.iter().position(|&b| b == b'\n');
            let line = end.map_or(self.input.len(), |end| end + 1);
            rest.announcement.read(&self.input[..line]);
            self.input.advance(line);
            if end.is_none() {
                return false;
            }
            match std::mem::take(&mut rest.announcement).literal() {
                // One that waits for its continuation request does not get it: it is not sent.
                Some(literal) if literal.non_sync => rest.literal = literal.size,
                _ => break,
            }
        }
        self.dropping = None;
        true
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
    let mut is_next = |known: &[&[u8]]| {
        let word = words.next().unwrap_or_default();
        known.iter().position(|it| word.eq_ignore_ascii_case(it))
    };
    is_next(&[]);
    match is_next(&[b"APPEND", b"REPLACE", b"UID"]) {
        Some(2) => is_next(&[b"REPLACE"]).is_some(),
        known => known.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(bytes: &[u8], piece: usize) -> Vec<Received> {
        let (mut receiver, mut all) = (Receiver::default(), Vec::new());
        for bytes in bytes.chunks(piece) {
            receiver.feed(bytes);
            while let Some(received) = receiver.command(200, u64::MAX, NameForm::Utf7) {
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
