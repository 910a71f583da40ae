//! Looks whether a message's header is in seven bits, as it comes in pieces.

/// A header as far as it has come.
#[derive(Debug, Default)]
pub(super) struct SevenBitHeader {
    /// Its end has come.
    is_over: bool,
    /// The present line has something in it but a CR.
    has_text: bool,
}

impl SevenBitHeader {
    /// Takes the next bytes of the message. False if the header has one of eight bits in them.
    pub fn takes(&mut self, bytes: &[u8]) -> bool {
        if self.is_over {
            return true;
        }
        for &byte in bytes {
            match byte {
                b'\n' if !self.has_text => {
                    self.is_over = true;
                    return true;
                }
                b'\n' => self.has_text = false,
                b'\r' => {}
                _ if !byte.is_ascii() => return false,
                _ => self.has_text = true,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_may_have_eight_bits() {
        let is_taken = |message: &str, piece: usize| {
            let mut header = SevenBitHeader::default();
            let mut pieces = message.as_bytes().chunks(piece);
            pieces.all(|piece| header.takes(piece))
        };
        for piece in [1, 3, 100] {
            assert!(is_taken("Subject: a\r\n\r\n\u{fc}", piece));
            assert!(is_taken("\n\u{fc}", piece));
            assert!(!is_taken("Subject: a\r\nFrom: \u{fc}\r\n\r\nb", piece));
            assert!(!is_taken("\u{fc}", piece));
        }
    }
}
