//! Requests that change nothing, and SELECT.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use mail::UserId;
use mail::mime::transfer::{self, Decoder};
use mail::mime::{Structure, header};
use mail::reply::{Arrangement, HitModSeqs, Opened, Status};
use mail::request::{Arrange, Want};
use mail::search::{Candidate, Program, matches};
use mail::sort::{self, Criterion, Facts, SortField, SortKeys};
use mail::thread::Threader;
use mail::{
    InternalDate, MailboxId, MailboxName, Message, ModSeq, ObjectId, Refusal, Reply, Request,
    Rights, SystemFlag, Uid, UidSet,
};

use crate::state::State;
use crate::{Limits, Outcome, access, catch_up, listing, refused, watching};

pub(crate) fn answer(state: &State, limits: &Limits, now: InternalDate, request: Request) -> Reply {
    use Request as R;
    match request {
        R::List { user, query, after } => {
            Reply::Listed(query.piece(&listing::mailboxes(state, user), after.as_ref()))
        }
        R::Status {
            user,
            name,
            deleted_bytes,
        } => status(state, user, &name, deleted_bytes),
        R::Watched {
            user,
            scope,
            only,
            needs,
            max,
        } => watching::watched(state, user, &scope, (&only, needs), max),
        R::Acl {
            user,
            name,
            question,
        } => access::answer(state, limits, (user, &name), &question),
        R::Sync { mailbox, since } => Reply::Synced(catch_up::delta(state, mailbox, since)),
        R::View { mailbox, at } => {
            let uids = state
                .mailbox(mailbox)
                .map(|mailbox| catch_up::uids_at(mailbox, at));
            let uids = uids.unwrap_or_default().into_iter().collect();
            let known = state.mailbox(mailbox).filter(|it| it.keywords_at <= at);
            Reply::Viewed {
                uids,
                keywords: known.map(|it| it.keywords.clone()).unwrap_or_default(),
                delta: catch_up::delta(state, mailbox, at),
            }
        }
        R::Changes {
            mailbox,
            since,
            upto,
            known,
            vanished,
        } => {
            let Some(mailbox) = state.mailbox(mailbox) else {
                return Reply::Refused(Refusal::NoMailbox);
            };
            catch_up::missed(mailbox, (since, upto), &known, vanished.is_some())
        }
        R::Fetch {
            mailbox,
            uids,
            want,
            budget_bytes,
        } => fetch(state, limits, mailbox, &uids, want, budget_bytes),
        R::Read {
            mailbox,
            uid,
            range,
        } => piece(state, mailbox, uid, range),
        R::Decode {
            mailbox,
            uid,
            range,
            decoder,
            only_size,
        } => decode(state, mailbox, uid, (range, decoder), only_size),
        R::Search {
            mailbox,
            program,
            since,
            recent_from,
        } => search(state, mailbox, (&program, now), since, recent_from),
        R::Arrange {
            mailbox,
            program,
            how,
            since,
            recent_from,
        } => {
            let found = search(state, mailbox, (&program, now), since, recent_from);
            arrange(state, mailbox, &how, found)
        }
        _ => Reply::Refused(Refusal::Cannot("not a question")),
    }
}

fn piece(state: &State, id: MailboxId, uid: Uid, range: Range<u64>) -> Reply {
    let Some(message) = state.mailbox(id).and_then(|mailbox| mailbox.readable(uid)) else {
        return Reply::Refused(Refusal::NoMessage);
    };
    let end = range.end.min(message.size()) as usize;
    let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
    Reply::Piece(message.bytes.slice(start..end))
}

/// Decodes some of a part.
fn decode(
    state: &State,
    id: MailboxId,
    uid: Uid,
    (range, mut decoder): (Range<u64>, Decoder),
    only_size: bool,
) -> Reply {
    let message = state.mailbox(id).and_then(|mailbox| mailbox.readable(uid));
    let Some(message) = message else {
        return Reply::Refused(Refusal::NoMessage);
    };
    let end = range.end.min(message.size());
    let start = range.start.min(end);
    let stop = end.min(start + transfer::PIECE_BYTES);
    let source = &message.bytes[start as usize..stop as usize];
    let mut octets = vec![];
    let taken = decoder.decode(source, stop == end, &mut octets) as u64;
    let rest = if stop == end {
        range.end
    } else {
        start + taken
    }..range.end;
    let (size, has_nul) = (octets.len() as u64, octets.contains(&0));
    let octets = if only_size { vec![] } else { octets }.into();
    Reply::Decoded {
        rest,
        decoder,
        size,
        has_nul,
        octets,
    }
}

