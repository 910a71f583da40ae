//! Commands of the past: those of RFC 1730 that RFC 3501 has no more, and those of Netscape's
//! clients.

use mail::SequenceSet;
use mail::set::SetNumber;

use super::old_items::item;
use super::{fetch, mailbox};
use crate::imap::ast::{Command, FetchItem, SectionText};
use crate::imap::lexer::{Lexer, Parsed};
use crate::imap::render;

/// Keys that XSERVERINFO and XMAILBOXINFO may have.
const KEYS_MAX: usize = 16;

/// ```text
/// find         = "FIND" SP ("ALL.MAILBOXES" / "MAILBOXES") SP list-mailbox   ; RFC 1730, RFC 1732
/// partial      = "PARTIAL" SP nz-number SP ("RFC822" / "RFC822.HEADER" / "RFC822.TEXT" /
///                "RFC822.PEEK" / "RFC822.TEXT.PEEK" / "BODY" [".PEEK"] section) SP nz-number SP
///                number                                                       ; RFC 1730 §6.4.6
/// netscape     = "NETSCAPE"
/// xserverinfo  = "XSERVERINFO" 1*(SP key)
/// xmailboxinfo = "XMAILBOXINFO" SP mailbox 1*(SP key)
/// ```
pub(super) fn command(lexer: &mut Lexer<'_>, word: &str) -> Parsed<Option<Command>> {
    Ok(Some(match word {
        "NETSCAPE" => Command::Netscape,
        "XSERVERINFO" => Command::ServerInfo(keys(lexer)?),
        "XMAILBOXINFO" => {
            lexer.space()?;
            let mailbox = mailbox::name(lexer)?;
            keys(lexer)?;
            Command::MailboxInfo(mailbox)
        }
        "FIND" => {
            lexer.space()?;
            let start = lexer.clone();
            let subscribed = match lexer.word("MAILBOXES or ALL.MAILBOXES")?.as_str() {
                "MAILBOXES" => true,
                "ALL.MAILBOXES" => false,
                _ => return start.fail("MAILBOXES or ALL.MAILBOXES"),
            };
            lexer.space()?;
            Command::Find {
                subscribed,
                pattern: mailbox::pattern(lexer)?.ok(),
            }
        }
        "PARTIAL" => partial(lexer)?,
        _ => return Ok(None),
    }))
}

fn keys(lexer: &mut Lexer<'_>) -> Parsed<Vec<Box<str>>> {
    let mut keys = Vec::new();
    while keys.is_empty() || lexer.peek().is_some() {
        lexer.space()?;
        keys.push(lexer.word("a key such as MANAGEACCOUNTURL")?.into());
        if keys.len() > KEYS_MAX {
            return lexer.fail("at most 16 keys");
        }
    }
    Ok(keys)
}

/// One message, an item, its first byte, counted from 1, and how many.
fn partial(lexer: &mut Lexer<'_>) -> Parsed<Command> {
    const EXPECTED: &str = "RFC822, RFC822.HEADER, RFC822.TEXT or a section of BODY";
    lexer.space()?;
    let start = lexer.clone();
    let number = lexer.number()?;
    if number == 0 {
        return start.fail("a message number above 0");
    }
    lexer.space()?;
    let start = lexer.clone();
    let item = match fetch::item(lexer)? {
        FetchItem::Rfc822 => item("RFC822", SectionText::Whole, false),
        FetchItem::Rfc822Header => item("RFC822.HEADER", SectionText::Header, true),
        FetchItem::Rfc822Text => item("RFC822.TEXT", SectionText::Text, false),
        item @ FetchItem::Obsolete { .. } => item,
        FetchItem::Section {
            section,
            peek,
            partial: None,
        } => {
            let mut name = Vec::new();
            render::section_label(&mut name, &section, None);
            FetchItem::Obsolete {
                name: String::from_utf8_lossy(&name).into(),
                section,
                peek,
                partial: None,
            }
        }
        _ => return start.fail(EXPECTED),
    };
    lexer.space()?;
    let start = lexer.clone();
    let Some(first) = lexer.number()?.checked_sub(1) else {
        return start.fail("a first byte, counted from 1");
    };
    lexer.space()?;
    let count = lexer.number()?;
    let FetchItem::Obsolete {
        name,
        section,
        peek,
        ..
    } = item
    else {
        return start.fail(EXPECTED);
    };
    let item = FetchItem::Obsolete {
        name,
        section,
        peek,
        partial: Some((first, count)),
    };
    Ok(Command::Fetch {
        uid: false,
        set: SequenceSet(vec![(SetNumber::Value(number), SetNumber::Value(number))]),
        items: vec![item],
        changed_since: None,
        vanished: false,
        partial: None,
    })
}
