//! APPEND from literal to literal (RFC 3501 §6.3.11, RFC 4469 §3), dates and flags.

use std::sync::Arc;

use mail::{Flags, InternalDate, SystemFlag};

use super::mailbox;
use crate::imap::ast::{AppendPart, AppendPlace, Command};
use crate::imap::encode;
use crate::imap::lexer::{Lexer, Literal, Parsed};
use crate::imap::name_form::NameForm;

/// Longest keyword in bytes.
const KEYWORD_BYTES_MAX: usize = 128;
/// Keywords that one command may name.
const KEYWORDS_MAX: usize = 256;

/// ```text
/// append = "APPEND" SP mailbox 1*append-message   ; RFC 3502 §6.3.11; up to the first literal
/// ```
pub(super) fn append(lexer: &mut Lexer<'_>) -> Parsed<Command> {
    lexer.space()?;
    Ok(Command::Append {
        mailbox: mailbox::name(lexer)?,
        parts: messages(lexer, vec![])?,
        replaces: None,
    })
}

/// ```text
/// replace    = "REPLACE" SP seq-number SP mailbox append-message    ; RFC 8508 §4; the same behind
///                                                 ; "UID" with a UID; up to the first literal
/// seq-number = nz-number / "*"
/// ```
pub(super) fn replace(lexer: &mut Lexer<'_>, uid: bool) -> Parsed<Command> {
    lexer.space()?;
    let start = lexer.clone();
    let set = super::sequence_set(lexer)?;
    match set.0[..] {
        [(first, last)] if first == last => {}
        _ => return start.fail("the number of one message"),
    }
    lexer.space()?;
    Ok(Command::Append {
        mailbox: mailbox::name(lexer)?,
        parts: messages(lexer, vec![])?,
        replaces: Some((uid, set)),
    })
}

/// What follows a literal of an APPEND, up to the next one or to the end of the command.
///
/// # Errors
/// What was expected, and where in the line.
pub fn next_parts(line: &[u8], place: AppendPlace, form: NameForm) -> Parsed<Vec<AppendPart>> {
    let mut lexer = Lexer::new(line).with_form(form);
    let mut parts = Vec::new();
    let more = match place {
        AppendPlace::Message => true,
        AppendPlace::Part => catenated(&mut lexer, &mut parts, false)?,
    };
    if more && lexer.peek().is_some() {
        parts = messages(&mut lexer, parts)?;
    }
    lexer.end()?;
    Ok(parts)
}

/// ```text
/// append-message  = [SP flag-list] [SP date-time] SP append-data     ; RFC 3502 §6.3.11
/// append-data     = literal / literal8 / append-data-ext             ; RFC 4466 §6
/// append-data-ext = "CATENATE" SP "(" cat-part *(SP cat-part) ")"    ; RFC 4469 §5
/// ```
fn messages(lexer: &mut Lexer<'_>, mut parts: Vec<AppendPart>) -> Parsed<Vec<AppendPart>> {
    loop {
        lexer.space()?;
        let mut flags = Flags::default();
        if lexer.peek() == Some(b'(') {
            flags = flag_list(lexer)?;
            lexer.space()?;
        }
        let mut date = None;
        if lexer.peek() == Some(b'"') {
            date = Some(date_time(lexer)?);
            lexer.space()?;
        }
        parts.push(AppendPart::Message { flags, date });
        if !lexer.keyword("CATENATE") {
            parts.push(AppendPart::Literal(data(lexer)?));
            return Ok(parts);
        }
        parts.push(AppendPart::Catenate);
        lexer.space()?;
        lexer.need(b'(', "( and what the message is put together from")?;
        if !catenated(lexer, &mut parts, true)? || lexer.peek().is_none() {
            return Ok(parts);
        }
    }
}

/// True if the message ends, and false if a literal follows.
///
/// ```text
/// cat-part     = text-literal / url / utf8-literal        ; RFC 4469 §5, RFC 6855 §4
/// text-literal = "TEXT" SP (literal / literal8)
/// url          = "URL" SP astring
/// ```
fn catenated(
    lexer: &mut Lexer<'_>,
    parts: &mut Vec<AppendPart>,
    mut is_first: bool,
) -> Parsed<bool> {
    loop {
        if !is_first && lexer.take(b')') {
            parts.push(AppendPart::End);
            return Ok(true);
        }
        if !std::mem::take(&mut is_first) {
            lexer.need(b' ', "a space or )")?;
        }
        if lexer.keyword("URL") {
            lexer.space()?;
            if lexer.peek() == Some(b'{') {
                parts.push(AppendPart::UrlLiteral(lexer.literal_header()?));
                return Ok(false);
            }
            parts.push(AppendPart::Url(lexer.astring()?.into()));
            continue;
        }
        let literal = if lexer.keyword("TEXT") {
            lexer.space()?;
            lexer.literal8_header()?
        } else if lexer.clone().keyword("UTF8") {
            data(lexer)?
        } else {
            return lexer.fail("URL or TEXT");
        };
        parts.push(AppendPart::Literal(literal));
        return Ok(false);
    }
}

