//! Object identifiers (RFC 8474 §4), as `encode` writes them.

use mail::{EmailId, ThreadId};

use crate::imap::lexer::{Lexer, Parsed};

/// Longest identifier, in bytes.
const ID_BYTES_MAX: usize = 255;

/// ```text
/// objectid = 1*255(ALPHA / DIGIT / "_" / "-")     ; RFC 8474 §7
/// ```
pub(super) fn id<'a>(lexer: &mut Lexer<'a>) -> Parsed<&'a [u8]> {
    const EXPECTED: &str = "an object identifier of at most 255 letters, digits, _ and -";
    let start = lexer.clone();
    let is_id = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let id = lexer.take_while(is_id, EXPECTED)?;
    match id.len() <= ID_BYTES_MAX {
        true => Ok(id),
        false => start.fail(EXPECTED),
    }
}

/// The content that has this identifier, if it is one that is given.
pub(super) fn email(id: &[u8]) -> Option<EmailId> {
    let digits = std::str::from_utf8(id.strip_prefix(b"M")?).ok()?;
    let email = EmailId(digits.parse().ok()?);
    // As it is told, and in no other way.
    (email.to_string() == digits).then_some(email)
}

/// The thread that has this identifier.
pub(super) fn thread(id: &[u8]) -> Option<ThreadId> {
    let digits = std::str::from_utf8(id.strip_prefix(b"T")?).ok()?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (format!("{number:016x}") == digits).then_some(ThreadId(number))
}
