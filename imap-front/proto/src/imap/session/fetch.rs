//! FETCH (RFC 3501 §6.4.5, RFC 7162 §3.1.4): batches of messages, large bodies in pieces.
//!
//! Nothing more is asked of the store until what it gave before has left, so a session owns at most
//! one batch or one piece, however much the client asked for.

mod ending;

use std::collections::VecDeque;
use std::sync::Arc;

use mail::mime::header;
use mail::request::{FlagChange, StoreMode, Want};
use mail::set::SetNumber;
use mail::{
    Flags, Message, ModSeq, Reply, Request, Rights, SequenceSet, SystemFlag, Uid, UidRanges, UidSet,
};

use super::decoding::{self, Decoding};
use super::fetch_items::{self, Extra, Response, Segment};
use super::message_limit::Cut;
use super::{Session, Step, Stream, Work};
use crate::imap::ast::{FetchItem, PartialRange};
use crate::imap::output::Line;

/// Messages asked for at a time.
const BATCH_MAX: usize = 256;
/// Messages asked for at a time of which nothing but the row is wanted.
const ROWS_MAX: usize = 1024;
/// Messages asked for at a time, if the highest UIDs come first and more than the row is wanted.
const BATCH_DOWN_MAX: usize = 1;
/// Messages of which nothing is asked for that are passed over in one go.
const PASSED_MAX: usize = 4096;
/// Bytes of bodies asked for at a time.
const BATCH_BYTES: usize = 256 << 10;
/// Bytes of a large body asked for at a time.
pub(super) const READ_BYTES: u64 = 64 << 10;
/// Longest header from which fields are picked.
pub(super) const HEADER_BYTES_MAX: u64 = 1 << 20;

/// A FETCH under way.
pub(super) struct Job {
    pub(super) tag: Box<str>,
    items: Arc<[FetchItem]>,
    changed_since: Option<ModSeq>,
    /// What went is told too, of these, and was heard of up to here ([`Request::Changes`]).
    vanished: Option<(UidRanges, Uid)>,
    ending: Ending,
    /// There were more messages: the highest UIDs come first (RFC 9738 §3.1).
    cut: Option<Cut>,
    /// What is to be asked for.
    ranges: VecDeque<(Uid, Uid)>,
    /// What was asked for, ascending.
    asked: Vec<Uid>,
    /// Messages that are left out.
    skip: [Arc<UidSet>; 2],
    want: Want,
    sets_seen: bool,
    /// Messages up to here were given `\Seen` by this command.
    seen_to: Uid,
    /// Those asked for whose flags were changed by that: they are told with the message.
    seen: Vec<Uid>,
    stage: Stage,
    /// The present message, of which some items are still to be said.
    response: Option<Response>,
    /// What is still to be said of the present item.
    segments: VecDeque<Segment>,
    /// Messages that came with the last batch.
    batch: VecDeque<Message>,
    /// A message was asked for that is gone.
    missing: bool,
    /// Messages that are there and can't be read.
    unreadable: usize,
    /// A part was asked for whose transfer encoding is not known.
    unknown_encoding: bool,
}

/// How the command ends.
enum Ending {
    Fetch {
        uid: bool,
    },
    Store(Line),
    Select(Line),
    /// Of new messages between commands, or within IDLE: its tag.
    News {
        idle: Option<Box<str>>,
    },
}

impl Job {
    /// Whether flags that were changed are only told by this job: of STORE or of `\Seen`.
    fn changes_flags(&self) -> bool {
        !self.seen.is_empty() || matches!(self.ending, Ending::Store(_))
    }

    /// Tells these items of messages that changed after a mod-sequence to a client that selects a
    /// mailbox again, and which went of those it knows above a UID.
    pub(super) fn resync(
        tag: Box<str>,
        known: UidRanges,
        items: Vec<FetchItem>,
        (since, heard): (ModSeq, Uid),
        ending: Line,
    ) -> Box<Self> {
        let mut job = job(tag, known.clone(), items, Ending::Select(ending));
        job.changed_since = Some(since);
        job.vanished = Some((known, heard));
        job
    }

    /// Whether a mailbox is being selected by it.
    fn selects(&self) -> bool {
        matches!(self.ending, Ending::Select(_))
    }

    /// Whether the client has begun to hear a response whose rest is to come.
    pub(super) fn is_within_a_response(&self) -> bool {
        self.response.is_some() || !self.segments.is_empty()
    }
}

enum Stage {
    /// It is asked which messages changed.
    Changes,
    /// `\Seen` is being set.
    Seen,
    /// A batch was asked for.
    Batch,
    /// A piece of this message's range was asked for.
    Piece {
        uid: Uid,
        left: std::ops::Range<u64>,
    },
    /// A piece of this part is being decoded.
    Decode(Box<Decoding>),
    /// A header was asked for, to pick fields from it.
    Header { pick: fetch_items::Pick },
}

