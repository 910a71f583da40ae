//! Commands about mailboxes (RFC 3501 §6.3), with LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819)
//! and SPECIAL-USE (RFC 6154).

use mail::MailboxName;
use mail::name::DELIMITER;
use mail::request::SpecialUse;

use crate::imap::ast::{Command, List, StatusItem};
use crate::imap::lexer::{Lexer, Parsed, is_astring_char};
use crate::imap::mutf7;

/// Patterns that one LIST may have.
const PATTERNS_MAX: usize = 64;

pub(super) fn command(lexer: &mut Lexer<'_>, word: &str) -> Parsed<Option<Command>> {
    Ok(Some(match word {
        "SELECT" | "EXAMINE" => {
            lexer.space()?;
            let mailbox = name(lexer)?;
            let condstore = select_parameters(lexer)?;
            Command::Select {
                mailbox,
                read_only: word == "EXAMINE",
                condstore,
            }
        }
        "CREATE" => create(lexer)?,
        "DELETE" => {
            lexer.space()?;
            Command::Delete(name(lexer)?)
        }
        "RENAME" => {
            lexer.space()?;
            let from = name(lexer)?;
            lexer.space()?;
            Command::Rename {
                from,
                to: name(lexer)?,
            }
        }
        "SUBSCRIBE" => {
            lexer.space()?;
            Command::Subscribe(name(lexer)?)
        }
        "UNSUBSCRIBE" => {
            lexer.space()?;
            Command::Unsubscribe(name(lexer)?)
        }
        "LIST" => list(lexer)?,
        "LSUB" => {
            lexer.space()?;
            let reference = decoded(lexer)?;
            lexer.space()?;
            Command::Lsub {
                reference,
                pattern: pattern(lexer)?,
            }
        }
        "STATUS" => {
            lexer.space()?;
            let mailbox = name(lexer)?;
            lexer.space()?;
            Command::Status {
                mailbox,
                items: lexer.list(false, status_item)?,
            }
        }
        _ => return Ok(None),
    }))
}

/// A mailbox name; a trailing delimiter is no part of it (RFC 3501 §6.3.3).
pub(super) fn name(lexer: &mut Lexer<'_>) -> Parsed<MailboxName> {
    let text = decoded(lexer)?;
    let trimmed = match text.strip_suffix(DELIMITER) {
        Some(trimmed) if !trimmed.is_empty() => trimmed,
        _ => &text,
    };
    Ok(MailboxName::new(trimmed))
}

/// An astring in modified UTF-7; bare UTF-8 is taken as well.
fn decoded(lexer: &mut Lexer<'_>) -> Parsed<Box<str>> {
    let start = lexer.clone();
    let bytes = lexer.astring()?;
    match mutf7::decode(&bytes) {
        Ok(text) => Ok(text.into()),
        Err(expected) => start.fail(expected),
    }
}

/// `list-mailbox`: an astring in which `%` and `*` may stand bare.
fn pattern(lexer: &mut Lexer<'_>) -> Parsed<Box<str>> {
    if matches!(lexer.peek(), Some(b'"' | b'{')) {
        return decoded(lexer);
    }
    let start = lexer.clone();
    let is_list_char = |b| is_astring_char(b) || b == b'%' || b == b'*';
    let bytes = lexer.take_while(is_list_char, "a mailbox pattern")?;
    match mutf7::decode(bytes) {
        Ok(text) => Ok(text.into()),
        Err(expected) => start.fail(expected),
    }
}

fn select_parameters(lexer: &mut Lexer<'_>) -> Parsed<bool> {
    if !lexer.take(b' ') {
        return Ok(false);
    }
    lexer.list(false, |lexer| {
        if lexer.keyword("CONDSTORE") {
            Ok(())
        } else {
            lexer.fail("CONDSTORE")
        }
    })?;
    Ok(true)
}

fn create(lexer: &mut Lexer<'_>) -> Parsed<Command> {
    lexer.space()?;
    let mailbox = name(lexer)?;
    let mut special_use = Vec::new();
    if lexer.take(b' ') {
        lexer.need(b'(', "(USE …)")?;
        if !lexer.keyword("USE") {
            return lexer.fail("USE");
        }
        lexer.space()?;
        special_use = lexer.list(true, use_attribute)?;
        lexer.need(b')', ")")?;
    }
    Ok(Command::Create {
        mailbox,
        special_use,
    })
}

