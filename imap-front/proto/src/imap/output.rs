//! What a session has to say: what is ready, and what is made when that has left.
//!
//! However long an answer is, no more than a piece of it exists in bytes: one that may be long is a
//! [`Pieces`], asked for its next piece once the host says that all output has left.

use std::collections::VecDeque;
use std::io::Write as _;

use bytes::Bytes;

/// Bytes that are given to the host before it has said that all has left; a piece ends soon after.
pub(super) const PIECE_BYTES: usize = 32 << 10;

/// The same before login: who asks without a password is not owed much, and has no long answers.
const PIECE_BEFORE_LOGIN_BYTES: usize = 1 << 10;
/// Unused room in what is given to the host that is worth giving back.
const SPARE_BYTES_MAX: usize = 1 << 10;

/// An answer that is made piece by piece. Each piece ends at the end of a line, or of a part of a
/// line where the answer is one long line.
pub(super) trait Pieces: Send {
    /// Appends the next piece, until `out` has [`PIECE_BYTES`] or nothing is left. True if
    /// something is left.
    fn next(&mut self, out: &mut Vec<u8>) -> bool;
    /// Whether a piece may end within a line, so that nothing else can be said before the last.
    fn is_one_line(&self) -> bool {
        false
    }
    /// Bytes of what it is made from, as long as nobody else has that.
    fn held_bytes(&self) -> usize {
        0
    }
}

enum Later {
    Bytes(Vec<u8>),
    Pieces(Box<dyn Pieces>),
}

/// The output of a session.
#[derive(Default)]
pub(super) struct Output {
    /// Its client has logged in.
    logged_in: bool,
    ready: Vec<u8>,
    later: VecDeque<Later>,
    /// Bytes given to the host since it said that all has left.
    given: usize,
}

impl Output {
    /// That of a client who has logged in.
    pub fn logged_in() -> Self {
        Self {
            logged_in: true,
            ..Self::default()
        }
    }

    /// From now on longer pieces may wait for the client.
    pub fn log_in(&mut self) {
        self.logged_in = true;
    }

    /// From now on only short ones may.
    pub fn log_out(&mut self) {
        self.logged_in = false;
    }

    fn piece_bytes(&self) -> usize {
        match self.logged_in {
            true => PIECE_BYTES,
            false => PIECE_BEFORE_LOGIN_BYTES,
        }
    }

    /// Bytes that are kept here.
    pub fn held_bytes(&self) -> usize {
        let later = self.later.iter().map(|later| match later {
            Later::Bytes(bytes) => bytes.len(),
            Later::Pieces(pieces) => pieces.held_bytes(),
        });
        self.ready.len() + later.sum::<usize>()
    }

    /// Says these bytes, after all that was said before.
    pub fn bytes(&mut self, bytes: &[u8]) {
        match self.later.back_mut() {
            None => self.ready.extend_from_slice(bytes),
            Some(Later::Bytes(last)) => last.extend_from_slice(bytes),
            Some(Later::Pieces(_)) => self.later.push_back(Later::Bytes(bytes.to_vec())),
        }
    }

    /// Says an answer that may be long, after all that was said before.
    pub fn pieces(&mut self, mut pieces: impl Pieces + 'static) {
        // Most are short: no box for these.
        let more = !self.later.is_empty() || pieces.next(&mut self.ready);
        if more {
            self.later.push_back(Later::Pieces(Box::new(pieces)));
        }
    }

    /// Notes that the host is given these bytes behind what is ready. False if more comes before
    /// them.
    pub fn give_at_once(&mut self, bytes: &[u8]) -> bool {
        let is_next = self.later.is_empty();
        self.given += if is_next { bytes.len() } else { 0 };
        is_next
    }

    /// What the host is to send next. It stops when a piece is on its way.
    pub fn take(&mut self) -> Option<Bytes> {
        while self.given + self.ready.len() < self.piece_bytes() {
            match self.later.front_mut() {
                None => break,
                Some(Later::Bytes(bytes)) => {
                    self.ready.append(bytes);
                    self.later.pop_front();
                }
                Some(Later::Pieces(pieces)) => {
                    if !pieces.next(&mut self.ready) {
                        self.later.pop_front();
                    } else if !self.ready.is_empty() {
                        // It was work enough until that has left, even if it is not many bytes.
                        self.given += self.piece_bytes();
                        break;
                    }
                }
            }
        }
        self.take_ready()
    }

