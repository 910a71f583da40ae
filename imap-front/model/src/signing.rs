//! Signed URLs (RFC 4467): who has which key for which mailbox.

use std::sync::Arc;

use mail::signed_url::{KEY_BYTES, UrlAccess};
use mail::{
    AccessKey, Change, Event, InternalDate, MailboxId, MailboxName, Refusal, Reply, Rights,
    SignedUrl, UrlToSign, UserId,
};

use crate::state::State;
use crate::{Outcome, access, refused};

fn readable(state: &State, owner: UserId, url: &UrlToSign) -> Result<MailboxId, Refusal> {
    let id = access::may(state, owner, &url.mailbox, Rights::READ)?;
    let validity = state.mailbox(id).map(|it| it.uid_validity.0);
    match url.uid_validity.is_none_or(|it| Some(it) == validity) {
        true => Ok(id),
        false => Err(Refusal::NoMessage),
    }
}

/// Without anything fresh it goes by the number of keys that were made: it has no chance.
pub(crate) fn sign(
    state: &mut State,
    user: UserId,
    urls: &[UrlToSign],
    fresh: Option<&AccessKey>,
) -> Outcome {
    let mut made = state.clone();
    let mut tokens = vec![];
    let mut bytes = [0; KEY_BYTES];
    bytes[..8].copy_from_slice(&state.keys_made.to_be_bytes());
    let fresh = fresh.cloned().unwrap_or(AccessKey::new(bytes));
    for url in urls {
        if state.users.get(&url.owner) != Some(&user) {
            return refused(Refusal::NoPermission);
        }
        let id = match readable(state, user, url) {
            Ok(id) => id,
            Err(refusal) => return refused(refusal),
        };
        let key = made.keys.entry((id, user)).or_insert_with(|| {
            made.keys_made += 1;
            fresh.for_mailbox(id)
        });
        tokens.push(key.token(&url.rump));
    }
    *state = made;
    (Reply::UrlsSigned(tokens), vec![])
}

pub(crate) fn open(
    state: &State,
    now: InternalDate,
    user: UserId,
    url: &SignedUrl,
    submits: bool,
) -> Reply {
    let refused = Reply::Refused(Refusal::NoMessage);
    let Some(owner) = state.users.get(&url.url.owner) else {
        return refused;
    };
    let Ok(id) = readable(state, *owner, &url.url) else {
        return refused;
    };
    let key = state.keys.get(&(id, *owner));
    let is_signed = key.is_some_and(|key| key.token(&url.url.rump) == url.token);
    let is_meant = match &url.access {
        UrlAccess::Submit(_) => submits,
        UrlAccess::User(name) => state.users.get(name) == Some(&user),
        UrlAccess::AuthUser | UrlAccess::Anonymous => true,
    };
    let is_late = url.expires_s.is_some_and(|last| last < now.unix_s);
    match is_signed && is_meant && !is_late {
        true => Reply::UrlOpened(id),
        false => refused,
    }
}

pub(crate) fn reset(state: &mut State, user: UserId, mailbox: Option<&MailboxName>) -> Outcome {
    let Some(name) = mailbox else {
        state.keys.retain(|(_, whose), _| *whose != user);
        return (Reply::Done, vec![]);
    };
    match access::may(state, user, name, Rights::LOOKUP) {
        Ok(id) => {
            state.keys.remove(&(id, user));
            let mailbox = state.changing(id);
            let prev = mailbox.modseq;
            let seq = mailbox.step();
            let before = mailbox.key_reset.map(|(_, user)| user);
            mailbox.key_reset = Some((seq, Change::key_reset_by(user, before)));
            let event = Event {
                mailbox: id,
                prev,
                seq,
                changes: vec![Change::KeyReset(user)],
                deleted: false,
            };
            (Reply::Done, vec![Arc::new(event)])
        }
        Err(refusal) => refused(refusal),
    }
}
