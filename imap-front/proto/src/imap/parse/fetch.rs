//! FETCH (RFC 3501 §6.4.5, RFC 7162 §3.1.4) and STORE (RFC 3501 §6.4.6, RFC 7162 §3.1.3).

use mail::request::StoreMode;
use mail::{Flags, ModSeq};

use super::append::{flag, flag_list};
use super::old_items::PART_DEPTH_MAX;
use super::resync::FetchModifiers;
use super::{old_items, sequence_set};
use crate::imap::ast::{Command, FetchItem, PartNumbers, Section, SectionText};
use crate::imap::lexer::{Lexer, Parsed};

/// Items that one FETCH may ask for.
const ITEMS_MAX: usize = 128;
/// Header fields that one section may name.
const FIELDS_MAX: usize = 256;

/// ```text
/// fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att /
///         "(" fetch-att *(SP fetch-att) ")") [SP "(" fetch-modifier *(SP fetch-modifier) ")"]
///                                                 ; RFC 3501 §9, RFC 4466 §2.4
/// ```
pub(super) fn fetch(lexer: &mut Lexer<'_>, uid: bool) -> Parsed<Command> {
    lexer.space()?;
    let set = sequence_set(lexer)?;
    lexer.space()?;
    let mut items = if lexer.peek() == Some(b'(') {
        let items = lexer.list(false, item)?;
        if items.len() > ITEMS_MAX {
            return lexer.fail("at most 128 FETCH items");
        }
        items
    } else {
        match macro_items(lexer) {
            Some(items) => items,
            None => vec![item(lexer)?],
        }
    };
    let mut modifiers = FetchModifiers::default();
    if lexer.take(b' ') {
        let start = lexer.clone();
        lexer.list(false, |lexer| modifiers.read(lexer, uid))?;
        if modifiers.vanished && modifiers.changed_since.is_none() {
            return start.fail("CHANGEDSINCE beside VANISHED");
        }
        // RFC 7162 §3.1.4.1: CHANGEDSINCE implies MODSEQ.
        if modifiers.changed_since.is_some() && !items.contains(&FetchItem::ModSeq) {
            items.push(FetchItem::ModSeq);
        }
    }
    Ok(Command::Fetch {
        uid,
        set,
        items,
        changed_since: modifiers.changed_since,
        vanished: modifiers.vanished,
        partial: modifiers.partial,
    })
}

fn macro_items(lexer: &mut Lexer<'_>) -> Option<Vec<FetchItem>> {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Rfc822Size};
    let fast = vec![Flags, InternalDate, Rfc822Size];
    if lexer.keyword("FAST") {
        Some(fast)
    } else if lexer.keyword("ALL") {
        Some([fast, vec![Envelope]].concat())
    } else if lexer.keyword("FULL") {
        Some([fast, vec![Envelope, Body]].concat())
    } else {
        None
    }
}

pub(super) fn item(lexer: &mut Lexer<'_>) -> Parsed<FetchItem> {
    let start = lexer.clone();
    Ok(match lexer.word("a FETCH item")?.as_str() {
        "BODY" if lexer.peek() == Some(b'[') => body_section(lexer, false)?,
        "BODY.PEEK" if lexer.peek() == Some(b'[') => body_section(lexer, true)?,
        "BINARY" => binary(lexer, false)?,
        "BINARY.PEEK" => binary(lexer, true)?,
        "BINARY.SIZE" => FetchItem::BinarySize(section_binary(lexer)?),
        "BODY" => FetchItem::Body,
        "BODYSTRUCTURE" => FetchItem::BodyStructure,
        "ENVELOPE" => FetchItem::Envelope,
        "FLAGS" => FetchItem::Flags,
        "INTERNALDATE" => FetchItem::InternalDate,
        "UID" => FetchItem::Uid,
        "EMAILID" => FetchItem::EmailId,
        "THREADID" => FetchItem::ThreadId,
        "SAVEDATE" => FetchItem::SaveDate,
        "PREVIEW" => preview(lexer)?,
        "MODSEQ" => FetchItem::ModSeq,
        "RFC822" => FetchItem::Rfc822,
        "RFC822.SIZE" => FetchItem::Rfc822Size,
        "RFC822.HEADER" => FetchItem::Rfc822Header,
        "RFC822.TEXT" => FetchItem::Rfc822Text,
        "XSENDER" => FetchItem::Sender,
        // RFC 1730 §6.4.5
        "RFC822.PEEK" => old_items::item("RFC822", SectionText::Whole, true),
        "RFC822.TEXT.PEEK" => old_items::item("RFC822.TEXT", SectionText::Text, true),
        "RFC822.HEADER.LINES" => {
            let lines = SectionText::HeaderFields(header_list(lexer)?);
            old_items::item("RFC822.HEADER", lines, true)
        }
        "RFC822.HEADER.LINES.NOT" => {
            let lines = SectionText::HeaderFieldsNot(header_list(lexer)?);
            old_items::item("RFC822.HEADER", lines, true)
        }
        _ => return start.fail("a FETCH item"),
    })
}

