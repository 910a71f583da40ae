//! Messages come: APPEND, delivery, uploads.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use mail::reply::Appended;
use mail::request::{NewMessage, Target};
use mail::{
    Body, Change, EmailId, Event, Flags, InternalDate, MailboxId, MailboxName, ModSeq, Refusal,
    Reply, Rights, SpoolId, Uid, UserId,
};

use crate::making::ensure_user;
use crate::quotas;
use crate::state::{Message, State};
use crate::{Limits, Outcome, access, refused};

pub(crate) fn spool(
    state: &mut State,
    limits: &Limits,
    spool: Option<SpoolId>,
    chunk: &Bytes,
) -> Outcome {
    let id = match spool {
        Some(id) if !state.spools.contains_key(&id) => {
            return refused(Refusal::Cannot("no such upload"));
        }
        Some(id) => id,
        None => SpoolId(state.next_body()),
    };
    let bytes = state.spools.entry(id).or_default();
    if (bytes.len() + chunk.len()) as u64 > limits.message_bytes_max {
        state.spools.remove(&id);
        return refused(Refusal::TooBig(limits.message_bytes_max));
    }
    bytes.extend_from_slice(chunk);
    (Reply::Spooled(id), vec![])
}

/// What the content of a body will be known by, if the last one had this number.
fn email(last_body: &mut u64, body: &Body) -> EmailId {
    match body {
        Body::Inline(_) => {
            *last_body += 1;
            EmailId(*last_body)
        }
        Body::Spooled(spool) => EmailId(spool.0),
    }
}

/// A message's bytes; its upload is used up either way.
fn take(state: &mut State, limits: &Limits, body: Body) -> Result<Bytes, Refusal> {
    let bytes = match body {
        Body::Inline(bytes) => bytes,
        Body::Spooled(spool) => match state.spools.remove(&spool) {
            Some(bytes) => bytes.freeze(),
            None => return Err(Refusal::Cannot("no such upload")),
        },
    };
    if bytes.len() as u64 > limits.message_bytes_max {
        return Err(Refusal::TooBig(limits.message_bytes_max));
    }
    Ok(bytes)
}

/// Whether a user has room for more; charges it if so.
pub(crate) fn charge(
    state: &mut State,
    limits: &Limits,
    user: UserId,
    bytes: u64,
    messages: u64,
) -> bool {
    let account = state.account(user);
    let most = quotas::limits(limits, account);
    let over = |used, limit: Option<u64>| limit.is_some_and(|limit| used > limit);
    let (bytes, messages) = (account.bytes + bytes, account.messages + messages);
    if over(bytes, most.bytes) || over(messages, most.messages) {
        return false;
    }
    (account.bytes, account.messages) = (bytes, messages);
    true
}

pub(crate) fn append(
    state: &mut State,
    limits: &Limits,
    user: UserId,
    name: &MailboxName,
    (flags, date): (Flags, InternalDate),
    body: Body,
) -> Outcome {
    let counts = matches!(body, Body::Inline(_));
    let email = email(&mut state.last_body.clone(), &body);
    let bytes = match take(state, limits, body) {
        Ok(bytes) => bytes,
        Err(refusal) => return refused(refusal),
    };
    let id = match access::may(state, user, name, Rights::INSERT) {
        Ok(id) => id,
        Err(refusal) => return refused(refusal),
    };
    let flags = access::rights(state, id, user).changeable(&flags);
    // On a copy: a refusal for quota must not leave the keywords behind.
    let mut mailbox = state.changing(id).clone();
    let Some(flags) = mailbox.adopt(&flags, limits.keywords_max, &mut BTreeSet::new()) else {
        return refused(Refusal::Limit(
            "the mailbox has as many keywords as it may have",
        ));
    };
    let owner = mailbox.user;
    if !charge(state, limits, owner, bytes.len() as u64, 1) {
        return refused(Refusal::OverQuota);
    }
    let known = std::mem::replace(&mut state.changing(id).keywords, mailbox.keywords);
    if counts {
        state.next_body();
    }
    let message = arriving(Arc::new(flags), date, (email, bytes), None);
    let (appended, event) = deposit(state, id, vec![message], &known);
    (Reply::Appended(appended), vec![event])
}

