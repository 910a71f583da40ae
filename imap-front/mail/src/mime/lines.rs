//! Ends of lines.

/// A message with CRLF at the ends of its lines (RFC 5322 §2.1), where files have LF alone.
pub fn with_crlf(text: &[u8]) -> Vec<u8> {
    let bare = text.iter().filter(|byte| **byte == b'\n').count();
    let mut message = Vec::with_capacity(text.len() + bare);
    let mut before = 0;
    for byte in text {
        if *byte == b'\n' && before != b'\r' {
            message.push(b'\r');
        }
        message.push(*byte);
        before = *byte;
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_crlf() {
        assert_eq!(with_crlf(b"a\nb\r\n\n"), b"a\r\nb\r\n\r\n");
        assert_eq!(with_crlf(b"\r\r\n\n"), b"\r\r\n\r\n");
        assert_eq!(with_crlf(b""), b"");
    }
}