    /// What is ready.
    pub fn take_ready(&mut self) -> Option<Bytes> {
        if self.ready.is_empty() {
            return None;
        }
        self.given += self.ready.len();
        let mut ready = std::mem::take(&mut self.ready);
        // It may wait for its client for long.
        if ready.capacity() - ready.len() > SPARE_BYTES_MAX {
            ready.shrink_to_fit();
        }
        Some(Bytes::from(ready))
    }

    /// All that was given has left.
    pub fn handle_drained(&mut self) {
        self.given = 0;
    }

    /// Whether nothing is left to say, and all that was said has left.
    pub fn is_drained(&self) -> bool {
        self.given == 0 && self.is_empty()
    }

    /// Whether nothing is left to say.
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.later.is_empty()
    }

    /// Whether enough is said for the client to take it before more is made.
    pub fn is_full(&self) -> bool {
        !self.later.is_empty() || self.given + self.ready.len() >= self.piece_bytes()
    }

    /// Forgets what is not ready yet. False if that is the rest of a line.
    pub fn cut(&mut self) -> bool {
        let within_a_line = matches!(
            self.later.front(), Some(Later::Pieces(pieces)) if pieces.is_one_line()
        );
        self.later.clear();
        !within_a_line
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self {
            logged_in: self.logged_in,
            ..Self::default()
        };
    }
}

/// One line with numbers in it, of which there may be many.
#[derive(Default)]
pub(super) struct Line {
    parts: VecDeque<Part>,
    held_bytes: usize,
}

type Numbers = Box<dyn Iterator<Item = u32> + Send>;
/// Ranges of numbers, ascending: the first and the last of each.
pub(super) type Ranges = Box<dyn Iterator<Item = (u32, u32)> + Send>;

enum Part {
    Text(Vec<u8>),
    /// ` 1 2 3`
    Spaced(Numbers),
    /// `1:3,5`, of ascending ranges; the run that was begun; whether it is the first.
    Set(Ranges, Option<(u32, u32)>, bool),
}

impl Line {
    /// A line that begins so.
    pub fn new(text: impl Into<Vec<u8>>) -> Self {
        Self::default().text(text)
    }

    /// Its numbers come from something that takes so much in memory.
    pub fn holding(mut self, bytes: usize) -> Self {
        self.held_bytes += bytes;
        self
    }

    /// Then this text.
    pub fn text(mut self, text: impl Into<Vec<u8>>) -> Self {
        match self.parts.back_mut() {
            Some(Part::Text(last)) => last.extend(text.into()),
            _ => self.parts.push_back(Part::Text(text.into())),
        }
        self
    }

    /// Then another line.
    pub fn then(mut self, line: Self) -> Self {
        self.parts.extend(line.parts);
        self.held_bytes += line.held_bytes;
        self
    }

    /// Then these numbers, each after a space.
    pub fn spaced(mut self, numbers: impl Iterator<Item = u32> + Send + 'static) -> Self {
        self.parts.push_back(Part::Spaced(Box::new(numbers)));
        self
    }

    /// Then these ascending numbers as a sequence set (RFC 3501 §9 `sequence-set`).
    pub fn set(self, numbers: impl Iterator<Item = u32> + Send + 'static) -> Self {
        self.ranges(Box::new(numbers.map(|number| (number, number))))
    }

    /// Then these ranges as a sequence set.
    pub fn ranges(mut self, ranges: Ranges) -> Self {
        self.parts.push_back(Part::Set(ranges, None, true));
        self
    }
}

impl Pieces for Line {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        while let Some(part) = self.parts.front_mut() {
            if out.len() >= PIECE_BYTES {
                return true;
            }
            if part.next(out) {
                return true;
            }
            self.parts.pop_front();
        }
        false
    }

    fn is_one_line(&self) -> bool {
        true
    }

    fn held_bytes(&self) -> usize {
        self.held_bytes
    }
}

/// Ranges looked at in one go: a set may be long and its text short. Then the run that was begun is
/// said, although it may go on.
const RANGES_A_PIECE: usize = 64 << 10;