/// ```text
/// fetch-att   =/ "PREVIEW" [SP "(" preview-mod *(SP preview-mod) ")"]
/// preview-mod = "LAZY"                            ; RFC 8970 §6
/// ```
fn preview(lexer: &mut Lexer<'_>) -> Parsed<FetchItem> {
    // Modifiers of the FETCH itself may follow in the same way.
    let is_lazy = lexer
        .rest()
        .get(..6)
        .is_some_and(|rest| rest.eq_ignore_ascii_case(b" (LAZY"));
    if is_lazy {
        lexer.space()?;
        lexer.list(false, |lexer| match lexer.keyword("LAZY") {
            true => Ok(()),
            false => lexer.fail("LAZY"),
        })?;
    }
    Ok(FetchItem::Preview)
}

fn body_section(lexer: &mut Lexer<'_>, peek: bool) -> Parsed<FetchItem> {
    lexer.need(b'[', "[")?;
    if let Some(header) = old_items::header_part(lexer, peek) {
        return Ok(header);
    }
    let section = section(lexer)?;
    lexer.need(b']', "]")?;
    Ok(FetchItem::Section {
        section,
        peek,
        partial: partial(lexer)?,
    })
}

/// ```text
/// partial = "<" number "." nz-number ">"          ; RFC 3501 §9
/// ```
fn partial(lexer: &mut Lexer<'_>) -> Parsed<Option<(u32, u32)>> {
    if !lexer.take(b'<') {
        return Ok(None);
    }
    let first = lexer.number()?;
    lexer.need(b'.', ". between the first byte and the count")?;
    let start = lexer.clone();
    let count = lexer.number()?;
    if count == 0 {
        return start.fail("a count above 0");
    }
    lexer.need(b'>', ">")?;
    Ok(Some((first, count)))
}

/// ```text
/// fetch-att =/ "BINARY" [".PEEK"] section-binary [partial]       ; RFC 3516 §7
/// ```
fn binary(lexer: &mut Lexer<'_>, peek: bool) -> Parsed<FetchItem> {
    Ok(FetchItem::Binary {
        part: section_binary(lexer)?,
        peek,
        partial: partial(lexer)?,
    })
}

/// ```text
/// section-binary = "[" [section-part] "]"         ; RFC 3516 §7
/// ```
fn section_binary(lexer: &mut Lexer<'_>) -> Parsed<PartNumbers> {
    lexer.need(b'[', "[")?;
    let start = lexer.clone();
    let section = section(lexer)?;
    if section.text != SectionText::Whole {
        return start.fail("part numbers alone");
    }
    lexer.need(b']', "]")?;
    Ok(section.part)
}

/// A section as it stands in a URL (RFC 5092 §11 `enc-section`), decoded.
///
/// # Errors
/// What was expected, and where in it.
pub fn section_spec(text: &[u8]) -> Parsed<Section> {
    let mut lexer = Lexer::new(text);
    let section = section(&mut lexer)?;
    lexer.end()?;
    Ok(section)
}

