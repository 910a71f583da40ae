//! FETCH: messages, their structures, and pieces of them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use mail::mime::transfer::{self, Decoder};
use mail::mime::{Structure, header, preview};
use mail::request::Want;
use mail::sort::SortKeys;
use mail::sort::keys as sort_keys;
use mail::{EmailId, Flags, MailboxId, Message, Refusal, Reply, ThreadId, Uid};

use super::made::Made;
use super::{Rules, damage, keeping, keys, tables};
use crate::Error;
use crate::body_cache::Header;
use crate::kv::{Kv, Space};
use crate::rows::{Mailbox, MessageRow};

/// Messages up to this size are read before any of their bytes is announced.
const SURE_BYTES_MAX: u64 = 1 << 20;
/// Messages from which on a scan is cheaper than asking for each.
const SCANNED_MIN: usize = 8;

/// How structures and headers of messages are come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// They are read and parsed if need be.
    Any,
    /// Only those that are in memory: the first other message ends the answer.
    Known,
}

/// FETCH. None if only what is known is wanted, and that is not enough for an answer.
pub(super) fn fetch(
    kv: &dyn Kv,
    rules: &Rules,
    (id, uids): (MailboxId, &[Uid]),
    (want, source): (Want, Source),
    budget_bytes: usize,
) -> Result<Option<Reply>, Error> {
    let Some(mailbox) = tables::mailbox(kv, id)? else {
        return Ok(Some(Reply::Refused(Refusal::NoMailbox)));
    };
    let mut ahead = RowsAhead::of(kv, id, &mailbox, uids);
    let mut messages = Vec::with_capacity(uids.len());
    let (mut spent, mut done, mut unreadable) = (0, 0, 0);
    for &uid in uids {
        if spent >= budget_bytes && done > 0 {
            break;
        }
        let found = match ahead.take(uid) {
            Some(row) => Ok(Some(there(row, &mailbox))),
            None => readable(kv, id, &mailbox, uid),
        };
        let content = found.and_then(|found| content(kv, rules, found, (want, source)));
        if matches!(content, Ok(Read::NotKnown)) {
            match messages.is_empty() {
                true => return Ok(None),
                false => break,
            }
        }
        done += 1;
        let Content {
            row,
            flags,
            is_gone,
            bytes,
            header,
            structure,
            thread,
            preview,
        } = match content {
            Ok(Read::Content(content)) => content,
            Ok(Read::Gone | Read::NotKnown) => continue,
            Err(error) => {
                damage::report(kv, (id, uid), &error);
                unreadable += 1;
                continue;
            }
        };
        let small = row.size <= rules.options.inline_bytes_max;
        // A structure costs what would have to be read for it: the work of a request is bounded as
        // well as its answer.
        spent += header.as_ref().map_or(0, Bytes::len);
        spent += match source {
            _ if bytes.is_some() => row.size as usize,
            Source::Any if structure.is_some() => row.size as usize,
            Source::Any | Source::Known => 0,
        };
        messages.push(Message {
            uid,
            is_gone,
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
            header,
            submitter: row.submitter.filter(|_| want.submitter),
        });
    }
    Ok(Some(Reply::Fetched {
        messages,
        done,
        unreadable,
    }))
}

/// What came of a look at a message.
#[allow(
    clippy::large_enum_variant,
    reason = "there is one at a time, and nearly all are the large one"
)]
enum Read {
    Content(Content),
    Gone,
    /// Its structure or header would have to be read.
    NotKnown,
}

/// What a fetch needs of a message.
struct Content {
    thread: Option<ThreadId>,
    preview: Option<Box<str>>,
    row: MessageRow,
    flags: Flags,
    is_gone: bool,
    bytes: Option<Bytes>,
    header: Option<Bytes>,
    structure: Option<Arc<Structure>>,
}

/// Rows of messages that are asked for together, read by one scan if there is little between them.
struct RowsAhead {
    rows: std::vec::IntoIter<(Uid, MessageRow)>,
}

impl RowsAhead {
    fn of(kv: &dyn Kv, id: MailboxId, mailbox: &Mailbox, uids: &[Uid]) -> Self {
        let mut rows = Vec::new();
        if let (Some(&first), Some(&last)) = (uids.first(), uids.last())
            && uids.len() >= SCANNED_MIN
            && last > first
            && (last.0 - first.0) as usize <= 2 * uids.len()
        {
            let to = keys::message(id, Uid(last.0 + 1).min(mailbox.uid_next));
            let scan = tables::rows(kv, id, first, &to, |uid, row| {
                rows.push((uid, mailbox.resolved(uid, row)));
                true
            });
            // What is behind a damaged row is asked for by itself.
            drop(scan);
        }
        Self {
            rows: rows.into_iter(),
        }
    }

