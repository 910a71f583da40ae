//! FETCH (RFC 3501 §6.4.5, RFC 7162 §3.1.4): batches of messages, large bodies in pieces.
//!
//! Nothing more is asked of the store until what it gave before has left, so a session owns at most
//! one batch or one piece, however much the client asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use mail::mime::header;
use mail::request::{StoreMode, Want};
use mail::{Flags, Message, ModSeq, Reply, Request, SequenceSet, SystemFlag, Uid};

use super::fetch_items::{self, Segment};
use super::{Session, Step, Work};
use crate::imap::ast::{FetchItem, SectionText};
use crate::imap::encode;

/// Messages asked for at a time.
const BATCH_MAX: usize = 256;
/// Bytes of bodies asked for at a time.
const BATCH_BYTES: usize = 256 << 10;
/// Bytes of a large body asked for at a time.
const PIECE_BYTES: u64 = 64 << 10;
/// Longest header from which fields are picked.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// A FETCH under way.
pub(super) struct Job {
    tag: Box<str>,
    items: Arc<[FetchItem]>,
    changed_since: Option<ModSeq>,
    ending: String,
    uids: VecDeque<Uid>,
    want: Want,
    /// Flags that this command changed: they are told with the message.
    seen: HashMap<Uid, ()>,
    stage: Stage,
    /// What is still to be said of the present message.
    segments: VecDeque<Segment>,
    /// Messages that came with the last batch.
    batch: VecDeque<Message>,
    /// A message was asked for that is gone.
    missing: bool,
    /// Messages that are there and can't be read.
    unreadable: usize,
}

impl Job {
    /// Whether flags that were changed are only told by this job: of STORE or of `\\Seen`.
    fn changes_flags(&self) -> bool {
        !self.seen.is_empty() || !self.ending.starts_with("OK FETCH")
    }
}

enum Stage {
    /// `\Seen` is being set.
    Seen,
    /// A batch was asked for.
    Batch,
    /// A piece of this message's range was asked for.
    Piece {
        uid: Uid,
        left: std::ops::Range<u64>,
    },
    /// A header was asked for, to pick fields from it.
    Header { pick: fetch_items::Pick },
}

impl Session {
    pub(super) fn fetch(
        &mut self,
        tag: Box<str>,
        uid: bool,
        set: &SequenceSet,
        mut items: Vec<FetchItem>,
        changed_since: Option<ModSeq>,
    ) {
        let uids = match self.resolve(set, uid) {
            Ok(uids) => uids,
            Err(why) => return self.done(&tag, &format!("BAD {why}")),
        };
        // RFC 3501 §6.4.8: UID FETCH always tells the UID.
        if uid && !items.contains(&FetchItem::Uid) {
            items.insert(0, FetchItem::Uid);
        }
        self.condstore |= changed_since.is_some() || items.contains(&FetchItem::ModSeq);
        let sets_seen = items.iter().any(fetch_items::sets_seen)
            && self
                .selected
                .as_ref()
                .is_some_and(|selected| !selected.read_only);
        let mut job = self.job(tag, uids, items, "OK FETCH completed".into());
        job.changed_since = changed_since;
        if !sets_seen || job.uids.is_empty() {
            return self.next_batch(job);
        }
        let mut flags = Flags::default();
        flags.insert(SystemFlag::Seen);
        let request = Request::Store {
            mailbox: self.mailbox(),
            uids: job.uids.iter().copied().collect(),
            mode: StoreMode::Add,
            flags,
            unchanged_since: None,
            since: self.view().modseq,
        };
        job.stage = Stage::Seen;
        self.ask(request, Step::Fetch(job));
    }

    /// Tells these items of these messages, then ends the command.
    pub(super) fn fetch_uids(
        &mut self,
        tag: Box<str>,
        uids: Vec<Uid>,
        items: Vec<FetchItem>,
        ending: String,
    ) {
        let job = self.job(tag, uids, items, ending);
        self.next_batch(job);
    }

    fn job(&self, tag: Box<str>, uids: Vec<Uid>, items: Vec<FetchItem>, ending: String) -> Job {
        Job {
            tag,
            want: fetch_items::want(&items),
            items: items.into(),
            changed_since: None,
            ending,
            uids: uids.into(),
            seen: HashMap::new(),
            stage: Stage::Batch,
            segments: VecDeque::new(),
            batch: VecDeque::new(),
            missing: false,
            unreadable: 0,
        }
    }