/// ```text
/// data         = literal / literal8 / utf8-literal ; RFC 3516 §7
/// utf8-literal = "UTF8" SP "(" literal8 ")"       ; RFC 6855 §4, which RFC 9755 has dropped, but
///                                                 ; clients say it
/// ```
fn data(lexer: &mut Lexer<'_>) -> Parsed<Literal> {
    let is_enclosed = lexer.keyword("UTF8");
    if is_enclosed {
        lexer.space()?;
        lexer.need(b'(', "( and a literal8")?;
        if lexer.peek() != Some(b'~') {
            return lexer.fail("a literal8");
        }
    }
    let literal = lexer.literal8_header()?;
    Ok(Literal {
        is_enclosed,
        ..literal
    })
}

/// `flag-list`: parenthesised, possibly empty.
pub(super) fn flag_list(lexer: &mut Lexer<'_>) -> Parsed<Flags> {
    let mut flags = Flags::default();
    lexer.list(true, |lexer| flag(lexer, &mut flags))?;
    Ok(flags)
}

/// One flag, added to `flags`. `\Recent` can't be stored by clients and is refused.
pub(super) fn flag(lexer: &mut Lexer<'_>, flags: &mut Flags) -> Parsed<()> {
    let start = lexer.clone();
    if lexer.take(b'\\') {
        let name = lexer.atom("a flag")?;
        let found = SystemFlag::ALL
            .into_iter()
            .find(|flag| flag.name()[1..].eq_ignore_ascii_case(name));
        match found {
            Some(flag) => flags.insert(flag),
            None => return start.fail("\\Answered, \\Flagged, \\Deleted, \\Seen or \\Draft"),
        }
    } else {
        let keyword = lexer.atom("a flag")?;
        if keyword.len() > KEYWORD_BYTES_MAX {
            return start.fail("a keyword of at most 128 bytes");
        }
        if flags.keywords().len() >= KEYWORDS_MAX {
            return start.fail("at most 256 keywords");
        }
        flags.insert_keyword(Arc::from(keyword));
    }
    Ok(())
}

/// `"17-Jul-1996 02:44:25 -0700"`; a day of one digit needs no blank before it.
///
/// ```text
/// date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
///                                                 ; RFC 3501 §9
/// date-day-fixed = (SP DIGIT) / 2DIGIT
/// ```
fn date_time(lexer: &mut Lexer<'_>) -> Parsed<InternalDate> {
    const EXPECTED: &str = "a date and time such as \"17-Jul-1996 02:44:25 -0700\"";
    let start = lexer.clone();
    let text = lexer.string()?;
    match parse_date_time(&text) {
        Some(date) => Ok(date),
        None => start.fail(EXPECTED),
    }
}

fn parse_date_time(text: &[u8]) -> Option<InternalDate> {
    // `6-Nov-2020 …` is ` 6-Nov-2020 …` to many clients.
    let padded;
    let text = if text.len() == 25 {
        padded = [b" ", text].concat();
        &padded[..]
    } else {
        text
    };
    if text.len() != 26 {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        let digits = std::str::from_utf8(&text[range]).ok()?;
        digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse::<u32>().ok())?
    };
    let day = if text[0] == b' ' {
        number(1..2)?
    } else {
        number(0..2)?
    };
    let (month, year) = (encode::month(&text[3..6])?, i64::from(number(7..11)?));
    let (hour, minute, second) = (number(12..14)?, number(15..17)?, number(18..20)?);
    let (zone_h, zone_m) = (number(22..24)?, number(24..26)?);
    let separators = [2, 6, 11, 14, 17, 20].map(|at| text[at]);
    // A leap second (60) is the second after.
    let in_range = (1..=encode::days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if separators != *b"-- :: " || !in_range || zone_h > 23 || zone_m > 59 {
        return None;
    }
    let zone_min = (zone_h * 60 + zone_m) as i16;
    let zone_min = match text[21] {
        b'+' => zone_min,
        b'-' => -zone_min,
        _ => return None,
    };
    let days = encode::days_from_civil(year, month, day);
    let local = days * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    // A year has four digits when it is told as well.
    let last = encode::days_from_civil(9999, 12, 31) * 86_400 + 86_399;
    (local <= last).then_some(InternalDate {
        unix_s: local - i64::from(zone_min) * 60,
        zone_min,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_both_ways() {
        for text in ["17-Jul-1996 02:44:25 -0700", " 7-Feb-1994 21:52:25 +0530"] {
            let date = parse_date_time(text.as_bytes()).expect("valid");
            let mut out = Vec::new();
            encode::internal_date(&mut out, date);
            assert_eq!(
                String::from_utf8(out).expect("ASCII"),
                format!("\"{text}\"")
            );
        }
        let day = parse_date_time(b" 6-Nov-2020 10:00:00 +0000");
        assert_eq!(parse_date_time(b"6-Nov-2020 10:00:00 +0000"), day);
        assert!(day.is_some() && parse_date_time(b"29-Feb-2024 10:00:00 +0000").is_some());
        for text in [
            "17-Jul-1996 24:44:25 -0700",
            "31-Dec-9999 23:59:60 +0000",
            "31-Feb-2020 10:00:00 +0000",
            "29-Feb-2100 10:00:00 +0000",
            "00-Jan-2020 10:00:00 +0000",
        ] {
            assert_eq!(parse_date_time(text.as_bytes()), None, "{text}");
        }
    }
}