fn use_attribute(lexer: &mut Lexer<'_>) -> Parsed<SpecialUse> {
    const EXPECTED: &str = "a special-use attribute such as \\Sent";
    let start = lexer.clone();
    lexer.need(b'\\', EXPECTED)?;
    Ok(match lexer.word(EXPECTED)?.as_str() {
        "ALL" => SpecialUse::All,
        "ARCHIVE" => SpecialUse::Archive,
        "DRAFTS" => SpecialUse::Drafts,
        "FLAGGED" => SpecialUse::Flagged,
        "JUNK" => SpecialUse::Junk,
        "SENT" => SpecialUse::Sent,
        "TRASH" => SpecialUse::Trash,
        _ => return start.fail(EXPECTED),
    })
}

/// RFC 5258 §6 `list`.
fn list(lexer: &mut Lexer<'_>) -> Parsed<Command> {
    let mut list = List::default();
    lexer.space()?;
    if lexer.peek() == Some(b'(') {
        list.extended = true;
        lexer.list(true, |lexer| select_option(lexer, &mut list))?;
        if list.select.recursive_match && !list.select.subscribed {
            // RFC 5258 §3.1: it can't stand alone.
            return lexer.fail("a selection option beside RECURSIVEMATCH");
        }
        lexer.space()?;
    }
    list.reference = decoded(lexer)?;
    lexer.space()?;
    if lexer.peek() == Some(b'(') {
        list.extended = true;
        list.patterns = lexer.list(false, pattern)?;
        if list.patterns.len() > PATTERNS_MAX {
            return lexer.fail("fewer patterns");
        }
    } else {
        list.patterns = vec![pattern(lexer)?];
    }
    if lexer.take(b' ') {
        list.extended = true;
        if !lexer.keyword("RETURN") {
            return lexer.fail("RETURN");
        }
        lexer.space()?;
        lexer.list(true, |lexer| return_option(lexer, &mut list))?;
    }
    Ok(Command::List(list))
}

fn select_option(lexer: &mut Lexer<'_>, list: &mut List) -> Parsed<()> {
    const EXPECTED: &str = "SUBSCRIBED, REMOTE, RECURSIVEMATCH or SPECIAL-USE";
    let start = lexer.clone();
    match lexer.word(EXPECTED)?.as_str() {
        "SUBSCRIBED" => list.select.subscribed = true,
        "REMOTE" => list.select.remote = true,
        "RECURSIVEMATCH" => list.select.recursive_match = true,
        "SPECIAL-USE" => list.select.special_use = true,
        _ => return start.fail(EXPECTED),
    }
    Ok(())
}

fn return_option(lexer: &mut Lexer<'_>, list: &mut List) -> Parsed<()> {
    const EXPECTED: &str = "SUBSCRIBED, CHILDREN, SPECIAL-USE or STATUS";
    let start = lexer.clone();
    match lexer.word(EXPECTED)?.as_str() {
        "SUBSCRIBED" => list.returns.subscribed = true,
        "CHILDREN" => list.returns.children = true,
        "SPECIAL-USE" => list.returns.special_use = true,
        "STATUS" => {
            lexer.space()?;
            list.returns.status = Some(lexer.list(false, status_item)?);
        }
        _ => return start.fail(EXPECTED),
    }
    Ok(())
}

fn status_item(lexer: &mut Lexer<'_>) -> Parsed<StatusItem> {
    const EXPECTED: &str = "MESSAGES, RECENT, UIDNEXT, UIDVALIDITY, UNSEEN or HIGHESTMODSEQ";
    let start = lexer.clone();
    Ok(match lexer.word(EXPECTED)?.as_str() {
        "MESSAGES" => StatusItem::Messages,
        "RECENT" => StatusItem::Recent,
        "UIDNEXT" => StatusItem::UidNext,
        "UIDVALIDITY" => StatusItem::UidValidity,
        "UNSEEN" => StatusItem::Unseen,
        "HIGHESTMODSEQ" => StatusItem::HighestModSeq,
        _ => return start.fail(EXPECTED),
    })
}
