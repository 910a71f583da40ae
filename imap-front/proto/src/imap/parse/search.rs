//! SEARCH (RFC 3501 §6.4.4, RFC 4731, RFC 7162 §3.1.5).

use mail::search::{DateField, Day, Key};
use mail::{ModSeq, SystemFlag};

use super::set::partial_range;
use super::{notify, objects, sequence_set};
use crate::imap::ast::{Command, SearchReturn};
use crate::imap::encode;
use crate::imap::lexer::{Fault, Lexer, Parsed};

/// Deepest nesting of parentheses, NOT and OR.
const DEPTH_MAX: usize = 32;
/// Keys that one command may have.
const KEYS_MAX: usize = 1024;

/// ```text
/// search = "SEARCH" [search-return-opts] [SP "CHARSET" SP astring] 1*(SP search-key)
///                                                 ; RFC 3501 §9, RFC 4731 §4
/// ```
pub(super) fn search(lexer: &mut Lexer<'_>, uid: bool) -> Parsed<Command> {
    lexer.space()?;
    Ok(Command::Search {
        uid,
        returns: returns(lexer)?,
        key: in_charset(lexer)?,
    })
}

/// ```text
/// search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)  ; RFC 4466 §6
/// ```
pub(super) fn in_charset(lexer: &mut Lexer<'_>) -> Parsed<Key> {
    let start = lexer.clone();
    if lexer.keyword("CHARSET") {
        // RFC 9755 §3
        if lexer.form().names_no_charset() {
            return start.fail("no CHARSET, as UTF8=ACCEPT is enabled");
        }
        lexer.space()?;
        charset(lexer)?;
        lexer.space()?;
    }
    program(lexer)
}

/// `RETURN (…)` and the space behind it, if it comes next.
pub(super) fn returns(lexer: &mut Lexer<'_>) -> Parsed<Option<Vec<SearchReturn>>> {
    if !lexer.keyword("RETURN") {
        return Ok(None);
    }
    lexer.space()?;
    let start = lexer.clone();
    let returns = lexer.list(true, return_option)?;
    // RFC 9394 §3.1
    let is_partial = |it: &&SearchReturn| matches!(it, SearchReturn::Partial(_));
    let (partial, all) = (returns.iter().filter(is_partial), SearchReturn::All);
    match (partial.count(), returns.contains(&all)) {
        (0, _) | (1, false) => {}
        _ => return start.fail("ALL or PARTIAL once, and not both"),
    }
    lexer.space()?;
    Ok(Some(returns))
}

/// A character set that is offered.
pub(super) fn charset(lexer: &mut Lexer<'_>) -> Parsed<()> {
    let start = lexer.clone();
    let charset = lexer.astring()?.to_ascii_uppercase();
    if lexer.form().names_no_charset() && charset != b"UTF-8" {
        // RFC 9755 §3: SORT and THREAD have to name one.
        return start.fail("UTF-8, as UTF8=ACCEPT is enabled");
    }
    if charset != b"UTF-8" && charset != b"US-ASCII" {
        return start.fail_as(Fault::Charset, "CHARSET US-ASCII or UTF-8");
    }
    Ok(())
}

/// One or more search keys: all of them.
pub(super) fn program(lexer: &mut Lexer<'_>) -> Parsed<Key> {
    let mut keys = Vec::new();
    let mut budget = KEYS_MAX;
    loop {
        keys.push(key(lexer, DEPTH_MAX, &mut budget)?);
        if !lexer.take(b' ') {
            break;
        }
    }
    Ok(all_of(keys))
}

fn all_of(mut keys: Vec<Key>) -> Key {
    if keys.len() == 1 {
        keys.swap_remove(0)
    } else {
        Key::And(keys)
    }
}

/// ```text
/// search-return-opt = "MIN" / "MAX" / "ALL" / "COUNT" / "SAVE" / "PARTIAL" SP partial-range
///                                                 ; RFC 4731 §4, RFC 5182 §3, RFC 9394 §4
/// search-return-opt =/ "CONTEXT" / "UPDATE" [[SP] "(" fetch-att *(SP fetch-att) ")"]
///                                                 ; RFC 5267 §5; RFC 5465 §8, and §7 with SP
/// ```
fn return_option(lexer: &mut Lexer<'_>) -> Parsed<SearchReturn> {
    let start = lexer.clone();
    const EXPECTED: &str = "MIN, MAX, ALL, COUNT, SAVE, PARTIAL, CONTEXT or UPDATE";
    Ok(match lexer.word(EXPECTED)?.as_str() {
        "MIN" => SearchReturn::Min,
        "MAX" => SearchReturn::Max,
        "ALL" => SearchReturn::All,
        "COUNT" => SearchReturn::Count,
        "SAVE" => SearchReturn::Save,
        "CONTEXT" => SearchReturn::Context,
        "UPDATE" => SearchReturn::Update(notify::new_items(lexer)?),
        "PARTIAL" => {
            lexer.space()?;
            SearchReturn::Partial(partial_range(lexer)?)
        }
        _ => return start.fail(EXPECTED),
    })
}