impl Part {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Text(text) => out.append(text),
            Self::Spaced(numbers) => {
                while out.len() < PIECE_BYTES {
                    let Some(number) = numbers.next() else {
                        return false;
                    };
                    // Writing to memory can't fail.
                    let _ = write!(out, " {number}");
                }
                return true;
            }
            Self::Set(ranges, run, first) => {
                for _ in 0..RANGES_A_PIECE {
                    if out.len() >= PIECE_BYTES {
                        return true;
                    }
                    let range = ranges.next();
                    match (&mut *run, range) {
                        (Some((_, high)), Some((low, last))) if low == high.saturating_add(1) => {
                            *high = last;
                        }
                        (run, range) => {
                            if let Some(done) = run.take() {
                                push_range(out, done, std::mem::take(first));
                            }
                            *run = range;
                        }
                    }
                    if range.is_none() {
                        return false;
                    }
                }
                if let Some(begun) = run.take() {
                    push_range(out, begun, std::mem::take(first));
                }
                return true;
            }
        }
        false
    }
}

fn push_range(out: &mut Vec<u8>, (low, high): (u32, u32), first: bool) {
    let comma = if first { "" } else { "," };
    // Writing to memory can't fail.
    let _ = match low == high {
        true => write!(out, "{comma}{low}"),
        false => write!(out, "{comma}{low}:{high}"),
    };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn taken(output: &mut Output) -> (String, usize) {
        let (mut all, mut largest) = (Vec::new(), 0);
        while let Some(bytes) = output.take() {
            largest = largest.max(bytes.len());
            all.extend_from_slice(&bytes);
            assert!(output.take().is_none(), "the next when this one has left");
            output.handle_drained();
        }
        assert!(output.is_drained());
        (String::from_utf8(all).expect("ASCII"), largest)
    }

    #[test]
    fn a_line_of_any_length_leaves_in_pieces() {
        let mut output = Output::default();
        output.bytes(b"a\r\n");
        output.pieces(Line::new("* SEARCH").spaced(1..=300_000).text("\r\n"));
        let odd = (1..=300_000).filter(|n| n % 2 == 1);
        output.pieces(Line::new("* ").set(odd).text("!\r\n"));
        output.pieces(Line::new("* ").set(1..=3_000_000).text("\r\n"));
        output.bytes(b"z\r\n");
        let (text, largest) = taken(&mut output);
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 5);
        assert!(lines[1].starts_with("* SEARCH 1 2 3 ") && lines[1].ends_with(" 299999 300000"));
        assert!(lines[2].starts_with("* 1,3,5,") && lines[2].ends_with(",299999!"));
        // Said bit by bit, as each number had to be looked at.
        assert!(lines[3].starts_with("* 1:65536,65537:131072,"));
        assert!(lines[3].ends_with(":3000000") && lines[3].len() < 1000);
        assert_eq!(lines[4], "z");
        assert!(largest < PIECE_BYTES + 100, "{largest}");
    }

    #[test]
    fn no_call_looks_at_more_numbers_than_a_piece_may() {
        let looked_at = Arc::new(AtomicUsize::new(0));
        let seen = looked_at.clone();
        let numbers = (1..=3_000_000).inspect(move |_| {
            seen.fetch_add(1, Ordering::Relaxed);
        });
        let mut output = Output::default();
        output.pieces(Line::new("* ").set(numbers).text("\r\n"));
        let (mut calls, mut before) = (0, 0);
        while output.take().is_some() {
            output.handle_drained();
            let now = looked_at.load(Ordering::Relaxed);
            // The first piece is made when it is said.
            assert!(now - before <= 2 * RANGES_A_PIECE, "{calls}");
            (calls, before) = (calls + 1, now);
        }
        assert!(calls >= 3_000_000 / 2 / RANGES_A_PIECE && output.is_drained());
    }

    #[test]
    fn ranges_are_said_as_they_are() {
        let mut output = Output::default();
        let ranges = [
            (1, 3_000_000),
            (3_000_001, 3_000_005),
            (4_000_000, 4_000_000),
        ];
        output.pieces(Line::default().ranges(Box::new(ranges.into_iter())));
        assert_eq!(taken(&mut output).0, "1:3000005,4000000");
    }

    #[test]
    fn nothing_is_said_within_a_line() {
        let mut output = Output::default();
        output.pieces(Line::new("* SEARCH").spaced(1..=300_000).text("\r\n"));
        assert!(!output.cut());
        output.clear();
        output.pieces(Line::new("* SEARCH").spaced(1..=3).text("\r\n"));
        assert!(output.cut());
        assert_eq!(taken(&mut output).0, "* SEARCH 1 2 3\r\n");
    }
}
