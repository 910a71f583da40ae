//! Commands about mailboxes (RFC 3501 §6.3), with LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819)
//! and SPECIAL-USE (RFC 6154).

use mail::MailboxName;
use mail::SpecialUse;
use mail::name::DELIMITER;

use super::resync;
use crate::imap::ast::{Command, List, StatusItem};
use crate::imap::lexer::{Fault, Lexer, Parsed, is_astring_char};

/// Patterns that one LIST may have.
const PATTERNS_MAX: usize = 64;
/// Bytes that several patterns may have; for a single one the limit of a name holds.
const PATTERNS_BYTES_MAX: usize = 4096;

/// ```text
/// select  = "SELECT" SP mailbox [select-params]   ; examine the same; RFC 3501 §9, RFC 4466 §3
/// delete  = "DELETE" SP mailbox                   ; subscribe and unsubscribe the same
/// rename  = "RENAME" SP mailbox SP mailbox
/// lsub    = "LSUB" SP mailbox SP list-mailbox
/// status  = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"
/// ```
pub(super) fn command(lexer: &mut Lexer<'_>, word: &str) -> Parsed<Option<Command>> {
    Ok(Some(match word {
        "SELECT" | "EXAMINE" => {
            lexer.space()?;
            let mailbox = name(lexer)?;
            let (condstore, resync) = resync::select_parameters(lexer)?;
            Command::Select {
                mailbox,
                read_only: word == "EXAMINE",
                condstore,
                resync,
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
            let pattern = pattern(lexer)?;
            Command::Lsub(listed(reference, vec![pattern], List::default()))
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
///
/// ```text
/// mailbox = "INBOX" / astring                     ; RFC 3501 §9
/// ```
pub(super) fn name(lexer: &mut Lexer<'_>) -> Parsed<MailboxName> {
    let start = lexer.clone();
    let text = match decoded(lexer)? {
        Ok(text) => text,
        Err(expected) => return start.fail_as(Fault::Name, expected),
    };
    let trimmed = match text.strip_suffix(DELIMITER) {
        Some(trimmed) if !trimmed.is_empty() => trimmed,
        _ => &text,
    };
    Ok(MailboxName::new(trimmed))
}

/// A name as text, or why it is none.
pub(super) type Decoded = Result<Box<str>, &'static str>;

/// An astring in the client's form; bare UTF-8 is taken in both.
fn decoded(lexer: &mut Lexer<'_>) -> Parsed<Decoded> {
    let bytes = lexer.astring()?;
    Ok(lexer.form().decode(&bytes).map(Into::into))
}

/// An astring in which `%` and `*` may stand bare.
///
/// ```text
/// list-mailbox = 1*list-char / string             ; RFC 3501 §9
/// list-char    = ATOM-CHAR / list-wildcards / resp-specials
/// ```
pub(super) fn pattern(lexer: &mut Lexer<'_>) -> Parsed<Decoded> {
    if matches!(lexer.peek(), Some(b'"' | b'{')) {
        return decoded(lexer);
    }
    let is_list_char = |b| is_astring_char(b) || b == b'%' || b == b'*';
    let bytes = lexer.take_while(is_list_char, "a mailbox pattern")?;
    Ok(lexer.form().decode(bytes).map(Into::into))
}

/// The list with what can name a mailbox of reference and patterns: the rest matches nothing.
fn listed(reference: Decoded, patterns: Vec<Decoded>, list: List) -> List {
    let (reference, patterns) = match reference {
        Ok(reference) => (reference, patterns.into_iter().flatten().collect()),
        Err(_) => (Box::default(), vec![]),
    };
    List {
        reference,
        patterns,
        ..list
    }
}

/// ```text
/// create = "CREATE" SP mailbox [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]
///                                                 ; RFC 3501 §9, RFC 6154 §6
/// ```
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

/// ```text
/// use-attr = "\All" / "\Archive" / "\Drafts" / "\Flagged" / "\Junk" / "\Sent" / "\Trash"
///                                                 ; RFC 6154 §6
/// ```
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

/// ```text
/// list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
///                                                 ; RFC 5258 §6
/// ```
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
    let reference = decoded(lexer)?;
    lexer.space()?;
    let patterns = if lexer.peek() == Some(b'(') {
        list.extended = true;
        lexer.list(false, pattern)?
    } else {
        vec![pattern(lexer)?]
    };
    let bytes: usize = patterns.iter().flatten().map(|pattern| pattern.len()).sum();
    if patterns.len() > PATTERNS_MAX || patterns.len() > 1 && bytes > PATTERNS_BYTES_MAX {
        return lexer.fail("at most 64 patterns with 4096 bytes in all");
    }
    if lexer.take(b' ') {
        list.extended = true;
        if !lexer.keyword("RETURN") {
            return lexer.fail("RETURN");
        }
        lexer.space()?;
        lexer.list(true, |lexer| return_option(lexer, &mut list))?;
    }
    Ok(Command::List(listed(reference, patterns, list)))
}

/// ```text
/// list-select-opt = "SUBSCRIBED" / "REMOTE" / "RECURSIVEMATCH" / "SPECIAL-USE"
///                                                 ; RFC 5258 §6, RFC 6154 §6
/// ```
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

/// ```text
/// return-option = "SUBSCRIBED" / "CHILDREN" / "SPECIAL-USE" / "MYRIGHTS" /
///                 "STATUS" SP "(" status-att *(SP status-att) ")" / "METADATA" SP entries
///                         ; RFC 5258 §6, RFC 6154 §6, RFC 5819 §4, RFC 8440 §5, RFC 9590 §5
/// ```
fn return_option(lexer: &mut Lexer<'_>, list: &mut List) -> Parsed<()> {
    const EXPECTED: &str = "a return option such as CHILDREN";
    let start = lexer.clone();
    match lexer.word(EXPECTED)?.as_str() {
        "SUBSCRIBED" => list.returns.subscribed = true,
        "CHILDREN" => list.returns.children = true,
        "MYRIGHTS" => list.returns.my_rights = true,
        "SPECIAL-USE" => list.returns.special_use = true,
        "STATUS" => {
            lexer.space()?;
            list.returns.status = Some(lexer.list(false, status_item)?);
        }
        "METADATA" => {
            lexer.space()?;
            list.returns.metadata = Some(super::entries::returned(lexer)?);
        }
        _ => return start.fail(EXPECTED),
    }
    Ok(())
}

/// ```text
/// status-att = "MESSAGES" / "RECENT" / "UIDNEXT" / "UIDVALIDITY" / "UNSEEN" / "HIGHESTMODSEQ" /
///              "SIZE" / "APPENDLIMIT" / "DELETED" / "DELETED-STORAGE" / "MAILBOXID"
///              ; RFC 3501 §9, RFC 7162 §7, RFC 8438 §4, RFC 7889 §5, RFC 9208 §7, RFC 8474 §7
/// ```
fn status_item(lexer: &mut Lexer<'_>) -> Parsed<StatusItem> {
    const EXPECTED: &str = "a status item such as MESSAGES";
    let start = lexer.clone();
    Ok(match lexer.word(EXPECTED)?.as_str() {
        "MESSAGES" => StatusItem::Messages,
        "RECENT" => StatusItem::Recent,
        "UIDNEXT" => StatusItem::UidNext,
        "UIDVALIDITY" => StatusItem::UidValidity,
        "UNSEEN" => StatusItem::Unseen,
        "HIGHESTMODSEQ" => StatusItem::HighestModSeq,
        "SIZE" => StatusItem::Size,
        "APPENDLIMIT" => StatusItem::AppendLimit,
        "MAILBOXID" => StatusItem::MailboxId,
        "DELETED" => StatusItem::Deleted,
        "DELETED-STORAGE" => StatusItem::DeletedStorage,
        _ => return start.fail(EXPECTED),
    })
}