impl Session {
    pub(super) fn fetch(
        &mut self,
        (tag, uid): (Box<str>, bool),
        set: &SequenceSet,
        mut items: Vec<FetchItem>,
        (changed_since, vanished, partial): (Option<ModSeq>, bool, Option<PartialRange>),
    ) {
        if vanished && !self.qresync {
            return self.done(&tag, "BAD ENABLE QRESYNC comes before VANISHED");
        }
        let mut ranges = match self.resolve(set, uid) {
            Ok(ranges) => ranges,
            Err(why) => return self.done(&tag, &format!("BAD {why}")),
        };
        if let Some(why) = partial.and_then(|it| self.refuses_places(it.count())) {
            return self.done(&tag, &why);
        }
        if let Some(partial) = partial {
            ranges = self.view().places(&ranges, |count| partial.of(count));
        }
        // Clients look at it while the message comes.
        if items.contains(&FetchItem::Sender) {
            items.retain(|item| *item != FetchItem::Sender);
            items.insert(0, FetchItem::Sender);
        }
        // RFC 3501 §6.4.8: UID FETCH always tells the UID; a UIDFETCH begins with it.
        if uid && !self.uid_only && !items.contains(&FetchItem::Uid) {
            items.insert(0, FetchItem::Uid);
        }
        if changed_since.is_some() || items.contains(&FetchItem::ModSeq) {
            self.enable_condstore();
        }
        let sets_seen = items.iter().any(fetch_items::sets_seen)
            && self
                .selected
                .as_ref()
                .is_some_and(|it| !it.read_only && it.rights.contains(Rights::SEEN));
        let mut job = job(tag, ranges, items, Ending::Fetch { uid });
        job.changed_since = changed_since;
        let known = vanished.then(|| match set.is_saved() {
            true => self.saved_ranges(),
            false => known_uids(set, self.view().last_uid()),
        });
        job.vanished = known.map(|known| (known, Uid(0)));
        job.sets_seen = sets_seen;
        match changed_since {
            Some(_) => self.ask_changes(job),
            None => {
                self.limit(&mut job);
                self.next_batch(job);
            }
        }
    }

    /// Tells these items of the messages that a STORE changed, then ends it.
    pub(super) fn fetch_stored(
        &mut self,
        tag: Box<str>,
        ranges: UidRanges,
        skip: [Arc<UidSet>; 2],
        items: Vec<FetchItem>,
        (ending, cut): (Line, Option<Cut>),
    ) {
        let mut job = job(tag, ranges, items, Ending::Store(ending));
        (job.skip, job.cut) = (skip, cut);
        self.next_batch(job);
    }

    /// Tells these items of new messages, between commands or within IDLE.
    pub(super) fn fetch_new(
        &mut self,
        idle: Option<Box<str>>,
        ranges: UidRanges,
        items: Arc<[FetchItem]>,
    ) {
        let mut items = items.to_vec();
        // RFC 9051 §7.5.2
        if self.rev2 && !self.uid_only && !items.contains(&FetchItem::Uid) {
            items.insert(0, FetchItem::Uid);
        }
        self.next_batch(job(Box::default(), ranges, items, Ending::News { idle }));
    }

    /// Asks which messages a FETCH with CHANGEDSINCE is about.
    pub(super) fn ask_changes(&mut self, mut job: Box<Job>) {
        job.stage = Stage::Changes;
        let (known, heard) = match job.vanished.take() {
            Some((known, heard)) => (known, Some(heard)),
            None => (job.ranges.iter().copied().collect(), None),
        };
        let request = Request::Changes {
            mailbox: self.mailbox(),
            since: job.changed_since.unwrap_or_default(),
            upto: self.view().modseq,
            known,
            vanished: heard,
        };
        self.ask(request, Step::Fetch(job));
    }

