//! NOTIFY (RFC 5465 §8, with the parentheses of erratum 1804).

use mail::MailboxName;

use super::{fetch, mailbox};
use crate::imap::ast::{Command, EventGroup, FetchItem, NotifyEvent, NotifyMailboxes, NotifySet};
use crate::imap::lexer::{Lexer, Parsed};

/// Event groups that one command may have.
const GROUPS_MAX: usize = 64;
/// Events of one group.
const EVENTS_MAX: usize = 32;
/// Names of mailboxes in one command.
const NAMES_MAX: usize = 1000;
/// What may be asked for of new messages.
const ITEMS_MAX: usize = 32;

/// How long that may be: it is kept for as long as NOTIFY holds.
const ITEMS_BYTES_MAX: usize = 2048;

/// ```text
/// notify       = "NOTIFY" SP (notify-set / notify-none)          ; RFC 5465 §8
/// notify-set   = "SET" [SP "STATUS"] SP event-groups
/// notify-none  = "NONE"
/// event-groups = event-group *(SP event-group)
/// ```
pub(super) fn notify(lexer: &mut Lexer<'_>) -> Parsed<Command> {
    const EXPECTED: &str = "SET or NONE";
    lexer.space()?;
    let start = lexer.clone();
    match lexer.word(EXPECTED)?.as_str() {
        "NONE" => return Ok(Command::Notify(None)),
        "SET" => {}
        _ => return start.fail(EXPECTED),
    }
    lexer.space()?;
    let mut set = NotifySet::default();
    if lexer.keyword("STATUS") {
        set.status = true;
        lexer.space()?;
    }
    let mut names = 0;
    loop {
        let start = lexer.clone();
        let group = event_group(lexer)?;
        if let NotifyMailboxes::Subtree(more) | NotifyMailboxes::Mailboxes(more) = &group.mailboxes
        {
            names += more.len();
        }
        let selects = |group: &EventGroup| {
            let mailboxes = &group.mailboxes;
            use NotifyMailboxes::{Selected, SelectedDelayed};
            matches!(mailboxes, Selected | SelectedDelayed)
        };
        // RFC 5465 §6.1
        if selects(&group) && set.groups.iter().any(selects) {
            return start.fail("SELECTED or SELECTED-DELAYED once");
        }
        set.groups.push(group);
        if set.groups.len() > GROUPS_MAX || names > NAMES_MAX {
            return start.fail("at most 64 event groups with 1000 names in all");
        }
        if !lexer.take(b' ') {
            return Ok(Command::Notify(Some(Box::new(set))));
        }
    }
}

/// ```text
/// event-group = "(" filter-mailboxes SP events ")"
/// events      = ("(" event *(SP event) ")") / "NONE"
/// ```
fn event_group(lexer: &mut Lexer<'_>) -> Parsed<EventGroup> {
    lexer.need(b'(', "(")?;
    let mailboxes = filter(lexer)?;
    lexer.space()?;
    let start = lexer.clone();
    let events = match lexer.keyword("NONE") {
        true => vec![],
        false => lexer.list(false, event)?,
    };
    lexer.need(b')', ")")?;
    if let Some(why) = contradiction(&mailboxes, &events) {
        return start.fail(why);
    }
    Ok(EventGroup { mailboxes, events })
}

/// Why these events can't be asked for of these mailboxes, if so (RFC 5465 §5, §6.1).
fn contradiction(mailboxes: &NotifyMailboxes, events: &[NotifyEvent]) -> Option<&'static str> {
    use NotifyEvent as E;
    if events.len() > EVENTS_MAX {
        return Some("at most 32 events");
    }
    let has = |is_it: fn(&E) -> bool| events.iter().any(is_it);
    let new = has(|event| matches!(event, E::MessageNew(_)));
    let expunge = has(|event| *event == E::MessageExpunge);
    if new != expunge {
        return Some("MessageNew and MessageExpunge together");
    }
    if has(|event| *event == E::FlagChange) && !new {
        return Some("MessageNew and MessageExpunge beside FlagChange");
    }
    let selects = matches!(
        mailboxes,
        NotifyMailboxes::Selected | NotifyMailboxes::SelectedDelayed
    );
    let is_of_messages = |event: &E| {
        use E::{FlagChange, MessageExpunge, MessageNew, Unknown};
        matches!(event, MessageNew(_) | MessageExpunge | FlagChange | Unknown)
    };
    if selects && !events.iter().all(is_of_messages) {
        return Some("events of messages alone with SELECTED");
    }
    let items = |event: &E| matches!(event, E::MessageNew(items) if !items.is_empty());
    if !selects && events.iter().any(items) {
        return Some("FETCH items with SELECTED alone");
    }
    None
}