/// Messages up to this size are read before any of their bytes is announced, as the store does it.
const SURE_BYTES_MAX: u64 = 1 << 20;

fn status(state: &State, user: UserId, name: &MailboxName, deleted_bytes: bool) -> Reply {
    let id = match access::may(state, user, name, Rights::READ) {
        Ok(id) => id,
        Err(refusal) => return Reply::Refused(refusal),
    };
    let Some(mailbox) = state.mailbox(id) else {
        return Reply::Refused(Refusal::NoMailbox);
    };
    Reply::Status(Status {
        mailbox: id,
        object: ObjectId(id.0),
        messages: mailbox.messages.len() as u32,
        recent: mailbox.recent(),
        unseen: mailbox.unseen(),
        uid_next: mailbox.uid_next,
        uid_validity: mailbox.uid_validity,
        highest_modseq: mailbox.modseq,
        size: mailbox.size(),
        deleted: mailbox.deleted().count() as u32,
        deleted_bytes: match deleted_bytes {
            true => mailbox.deleted().map(|it| it.size()).sum(),
            false => 0,
        },
    })
}

pub(crate) fn open(
    state: &mut State,
    user: UserId,
    name: &MailboxName,
    read_only: bool,
) -> Outcome {
    let id = match access::may(state, user, name, Rights::READ) {
        Ok(id) => id,
        Err(refusal) => return refused(refusal),
    };
    let rights = access::rights(state, id, user);
    let Some(mailbox) = state.mailbox(id) else {
        return refused(Refusal::NoMailbox);
    };
    let first_unseen = mailbox
        .messages
        .values()
        .position(|message| !message.flags.has(SystemFlag::Seen));
    let opened = Opened {
        mailbox: id,
        object: ObjectId(id.0),
        uid_validity: mailbox.uid_validity,
        uid_next: mailbox.uid_next,
        highest_modseq: mailbox.modseq,
        uids: mailbox.messages.keys().copied().collect(),
        recent_from: mailbox.recent_from,
        first_unseen: first_unseen.map(|index| index as u32 + 1),
        keywords: mailbox.keywords.clone(),
        rights,
    };
    if !read_only && rights.may_change() && mailbox.recent_from < mailbox.uid_next {
        let mailbox = state.changing(id);
        mailbox.recent_from = mailbox.uid_next;
    }
    (Reply::Opened(opened), vec![])
}

/// A session was told of messages below a UID: they are not recent for others.
pub(crate) fn claim(state: &mut State, id: MailboxId, below: Uid) -> Outcome {
    if state.mailbox(id).is_some_and(|it| it.recent_from < below) {
        let mailbox = state.changing(id);
        mailbox.recent_from = below.min(mailbox.uid_next);
    }
    (Reply::Done, vec![])
}

fn fetch(
    state: &State,
    limits: &Limits,
    id: MailboxId,
    uids: &[Uid],
    want: Want,
    budget_bytes: usize,
) -> Reply {
    let Some(mailbox) = state.mailbox(id) else {
        return Reply::Refused(Refusal::NoMailbox);
    };
    let mut messages = Vec::new();
    let (mut spent, mut done) = (0, 0);
    for uid in uids {
        if spent >= budget_bytes && !messages.is_empty() {
            break;
        }
        done += 1;
        let Some(message) = mailbox.readable(*uid) else {
            continue;
        };
        let header = want
            .header
            .then(|| header::whole(&message.bytes, message.size()))
            .flatten();
        let mut want = want;
        if want.header && header.is_none() {
            (want.structure, want.bytes) = (true, true);
        }
        spent += header.map_or(0, <[u8]>::len);
        let brings = want.bytes && message.size() <= limits.inline_bytes_max;
        let is_read = want.bytes && message.size() <= limits.inline_bytes_max.max(SURE_BYTES_MAX);
        if is_read || want.structure {
            spent += message.bytes.len();
        }
        messages.push(Message {
            uid: *uid,
            is_gone: !mailbox.messages.contains_key(uid),
            modseq: message.modseq,
            flags: message.flags.clone(),
            date: message.date,
            saved: message.saved(),
            email: message.email,
            thread: want.thread.then(|| message.thread()).flatten(),
            preview: (want.preview && want.structure).then(|| message.preview()),
            size: message.size(),
            structure: want
                .structure
                .then(|| Arc::new(Structure::parse(&message.bytes))),
            bytes: brings.then(|| message.bytes.clone()),
            header: header.map(Bytes::copy_from_slice),
            submitter: message.submitter.clone().filter(|_| want.submitter),
        });
    }
    Reply::Fetched {
        messages,
        done,
        unreadable: 0,
    }
}

