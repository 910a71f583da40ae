//! Sequence sets (RFC 3501 §9 `sequence-set`).

use mail::SequenceSet;
use mail::set::SetNumber;

use crate::imap::ast::PartialRange;
use crate::imap::lexer::{Lexer, Parsed};

/// Ranges that one set may have; a line could hold more.
const RANGES_MAX: usize = 8192;

/// `1:3,5,7:*`, or `$`
///
/// ```text
/// sequence-set = (seq-number / seq-range) *("," sequence-set)  ; RFC 3501 §9
/// sequence-set =/ "$"                                          ; RFC 5182 §3
/// seq-range    = seq-number ":" seq-number
/// seq-number   = nz-number / "*"
/// ```
pub fn sequence_set(lexer: &mut Lexer<'_>) -> Parsed<SequenceSet> {
    if lexer.take(b'$') {
        return Ok(SequenceSet::SAVED);
    }
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

/// ```text
/// partial-range       = partial-range-first / partial-range-last   ; RFC 9394 §4
/// partial-range-first = nz-number ":" nz-number
/// partial-range-last  = MINUS nz-number ":" MINUS nz-number
/// ```
pub(super) fn partial_range(lexer: &mut Lexer<'_>) -> Parsed<PartialRange> {
    let from_end = lexer.peek() == Some(b'-');
    let place = |lexer: &mut Lexer<'_>| {
        let start = lexer.clone();
        if from_end {
            lexer.need(b'-', "a place counted from the end, such as -1")?;
        }
        match lexer.number()? {
            0 => start.fail("a place above 0"),
            place => Ok(place),
        }
    };
    let first = place(lexer)?;
    lexer.need(b':', ": between two places")?;
    let second = place(lexer)?;
    Ok(PartialRange {
        from_end,
        places: (first.min(second), first.max(second)),
        turned: first > second,
    })
}
