//! Parameters and modifiers by which clients catch up (RFC 7162 §7).

use mail::set::SetNumber;
use mail::{ModSeq, SequenceSet, UidValidity};

use super::sequence_set;
use super::set::partial_range;
use crate::imap::ast::{PartialRange, Resync};
use crate::imap::lexer::{Lexer, Parsed};

/// ```text
/// select-params = SP "(" select-param *(SP select-param) ")"     ; RFC 4466 §3
/// select-param  = "CONDSTORE" / "QRESYNC" SP "(" uidvalidity SP mod-sequence-value
///                 [SP known-uids] [SP seq-match-data] ")"        ; RFC 7162 §7
/// ```
pub(super) fn select_parameters(lexer: &mut Lexer<'_>) -> Parsed<(bool, Option<Box<Resync>>)> {
    let (mut condstore, mut resync) = (false, None);
    if !lexer.take(b' ') {
        return Ok((condstore, resync));
    }
    lexer.list(false, |lexer| {
        if lexer.keyword("CONDSTORE") {
            condstore = true;
        } else if resync.is_none() && lexer.keyword("QRESYNC") {
            lexer.space()?;
            resync = Some(Box::new(remembered(lexer)?));
        } else {
            return lexer.fail("CONDSTORE or QRESYNC");
        }
        Ok(())
    })?;
    Ok((condstore, resync))
}

fn remembered(lexer: &mut Lexer<'_>) -> Parsed<Resync> {
    lexer.need(b'(', "(")?;
    let start = lexer.clone();
    let uid_validity = UidValidity(lexer.number()?);
    if uid_validity == UidValidity(0) {
        return start.fail("a UIDVALIDITY above 0");
    }
    lexer.space()?;
    let mut resync = Resync {
        uid_validity,
        modseq: ModSeq(lexer.number64()?),
        known: None,
        matches: None,
    };
    if lexer.rest().starts_with(b" ") && lexer.rest().get(1) != Some(&b'(') {
        lexer.space()?;
        resync.known = Some(without_star(lexer)?);
    }
    if lexer.take(b' ') {
        resync.matches = Some(matches(lexer)?);
    }
    lexer.need(b')', ")")?;
    Ok(resync)
}

/// ```text
/// seq-match-data = "(" known-sequence-set SP known-uid-set ")"   ; RFC 7162 §7
/// ```
fn matches(lexer: &mut Lexer<'_>) -> Parsed<(SequenceSet, SequenceSet)> {
    lexer.need(b'(', "(")?;
    let start = lexer.clone();
    let numbers = without_star(lexer)?;
    lexer.space()?;
    let uids = without_star(lexer)?;
    lexer.need(b')', ")")?;
    let count = |set: &SequenceSet| -> Option<u64> {
        // Ascending, or it is not known which number is whose.
        let (mut count, mut last) = (0, 0);
        for range in &set.0 {
            let (SetNumber::Value(low), SetNumber::Value(high)) = *range else {
                return None;
            };
            if low <= last || high < low {
                return None;
            }
            count += u64::from(high - low) + 1;
            last = high;
        }
        Some(count)
    };
    match (count(&numbers), count(&uids)) {
        (Some(numbers_count), Some(uids_count)) if numbers_count == uids_count => {
            Ok((numbers, uids))
        }
        _ => start.fail("as many message numbers as UIDs, both ascending"),
    }
}

/// A set in which `*` is not allowed.
fn without_star(lexer: &mut Lexer<'_>) -> Parsed<SequenceSet> {
    let start = lexer.clone();
    let set = sequence_set(lexer)?;
    let star = |(low, high): &(SetNumber, SetNumber)| {
        *low == SetNumber::Largest || *high == SetNumber::Largest
    };
    if set.is_saved() || set.0.iter().any(star) {
        return start.fail("a set without * and $");
    }
    Ok(set)
}

/// The modifiers of a FETCH.
#[derive(Default)]
pub(super) struct FetchModifiers {
    pub changed_since: Option<ModSeq>,
    pub vanished: bool,
    pub partial: Option<PartialRange>,
}

impl FetchModifiers {
    /// One of them.
    ///
    /// ```text
    /// fetch-modifier = "CHANGEDSINCE" SP mod-sequence-value / "VANISHED"   ; RFC 7162 §7
    /// fetch-modifier =/ "PARTIAL" SP partial-range                         ; RFC 9394 §4
    /// ```
    pub fn read(&mut self, lexer: &mut Lexer<'_>, uid: bool) -> Parsed<()> {
        if self.changed_since.is_none() && lexer.keyword("CHANGEDSINCE") {
            lexer.space()?;
            self.changed_since = Some(ModSeq(lexer.number64()?));
        } else if uid && lexer.keyword("VANISHED") {
            self.vanished = true;
        } else if self.partial.is_none() && lexer.keyword("PARTIAL") {
            lexer.space()?;
            self.partial = Some(partial_range(lexer)?);
        } else if uid {
            return lexer.fail("CHANGEDSINCE, PARTIAL or VANISHED");
        } else {
            return lexer.fail("CHANGEDSINCE or PARTIAL");
        }
        Ok(())
    }
}
