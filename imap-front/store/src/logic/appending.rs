//! APPEND: one message, or several as one operation (RFC 3502), all or nothing.

use std::sync::Arc;

use mail::reply::Appended;
use mail::request::NewMessage;
use mail::{Event, MailboxName, Refusal, Reply, Rights, UserId};

use super::access::{self, Found};
use super::depositing::{deposit, forget, keep, room_below, size_of};
use super::keywords::Places;
use super::quotas::charge;
use super::{Applied, Rules, refused};
use crate::Error;
use crate::kv::Transaction;
use crate::notification::How;
use crate::rows::MessageRow;

pub(super) fn append_one(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    name: &MailboxName,
    message: NewMessage,
) -> Result<Applied, Error> {
    append(txn, rules, (user, name), vec![message], |_, first| {
        Reply::Appended(first)
    })
}

pub(super) fn append_all(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    name: &MailboxName,
    messages: Vec<NewMessage>,
) -> Result<Applied, Error> {
    append(txn, rules, (user, name), messages, |count, first| {
        Reply::AppendedAll { first, count }
    })
}

/// Appends all, and answers by how many there are and where the first one went.
fn append(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    (user, name): (UserId, &MailboxName),
    messages: Vec<NewMessage>,
    reply: impl FnOnce(u32, Appended) -> Reply,
) -> Result<Applied, Error> {
    let count = messages.len() as u32;
    match checked(txn, rules, user, name, &messages)? {
        Ok(append) => {
            let (first, event) = append.done(txn, rules, messages)?;
            Ok((reply(count, first), vec![event]).into())
        }
        Err(refusal) => {
            for message in &messages {
                forget(txn, &message.body)?;
            }
            refused(refusal)
        }
    }
}

/// What all of the messages have passed.
pub(super) struct Append {
    id: mail::MailboxId,
    row: crate::rows::Mailbox,
    /// Without their bodies.
    rows: Vec<MessageRow>,
}

/// Whether all of them can be stored; the mailbox's owner is charged for them then.
pub(super) fn checked(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    name: &MailboxName,
    messages: &[NewMessage],
) -> Result<Result<Append, Refusal>, Error> {
    let mut rows = Vec::with_capacity(messages.len());
    for message in messages {
        match size_of(txn, rules, &message.body)? {
            Ok(size) => rows.push(MessageRow {
                date: message.date.unwrap_or(rules.now),
                saved_s: rules.now_s(),
                size,
                ..MessageRow::default()
            }),
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
    let Found {
        owner,
        name,
        id,
        mut row,
        rights,
        ..
    } = match access::may(txn, rules, user, name, Rights::INSERT)? {
        Ok(found) => found,
        Err(refusal) => return Ok(Err(refusal)),
    };
    txn.note_name(id, &name);
    let mut places = Places::new(rules.options.keywords_max);
    for (message, row_of) in messages.iter().zip(&mut rows) {
        // RFC 4314 §4: those that the user may not set are left out.
        let flags = match rights.contains(Rights::FLAGS) {
            true => message.flags.clone(),
            false => rights.changeable(&message.flags),
        };
        row_of.system = flags.system_bits();
        match places.of(txn, id, &mut row, &flags)? {
            Ok(keywords) => row_of.keywords = keywords,
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
    if let Err(refusal) = room_below(&row, messages.len())? {
        return Ok(Err(refusal));
    }
    let bytes = rows.iter().map(|row| row.size).sum();
    if !charge(txn, rules, owner, bytes, messages.len() as u64)? {
        return Ok(Err(Refusal::OverQuota));
    }
    Ok(Ok(Append { id, row, rows }))
}

impl Append {
    /// Stores them. Gives where the first one went, and the event.
    pub(super) fn done(
        mut self,
        txn: &mut Transaction<'_>,
        rules: &Rules,
        messages: Vec<NewMessage>,
    ) -> Result<(Appended, Arc<Event>), Error> {
        // Of several messages each has its own, which is looked up when somebody wants it.
        let (is_one, mut header) = (messages.len() == 1, None);
        for (message, row) in messages.into_iter().zip(&mut self.rows) {
            let stored = keep(txn, rules, message.body, row.size)?;
            row.body = stored.body;
            header = stored.header.filter(|_| is_one);
        }
        let how = (How::Appended, header);
        Ok(deposit(txn, self.id, &mut self.row, self.rows, how))
    }
}
