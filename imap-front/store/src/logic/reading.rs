//! Requests that change nothing.

use std::ops::ControlFlow::{Break, Continue};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use mail::MailboxInfo;
use mail::list::{Depth, Query};
use mail::mime::transfer::{self, Decoder};
use mail::mime::{Structure, preview};
use mail::reply::{Opened, Status};
use mail::request::Want;
use mail::sort::SortKeys;
use mail::sort::keys as sort_keys;
use mail::{
    Delta, EmailId, Flags, MailboxId, MailboxName, Message, ModSeq, Refusal, Reply, Rights,
    SystemFlag, ThreadId, Uid, UserId,
};

use super::access::{self, Found};
use super::numbering::Numbering;
use super::{Rules, acl, catch_up, damage, keeping, keys, tables};
use crate::Error;
use crate::kv::{Kv, Space};
use crate::rows::{Mailbox, MessageRow, Name};

/// Messages up to this size are read before any of their bytes is announced.
const SURE_BYTES_MAX: u64 = 1 << 20;
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
            let limit = (CHANGES_MAX, false);
            catch_up::delta(kv, id, &row, since, &numbering, limit).map(Some)
        }
    }
}

pub(super) fn view(kv: &dyn Kv, rules: &Rules, id: MailboxId, at: ModSeq) -> Result<Reply, Error> {
    let (uids, keywords) = match tables::mailbox(kv, id)? {
        Some(row) if at < row.horizon => return Ok(Reply::Refused(BEYOND_THE_HORIZON)),
        Some(row) => {
            let numbering = numbering(kv, rules, id, &row)?;
            let uids = catch_up::uids_at(kv, id, &row, at, &numbering)?;
            let is_known = row.keywords_at <= at;
            (uids, if is_known { row.keywords } else { vec![] })
        }
        None => (Arc::default(), vec![]),
    };
    Ok(match delta(kv, rules, id, at)? {
        Some(delta) => Reply::Viewed {
            uids,
            keywords,
            delta,
        },
        None => Reply::Refused(BEYOND_THE_HORIZON),
    })
}

pub(super) fn fetch(
    kv: &dyn Kv,
    rules: &Rules,
    id: MailboxId,
    uids: &[Uid],
    want: Want,
    budget_bytes: usize,
) -> Result<Reply, Error> {
    let Some(mailbox) = tables::mailbox(kv, id)? else {
        return Ok(Reply::Refused(Refusal::NoMailbox));
    };
    let mut messages = Vec::new();
    let (mut spent, mut done, mut unreadable) = (0, 0, 0);
    for &uid in uids {
        if spent >= budget_bytes && done > 0 {
            break;
        }
        done += 1;
        let Content {
            row,
            flags,
            bytes,
            structure,
            thread,
            preview,
        } = match content(kv, rules, &mailbox, (id, uid), want) {
            Ok(Some(content)) => content,
            Ok(None) => continue,
            Err(error) => {
                damage::report(kv, (id, uid), &error);
                unreadable += 1;
                continue;
            }
        };
        let small = row.size <= rules.options.inline_bytes_max;
        // A structure costs what would have to be read for it, kept or not: the work of a request
        // is bounded as well as its answer.
        if bytes.is_some() || structure.is_some() {
            spent += row.size as usize;
        }
        messages.push(Message {
            uid,
            modseq: row.modseq,
            flags: Arc::new(flags),
            date: row.date,
            saved: row.saved(),
            email: EmailId(row.body),
            thread,
            size: row.size,
            preview,
            structure,
            bytes: bytes.filter(|_| small),
            submitter: row.submitter.filter(|_| want.submitter),
        });
    }
    Ok(Reply::Fetched {
        messages,
        done,
        unreadable,
    })
}

/// What a fetch needs of a message.
struct Content {
    thread: Option<ThreadId>,
    preview: Option<Box<str>>,
    row: MessageRow,
    flags: Flags,
    bytes: Option<Bytes>,
    structure: Option<Arc<Structure>>,
}

/// A message's row, its structure if it is wanted, and its bytes if they are wanted and few enough
/// to make sure of: a session can't take back the size of a literal.
fn content(
    kv: &dyn Kv,
    rules: &Rules,
    mailbox: &Mailbox,
    (id, uid): (MailboxId, Uid),
    want: Want,
) -> Result<Option<Content>, Error> {
    let Some((row, flags)) = readable(kv, id, mailbox, uid)? else {
        return Ok(None);
    };
    let small = row.size <= rules.options.inline_bytes_max.max(SURE_BYTES_MAX);
    let read = || tables::body(kv, row.body, 0..row.size);
    let bytes = (want.bytes && small).then(read).transpose()?;
    let structure = want.structure.then(|| {
        let whole = || bytes.clone().map_or_else(read, Ok);
        rules.structures.get(row.body, whole)
    });
    let thread = want.thread.then(|| thread(kv, &row)).transpose()?.flatten();
    let structure = structure.transpose()?;
    let preview = match (&structure, want.preview) {
        (Some(structure), true) => Some(preview_of(kv, &row, structure, bytes.as_deref())?),
        _ => None,
    };
    Ok(Some(Content {
        thread,
        preview,
        structure,
        row,
        flags,
        bytes,
    }))
}

