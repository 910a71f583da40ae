//! Messages come: deliveries, uploads, and what all ways have in common.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use mail::reply::Appended;
use mail::request::Target;
use mail::{Body, Event, MailboxId, MailboxName, ModSeq, Refusal, Reply, Rights, SpoolId, Uid};

use super::access;
use super::keywords::introduce;
use super::numbers::{self, Numbered};
use super::quotas::charge;
use super::tables::PIECE_BYTES;
use super::{Applied, Rules, ensure_user, keys, notifications, refused, tables};
use crate::Error;
use crate::kv::{Kv, Space, Transaction};
use crate::notification::{How, MessageChange};
use crate::rows::{Mailbox, MessageRow, u64_row};

pub(super) fn spool(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    spool: Option<SpoolId>,
    chunk: &Bytes,
) -> Result<Applied, Error> {
    let id = match spool {
        Some(id) => id,
        None => numbers::spool(txn, rules.block())?,
    };
    let key = keys::number(id.0);
    let size = match (txn.get(Space::Spools, &key)?, spool) {
        (Some(row), _) => u64_row(&row)?,
        (None, None) => 0,
        (None, Some(_)) => return refused(Refusal::Cannot("no such upload")),
    };
    let total = size + chunk.len() as u64;
    if total > rules.options.message_bytes_max {
        tables::remove_pieces(txn, id.0, size);
        txn.delete(Space::Spools, &key);
        return refused(Refusal::TooBig(rules.options.message_bytes_max));
    }
    write_pieces(txn, id.0, size, chunk)?;
    txn.put(Space::Spools, &key, keys::number(total));
    Ok((Reply::Spooled(id), vec![]).into())
}

/// Writes bytes at the end of a body that has `at` so far.
fn write_pieces(
    txn: &mut Transaction<'_>,
    body: u64,
    mut at: u64,
    bytes: &Bytes,
) -> Result<(), Error> {
    let mut rest = bytes.clone();
    while !rest.is_empty() {
        let key = keys::piece(body, (at / PIECE_BYTES) as u32);
        let filled = at % PIECE_BYTES;
        let part = rest.split_to(rest.len().min((PIECE_BYTES - filled) as usize));
        at += part.len() as u64;
        if filled == 0 {
            txn.put(Space::Bodies, &key, part);
        } else {
            let before = txn.get(Space::Bodies, &key)?.unwrap_or_default();
            let mut joined = BytesMut::from(&before[..]);
            joined.extend_from_slice(&part);
            txn.put(Space::Bodies, &key, joined.freeze());
        }
    }
    Ok(())
}

pub(super) fn discard(txn: &mut Transaction<'_>, spool: SpoolId) -> Result<Applied, Error> {
    let key = keys::number(spool.0);
    if let Some(row) = txn.get(Space::Spools, &key)? {
        tables::remove_pieces(txn, spool.0, u64_row(&row)?);
        txn.delete(Space::Spools, &key);
    }
    Ok((Reply::Done, vec![]).into())
}

/// A body that messages may use: its id and size, and how long its header is, if that is at hand.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    pub body: u64,
    pub size: u64,
    pub header: Option<u64>,
}

/// Bytes of a message's header, with the empty line; all, if there is none.
fn header_length(message: &[u8]) -> u64 {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n");
    end.map_or(message.len(), |end| end + 4) as u64
}

/// How many bytes a body has, or why it can't be stored.
pub(super) fn size_of(
    kv: &dyn Kv,
    rules: &Rules,
    body: &Body,
) -> Result<Result<u64, Refusal>, Error> {
    let size = match body {
        Body::Inline(bytes) => bytes.len() as u64,
        Body::Spooled(spool) => match kv.get(Space::Spools, &keys::number(spool.0))? {
            Some(row) => u64_row(&row)?,
            None => return Ok(Err(Refusal::Cannot("no such upload"))),
        },
    };
    let max = rules.options.message_bytes_max;
    Ok(if size > max {
        Err(Refusal::TooBig(max))
    } else {
        Ok(size)
    })
}

