//! Requests about quotas and metadata, and REPLACE, drawn by chance.

use std::sync::Arc;

use bytes::Bytes;
use mail::metadata::{Depth, Entry, EntryName, MetadataQuery, Wanted};
use mail::request::NewMessage;
use mail::{
    Body, Flags, MailboxId, MailboxName, ModSeq, QuotaLimits, QuotaOf, Request, Uid, UserId,
};

fn entry_name(pick: u16) -> EntryName {
    let names = [
        "/shared/a",
        "/private/a",
        "/private/a/b",
        "/SHARED/A/c",
        "/private/x/y",
    ];
    EntryName::new(names[usize::from(pick) % names.len()].as_bytes()).expect("a name")
}

/// SETQUOTA.
pub fn set_quota(user: UserId, whose: &str, (size, flags, on): (usize, u16, bool)) -> Request {
    Request::SetQuota {
        user,
        whose: whose.into(),
        limits: QuotaLimits {
            bytes: on.then_some(size as u64 * 500),
            messages: Some(u64::from(flags % 60 + 10)),
            mailboxes: Some(u64::from(flags % 10 + 3)),
        },
        is_admin: !size.is_multiple_of(3),
    }
}

/// REPLACE.
pub fn replace(
    (user, name): (UserId, MailboxName),
    (mailbox, uid, since): (MailboxId, Uid, ModSeq),
    (flags, body): (Flags, Body),
) -> Request {
    let date = None;
    Request::Replace {
        user,
        mailbox,
        uid,
        since,
        name,
        message: NewMessage { flags, date, body }.into(),
    }
}

/// GETQUOTA or GETQUOTAROOT.
pub fn quota(user: UserId, name: MailboxName, (size, other, on): (usize, usize, bool)) -> Request {
    Request::Quota {
        user,
        of: match size % 2 {
            0 => QuotaOf::Mailbox(name),
            _ => QuotaOf::User(["ann", "bob", "eve"][other % 3].into()),
        },
        is_admin: on,
    }
}

/// SETMETADATA; a quarter of the entries is to go.
pub fn set_metadata(
    user: UserId,
    mailbox: Option<MailboxName>,
    picks: &[u16],
    value: Bytes,
    is_admin: bool,
) -> Request {
    let entry = |pick: &u16| Entry {
        name: entry_name(*pick),
        value: (!pick.is_multiple_of(4)).then(|| value.clone()),
    };
    Request::SetMetadata {
        user,
        mailbox,
        entries: picks.iter().map(entry).collect(),
        is_admin,
    }
}

/// GETMETADATA or GETANNOTATION.
pub fn metadata(
    user: UserId,
    mailbox: Option<MailboxName>,
    picks: &[u16],
    (size, on): (usize, bool),
) -> Request {
    let depth = [Depth::Zero, Depth::One, Depth::Infinity][size % 3];
    let names = picks.iter().map(|pick| entry_name(*pick));
    let query = MetadataQuery {
        wanted: match size % 4 {
            0 => Wanted::Like(vec!["/private/%".into(), "/shared*".into()]),
            _ => Wanted::Entries(names.collect(), depth),
        },
        value_bytes_max: on.then_some(200),
    };
    Request::Metadata {
        user,
        mailbox,
        query: Arc::new(query),
    }
}