/// ```text
/// cancelupdate = "CANCELUPDATE" 1*(SP quoted)     ; RFC 5267 §5
/// ```
pub(super) fn cancel_update(lexer: &mut Lexer<'_>) -> Parsed<Command> {
    let mut tags = Vec::new();
    while tags.is_empty() || lexer.peek().is_some() {
        lexer.space()?;
        tags.push(String::from_utf8_lossy(&lexer.string()?).into());
    }
    Ok(Command::CancelUpdate(tags))
}

fn key(lexer: &mut Lexer<'_>, depth: usize, budget: &mut usize) -> Parsed<Key> {
    if depth == 0 || *budget == 0 {
        return lexer.fail("at most 1024 search keys, nested at most 32 deep");
    }
    *budget -= 1;
    match lexer.peek() {
        Some(b'(') => {
            let keys = lexer.list(false, |lexer| key(lexer, depth - 1, budget))?;
            return Ok(all_of(keys));
        }
        Some(b'0'..=b'9' | b'*' | b'$') => return Ok(Key::Numbers(sequence_set(lexer)?)),
        _ => {}
    }
    let start = lexer.clone();
    let word = lexer.word("a search key")?;
    match word.as_str() {
        "NOT" => {
            lexer.space()?;
            Ok(Key::Not(Box::new(key(lexer, depth - 1, budget)?)))
        }
        "OR" => {
            lexer.space()?;
            let first = Box::new(key(lexer, depth - 1, budget)?);
            lexer.space()?;
            Ok(Key::Or(first, Box::new(key(lexer, depth - 1, budget)?)))
        }
        _ => match flag_key(&word) {
            Some(key) => Ok(key),
            None => match argument_key(lexer, &word)? {
                Some(key) => Ok(key),
                None => start.fail("a search key"),
            },
        },
    }
}

fn flag_key(word: &str) -> Option<Key> {
    let flag = Key::Flag;
    let not = |key| Key::Not(Box::new(key));
    Some(match word {
        "ALL" => Key::All,
        "ANSWERED" => flag(SystemFlag::Answered),
        "DELETED" => flag(SystemFlag::Deleted),
        "DRAFT" => flag(SystemFlag::Draft),
        "FLAGGED" => flag(SystemFlag::Flagged),
        "SEEN" => flag(SystemFlag::Seen),
        "UNANSWERED" => not(flag(SystemFlag::Answered)),
        "UNDELETED" => not(flag(SystemFlag::Deleted)),
        "UNDRAFT" => not(flag(SystemFlag::Draft)),
        "UNFLAGGED" => not(flag(SystemFlag::Flagged)),
        "UNSEEN" => not(flag(SystemFlag::Seen)),
        "RECENT" => Key::Recent,
        // RFC 8514 §4.3: it is known in every mailbox.
        "SAVEDATESUPPORTED" => Key::All,
        "OLD" => not(Key::Recent),
        "NEW" => Key::And(vec![Key::Recent, not(flag(SystemFlag::Seen))]),
        _ => return None,
    })
}

