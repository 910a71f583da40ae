//! A server's stream cut into responses: lines with the literals in them.

/// Bytes of a response that has not come yet, and where to look on.
#[derive(Default)]
pub struct Framing {
    bytes: Vec<u8>,
    /// Of the next response, so many bytes were looked at: whole lines and literals.
    seen: usize,
    max: usize,
}

/// The stream is none that can be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server sends a response longer than {0} bytes")]
pub struct TooLong(usize);

impl Framing {
    /// With responses of so many bytes at most.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            ..Self::default()
        }
    }

    /// Takes what came.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next response, with its last CRLF; none if it is not all there.
    ///
    /// # Errors
    /// If it is too long.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        loop {
            let rest = &self.bytes[self.seen.min(self.bytes.len())..];
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                return match self.seen.max(self.bytes.len()) > self.max {
                    true => Err(TooLong(self.max)),
                    false => Ok(None),
                };
            };
            let line = &rest[..=end];
            let literal = literal(line);
            self.seen += end + 1;
            let Some(literal) = literal else {
                let rest = self.bytes.split_off(self.seen);
                self.seen = 0;
                return Ok(Some(std::mem::replace(&mut self.bytes, rest)));
            };
            self.seen = self.seen.saturating_add(literal);
            if self.seen > self.max {
                return Err(TooLong(self.max));
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
    std::str::from_utf8(&line[start + 1..]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_whole_however_they_come() {
        let stream = b"* OK hi\r\n* 1 FETCH (BODY[] {7}\r\na\r\n{9}\n UID 3)\r\n\
            * LIST () \"/\" {2}\r\nab\r\n";
        for step in 1..stream.len() {
            let mut framing = Framing::new(1000);
            let mut found = vec![];
            for piece in stream.chunks(step) {
                framing.feed(piece);
                while let Some(response) = framing.next().unwrap() {
                    found.push(response);
                }
            }
            assert_eq!(found.concat(), stream);
            assert_eq!(found.len(), 3, "{step}");
        }
        let mut framing = Framing::new(10);
        framing.feed(b"* {999999999999}\r\n");
        assert_eq!(framing.next(), Err(TooLong(10)));
        let mut framing = Framing::new(10);
        framing.feed(b"* 3 EXISTS and more");
        assert_eq!(framing.next(), Err(TooLong(10)));
    }
}
