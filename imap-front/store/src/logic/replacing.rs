//! REPLACE (RFC 8508): a message comes and another goes, as one commit.

use std::slice::from_ref;
use std::sync::Arc;

use mail::reply::Appended;
use mail::request::NewMessage;
use mail::{Event, MailboxId, MailboxName, ModSeq, Refusal, Reply, Rights, Uid, UserId};

use super::depositing::forget;
use super::numbering::Numbering;
use super::{Applied, Rules, access, appending, changing, refused, tables};
use crate::Error;
use crate::kv::Transaction;

pub(super) fn replace(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    (user, name): (UserId, &MailboxName),
    (mailbox, uid, since): (MailboxId, Uid, ModSeq),
    message: NewMessage,
) -> Result<Applied, Error> {
    let body = message.body.clone();
    match replaced(txn, rules, (user, name), (mailbox, uid), message)? {
        Ok((appended, events)) => {
            // It may be the event of another mailbox that comes last.
            let delta = changing::delta(txn, mailbox, since, (ModSeq(0), &[]))?;
            Ok((Reply::Replaced { appended, delta }, events).into())
        }
        Err(refusal) => {
            txn.undo();
            forget(txn, &body)?;
            refused(refusal)
        }
    }
}

/// Where the message came, and the events. What was done before a refusal is to be undone.
type Replaced = Result<(Appended, Vec<Arc<Event>>), Refusal>;

fn replaced(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    (user, name): (UserId, &MailboxName),
    (id, uid): (MailboxId, Uid),
    message: NewMessage,
) -> Result<Replaced, Error> {
    let Some(mut mailbox) = tables::mailbox(txn, id)? else {
        return Ok(Err(Refusal::NoMailbox));
    };
    let has = access::rights(txn, id, &mailbox, user)?;
    if !has.contains(Rights::READ | Rights::DELETE_MESSAGES | Rights::EXPUNGE) {
        return Ok(Err(access::denied(has)));
    }
    let Some(row) = tables::message(txn, id, &mailbox, uid)? else {
        return Ok(Err(Refusal::NoMessage));
    };
    let numbering = Numbering::of(txn, id, &mailbox)?;
    // It goes first: the room that it leaves is there for what comes (RFC 8508 §3.3).
    let of = (id, &mut mailbox);
    let mut events = changing::remove(txn, rules, of, &numbering, &[(uid, row)], true)?;
    match appending::checked(txn, rules, user, name, from_ref(&message))? {
        Ok(append) => {
            let (appended, event) = append.done(txn, rules, vec![message])?;
            events.push(event);
            Ok(Ok((appended, events)))
        }
        Err(refusal) => Ok(Err(refusal)),
    }
}
