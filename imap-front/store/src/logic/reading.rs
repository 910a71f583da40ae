//! Requests that change nothing, but for what fetches messages.

use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;

use mail::MailboxInfo;
use mail::list::{Depth, Query};
use mail::reply::{Opened, Status};
use mail::{
    Delta, MailboxId, MailboxName, ModSeq, Refusal, Reply, Rights, SystemFlag, Uid, UserId,
};

use super::access::{self, Found};
use super::numbering::Numbering;
use super::{Rules, acl, catch_up, keys, tables};
use crate::Error;
use crate::kv::{Kv, Space};
use crate::rows::{Mailbox, Name};

/// The bit of `\\Seen`.
const SEEN: usize = (SystemFlag::Seen as u8).trailing_zeros() as usize;

/// The bit of `\\Deleted`.
const DELETED: usize = (SystemFlag::Deleted as u8).trailing_zeros() as usize;

/// Messages that are looked at in one piece of a count.
const COUNTED_A_PIECE: usize = 1024;

/// UIDs among which STATUS counts messages by their rows.
const COUNTED_MAX: u32 = 4096;

/// Changes that one answer tells, about; the asker asks again for the rest.
pub(super) const CHANGES_MAX: usize = 32 << 10;

/// Changes that a thread tells which others wait for: to look one up takes some microseconds.
const CHANGES_AT_ONCE_MAX: usize = 256;

/// All mailboxes and subscriptions of a user, and others' mailboxes that they may look up and the
/// query may list, sorted by name.
pub(super) fn mailboxes(
    kv: &dyn Kv,
    rules: &Rules,
    user: UserId,
    query: &Query,
) -> Result<Vec<MailboxInfo>, Error> {
    let mut infos = own_mailboxes(kv, user)?;
    let prefixes = rules.options.namespaces.prefixes();
    let depths = prefixes.filter_map(|prefix| Some((prefix, query.depth_below(prefix)?)));
    let (mut unseen, depths): (Vec<&str>, Vec<Depth>) = depths.unzip();
    let Some(deepest) = depths.into_iter().max() else {
        return Ok(infos);
    };
    let own = infos.len();
    acl::visible(kv, rules, user, |name| {
        unseen.retain(|prefix| !name.as_str().starts_with(prefix));
        match infos[..own].binary_search_by(|info| info.name.cmp(&name)) {
            // Hidden by one of the user's own that was made before.
            Ok(at) if infos[at].exists => {}
            Ok(at) => {
                infos[at].exists = true;
                infos[at].selectable = true;
            }
            Err(_) => infos.push(MailboxInfo {
                name,
                selectable: true,
                exists: true,
                subscribed: false,
                special_use: None,
            }),
        }
        // Only the names above all of them can match.
        deepest == Depth::First && unseen.is_empty()
    })?;
    infos.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    infos.dedup_by(|one, other| one.name == other.name);
    Ok(infos)
}

/// All mailboxes and subscriptions of a user, sorted by name.
pub(super) fn own_mailboxes(kv: &dyn Kv, user: UserId) -> Result<Vec<MailboxInfo>, Error> {
    let mut infos = Vec::new();
    let mut outcome = Ok(());
    let (from, to) = keys::names(user);
    kv.scan(
        Space::Names,
        &from,
        &to,
        false,
        &mut |key, value| match Name::decode(value) {
            Ok(row) => {
                infos.push(MailboxInfo {
                    name: MailboxName::new(&String::from_utf8_lossy(&key[8..])),
                    selectable: row.mailbox.is_some(),
                    exists: row.exists,
                    subscribed: row.subscribed,
                    special_use: row.special_use,
                });
                Continue(())
            }
            Err(error) => {
                outcome = Err(error);
                Break(())
            }
        },
    )?;
    outcome?;
    Ok(infos)
}

pub(super) fn status(
    kv: &dyn Kv,
    rules: &Rules,
    user: UserId,
    name: &MailboxName,
) -> Result<Reply, Error> {
    Ok(match access::may(kv, rules, user, name, Rights::READ)? {
        Ok(found) => Reply::Status(figures(kv, rules, &found)?),
        Err(refusal) => Reply::Refused(refusal),
    })
}

fn figures(kv: &dyn Kv, rules: &Rules, found: &Found) -> Result<Status, Error> {
    let (id, row) = (found.id, &found.row);
    Ok(Status {
        mailbox: id,
        object: rules.block().object(id, row),
        messages: row.messages,
        recent: recent(kv, rules, id, row)?,
        unseen: row.unseen,
        uid_next: row.uid_next,
        uid_validity: row.uid_validity,
        highest_modseq: row.modseq,
        size: row.size,
        deleted: row.deleted,
        deleted_bytes: 0,
    })
}

/// How far messages with `\\Deleted` are counted: the next UID, and bytes so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counting {
    next: u32,
    bytes: u64,
}

