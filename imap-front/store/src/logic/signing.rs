//! Signed URLs (RFC 4467): each user has a key for each mailbox for which they have signed one. It
//! keeps to the mailbox's id, and goes with the mailbox.
//!
//! Who gives up all keys counts up a number: keys that were made at another one are none.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;

use mail::signed_url::{Token, UrlAccess};
use mail::{
    AccessKey, Change, Event, MailboxId, MailboxName, ModSeq, Refusal, Reply, Rights, SignedUrl,
    UrlToSign, UserId,
};

use super::access::{self, Found};
use super::{Applied, Rules, damage, keys, refused, tables};
use crate::Error;
use crate::kv::{Kv, Space, Transaction};
use crate::rows::{AccessKeyRow, u64_row};

/// In the place of a mailbox: how often a user has given up all keys.
const ALL: MailboxId = MailboxId(0);

/// Who is refused because of a URL hears no more than that.
const NOT_THERE: Refusal = Refusal::NoMessage;

fn resets(kv: &dyn Kv, user: UserId) -> Result<u64, Error> {
    let row = kv.get(Space::AccessKeys, &keys::access_key(ALL, user))?;
    row.map_or(Ok(0), |row| u64_row(&row))
}

/// The key of a user for a mailbox, if there is one. One that can't be read is none: what it has
/// signed is refused, and the next is new.
fn key(kv: &dyn Kv, id: MailboxId, user: UserId) -> Result<Option<AccessKey>, Error> {
    let Some(row) = kv.get(Space::AccessKeys, &keys::access_key(id, user))? else {
        return Ok(None);
    };
    let row = match AccessKeyRow::decode(&row) {
        Ok(row) => row,
        Err(error) => {
            damage::report_key(kv, id, &error);
            return Ok(None);
        }
    };
    let is_current = row.resets == resets(kv, user)?;
    Ok(is_current.then_some(row.key))
}

/// The mailbox of a URL, if its owner may read it.
fn readable(
    kv: &dyn Kv,
    rules: &Rules,
    owner: UserId,
    url: &UrlToSign,
) -> Result<Result<Found, Refusal>, Error> {
    let found = access::may(kv, rules, owner, &url.mailbox, Rights::READ)?;
    Ok(found.and_then(|found| {
        let validity = found.row.uid_validity.0;
        match url.uid_validity.is_none_or(|it| it == validity) {
            true => Ok(found),
            false => Err(NOT_THERE),
        }
    }))
}

/// GENURLAUTH.
pub(super) fn sign(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    urls: &[UrlToSign],
    fresh: Option<&AccessKey>,
) -> Result<Applied, Error> {
    let Some(fresh) = fresh else {
        return refused(Refusal::Bug);
    };
    // With each whether it is new.
    let mut known: BTreeMap<MailboxId, (AccessKey, bool)> = BTreeMap::new();
    let mut tokens: Vec<Token> = Vec::with_capacity(urls.len());
    for url in urls {
        // Whether there is another user of that name is not told.
        if access::user_named(txn, rules, &url.owner)? != Some(user) {
            return refused(Refusal::NoPermission);
        }
        let id = match readable(txn, rules, user, url)? {
            Ok(found) => found.id,
            Err(refusal) => return refused(refusal),
        };
        let (key, _) = match known.entry(id) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(place) => place.insert(match key(txn, id, user)? {
                Some(key) => (key, false),
                None => (fresh.for_mailbox(id), true),
            }),
        };
        tokens.push(key.token(&url.rump));
    }
    let resets = resets(txn, user)?;
    for (id, (key, _)) in known.into_iter().filter(|(_, (_, is_new))| *is_new) {
        let row = AccessKeyRow { resets, key };
        let at = keys::access_key(id, user);
        txn.put(Space::AccessKeys, &at, row.encode());
    }
    Ok((Reply::UrlsSigned(tokens), vec![]).into())
}

/// URLFETCH: where a signed URL leads. As much is computed for each that leads nowhere (RFC 4467
/// §6), and the answer is the same.
pub(super) fn open(
    kv: &dyn Kv,
    rules: &Rules,
    user: UserId,
    url: &SignedUrl,
    submits: bool,
) -> Result<Reply, Error> {
    let SignedUrl {
        url,
        access,
        expires_s,
        token,
    } = url;
    let owner = access::user_named(kv, rules, &url.owner)?;
    let found = match owner {
        Some(owner) => readable(kv, rules, owner, url)?.ok(),
        None => None,
    };
    let key = match (owner, &found) {
        (Some(owner), Some(found)) => key(kv, found.id, owner)?,
        _ => None,
    };
    let is_key = key.is_some();
    let key = key.unwrap_or_else(|| AccessKey::new(Default::default()));
    let is_proved = key.proves(&url.rump, token) & is_key;
    let is_meant = match access {
        UrlAccess::Submit(_) => submits,
        UrlAccess::User(name) => access::user_named(kv, rules, name)? == Some(user),
        UrlAccess::AuthUser | UrlAccess::Anonymous => true,
    };
    let is_late = expires_s.is_some_and(|last| last < (rules.options.now)().unix_s);
    Ok(match found.filter(|_| is_proved && is_meant && !is_late) {
        Some(found) => Reply::UrlOpened(found.id),
        None => Reply::Refused(NOT_THERE),
    })
}

/// RESETKEY.
pub(super) fn reset(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    mailbox: Option<&MailboxName>,
) -> Result<Applied, Error> {
    let Some(name) = mailbox else {
        let next = resets(txn, user)? + 1;
        let at = keys::access_key(ALL, user);
        txn.put(Space::AccessKeys, &at, keys::number(next));
        return Ok((Reply::Done, vec![]).into());
    };
    let mut found = match access::may(txn, rules, user, name, Rights::LOOKUP)? {
        Ok(found) => found,
        Err(refusal) => return refused(refusal),
    };
    let at = keys::access_key(found.id, user);
    if txn.get(Space::AccessKeys, &at)?.is_some() {
        txn.delete(Space::AccessKeys, &at);
    }
    let (prev, row) = (found.row.modseq, &mut found.row);
    row.modseq = ModSeq(prev.0 + 1);
    let before = row.key_reset.map(|(_, user)| user);
    row.key_reset = Some((row.modseq, Change::key_reset_by(user, before)));
    tables::put_mailbox(txn, found.id, row);
    let event = Event {
        mailbox: found.id,
        prev,
        seq: found.row.modseq,
        changes: vec![Change::KeyReset(user)],
        deleted: false,
    };
    Ok((Reply::Done, vec![Arc::new(event)]).into())
}

/// Removes some keys of a mailbox that has lost its name. True if none is left.
pub(super) fn drop_some(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    id: MailboxId,
) -> Result<bool, Error> {
    let (from, to) = keys::rows(id);
    let max = rules.options.slice_messages;
    let mut rows = Vec::new();
    txn.scan(Space::AccessKeys, &from, &to, false, &mut |key, _| {
        rows.push(key.to_vec());
        match rows.len() < max {
            true => Continue(()),
            false => Break(()),
        }
    })?;
    rows.iter()
        .for_each(|key| txn.delete(Space::AccessKeys, key));
    Ok(rows.is_empty())
}
