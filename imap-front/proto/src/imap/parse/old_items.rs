//! Items of FETCH that RFC 1730 had and RFC 3501 has not.

use crate::imap::ast::{FetchItem, Section, SectionText};
use crate::imap::lexer::Lexer;

/// Deepest part number.
pub(super) const PART_DEPTH_MAX: usize = 64;

/// An item of RFC 1730 that is a section of the message under another name.
pub(super) fn item(name: &str, text: SectionText, peek: bool) -> FetchItem {
    FetchItem::Obsolete {
        name: name.into(),
        section: Section { part: vec![], text },
        peek,
        partial: None,
    }
}

/// Part number 0 is the header of the part above, or of the message (RFC 1730 §6.4.5): what follows
/// `BODY[`, if it ends so.
pub(super) fn header_part(lexer: &mut Lexer<'_>, peek: bool) -> Option<FetchItem> {
    let rest = lexer.rest();
    let end = rest.iter().position(|&b| b == b']')?;
    let text = std::str::from_utf8(&rest[..end]).ok()?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
    let part: Vec<u32> = match text.strip_suffix('0')? {
        "" => vec![],
        above => above
            .strip_suffix('.')?
            .split('.')
            .map(number)
            .collect::<Option<_>>()?,
    };
    if part.len() > PART_DEPTH_MAX {
        return None;
    }
    lexer.take_while(|b| b != b']', "a part number").ok()?;
    lexer.take(b']');
    Some(FetchItem::Obsolete {
        name: format!("BODY[{text}]").into(),
        section: Section {
            part,
            text: SectionText::Header,
        },
        peek,
        partial: None,
    })
}
