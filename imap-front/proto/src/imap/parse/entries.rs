//! Entries of metadata, by name (RFC 5464 §5).

use std::collections::BTreeSet;

use mail::metadata::{Depth, EntryName, MetadataQuery, Wanted};

use crate::imap::lexer::{Lexer, Parsed};

/// Entries that one command may name or set.
pub(super) const ENTRIES_MAX: usize = 64;
pub(super) const TOO_MANY: &str = "at most 64 entries in one command";

/// What LIST is to return of each mailbox (RFC 9590 §4).
pub(super) fn returned(lexer: &mut Lexer<'_>) -> Parsed<MetadataQuery> {
    Ok(MetadataQuery {
        wanted: Wanted::Entries(entries(lexer)?, Depth::Zero),
        value_bytes_max: None,
    })
}

/// Entries; each once, however often it is named.
///
/// ```text
/// entries = entry / "(" entry *(SP entry) ")"
/// ```
pub(super) fn entries(lexer: &mut Lexer<'_>) -> Parsed<Vec<EntryName>> {
    let mut names = one_or_more(lexer, entry)?;
    let mut known = BTreeSet::new();
    names.retain(|name| known.insert(name.key()));
    Ok(names)
}

pub(super) fn one_or_more<T>(
    lexer: &mut Lexer<'_>,
    item: impl Fn(&mut Lexer<'_>) -> Parsed<T>,
) -> Parsed<Vec<T>> {
    if lexer.peek() != Some(b'(') {
        return Ok(vec![item(lexer)?]);
    }
    let items = lexer.list(false, item)?;
    match items.len() <= ENTRIES_MAX {
        true => Ok(items),
        false => lexer.fail(TOO_MANY),
    }
}

pub(super) fn entry(lexer: &mut Lexer<'_>) -> Parsed<EntryName> {
    let start = lexer.clone();
    match EntryName::new(&lexer.astring()?) {
        Ok(name) => Ok(name),
        Err(expected) => start.fail(expected),
    }
}