    fn next_batch(&mut self, mut job: Box<Job>) {
        job.asked.clear();
        job.seen.clear();
        let batch_max = match (job.want == Want::default(), job.cut) {
            (true, _) => ROWS_MAX,
            (false, None) => BATCH_MAX,
            (false, Some(_)) => BATCH_DOWN_MAX,
        };
        for _ in 0..PASSED_MAX / batch_max {
            job.asked = match job.cut {
                None => self.view().take_uids(&mut job.ranges, batch_max),
                Some(_) => self.view().take_last_uids(&mut job.ranges, batch_max),
            };
            let skip = &job.skip;
            let is_wanted = |uid: &Uid| skip.iter().all(|left_out| !left_out.contains(*uid));
            job.asked.retain(is_wanted);
            if !job.asked.is_empty() || job.ranges.is_empty() {
                break;
            }
        }
        let Some(last) = job.asked.last().copied() else {
            return match job.ranges.is_empty() {
                true => self.end_fetch(job),
                // Others have their turn before it goes on.
                false => self.ask_batch(job),
            };
        };
        // Those that come one by one are asked for once each.
        let is_seen = last <= job.seen_to && job.cut.is_none();
        if !job.sets_seen || is_seen {
            return self.ask_batch(job);
        }
        let mut flags = Flags::default();
        flags.insert(SystemFlag::Seen);
        let is_unseen = |uid: &&Uid| **uid > job.seen_to || job.cut.is_some();
        let unseen = job.asked.iter().filter(is_unseen);
        let request = Request::Store {
            mailbox: self.mailbox(),
            ranges: unseen.copied().collect(),
            change: FlagChange {
                mode: StoreMode::Add,
                flags,
                unchanged_since: None,
            },
            since: self.view().modseq,
        };
        job.seen_to = last;
        job.stage = Stage::Seen;
        self.ask(request, Step::Fetch(job));
    }

    fn ask_batch(&mut self, mut job: Box<Job>) {
        let request = Request::Fetch {
            mailbox: self.mailbox(),
            uids: job.asked.clone(),
            want: job.want,
            budget_bytes: BATCH_BYTES,
        };
        job.stage = Stage::Batch;
        self.ask(request, Step::Fetch(job));
    }

    /// The store answered.
    pub(super) fn fetched(&mut self, mut job: Box<Job>, reply: Reply) {
        match (std::mem::replace(&mut job.stage, Stage::Batch), reply) {
            (Stage::Changes, Reply::Changes { vanished, changed }) => {
                if !vanished.is_empty() {
                    let uids = vanished.into_iter().map(|(low, high)| (low.0, high.0));
                    let line = Line::new("* VANISHED (EARLIER) ").ranges(Box::new(uids));
                    self.output.pieces(line.text("\r\n"));
                }
                let ranges: UidRanges = job.ranges.drain(..).collect();
                job.ranges = ranges.intersection(&changed).into_iter().collect();
                self.limit(&mut job);
                self.next_batch(job);
            }
            (Stage::Seen, Reply::Stored { delta, .. }) => {
                if !self.synced(Reply::Synced(delta)) {
                    return;
                }
                let view = self.view();
                job.seen = job.asked.clone();
                job.seen.retain(|uid| view.forget_flags(*uid).is_some());
                self.ask_batch(job);
            }
            (
                Stage::Batch,
                Reply::Fetched {
                    messages,
                    done,
                    unreadable,
                },
            ) => {
                let done = done.max(1).min(job.asked.len());
                job.missing |= messages.len() + unreadable < done;
                job.unreadable += unreadable;
                job.batch = messages.into();
                if let (Some(next), Some(last)) = (job.asked.get(done), job.asked.last()) {
                    match job.cut {
                        None => job.ranges.push_front((*next, *last)),
                        // These come before those that are there.
                        Some(_) => {
                            let there = (job.asked[0], job.asked[done - 1]);
                            job.ranges.extend([there, (*next, *last)]);
                            job.batch.clear();
                        }
                    }
                }
                if job.cut.is_some() {
                    job.batch.make_contiguous().reverse();
                }
                self.fetch_on(job);
            }
            (Stage::Piece { uid, left }, Reply::Piece(piece)) if !piece.is_empty() => {
                let rest = left.start + piece.len() as u64..left.end;
                if !rest.is_empty() {
                    job.segments.push_front(Segment::Range { uid, range: rest });
                }
                job.segments.push_front(Segment::Literal(piece));
                self.fetch_on(job);
            }
            (Stage::Header { pick }, Reply::Piece(bytes)) => {
                let end = header::length(&bytes);
                pick.push_front(&mut job.segments, &bytes[..end]);
                self.fetch_on(job);
            }
            (
                Stage::Decode(decoding),
                Reply::Decoded {
                    rest,
                    decoder,
                    size,
                    has_nul,
                    octets,
                },
            ) if !decoding.is_at_end() => {
                let next = decoding.decoded((rest, decoder), (size, has_nul), octets);
                next.into_iter()
                    .map(Segment::from)
                    .rev()
                    .for_each(|it| job.segments.push_front(it));
                self.fetch_on(job);
            }
            // The response has begun: nothing but its end could be said.
            (Stage::Piece { .. } | Stage::Decode(_) | Stage::Header { .. }, _) => self.close(),
            (Stage::Batch, Reply::Refused(_)) if job.changes_flags() => {
                // They are changed, and the client would never hear of it.
                self.bye("Flags were changed but can't be told, please reconnect");
            }
            (_, reply) => self.refuse_job(*job, reply),
        }
    }