fn search(
    state: &State,
    id: MailboxId,
    (program, now): (&Program, InternalDate),
    since: ModSeq,
    recent_from: Uid,
) -> Reply {
    let Some(mailbox) = state.mailbox(id) else {
        return Reply::Refused(Refusal::NoMailbox);
    };
    let mut hits = UidSet::default();
    let mut modseqs = None;
    for (&uid, message) in &mailbox.messages {
        let candidate = Candidate {
            uid,
            modseq: message.modseq,
            flags: &message.flags,
            date: message.date,
            saved: message.saved(),
            email: message.email,
            thread: &|| message.thread(),
            size: message.size(),
            now_s: now.unix_s,
            recent: uid >= recent_from,
            header: &|_, _| None,
            bytes: &|| message.bytes.clone(),
        };
        if matches(program, &candidate) {
            hits.insert(uid);
            modseqs = Some(HitModSeqs::then(modseqs, message.modseq));
        }
    }
    Reply::Found {
        unreadable: 0,
        hits,
        modseqs: modseqs.filter(|_| program.asks_for_modseqs()),
        delta: catch_up::delta(state, id, since),
    }
}

/// What was found, in the order that is asked for.
fn arrange(state: &State, id: MailboxId, how: &Arrange, found: Reply) -> Reply {
    let (hits, modseqs, delta) = match found {
        Reply::Found {
            hits,
            modseqs,
            delta,
            ..
        } => (hits, modseqs, delta),
        refused => return refused,
    };
    let messages = state.mailbox(id).map(|it| &it.messages);
    let messages: Vec<_> = messages
        .into_iter()
        .flatten()
        .filter(|(uid, _)| hits.contains(**uid))
        .map(|(uid, message)| (*uid, message, sort::keys::of_header(&message.bytes)))
        .collect();
    let mut facts: Vec<Facts<'_>> = messages
        .iter()
        .map(|(uid, message, keys)| Facts {
            uid: *uid,
            arrival_s: message.date.unix_s,
            size: message.size(),
            keys: SortKeys::read(keys).unwrap_or_default(),
        })
        .collect();
    let arrangement = match how {
        Arrange::Sort(criteria) => {
            let compare = |one: &Facts<'_>, other: &Facts<'_>| {
                let by = criteria.iter().map(|it| compared(one, other, *it));
                by.fold(Ordering::Equal, Ordering::then)
            };
            facts.sort_by(compare);
            Arrangement::Sorted(facts.iter().map(|it| it.uid).collect())
        }
        Arrange::Thread(algorithm) => {
            let mut threader = Threader::new(*algorithm);
            facts.iter().for_each(|facts| threader.push(facts));
            while !threader.step() {}
            Arrangement::Threaded(threader.into_parts())
        }
    };
    let of = |uid: Option<&Uid>, other| {
        let message = state
            .mailbox(id)
            .zip(uid)
            .map(|(it, uid)| it.messages.get(uid));
        message.flatten().map_or(other, |it| it.modseq)
    };
    let modseqs = modseqs.map(|HitModSeqs { highest, .. }| match &arrangement {
        Arrangement::Sorted(uids) => HitModSeqs {
            first: of(uids.first(), highest),
            last: of(uids.last(), highest),
            highest,
        },
        Arrangement::Threaded(_) => HitModSeqs {
            first: highest,
            last: highest,
            highest,
        },
    });
    Reply::Arranged {
        arrangement,
        found: hits,
        modseqs,
        unreadable: 0,
        delta,
    }
}

/// Which of two messages comes first by a criterion.
fn compared(one: &Facts<'_>, other: &Facts<'_>, criterion: Criterion) -> Ordering {
    let order = match criterion.field {
        SortField::Arrival => one.arrival_s.cmp(&other.arrival_s),
        SortField::Date => one.sent_s().cmp(&other.sent_s()),
        SortField::Size => one.size.cmp(&other.size),
        SortField::Cc => one.keys.cc.cmp(other.keys.cc),
        SortField::From => one.keys.from.cmp(other.keys.from),
        SortField::To => one.keys.to.cmp(other.keys.to),
        SortField::Subject => one.keys.subject.cmp(other.keys.subject),
        SortField::DisplayFrom => one.keys.display_from.cmp(other.keys.display_from),
        SortField::DisplayTo => one.keys.display_to.cmp(other.keys.display_to),
    };
    match criterion.reverse {
        true => order.reverse(),
        false => order,
    }
}
