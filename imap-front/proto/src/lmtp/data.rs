//! The text after DATA (RFC 5321 §4.5.2): dots are unstuffed, the end is found.
//!
//! Only CRLF ends a line, and only CRLF `.` CRLF ends the text: a bare CR or LF is a byte like any
//! other. So this end and the client's agree about where a message stops, whatever is in it.

use bytes::BytesMut;

/// Where in a line the text stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unstuffer {
    position: Position,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Position {
    /// At the beginning of a line.
    #[default]
    Start,
    /// After a dot at the beginning of a line.
    Dot,
    /// After such a dot and CR.
    DotCr,
    /// Within a line.
    Within,
    /// After CR within a line.
    Cr,
}

impl Unstuffer {
    /// Moves text from `input` to `output` until `input` is empty, the text's end has been taken
    /// (then true), or `output` holds `full` bytes.
    pub fn run(&mut self, input: &mut BytesMut, output: &mut BytesMut, full: usize) -> bool {
        let mut used = 0;
        let mut ended = false;
        while used < input.len() && !ended && output.len() < full {
            let rest = &input[used..];
            if self.position == Position::Within {
                let line = rest.iter().position(|b| *b == b'\r').unwrap_or(rest.len());
                output.extend_from_slice(&rest[..line]);
                used += line;
                if let Some(cr) = rest.get(line) {
                    output.extend_from_slice(&[*cr]);
                    used += 1;
                    self.position = Position::Cr;
                }
                continue;
            }
            used += 1;
            ended = self.step(rest[0], output);
        }
        // Not `clear`: what follows the end is the next command.
        let _ = input.split_to(used);
        ended
    }

    /// One byte outside a line's middle. True at the text's end.
    fn step(&mut self, byte: u8, output: &mut BytesMut) -> bool {
        self.position = match (self.position, byte) {
            (Position::Start, b'.') => Position::Dot,
            (Position::Dot, b'\r') => Position::DotCr,
            (Position::DotCr, b'\n') => {
                self.position = Position::Start;
                return true;
            }
            (Position::DotCr, _) => {
                // The dot was stuffing; the CR was text.
                output.extend_from_slice(b"\r");
                self.position = Position::Cr;
                return self.step(byte, output);
            }
            (Position::Cr, b'\n') => {
                output.extend_from_slice(b"\n");
                Position::Start
            }
            (_, b'\r') => {
                output.extend_from_slice(b"\r");
                Position::Cr
            }
            _ => {
                output.extend_from_slice(&[byte]);
                Position::Within
            }
        };
        false
    }
}