    fn next_batch(&mut self, mut job: Job) {
        if job.uids.is_empty() {
            // RFC 5530 §3 EXPUNGEISSUED: some were expunged by another session meanwhile.
            let gone = job.missing && job.ending.starts_with("OK FETCH");
            let ending = if job.unreadable > 0 {
                // RFC 5530 §3 CORRUPTION: which messages, is in the log.
                &format!("NO [CORRUPTION] {} messages can't be read", job.unreadable)
            } else if gone {
                "NO [EXPUNGEISSUED] Some messages are gone"
            } else {
                &job.ending
            };
            return self.done(&job.tag, ending);
        }
        let uids = job.uids.iter().take(BATCH_MAX).copied().collect();
        let request = Request::Fetch {
            mailbox: self.mailbox(),
            uids,
            want: job.want,
            budget_bytes: BATCH_BYTES,
        };
        job.stage = Stage::Batch;
        self.ask(request, Step::Fetch(job));
    }

    /// The store answered.
    pub(super) fn fetched(&mut self, mut job: Job, reply: Reply) {
        match (std::mem::replace(&mut job.stage, Stage::Batch), reply) {
            (Stage::Seen, Reply::Stored { delta, .. }) => {
                let uids: Vec<Uid> = job.uids.iter().copied().collect();
                if !self.synced(Reply::Synced(delta)) {
                    return;
                }
                for uid in uids {
                    if self.view().forget_flags(uid).is_some() {
                        job.seen.insert(uid, ());
                    }
                }
                self.next_batch(job);
            }
            (
                Stage::Batch,
                Reply::Fetched {
                    messages,
                    done,
                    unreadable,
                },
            ) => {
                let done = done.max(1).min(job.uids.len());
                job.missing |= messages.len() + unreadable < done;
                job.unreadable += unreadable;
                job.uids.drain(..done);
                job.batch = messages.into();
                self.fetch_on(job);
            }
            (Stage::Piece { uid, left }, Reply::Piece(piece)) => {
                let got = piece.len() as u64;
                let rest = left.start + got..left.end;
                self.say_bytes(&piece);
                if got == 0 {
                    return self.bye("A message could not be read to its end");
                }
                if !rest.is_empty() {
                    job.segments.push_front(Segment::Range { uid, range: rest });
                }
                self.fetch_on(job);
            }
            (Stage::Header { pick }, Reply::Piece(bytes)) => {
                let end = header::length(&bytes);
                let fields = pick.from(&bytes[..end]);
                job.segments.push_front(Segment::Bytes(fields));
                self.fetch_on(job);
            }
            (Stage::Piece { .. } | Stage::Header { .. }, _) => {
                // The literal's size is said already: only the connection's end can mend that.
                self.bye("A message could not be read to its end");
            }
            (Stage::Batch, Reply::Refused(_)) if job.changes_flags() => {
                // They are changed, and the client would never hear of it.
                self.bye("Flags were changed but can't be told, please reconnect");
            }
            (_, Reply::Refused(refusal)) => self.refuse(&job.tag, &refusal),
            _ => self.done(&job.tag, "NO [SERVERBUG] The store gave another answer"),
        }
    }

    /// Says what is there; asks for more when that has left.
    pub(super) fn fetch_on(&mut self, mut job: Job) {
        loop {
            match job.segments.pop_front() {
                Some(Segment::Bytes(bytes)) => self.say_bytes(&bytes),
                Some(segment) if self.undrained => {
                    job.segments.push_front(segment);
                    break;
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
                None => match job.batch.pop_front() {
                    Some(message) => self.say_message(&mut job, message),
                    None if self.undrained && !job.uids.is_empty() => break,
                    None => return self.next_batch(job),
                },
            }
        }
        self.work = Work::Streaming(Box::new(job));
    }

    fn ask_piece(&mut self, mut job: Job, uid: Uid, range: std::ops::Range<u64>) {
        let end = range.end.min(range.start + PIECE_BYTES);
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

    fn say_message(&mut self, job: &mut Job, message: Message) {
        if job
            .changed_since
            .is_some_and(|since| message.modseq <= since)
        {
            return;
        }
        let recent = self.view().is_recent(message.uid);
        let Some(number) = self.view().number(message.uid) else {
            return;
        };
        let sends_flags = job.seen.contains_key(&message.uid);
        let with_modseq = self.condstore && sends_flags;
        let extra = fetch_items::Extra {
            flags: sends_flags,
            modseq: with_modseq,
            recent,
        };
        match fetch_items::segments(number, &message, &job.items, &extra) {
            Some(segments) => job.segments = segments,
            None => job.unreadable += 1,
        }
    }

    fn say_bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.undrained = true;
    }
}

impl fetch_items::Pick {
    /// The picked fields as a literal with its label.
    fn from(&self, header: &[u8]) -> Bytes {
        let mut out = self.label.clone();
        let fields = match &self.text {
            SectionText::HeaderFields(names) => header::filter(header, names, true),
            SectionText::HeaderFieldsNot(names) => header::filter(header, names, false),
            _ => header.to_vec(),
        };
        encode::literal(&mut out, fetch_items::part_of(&fields, self.partial));
        out.into()
    }
}
