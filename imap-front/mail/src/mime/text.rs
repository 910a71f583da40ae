//! Header text: encoded words (RFC 2047 §2), and values cut to a bound.

/// Bytes kept of one value of a header: Subject, a name, a parameter. What is longer is cut, not
/// within a character and not within an encoded word. The header itself is kept whole.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Longest name of a character set in an encoded word.
const CHARSET_BYTES_MAX: usize = 64;

/// The length of the encoded word at the front: `=?charset?encoding?text?=` without blanks.
pub(crate) fn encoded_word(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"=?")?;
    let is_charset = |b: &&u8| b.is_ascii_graphic() && !b"()<>@,;:\"/[]?.=".contains(b);
    let charset = rest
        .iter()
        .take(CHARSET_BYTES_MAX)
        .take_while(is_charset)
        .count();
    let [b'?', b'B' | b'b' | b'Q' | b'q', b'?', text @ ..] = &rest[charset..] else {
        return None;
    };
    let end = memchr::memchr3(b'?', b' ', b'\t', text)?;
    let is_closed = charset > 0 && text[end..].starts_with(b"?=");
    is_closed.then_some(2 + charset + 3 + end + 2)
}

/// The value, cut to at most `max` bytes.
pub(super) fn bounded(mut value: Vec<u8>, max: usize) -> Vec<u8> {
    if value.len() > max {
        value.truncate(cut(&value, max));
        value.shrink_to_fit();
    }
    value
}

/// Where to cut a value that is longer than `max`.
fn cut(value: &[u8], max: usize) -> usize {
    // The token in which the cut falls; encoded words have no blanks.
    let start = value[..max]
        .iter()
        .rposition(|b| matches!(b, b' ' | b'\t'))
        .map_or(0, |blank| blank + 1);
    let mut at = start;
    while let Some(next) = memchr::memmem::find(&value[at..max], b"=?") {
        at += next;
        match encoded_word(&value[at..]) {
            Some(len) if at + len > max => return at,
            Some(len) => at += len,
            None => at += 2,
        }
    }
    // At most three bytes belong to the character that began before the cut.
    let is_inner = |at: usize| value[at] & 0xc0 == 0x80;
    let begun = (max.saturating_sub(3)..=max)
        .rev()
        .find(|&at| !is_inner(at));
    begun.unwrap_or(max)
}

/// An extended parameter value (RFC 2231 §4), cut to at most `max` bytes: neither within an octet's
/// `%XX` nor within a character of UTF-8.
pub(super) fn bounded_extended(mut value: Vec<u8>, max: usize) -> Vec<u8> {
    if value.len() <= max {
        return value;
    }
    let mut at = max;
    // A character of UTF-8 is four octets at most, three bytes each here.
    for _ in 0..4 {
        let from = at.saturating_sub(2);
        if let Some(percent) = value[from..at].iter().rposition(|&b| b == b'%') {
            at = from + percent;
        }
        let inner = |b: u8| matches!(b.to_ascii_lowercase(), b'8' | b'9' | b'a' | b'b');
        match value.get(at..) {
            Some([b'%', high, _, ..]) if inner(*high) && at >= 3 => at -= 3,
            _ => break,
        }
    }
    value.truncate(at);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_end_where_they_end() {
        for (text, expected) in [
            ("=?utf-8?Q?Foo_&_Co._KG?= x", Some(24)),
            ("=?UTF-8*de?b?w7w=?=", Some(19)),
            ("=?utf-8?Q??=", Some(12)),
            ("=?utf-8?Q?a b?=", None),
            ("=?utf-8?X?a?=", None),
            ("=?utf-8?Q?a", None),
            ("=??Q?a?=", None),
            ("=?utf-8", None),
        ] {
            assert_eq!(encoded_word(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn cuts_break_no_character_and_no_encoded_word() {
        let cut = |text: &str, max| {
            let bounded = bounded(text.as_bytes().to_vec(), max);
            String::from_utf8(bounded).expect("characters are whole")
        };
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "abc");
        assert_eq!(cut("aüü", 4), "aü");
        assert_eq!(cut("a\u{1f600}", 4), "a");
        assert_eq!(cut("=?utf-8?q?a?= =?utf-8?q?b?=", 20), "=?utf-8?q?a?= ");
        assert_eq!(cut("=?utf-8?q?a?==?utf-8?q?b?=", 20), "=?utf-8?q?a?=");
        assert_eq!(
            cut("=?utf-8?q?a?= =?utf-8?q?b?= c", 27),
            "=?utf-8?q?a?= =?utf-8?q?b?="
        );
        assert_eq!(cut("what=?is this", 7), "what=?i");
        // Bytes that are no UTF-8 are cut where the bound is.
        assert_eq!(bounded(vec![0x80; 9], 5), [0x80; 5]);
    }

    #[test]
    fn cuts_break_no_octet_of_an_extended_value() {
        let cut = |text: &str, max| {
            String::from_utf8(bounded_extended(text.as_bytes().to_vec(), max)).expect("ASCII")
        };
        assert_eq!(cut("utf-8''a%C3%BCb", 8), "utf-8''a");
        assert_eq!(cut("utf-8''a%C3%BCb", 9), "utf-8''a");
        assert_eq!(cut("utf-8''a%C3%BCb", 11), "utf-8''a");
        assert_eq!(cut("utf-8''a%C3%BCb", 13), "utf-8''a");
        assert_eq!(cut("utf-8''a%C3%BCb", 14), "utf-8''a%C3%BC");
        assert_eq!(cut("utf-8''a%C3%BCb", 15), "utf-8''a%C3%BCb");
    }
}