/// Puts a body where messages find it, and has sort keys made of it.
pub(super) fn keep(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    body: Body,
    size: u64,
) -> Result<Stored, Error> {
    keep_as(txn, rules, (body, None), size)
}

/// The same, with the number that it has elsewhere, if it can have that.
pub(super) fn keep_as(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    (body, was): (Body, Option<u64>),
    size: u64,
) -> Result<Stored, Error> {
    let mut header = None;
    let body = match body {
        Body::Inline(bytes) => {
            let id = match numbers::body(txn, rules.block(), was, &bytes)? {
                Numbered::Free(id) => id,
                Numbered::Shared(body) => {
                    let header = Some(header_length(&bytes));
                    return Ok(Stored { body, size, header });
                }
            };
            write_pieces(txn, id, 0, &bytes)?;
            header = Some(header_length(&bytes));
            rules.note_body(id, bytes);
            id
        }
        Body::Spooled(spool) => {
            txn.delete(Space::Spools, &keys::number(spool.0));
            if rules.came.is_some()
                && let Some(first) = txn.get(Space::Bodies, &keys::piece(spool.0, 0))?
            {
                rules.note_body(spool.0, first);
            }
            spool.0
        }
    };
    Ok(Stored { body, size, header })
}

/// The upload of a body that was refused is consumed too.
pub(super) fn forget(txn: &mut Transaction<'_>, body: &Body) -> Result<(), Error> {
    if let Body::Spooled(spool) = body {
        discard(txn, *spool)?;
    }
    Ok(())
}

/// Whether a mailbox can number so many more messages.
pub(super) fn room(row: &Mailbox, count: usize) -> Result<(), Refusal> {
    match count >= (u32::MAX - row.uid_next.0) as usize {
        true => Err(Refusal::Limit("the mailbox has no UIDs left")),
        false => Ok(()),
    }
}

/// As [`room`], for messages that are seen at once.
///
/// # Errors
/// [`Error::Waits`] if there is none below what a COPY has staged.
pub(super) fn room_below(row: &Mailbox, count: usize) -> Result<Result<(), Refusal>, Error> {
    match row.staging {
        Some((first, _)) if count > (first.0 - row.uid_next.0) as usize => Err(Error::Waits),
        _ => Ok(room(row, count)),
    }
}

/// Adds messages to a mailbox as one operation; they came in some way, and with a header of this
/// length, if it is at hand. Gives where the first one went, and the event.
pub(super) fn deposit(
    txn: &mut Transaction<'_>,
    id: MailboxId,
    row: &mut Mailbox,
    messages: Vec<MessageRow>,
    (how, header): (How, Option<u64>),
) -> (Appended, Arc<Event>) {
    let prev = row.modseq;
    row.modseq = ModSeq(prev.0 + 1);
    let first = row.uid_next;
    let mut changes = Vec::with_capacity(messages.len());
    introduce(row, &mut changes);
    let sizes: Vec<u64> = messages.iter().map(|message| message.size).collect();
    for mut message in messages {
        message.modseq = row.modseq;
        message.created = row.modseq;
        let uid = row.uid_next;
        row.uid_next = Uid(uid.0 + 1);
        row.add(&message);
        txn.put(Space::Messages, &keys::message(id, uid), message.encode());
        let flags = Arc::new(message.flags(row));
        changes.push(mail::Change::New {
            uid,
            exists: row.messages,
            flags,
        });
    }
    tables::put_mailbox(txn, id, row);
    for (uid, size) in (first.0..).map(Uid).zip(sizes) {
        let came = MessageChange::Came { how, size, header };
        notifications::message(txn, id, row, uid, came);
    }
    let appended = Appended {
        mailbox: id,
        uid_validity: row.uid_validity,
        uid: first,
        modseq: row.modseq,
    };
    let event = Event {
        mailbox: id,
        prev,
        seq: row.modseq,
        changes,
        deleted: false,
    };
    (appended, Arc::new(event))
}

