//! Commands about metadata (RFC 5464 §5), and about annotations as its drafts had them
//! (draft-daboo-imap-annotatemore-08 §5).

use bytes::Bytes;
use mail::MailboxName;
use mail::list::joined;
use mail::metadata::{Depth, Entry, EntryName, MetadataQuery, Wanted};

use super::entries::{ENTRIES_MAX, TOO_MANY, entries, entry, one_or_more};
use super::mailbox;
use crate::imap::ast::{Annotation, Attribute, Command};
use crate::imap::lexer::{Lexer, Parsed, is_astring_char};

/// Patterns of entries, and of attributes, that one GETANNOTATION may have.
const PATTERNS_MAX: usize = 8;
/// Bytes of a pattern.
const PATTERN_BYTES_MAX: usize = 128;

/// ```text
/// getmetadata   = "GETMETADATA" [SP getmetadata-options] SP mailbox
///                 [SP getmetadata-options] SP entries
/// setmetadata   = "SETMETADATA" SP mailbox SP entry-values
/// getannotation = "GETANNOTATION" SP list-mailbox SP entries SP attribs
/// setannotation = "SETANNOTATION" SP list-mailbox SP setentryatt
/// ```
pub(super) fn command(lexer: &mut Lexer<'_>, word: &str) -> Parsed<Option<Command>> {
    Ok(Some(match word {
        "GETMETADATA" => {
            lexer.space()?;
            get_metadata(lexer)?
        }
        "SETMETADATA" => {
            lexer.space()?;
            let mailbox = mailbox_or_server(lexer)?;
            lexer.space()?;
            let entries = lexer.list(false, |lexer| {
                let name = entry(lexer)?;
                lexer.space()?;
                let value = value(lexer)?;
                Ok(Entry { name, value })
            })?;
            if entries.len() > ENTRIES_MAX {
                return lexer.fail(TOO_MANY);
            }
            Command::SetMetadata { mailbox, entries }
        }
        "GETANNOTATION" => {
            lexer.space()?;
            let mailbox = mailbox::pattern(lexer)?.unwrap_or("*/".into());
            lexer.space()?;
            let entries = one_or_more(lexer, pattern)?;
            lexer.space()?;
            let attributes = one_or_more(lexer, pattern)?;
            if entries.len().max(attributes.len()) > PATTERNS_MAX {
                return lexer.fail("at most 8 patterns of entries, and 8 of attributes");
            }
            Command::GetAnnotation {
                mailbox,
                entries,
                attributes,
            }
        }
        "SETANNOTATION" => {
            lexer.space()?;
            let mailbox = mailbox::pattern(lexer)?.unwrap_or("*/".into());
            lexer.space()?;
            let annotations = one_or_more(lexer, annotation)?;
            let values = annotations.iter().map(|it| it.values.len());
            if values.sum::<usize>() > ENTRIES_MAX {
                return lexer.fail(TOO_MANY);
            }
            Command::SetAnnotation {
                mailbox,
                annotations,
            }
        }
        _ => return Ok(None),
    }))
}

/// The empty name is the server's.
fn mailbox_or_server(lexer: &mut Lexer<'_>) -> Parsed<Option<MailboxName>> {
    let name = mailbox::name(lexer)?;
    Ok((!name.as_str().is_empty()).then_some(name))
}

/// ```text
/// getmetadata-options = "(" getmetadata-option *(SP getmetadata-option) ")"
/// maxsize-opt         = "MAXSIZE" SP number
/// scope-opt           = "DEPTH" SP ("0" / "1" / "infinity")
/// ```
fn get_metadata(lexer: &mut Lexer<'_>) -> Parsed<Command> {
    let (mut depth, mut value_bytes_max) = (Depth::Zero, None);
    let mut option = |lexer: &mut Lexer<'_>| {
        if lexer.keyword("MAXSIZE") {
            lexer.space()?;
            value_bytes_max = Some(u64::from(lexer.number()?));
            return Ok(());
        }
        if !lexer.keyword("DEPTH") {
            return lexer.fail("MAXSIZE or DEPTH");
        }
        lexer.space()?;
        depth = match () {
            () if lexer.keyword("0") => Depth::Zero,
            () if lexer.keyword("1") => Depth::One,
            () if lexer.keyword("INFINITY") => Depth::Infinity,
            () => return lexer.fail("0, 1 or infinity"),
        };
        Ok(())
    };
    let is_before = lexer.peek() == Some(b'(');
    if is_before {
        lexer.list(false, &mut option)?;
        lexer.space()?;
    }
    let mailbox = mailbox_or_server(lexer)?;
    lexer.space()?;
    // RFC 5464 §4.2 and its examples have them here. Names of entries begin with a slash.
    let mut after = lexer.clone();
    if !is_before && after.take(b'(') && after.peek().is_some_and(|b| b.is_ascii_alphabetic()) {
        lexer.list(false, &mut option)?;
        lexer.space()?;
    }
    let query = MetadataQuery {
        wanted: Wanted::Entries(entries(lexer)?, depth),
        value_bytes_max,
    };
    Ok(Command::GetMetadata { mailbox, query })
}

/// ```text
/// value = nstring / literal8
/// ```
fn value(lexer: &mut Lexer<'_>) -> Parsed<Option<Bytes>> {
    if lexer.peek() == Some(b'~') {
        return Ok(Some(Bytes::copy_from_slice(lexer.literal8()?)));
    }
    let value = lexer.nstring()?;
    Ok(value.map(|value| Bytes::copy_from_slice(&value)))
}

/// A pattern of entries or attributes, in lower case; `*` and `%` may stand bare.
fn pattern(lexer: &mut Lexer<'_>) -> Parsed<Box<str>> {
    const EXPECTED: &str = "a pattern of at most 128 ASCII characters";
    let start = lexer.clone();
    let bytes = match lexer.peek() {
        Some(b'"' | b'{') => lexer.astring()?.into_owned(),
        _ => {
            let is_list_char = |b| is_astring_char(b) || b == b'%' || b == b'*';
            lexer.take_while(is_list_char, EXPECTED)?.to_vec()
        }
    };
    if bytes.len() > PATTERN_BYTES_MAX || !bytes.is_ascii() {
        return start.fail(EXPECTED);
    }
    let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    match joined("", &text) {
        Some(pattern) => Ok(pattern),
        None => start.fail(EXPECTED),
    }
}

/// ```text
/// setentryatt = entry SP "(" attrib SP value *(SP attrib SP value) ")"
/// ```
fn annotation(lexer: &mut Lexer<'_>) -> Parsed<Annotation> {
    let start = lexer.clone();
    let path = lexer.astring()?.into_owned();
    let name = |scope: &str| EntryName::new(&[scope.as_bytes(), &path].concat());
    let (Ok(private), Ok(shared)) = (name("/private"), name("/shared")) else {
        return start.fail("an entry such as /comment");
    };
    lexer.space()?;
    let values = lexer.list(false, |lexer| {
        let start = lexer.clone();
        let attribute = lexer.astring()?.to_ascii_lowercase();
        lexer.space()?;
        let value = value(lexer)?;
        Ok(match &attribute[..] {
            b"value.priv" => Attribute::Private(value),
            b"value.shared" => Attribute::Shared(value),
            // Of earlier drafts: nobody needs it.
            b"content-type.priv" | b"content-type.shared" => Attribute::Ignored,
            _ => return start.fail("value.priv or value.shared"),
        })
    })?;
    Ok(Annotation {
        private,
        shared,
        values,
    })
}