/// The same with the bytes of messages with `\\Deleted`. In a row that is older than their count
/// they are counted, some in each piece: none if there is another piece.
pub(crate) fn status_with_deleted(
    kv: &dyn Kv,
    rules: &Rules,
    (user, name): (UserId, &MailboxName),
    counting: &mut Counting,
) -> Result<Option<Reply>, Error> {
    let found = match access::may(kv, rules, user, name, Rights::READ)? {
        Ok(found) => found,
        Err(refusal) => return Ok(Some(Reply::Refused(refusal))),
    };
    let mut figures = figures(kv, rules, &found)?;
    let (id, row) = (found.id, &found.row);
    if let Some(bytes) = row.deleted_bytes() {
        figures.deleted_bytes = bytes;
    } else {
        let numbering = numbering(kv, rules, id, row)?;
        let deleted = numbering.index.with_system(DELETED);
        let from = counting.next;
        let mut left = deleted.iter().skip_while(|uid| *uid < from);
        for uid in left.by_ref().take(COUNTED_A_PIECE) {
            counting.next = uid + 1;
            let message = tables::message(kv, id, row, Uid(uid))?;
            counting.bytes += message.map_or(0, |message| message.size);
        }
        if left.next().is_some() {
            return Ok(None);
        }
        figures.deleted_bytes = counting.bytes;
    }
    Ok(Some(Reply::Status(figures)))
}

/// Messages that no session has claimed.
fn recent(kv: &dyn Kv, rules: &Rules, id: MailboxId, row: &Mailbox) -> Result<u32, Error> {
    let from = kv.claimed(id).unwrap_or_default().max(row.recent_from);
    if from >= row.uid_next {
        return Ok(0);
    }
    let index = kv.indexes().and_then(|indexes| indexes.get(id));
    let index = match index.filter(|index| index.modseq() == row.modseq) {
        // More than a few are not counted one by one.
        None if row.uid_next.0 - from.0 > COUNTED_MAX => Some(numbering(kv, rules, id, row)?.index),
        index => index,
    };
    if let Some(index) = index {
        return Ok(row.messages - index.rank(Uid(from.0.saturating_sub(1))));
    }
    let mut count = 0;
    let (from, to) = (keys::message(id, from), keys::message(id, row.uid_next));
    kv.scan(Space::Messages, &from, &to, false, &mut |_, _| {
        count += 1;
        Continue(())
    })?;
    Ok(count)
}

/// SELECT and EXAMINE. Whose `\Recent` messages are is not known here.
pub(super) fn open(
    kv: &dyn Kv,
    rules: &Rules,
    user: UserId,
    name: &MailboxName,
) -> Result<Reply, Error> {
    let Found {
        id, row, rights, ..
    } = match access::may(kv, rules, user, name, Rights::READ)? {
        Ok(found) => found,
        Err(refusal) => return Ok(Reply::Refused(refusal)),
    };
    let numbering = numbering(kv, rules, id, &row)?;
    let index = &numbering.index;
    let unseen = (index.uids() - index.with_system(SEEN)).min();
    Ok(Reply::Opened(Opened {
        mailbox: id,
        object: rules.block().object(id, &row),
        uid_validity: row.uid_validity,
        uid_next: row.uid_next,
        highest_modseq: row.modseq,
        uids: catch_up::list(kv, id, index),
        recent_from: kv.claimed(id).unwrap_or_default().max(row.recent_from),
        first_unseen: unseen.map(|uid| index.rank(Uid(uid))),
        keywords: row.keywords.clone(),
        rights,
    }))
}

pub(super) fn numbering(
    kv: &dyn Kv,
    rules: &Rules,
    id: MailboxId,
    row: &Mailbox,
) -> Result<Numbering, Error> {
    catch_up::numbering(kv, id, row, rules.options.index_messages_min)
}

/// Why a client can't be told what happened.
pub(super) const BEYOND_THE_HORIZON: Refusal =
    Refusal::Cannot("too much time has passed since the client heard of it, select it again");

/// What happened since; refused if not all of it is known any more.
pub(super) fn sync(
    kv: &dyn Kv,
    rules: &Rules,
    id: MailboxId,
    since: ModSeq,
) -> Result<Reply, Error> {
    Ok(match delta(kv, rules, id, since)? {
        Some(delta) => Reply::Synced(delta),
        None => Reply::Refused(BEYOND_THE_HORIZON),
    })
}

/// What happened since; none if not all of it is known any more.
///
/// # Errors
/// [`Error::Long`] if it is more than others can wait for.
pub(super) fn delta(
    kv: &dyn Kv,
    rules: &Rules,
    id: MailboxId,
    since: ModSeq,
) -> Result<Option<Delta>, Error> {
    match tables::mailbox(kv, id)? {
        None => Ok(Some(catch_up::end(id, since))),
        Some(row) if row.modseq <= since => Ok(Some(vec![])),
        Some(row) if since < row.horizon => Ok(None),
        Some(row) => {
            let numbering = numbering(kv, rules, id, &row)?;
            let limit = match kv.is_waited_for() {
                true => (CHANGES_AT_ONCE_MAX, true),
                false => (CHANGES_MAX, false),
            };
            let delta = catch_up::delta(kv, id, &row, since, &numbering, limit)?;
            match &delta[..] {
                [only] if only.is_more() => Err(Error::Long),
                _ => Ok(Some(delta)),
            }
        }
    }
}

pub(super) fn view(kv: &dyn Kv, rules: &Rules, id: MailboxId, at: ModSeq) -> Result<Reply, Error> {
    // First: it tells whether others can wait for the rest.
    let Some(delta) = delta(kv, rules, id, at)? else {
        return Ok(Reply::Refused(BEYOND_THE_HORIZON));
    };
    let (uids, keywords) = match tables::mailbox(kv, id)? {
        Some(row) => {
            let numbering = numbering(kv, rules, id, &row)?;
            let uids = catch_up::uids_at(kv, id, &row, at, &numbering)?;
            let is_known = row.keywords_at <= at;
            (uids, if is_known { row.keywords } else { vec![] })
        }
        None => (Arc::default(), vec![]),
    };
    Ok(Reply::Viewed {
        uids,
        keywords,
        delta,
    })
}