    /// Says what is there, as the client takes it; asks for more when that has left.
    pub(super) fn fetch_on(&mut self, mut job: Box<Job>) {
        loop {
            let ready = match job.segments.front() {
                Some(Segment::Range { .. } | Segment::Pick { .. } | Segment::Decode(_)) => {
                    self.output.is_drained()
                }
                None if job.response.is_none() && job.batch.is_empty() => {
                    self.output.is_drained() || job.ranges.is_empty()
                }
                _ => !self.output.is_full(),
            };
            if !ready {
                break;
            }
            match job.segments.pop_front() {
                Some(Segment::Decode(decoding)) => {
                    let request = decoding.request(self.mailbox());
                    job.stage = Stage::Decode(decoding);
                    return self.ask(request, Step::Fetch(job));
                }
                Some(Segment::Range { uid, range }) => return self.ask_piece(job, uid, range),
                Some(Segment::Pick { uid, range, pick }) => {
                    let end = range.end.min(range.start + HEADER_BYTES_MAX);
                    job.stage = Stage::Header { pick };
                    let mailbox = self.mailbox();
                    let request = Request::Read {
                        mailbox,
                        uid,
                        range: range.start..end,
                    };
                    return self.ask(request, Step::Fetch(job));
                }
                Some(segment) => {
                    let rest = segment.say(&mut self.output);
                    rest.into_iter().for_each(|it| job.segments.push_front(it));
                }
                None => match &mut job.response {
                    Some(response) => {
                        job.segments = response.next_items();
                        if response.is_complete() {
                            job.response = None;
                        }
                    }
                    None => match job.batch.pop_front() {
                        Some(message) => self.respond_with(&mut job, message),
                        None => return self.next_batch(job),
                    },
                },
            }
        }
        self.work = Work::Streaming(Box::new(Stream::Fetch(job)));
    }

    fn ask_piece(&mut self, mut job: Box<Job>, uid: Uid, range: std::ops::Range<u64>) {
        let end = range.end.min(range.start + READ_BYTES);
        job.stage = Stage::Piece {
            uid,
            left: range.clone(),
        };
        let request = Request::Read {
            mailbox: self.mailbox(),
            uid,
            range: range.start..end,
        };
        self.ask(request, Step::Fetch(job));
    }

    fn respond_with(&mut self, job: &mut Job, message: Message) {
        if job
            .changed_since
            .is_some_and(|since| message.modseq <= since)
        {
            return;
        }
        let Some(number) = self.view().number(message.uid) else {
            return;
        };
        if fetch_items::is_damaged(&message, &job.items) {
            job.unreadable += 1;
            return;
        }
        let items = match decoding::without_unknown(&message, &job.items) {
            Some(known) => {
                job.unknown_encoding = true;
                known.into()
            }
            None => job.items.clone(),
        };
        let flags = job.seen.binary_search(&message.uid).is_ok();
        if items.is_empty() && !flags {
            return;
        }
        if flags || job.items.contains(&FetchItem::Flags) {
            self.introduce_keywords(&message.flags);
        }
        let extra = Extra {
            flags,
            modseq: self.condstore && flags,
            recent: !self.rev2 && self.view().is_recent(message.uid),
            global: self.name_form.is_utf8(),
        };
        let head = match self.uid_only {
            true => format!("* {} UIDFETCH (", message.uid),
            false => format!("* {number} FETCH ("),
        };
        job.response = Some(Response::new(head, message, items, &extra));
    }
}

/// The UIDs that a client means in which some may have gone: `*` is the last that is there, and all
/// up to the last that ever was.
pub(super) fn known_uids(set: &SequenceSet, last: Uid) -> UidRanges {
    let with = |largest: Uid| {
        let number = move |number| match number {
            SetNumber::Largest => SetNumber::Value(largest.0),
            number => number,
        };
        set.0
            .iter()
            .map(move |(low, high)| (number(*low), number(*high)))
    };
    let both = SequenceSet(with(last).chain(with(Uid(u32::MAX))).collect());
    let ranges = both.resolve(u32::MAX).into_iter();
    ranges.map(|(low, high)| (Uid(low), Uid(high))).collect()
}

fn job(tag: Box<str>, ranges: UidRanges, items: Vec<FetchItem>, ending: Ending) -> Box<Job> {
    Box::new(Job {
        tag,
        want: fetch_items::want(&items),
        items: items.into(),
        changed_since: None,
        vanished: None,
        ending,
        cut: None,
        ranges: ranges.into_iter().collect(),
        asked: vec![],
        skip: Default::default(),
        sets_seen: false,
        seen_to: Uid(0),
        seen: vec![],
        stage: Stage::Batch,
        response: None,
        segments: VecDeque::new(),
        batch: VecDeque::new(),
        missing: false,
        unreadable: 0,
        unknown_encoding: false,
    })
}
