//! A server's stream cut into responses: lines with the literals in them.

use bytes::{Bytes, BytesMut};

/// Bytes of a line, or of what stands between two literals.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Bytes of a response that has not come yet, and where to look on.
#[derive(Default)]
pub struct Framing {
    bytes: BytesMut,
    /// Of the next response, so many bytes were looked at: whole lines and literals.
    seen: usize,
}

/// The stream is none that can be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other server sends a response or a line longer than {0} bytes")]
pub struct TooLong(usize);

impl Framing {
    /// Takes what came.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next response, of so many bytes at most, with its last CRLF; none if it is not all
    /// there.
    ///
    /// # Errors
    /// If it is too long.
    pub fn next(&mut self, max: usize) -> Result<Option<Bytes>, TooLong> {
        let line_max = max.min(LINE_BYTES_MAX);
        loop {
            let rest = &self.bytes[self.seen.min(self.bytes.len())..];
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                let is_too_long = rest.len() > line_max || self.seen.max(self.bytes.len()) > max;
                return match is_too_long {
                    true => Err(TooLong(max)),
                    false => Ok(None),
                };
            };
            let line = &rest[..=end];
            if line.len() > line_max {
                return Err(TooLong(line_max));
            }
            let literal = literal(line);
            self.seen += end + 1;
            if self.seen > max {
                return Err(TooLong(max));
            }
            let Some(literal) = literal else {
                let response = self.bytes.split_to(self.seen).freeze();
                self.seen = 0;
                return Ok(Some(response));
            };
            self.seen = self.seen.saturating_add(literal);
            if self.seen > max {
                return Err(TooLong(max));
            }
            if self.seen > self.bytes.len() {
                return Ok(None);
            }
        }
    }
}

/// The length of the literal that a line ends with.
fn literal(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.strip_suffix(b"}")?;
    let start = line.iter().rposition(|byte| *byte == b'{')?;
    let digits = &line[start + 1..];
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    // One that no number can hold is too long for any response.
    let number = std::str::from_utf8(digits).ok()?.parse();
    is_number.then(|| number.unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_whole_however_they_come() {
        let stream = b"* OK hi\r\n* 1 FETCH (BODY[] {7}\r\na\r\n{9}\n UID 3)\r\n\
            * LIST () \"/\" {2}\r\nab\r\n";
        for step in 1..stream.len() {
            let mut framing = Framing::default();
            let mut found = vec![];
            for piece in stream.chunks(step) {
                framing.feed(piece);
                while let Some(response) = framing.next(1000).unwrap() {
                    found.push(response);
                }
            }
            assert_eq!(found.concat(), stream);
            assert_eq!(found.len(), 3, "{step}");
        }
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_came() {
        let refused = |bytes: &[u8], max| {
            let mut framing = Framing::default();
            framing.feed(bytes);
            framing.next(max).is_err()
        };
        assert!(refused(b"* {999999999999}\r\n", 1000));
        assert!(refused(b"* {99999999999999999999999999}\r\n", 1000));
        assert!(refused(b"* 3 EXISTS and more", 10));
        assert!(refused(b"* 3 EXISTS and more\r\n", 10));
        let line = vec![b'x'; LINE_BYTES_MAX + 1];
        assert!(refused(&line, usize::MAX));
        assert!(refused(&[&line[..], b"\r\n"].concat(), usize::MAX));
        assert!(!refused(&line[2..], usize::MAX));
    }
}