    /// The row of a message, above those that were taken; none if it was not read.
    fn take(&mut self, uid: Uid) -> Option<MessageRow> {
        while let Some((next, _)) = self.rows.as_slice().first()
            && *next <= uid
        {
            let (next, row) = self.rows.next()?;
            if next == uid {
                return Some(row);
            }
        }
        None
    }
}

/// A message's row, its flags, and whether it was expunged and is kept.
type Found = (MessageRow, Flags, bool);

fn there(row: MessageRow, mailbox: &Mailbox) -> Found {
    let flags = row.flags(mailbox);
    (row, flags, false)
}

/// A message's row, its structure and header if they are wanted, and its bytes if they are wanted
/// and few enough to make sure of: a session can't take back the size of a literal.
fn content(
    kv: &dyn Kv,
    rules: &Rules,
    found: Option<Found>,
    (mut want, source): (Want, Source),
) -> Result<Read, Error> {
    let Some((row, flags, is_gone)) = found else {
        return Ok(Read::Gone);
    };
    let (caches, body) = (rules.caches(), (kv.generation(), row.body));
    let mut header = None;
    if want.header {
        let Header(whole) = match source {
            Source::Any => caches.headers.get(body, || read_header(kv, &row))?,
            Source::Known => match caches.headers.known(body) {
                Some(known) => known,
                None => return Ok(Read::NotKnown),
            },
        };
        // What is too long for that is found in the message.
        (want.structure, want.bytes) = match whole {
            Some(_) => (want.structure, want.bytes),
            None => (true, true),
        };
        header = whole;
    }
    let known = want
        .structure
        .then(|| caches.structures.known(body))
        .flatten();
    if want.structure && known.is_none() && source == Source::Known {
        return Ok(Read::NotKnown);
    }
    let small = row.size <= rules.options.inline_bytes_max.max(SURE_BYTES_MAX);
    let read = || tables::body(kv, row.body, 0..row.size);
    let bytes = (want.bytes && small).then(read).transpose()?;
    let structure = match known {
        None if want.structure => {
            let whole = || bytes.clone().map_or_else(read, Ok);
            let make = || structure_of(kv, rules, &row, whole);
            Some(caches.structures.get(body, make)?)
        }
        known => known,
    };
    let thread = want.thread.then(|| thread(kv, &row)).transpose()?.flatten();
    let preview = match (&structure, want.preview) {
        (Some(structure), true) => Some(preview_of(kv, &row, structure, bytes.as_deref())?),
        _ => None,
    };
    Ok(Read::Content(Content {
        thread,
        preview,
        row,
        flags,
        is_gone,
        bytes,
        header,
        structure,
    }))
}

/// The structure of a message: the one that is kept, or made of its bytes.
fn structure_of(
    kv: &dyn Kv,
    rules: &Rules,
    row: &MessageRow,
    whole: impl FnOnce() -> Result<Bytes, Error>,
) -> Result<Arc<Structure>, Error> {
    if !tables::keeps_structure(row.size) {
        return Ok(Arc::new(Structure::parse(&whole()?)));
    }
    let kept = kv.get(Space::Structures, &keys::number(row.body))?;
    if let Some(kept) = kept.as_deref().and_then(Structure::from_bytes) {
        return Ok(Arc::new(kept));
    }
    let whole = whole()?;
    let structure = Structure::parse(&whole);
    rules
        .made
        .push(Made::structure(row.body, &whole, &structure));
    Ok(Arc::new(structure))
}

/// The header of a message.
fn read_header(kv: &dyn Kv, row: &MessageRow) -> Result<Header, Error> {
    let begin = tables::body(kv, row.body, 0..row.size.min(header::WHOLE_MAX as u64))?;
    let whole = header::whole(&begin, row.size);
    // A copy: what was read is as long as the message.
    Ok(Header(whole.map(Bytes::copy_from_slice)))
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
) -> Result<Option<Found>, Error> {
    if let Some(row) = tables::message(kv, id, mailbox, uid)? {
        return Ok(Some(there(row, mailbox)));
    }
    let kept = keeping::message(kv, id, uid)?;
    Ok(kept.map(|kept| {
        let flags = kept.flags();
        (kept.message, flags, true)
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
    let Some((row, ..)) = row else {
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