/// Several messages as one operation: all or nothing.
pub(crate) fn append_all(
    state: &mut State,
    limits: &Limits,
    now: InternalDate,
    user: UserId,
    name: &MailboxName,
    messages: Vec<NewMessage>,
) -> Outcome {
    let count = messages.len() as u32;
    let inline = messages
        .iter()
        .filter(|it| matches!(it.body, Body::Inline(_)));
    let inline = inline.count();
    // Each upload is used up, whatever becomes of the others.
    let mut last_body = state.last_body;
    let taken: Vec<_> = messages
        .into_iter()
        .map(|it| {
            let email = email(&mut last_body, &it.body);
            let bytes = take(state, limits, it.body);
            let content = bytes.map(|bytes| (email, bytes));
            (it.flags, it.date.unwrap_or(now), content)
        })
        .collect();
    let mut came = Vec::new();
    for (flags, date, content) in taken {
        match content {
            Ok(content) => came.push((flags, date, content)),
            Err(refusal) => return refused(refusal),
        }
    }
    let id = match access::may(state, user, name, Rights::INSERT) {
        Ok(id) => id,
        Err(refusal) => return refused(refusal),
    };
    let rights = access::rights(state, id, user);
    let mut mailbox = state.changing(id).clone();
    let (mut places, mut adopted) = (BTreeSet::new(), Vec::new());
    for (flags, date, content) in came {
        let flags = rights.changeable(&flags);
        let Some(flags) = mailbox.adopt(&flags, limits.keywords_max, &mut places) else {
            return refused(Refusal::Limit(
                "the mailbox has as many keywords as it may have",
            ));
        };
        adopted.push(arriving(Arc::new(flags), date, content, None));
    }
    let bytes = adopted.iter().map(Message::size).sum();
    let owner = mailbox.user;
    if !charge(state, limits, owner, bytes, count.into()) {
        return refused(Refusal::OverQuota);
    }
    let known = std::mem::replace(&mut state.changing(id).keywords, mailbox.keywords);
    (0..inline).for_each(|_| {
        state.next_body();
    });
    let (first, event) = deposit(state, id, adopted, &known);
    (Reply::AppendedAll { first, count }, vec![event])
}

/// A message that has no place yet.
fn arriving(
    flags: Arc<Flags>,
    date: InternalDate,
    (email, bytes): (EmailId, Bytes),
    submitter: Option<Box<str>>,
) -> Message {
    Message {
        saved: date,
        email,
        created: ModSeq(0),
        modseq: ModSeq(0),
        flags,
        date,
        bytes,
        submitter,
    }
}

/// Adds messages as one operation that began with `known` as the mailbox's keywords. Gives where
/// the first one went, and the event.
pub(crate) fn deposit(
    state: &mut State,
    id: MailboxId,
    messages: Vec<Message>,
    known: &[Arc<str>],
) -> (Appended, Arc<Event>) {
    let saved = state.now;
    let mailbox = state.changing(id);
    let prev = mailbox.modseq;
    let seq = mailbox.step();
    let uid_validity = mailbox.uid_validity;
    let appended = Appended {
        mailbox: id,
        uid_validity,
        uid: mailbox.uid_next,
        modseq: seq,
    };
    let mut changes = Vec::new();
    for message in messages {
        let uid = mailbox.uid_next;
        mailbox.uid_next = Uid(uid.0 + 1);
        let flags = message.flags.clone();
        let message = Message {
            created: seq,
            modseq: seq,
            saved,
            ..message
        };
        mailbox.messages.insert(uid, message);
        changes.push(Change::New {
            uid,
            exists: mailbox.messages.len() as u32,
            flags,
        });
    }
    mailbox.introduce(known, &mut changes);
    (
        appended,
        Arc::new(Event {
            mailbox: id,
            prev,
            seq,
            changes,
            deleted: false,
        }),
    )
}

/// One message to many; a mailbox that is named twice gets it once.
pub(crate) fn deliver(
    state: &mut State,
    limits: &Limits,
    now: InternalDate,
    targets: &[Target],
    (body, submitter): (Body, Option<Box<str>>),
) -> Outcome {
    let counts = matches!(body, Body::Inline(_));
    let email = email(&mut state.last_body.clone(), &body);
    let bytes = match take(state, limits, body) {
        Ok(bytes) => bytes,
        Err(refusal) => {
            return (Reply::Delivered(vec![Err(refusal); targets.len()]), vec![]);
        }
    };
    let mut results: Vec<Result<Appended, Refusal>> = Vec::new();
    let mut events = Vec::new();
    for target in targets {
        let user = ensure_user(state, now, &target.user);
        let folder = state.named(user, &target.folder);
        let posts = |id: &MailboxId| access::rights(state, *id, user).contains(Rights::POST);
        let id = folder
            .filter(posts)
            .or_else(|| state.named(user, &MailboxName::inbox()))
            .expect("a user has an INBOX");
        let already = results
            .iter()
            .flatten()
            .find(|appended| appended.mailbox == id)
            .copied();
        results.push(match already {
            Some(appended) => Ok(appended),
            None if charge(state, limits, user, bytes.len() as u64, 1) => {
                let known = state.changing(id).keywords.clone();
                let content = (email, bytes.clone());
                let message = arriving(Arc::default(), now, content, submitter.clone());
                let (appended, event) = deposit(state, id, vec![message], &known);
                events.push(event);
                Ok(appended)
            }
            None => Err(Refusal::OverQuota),
        });
    }
    if counts && !events.is_empty() {
        state.next_body();
    }
    (Reply::Delivered(results), events)
}