/// ```text
/// filter-mailboxes = "SELECTED" / "SELECTED-DELAYED" / "INBOXES" / "PERSONAL" / "SUBSCRIBED" /
///                    (("SUBTREE" / "MAILBOXES") SP one-or-more-mailbox)
/// ```
fn filter(lexer: &mut Lexer<'_>) -> Parsed<NotifyMailboxes> {
    use NotifyMailboxes as M;
    const EXPECTED: &str = "SELECTED, SELECTED-DELAYED, INBOXES, PERSONAL, SUBSCRIBED, SUBTREE or \
                            MAILBOXES";
    let start = lexer.clone();
    Ok(match lexer.word(EXPECTED)?.as_str() {
        "SELECTED" => M::Selected,
        "SELECTED-DELAYED" => M::SelectedDelayed,
        "INBOXES" => M::Inboxes,
        "PERSONAL" => M::Personal,
        "SUBSCRIBED" => M::Subscribed,
        "SUBTREE" => M::Subtree(names(lexer)?),
        "MAILBOXES" => M::Mailboxes(names(lexer)?),
        _ => return start.fail(EXPECTED),
    })
}

/// ```text
/// one-or-more-mailbox = mailbox / ("(" mailbox *(SP mailbox) ")")
/// ```
pub(super) fn names(lexer: &mut Lexer<'_>) -> Parsed<Vec<MailboxName>> {
    lexer.space()?;
    match lexer.peek() {
        Some(b'(') => lexer.list(false, mailbox::name),
        _ => Ok(vec![mailbox::name(lexer)?]),
    }
}

/// ```text
/// event         = message-event / mailbox-event / user-event / event-ext
/// message-event = ("MessageNew" [SP "(" fetch-att *(SP fetch-att) ")"]) / "MessageExpunge" /
///                 "FlagChange" / "AnnotationChange"
/// mailbox-event = "MailboxName" / "SubscriptionChange" / "MailboxMetadataChange"
/// user-event    = "ServerMetadataChange"
/// event-ext     = atom
/// ```
fn event(lexer: &mut Lexer<'_>) -> Parsed<NotifyEvent> {
    let name = lexer.atom("an event")?.to_ascii_uppercase();
    Ok(match name.as_str() {
        "MESSAGENEW" => NotifyEvent::MessageNew(new_items(lexer)?),
        "MESSAGEEXPUNGE" => NotifyEvent::MessageExpunge,
        "FLAGCHANGE" => NotifyEvent::FlagChange,
        "MAILBOXNAME" => NotifyEvent::MailboxName,
        "SUBSCRIPTIONCHANGE" => NotifyEvent::SubscriptionChange,
        "MAILBOXMETADATACHANGE" => NotifyEvent::MailboxMetadataChange,
        "SERVERMETADATACHANGE" => NotifyEvent::ServerMetadataChange,
        _ => NotifyEvent::Unknown,
    })
}

/// What is told of new messages, if that comes next; in brackets, with a space before or without.
pub(super) fn new_items(lexer: &mut Lexer<'_>) -> Parsed<Vec<FetchItem>> {
    let mut after = lexer.clone();
    after.take(b' ');
    if after.peek() != Some(b'(') {
        return Ok(vec![]);
    }
    *lexer = after;
    let start = lexer.clone();
    let items = lexer.list(false, fetch::item)?;
    match items.len() > ITEMS_MAX || lexer.position() - start.position() > ITEMS_BYTES_MAX {
        true => start.fail("at most 32 FETCH items in 2048 bytes"),
        false => Ok(items),
    }
}
