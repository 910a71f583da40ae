//! LANGUAGE (RFC 5255 §3.5).

use crate::imap::ast::Command;
use crate::imap::lexer::{Lexer, Parsed};

/// Ranges that one command may name.
const RANGES_MAX: usize = 32;
/// Bytes of a range.
const RANGE_BYTES_MAX: usize = 128;

/// ```text
/// language-cmd      = "LANGUAGE" *(SP lang-range-quoted)
/// lang-range-quoted = astring                     ; a language range of RFC 4647 §2.1
/// ```
pub(super) fn language(lexer: &mut Lexer<'_>) -> Parsed<Command> {
    const EXPECTED: &str = "a language range such as de";
    let mut ranges = Vec::new();
    while lexer.peek().is_some() {
        lexer.space()?;
        let start = lexer.clone();
        let range = lexer.astring()?;
        let is_range_char = |b: &u8| b.is_ascii_alphanumeric() || b"-*".contains(b);
        if range.len() > RANGE_BYTES_MAX || !range.iter().all(is_range_char) {
            return start.fail(EXPECTED);
        }
        if ranges.len() == RANGES_MAX {
            return start.fail("at most 32 language ranges");
        }
        ranges.push(String::from_utf8_lossy(&range).into());
    }
    Ok(Command::Language(ranges))
}
