//! REPLACE (RFC 8508).

use mail::request::NewMessage;
use mail::{
    Body, InternalDate, MailboxId, MailboxName, ModSeq, Refusal, Reply, Rights, Uid, UserId,
};

use crate::depositing::append;
use crate::state::State;
use crate::{Limits, Outcome, access, catch_up, changing, refused};

/// REPLACE: one message goes, and another comes, or nothing happens but to the upload.
pub(crate) fn replace(
    state: &mut State,
    (limits, now): (&Limits, InternalDate),
    (user, name): (UserId, &MailboxName),
    (from, uid, since): (MailboxId, Uid, ModSeq),
    message: NewMessage,
) -> Outcome {
    let (before, body) = (state.clone(), message.body.clone());
    let mut attempt = || {
        let Some(mailbox) = state.mailbox(from) else {
            return Err(Refusal::NoMailbox);
        };
        let rights = access::rights(state, from, user);
        if !rights.contains(Rights::READ | Rights::DELETE_MESSAGES | Rights::EXPUNGE) {
            return Err(access::denied(rights));
        }
        if !mailbox.messages.contains_key(&uid) {
            return Err(Refusal::NoMessage);
        }
        let mut events = changing::remove(state, from, &[uid]);
        let date = message.date.unwrap_or(now);
        let what = (message.flags.clone(), date);
        match append(state, limits, user, name, what, message.body.clone()) {
            (Reply::Appended(appended), came) => {
                events.extend(came);
                let delta = catch_up::delta(state, from, since);
                Ok((Reply::Replaced { appended, delta }, events))
            }
            (Reply::Refused(refusal), _) => Err(refusal),
            other => unreachable!("an APPEND is answered {other:?}"),
        }
    };
    match attempt() {
        Ok(outcome) => outcome,
        Err(refusal) => {
            *state = before;
            if let Body::Spooled(spool) = body {
                state.spools.remove(&spool);
            }
            refused(refusal)
        }
    }
}
