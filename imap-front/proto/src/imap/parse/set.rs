//! Sequence sets (RFC 3501 §9 `sequence-set`).

use mail::SequenceSet;
use mail::set::SetNumber;

use crate::imap::lexer::{Lexer, Parsed};

/// Ranges that one set may have; a line could hold more.
const RANGES_MAX: usize = 8192;

/// `1:3,5,7:*`
///
/// ```text
/// sequence-set = (seq-number / seq-range) *("," sequence-set)  ; RFC 3501 §9
/// seq-range    = seq-number ":" seq-number
/// seq-number   = nz-number / "*"
/// ```
pub fn sequence_set(lexer: &mut Lexer<'_>) -> Parsed<SequenceSet> {
    let mut ranges = Vec::new();
    loop {
        let low = number(lexer)?;
        let high = if lexer.take(b':') {
            number(lexer)?
        } else {
            low
        };
        ranges.push((low, high));
        if ranges.len() > RANGES_MAX {
            return lexer.fail("at most 8192 ranges in a sequence set");
        }
        if !lexer.take(b',') {
            return Ok(SequenceSet(ranges));
        }
    }
}

fn number(lexer: &mut Lexer<'_>) -> Parsed<SetNumber> {
    if lexer.take(b'*') {
        return Ok(SetNumber::Largest);
    }
    if !lexer.peek().is_some_and(|b| (b'1'..=b'9').contains(&b)) {
        return lexer.fail("a sequence set");
    }
    lexer.number().map(SetNumber::Value)
}