/// ```text
/// section-spec    = section-msgtext / (section-part ["." section-text])  ; RFC 3501 §9
/// section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"
/// section-part    = nz-number *("." nz-number)
/// section-text    = section-msgtext / "MIME"
/// ```
fn section(lexer: &mut Lexer<'_>) -> Parsed<Section> {
    let mut part = Vec::new();
    while lexer.peek().is_some_and(|b| b.is_ascii_digit()) {
        let start = lexer.clone();
        match lexer.number()? {
            0 => return start.fail("a part number above 0"),
            number => part.push(number),
        }
        if part.len() > PART_DEPTH_MAX {
            return start.fail("at most 64 levels in a part number");
        }
        if !lexer.take(b'.') {
            return Ok(Section {
                part,
                text: SectionText::Whole,
            });
        }
    }
    if part.is_empty() && lexer.peek() == Some(b']') {
        return Ok(Section::default());
    }
    let start = lexer.clone();
    const EXPECTED: &str = "HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT, MIME or a part number";
    let text = match lexer.word(EXPECTED)?.as_str() {
        "HEADER" => SectionText::Header,
        "TEXT" => SectionText::Text,
        "MIME" if !part.is_empty() => SectionText::Mime,
        "HEADER.FIELDS" => SectionText::HeaderFields(header_list(lexer)?),
        "HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(header_list(lexer)?),
        _ => return start.fail(EXPECTED),
    };
    Ok(Section { part, text })
}

/// ```text
/// header-list = "(" header-fld-name *(SP header-fld-name) ")"
///                                                 ; RFC 3501 §9
/// ```
fn header_list(lexer: &mut Lexer<'_>) -> Parsed<Vec<Box<str>>> {
    lexer.space()?;
    let names = lexer.list(false, |lexer| {
        let start = lexer.clone();
        let name = lexer.astring()?;
        let is_field = |&b: &u8| (0x21..0x7f).contains(&b) && b != b':';
        if name.is_empty() || !name.iter().all(is_field) {
            return start.fail("a header field name");
        }
        Ok(String::from_utf8_lossy(&name).into())
    })?;
    if names.len() > FIELDS_MAX {
        return lexer.fail("at most 256 header fields");
    }
    Ok(names)
}

/// ```text
/// store = "STORE" SP sequence-set [SP "(" "UNCHANGEDSINCE" SP mod-sequence-value ")"] SP
///         store-att-flags                         ; RFC 3501 §9, RFC 7162 §7
/// store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
/// ```
pub(super) fn store(lexer: &mut Lexer<'_>, uid: bool) -> Parsed<Command> {
    lexer.space()?;
    let set = sequence_set(lexer)?;
    lexer.space()?;
    let mut unchanged_since = None;
    if lexer.peek() == Some(b'(') {
        lexer.list(false, |lexer| {
            if !lexer.keyword("UNCHANGEDSINCE") {
                return lexer.fail("UNCHANGEDSINCE");
            }
            lexer.space()?;
            unchanged_since = Some(ModSeq(lexer.number64()?));
            Ok(())
        })?;
        lexer.space()?;
    }
    const EXPECTED: &str = "FLAGS, +FLAGS or -FLAGS, with .SILENT or without";
    let start = lexer.clone();
    let (mode, silent) = match lexer.word(EXPECTED)?.as_str() {
        "FLAGS" => (StoreMode::Replace, false),
        "FLAGS.SILENT" => (StoreMode::Replace, true),
        "+FLAGS" => (StoreMode::Add, false),
        "+FLAGS.SILENT" => (StoreMode::Add, true),
        "-FLAGS" => (StoreMode::Remove, false),
        "-FLAGS.SILENT" => (StoreMode::Remove, true),
        _ => return start.fail(EXPECTED),
    };
    lexer.space()?;
    let mut flags = Flags::default();
    if lexer.peek() == Some(b'(') {
        flags = flag_list(lexer)?;
    } else {
        flag(lexer, &mut flags)?;
        while lexer.take(b' ') {
            flag(lexer, &mut flags)?;
        }
    }
    Ok(Command::Store {
        uid,
        set,
        mode,
        silent,
        flags,
        unchanged_since,
    })
}