/// The beginning of a message's text, which may have been read already.
fn preview_of(
    kv: &dyn Kv,
    row: &MessageRow,
    structure: &Structure,
    read: Option<&[u8]>,
) -> Result<Box<str>, Error> {
    let Some((part, range)) = preview::part(structure) else {
        return Ok(Box::default());
    };
    let within = read.and_then(|read| read.get(range.start as usize..range.end as usize));
    let text = match within {
        Some(bytes) => preview::of(part, bytes),
        None => preview::of(part, &tables::body(kv, row.body, range)?),
    };
    Ok(text.into())
}

/// The thread of a message, by the keys that are kept with it. They are made if there are none.
pub(super) fn thread(kv: &dyn Kv, row: &MessageRow) -> Result<Option<ThreadId>, Error> {
    let kept = kv.get(Space::SortKeys, &keys::number(row.body))?;
    if let Some(kept) = kept.as_deref().and_then(SortKeys::read) {
        return Ok(kept.thread());
    }
    let header = 0..row.size.min(sort_keys::HEADER_BYTES_MAX as u64);
    let made = sort_keys::of_header(&tables::body(kv, row.body, header)?);
    Ok(SortKeys::read(&made).and_then(|made| made.thread()))
}

/// A message that is there, or was expunged and is kept (RFC 2180 §4.1).
fn readable(
    kv: &dyn Kv,
    id: MailboxId,
    mailbox: &Mailbox,
    uid: Uid,
) -> Result<Option<(MessageRow, Flags)>, Error> {
    if let Some(row) = tables::message(kv, id, mailbox, uid)? {
        let flags = row.flags(mailbox);
        return Ok(Some((row, flags)));
    }
    let kept = keeping::message(kv, id, uid)?;
    Ok(kept.map(|kept| {
        let flags = kept.flags();
        (kept.message, flags)
    }))
}

pub(super) fn piece(
    kv: &dyn Kv,
    id: MailboxId,
    uid: Uid,
    range: Range<u64>,
) -> Result<Reply, Error> {
    let read = read(kv, id, uid, |size| {
        let end = range.end.min(size);
        range.start.min(end)..end
    });
    Ok(read?.map_or_else(Reply::Refused, |(piece, _)| Reply::Piece(piece)))
}

/// Decodes some of a part.
pub(super) fn decode(
    kv: &dyn Kv,
    id: MailboxId,
    uid: Uid,
    (range, mut decoder): (Range<u64>, Decoder),
    only_size: bool,
) -> Result<Reply, Error> {
    let mut last = false;
    let read = read(kv, id, uid, |size| {
        let end = range.end.min(size);
        let start = range.start.min(end);
        let stop = end.min(start + transfer::PIECE_BYTES);
        last = stop == end;
        start..stop
    });
    let (source, at) = match read? {
        Ok(read) => read,
        Err(refusal) => return Ok(Reply::Refused(refusal)),
    };
    let mut octets = Vec::with_capacity(source.len());
    let taken = decoder.decode(&source, last, &mut octets) as u64;
    Ok(Reply::Decoded {
        rest: match last {
            true => range.end..range.end,
            false => at + taken..range.end,
        },
        decoder,
        size: octets.len() as u64,
        has_nul: octets.contains(&0),
        octets: match only_size {
            true => Bytes::new(),
            false => octets.into(),
        },
    })
}

/// Reads a range of a message, which depends on its size; gives where it begins.
fn read(
    kv: &dyn Kv,
    id: MailboxId,
    uid: Uid,
    range: impl FnOnce(u64) -> Range<u64>,
) -> Result<Result<(Bytes, u64), Refusal>, Error> {
    let row = match tables::mailbox(kv, id)? {
        Some(mailbox) => readable(kv, id, &mailbox, uid)?,
        None => None,
    };
    let Some((row, _)) = row else {
        return Ok(Err(Refusal::NoMessage));
    };
    let range = range(row.size);
    let start = range.start;
    Ok(match tables::body(kv, row.body, range) {
        Ok(piece) => Ok((piece, start)),
        Err(error) => {
            damage::report(kv, (id, uid), &error);
            Err(Refusal::Unavailable("the message can't be read".into()))
        }
    })
}