fn argument_key(lexer: &mut Lexer<'_>, word: &str) -> Parsed<Option<Key>> {
    use DateField::{Internal, Saved, Sent};
    const KNOWN: [&str; 29] = [
        "BCC",
        "BEFORE",
        "BODY",
        "CC",
        "EMAILID",
        "FROM",
        "HEADER",
        "KEYWORD",
        "LARGER",
        "MODSEQ",
        "OLDER",
        "ON",
        "SAVEDBEFORE",
        "SAVEDON",
        "SAVEDSINCE",
        "SENTBEFORE",
        "SENTON",
        "SENTSINCE",
        "SINCE",
        "SMALLER",
        "SUBJECT",
        "TEXT",
        "THREADID",
        "TO",
        "UID",
        "UIDAFTER",
        "UIDBEFORE",
        "UNKEYWORD",
        "YOUNGER",
    ];
    if !KNOWN.contains(&word) {
        return Ok(None);
    }
    lexer.space()?;
    Ok(Some(match word {
        "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => Key::Header(word.into(), text(lexer)?),
        "HEADER" => {
            let name = text(lexer)?;
            lexer.space()?;
            Key::Header(name, text(lexer)?)
        }
        "BODY" => Key::Body(text(lexer)?),
        "TEXT" => Key::Text(text(lexer)?),
        "KEYWORD" => Key::Keyword(lexer.atom("a keyword")?.into()),
        "UNKEYWORD" => Key::Not(Box::new(Key::Keyword(lexer.atom("a keyword")?.into()))),
        "BEFORE" => Key::Before(Internal, date(lexer)?),
        "ON" => Key::On(Internal, date(lexer)?),
        "SINCE" => Key::Since(Internal, date(lexer)?),
        "SENTBEFORE" => Key::Before(Sent, date(lexer)?),
        "SENTON" => Key::On(Sent, date(lexer)?),
        "SENTSINCE" => Key::Since(Sent, date(lexer)?),
        "SAVEDBEFORE" => Key::Before(Saved, date(lexer)?),
        "SAVEDON" => Key::On(Saved, date(lexer)?),
        "SAVEDSINCE" => Key::Since(Saved, date(lexer)?),
        "EMAILID" => match objects::email(objects::id(lexer)?) {
            Some(email) => Key::Email(email),
            None => none(),
        },
        "THREADID" => match objects::thread(objects::id(lexer)?) {
            Some(thread) => Key::Thread(thread),
            None => none(),
        },
        "OLDER" => Key::Older(interval(lexer)?),
        "YOUNGER" => Key::Younger(interval(lexer)?),
        "LARGER" => Key::Larger(lexer.number64()?),
        "SMALLER" => Key::Smaller(lexer.number64()?),
        "UID" => Key::Uids(sequence_set(lexer)?),
        "UIDAFTER" => uid_range(unique_id(lexer)?.checked_add(1), u32::MAX),
        "UIDBEFORE" => uid_range(Some(1), unique_id(lexer)? - 1),
        _ => mod_sequence(lexer)?,
    }))
}

/// What no message satisfies.
fn none() -> Key {
    Key::Not(Box::new(Key::All))
}

/// ```text
/// search-key =/ ("UIDAFTER" / "UIDBEFORE") SP uniqueid  ; RFC 9738 §4
/// ```
fn unique_id(lexer: &mut Lexer<'_>) -> Parsed<u32> {
    let start = lexer.clone();
    match lexer.number()? {
        0 => start.fail("a UID"),
        uid => Ok(uid),
    }
}

fn uid_range(first: Option<u32>, last: u32) -> Key {
    let range = first.map(|first| (first, last));
    Key::UidRanges(
        range
            .filter(|(low, high)| low <= high)
            .into_iter()
            .collect(),
    )
}

/// A time in seconds.
///
/// ```text
/// search-key =/ ("OLDER" / "YOUNGER") SP nz-number  ; RFC 5032 §4
/// ```
fn interval(lexer: &mut Lexer<'_>) -> Parsed<u32> {
    let start = lexer.clone();
    match lexer.number()? {
        0 => start.fail("a number of seconds above 0"),
        seconds => Ok(seconds),
    }
}

/// ```text
/// search-modsequence = "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer
///                                                 ; RFC 7162 §7
/// ```
///
/// An optional entry name and type, which don't narrow the search here since
/// all flags of a message share its mod-sequence.
fn mod_sequence(lexer: &mut Lexer<'_>) -> Parsed<Key> {
    if lexer.peek() == Some(b'"') {
        lexer.string()?;
        lexer.space()?;
        if !["PRIV", "SHARED", "ALL"]
            .iter()
            .any(|kind| lexer.keyword(kind))
        {
            return lexer.fail("priv, shared or all");
        }
        lexer.space()?;
    }
    Ok(Key::ModSeq(ModSeq(lexer.number64()?)))
}

fn text(lexer: &mut Lexer<'_>) -> Parsed<Box<str>> {
    let start = lexer.clone();
    match String::from_utf8(lexer.astring()?.into_owned()) {
        Ok(text) => Ok(text.into()),
        Err(_) => start.fail("a string in UTF-8"),
    }
}

/// `1-Feb-1994`, quoted or not.
///
/// ```text
/// date      = date-text / DQUOTE date-text DQUOTE ; RFC 3501 §9
/// date-text = date-day "-" date-month "-" date-year
/// ```
fn date(lexer: &mut Lexer<'_>) -> Parsed<Day> {
    let start = lexer.clone();
    let text = lexer.astring()?;
    match parse_date(&text) {
        Some(day) => Ok(day),
        None => start.fail("a date such as 1-Feb-1994"),
    }
}

fn parse_date(text: &[u8]) -> Option<Day> {
    let text = std::str::from_utf8(text).ok()?;
    let mut parts = text.split('-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        (lengths.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
            .then(|| part.parse::<u32>().ok())?
    };
    let (day, year) = (digits(day, 1..=2)?, digits(year, 4..=4)?);
    let month = encode::month(month.as_bytes())?;
    let year = i64::from(year);
    if parts.next().is_some() || !(1..=encode::days_in_month(year, month)).contains(&day) {
        return None;
    }
    i32::try_from(encode::days_from_civil(year, month, day))
        .ok()
        .map(Day)
}