pub(super) fn deliver(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    targets: &[Target],
    (body, submitter): (Body, Option<Box<str>>),
) -> Result<Applied, Error> {
    let size = match size_of(txn, rules, &body)? {
        Ok(size) => size,
        Err(refusal) => {
            forget(txn, &body)?;
            let results = vec![Err(refusal); targets.len()];
            return Ok((Reply::Delivered(results), vec![]).into());
        }
    };
    // Where each target goes; a mailbox that is named twice gets the message once.
    let mut mailboxes: Vec<Result<MailboxId, Refusal>> = Vec::with_capacity(targets.len());
    let mut accepted: Vec<MailboxId> = Vec::new();
    for target in targets {
        let user = ensure_user(txn, rules, &target.user)?;
        // RFC 4314 §2.1: what is addressed to a folder comes there if its owner may post.
        let named = match tables::named_mailbox(txn, user, &target.folder)? {
            Some((id, row)) => {
                let may = access::rights(txn, id, &row, user)?.contains(Rights::POST);
                Some((id, row)).filter(|_| may)
            }
            None => None,
        };
        let inbox = MailboxName::inbox();
        let (found, name) = match named {
            Some(found) => (Some(found), &target.folder),
            None => (tables::named_mailbox(txn, user, &inbox)?, &inbox),
        };
        let mailbox = match found {
            None => Err(Refusal::NoMailbox),
            Some((id, _)) if accepted.contains(&id) => Ok(id),
            Some((id, row)) => match room_below(&row, 1)? {
                Err(refusal) => Err(refusal),
                Ok(()) if charge(txn, rules, user, size, 1)? => {
                    accepted.push(id);
                    txn.note_name(id, name);
                    Ok(id)
                }
                Ok(()) => Err(Refusal::OverQuota),
            },
        };
        mailboxes.push(mailbox);
    }
    if accepted.is_empty() {
        forget(txn, &body)?;
        let results = mailboxes
            .into_iter()
            .map(|mailbox| mailbox.and(Err(Refusal::NoMailbox)))
            .collect();
        return Ok((Reply::Delivered(results), vec![]).into());
    }
    let stored = keep(txn, rules, body, size)?;
    if accepted.len() > 1 {
        let count = keys::number(accepted.len() as u64);
        txn.put(Space::References, &keys::number(stored.body), count);
    }
    let message = MessageRow {
        date: rules.now,
        saved_s: rules.now_s(),
        size: stored.size,
        body: stored.body,
        submitter,
        ..MessageRow::default()
    };
    deposit_all(txn, &accepted, mailboxes, (message, stored.header))
}

fn deposit_all(
    txn: &mut Transaction<'_>,
    accepted: &[MailboxId],
    mailboxes: Vec<Result<MailboxId, Refusal>>,
    (message, header): (MessageRow, Option<u64>),
) -> Result<Applied, Error> {
    let mut events = Vec::with_capacity(accepted.len());
    let mut results = Vec::with_capacity(accepted.len());
    for &id in accepted {
        let mut row = tables::mailbox(txn, id)?.unwrap_or_default();
        let messages = vec![message.clone()];
        let how = (How::Delivered, header);
        let (appended, event) = deposit(txn, id, &mut row, messages, how);
        events.push(event);
        results.push(appended);
    }
    let result_of = |id| {
        results
            .iter()
            .find(|appended| appended.mailbox == id)
            .copied()
            .ok_or(Refusal::NoMailbox)
    };
    let results = mailboxes
        .into_iter()
        .map(|mailbox| mailbox.and_then(result_of))
        .collect();
    Ok((Reply::Delivered(results), events).into())
}
