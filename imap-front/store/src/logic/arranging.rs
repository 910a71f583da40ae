//! SORT and THREAD: a search, then what is known of each hit, then the order; in pieces.
//!
//! What messages are compared by is not read from them: it lies in [`Space::SortKeys`], made soon
//! after a message came ([`crate::key_maker`]). Where there are no such keys they are made here,
//! and handed to the writer to be kept.

use std::sync::Arc;

use bytes::Bytes;
use mail::reply::{Arrangement, HitModSeqs};
use mail::request::Arrange;
use mail::sort::keys::HEADER_BYTES_MAX;
use mail::sort::{Criterion, SortKeys, Sorter};
use mail::thread::Threader;
use mail::{MailboxId, ModSeq, Refusal, Reply, Uid, UidSet};

use super::made::Made;
use super::searching::{Findings, Search};
use super::{Rules, damage, keys, reading, tables};
use crate::Error;
use crate::chunk_cache::{CHUNK_UIDS, ChunkPlace};
use crate::kv::{Kv, Space};
use crate::rows::{Mailbox, MessageRow};
use crate::sort_keys::{Chunk, Taken};

/// Chunks that a piece goes through.
const CHUNKS_MAX: usize = 16;
/// Bytes of messages that a piece reads to make keys of them, but for the last message.
const READ_BYTES_MAX: u64 = 1 << 20;

const NO_ROOM: Refusal =
    Refusal::Busy("as much is being sorted as the server has memory for, try again later");

/// How far a SORT or THREAD has come.
pub(crate) struct Arranging {
    work: Work,
    stage: Stage,
    found: UidSet,
    /// The highest mod-sequence of what was found, if it is asked for.
    highest: Option<ModSeq>,
    unreadable: usize,
    made: Vec<Made>,
    /// A chunk that is not complete yet, or can't be kept, by its number.
    chunk: Option<(u32, Arc<Chunk>)>,
    taken: Taken,
}

enum Stage {
    Search(Findings),
    /// Facts of what was found are gathered, from a UID on.
    Gather(Uid),
    Arrange,
    /// Arranged; what happened meanwhile is to be told.
    Tell(Option<Arrangement>),
}

enum Work {
    Sort(Box<[Criterion]>, Sorter),
    Thread(Box<Threader>),
}

impl Arranging {
    pub fn new(how: &Arrange, rules: &Rules) -> Self {
        Self {
            work: match how {
                Arrange::Sort(criteria) => Work::Sort(criteria.clone(), Sorter::default()),
                Arrange::Thread(algorithm) => Work::Thread(Box::new(Threader::new(*algorithm))),
            },
            stage: Stage::Search(Findings::default()),
            found: UidSet::default(),
            highest: None,
            unreadable: 0,
            made: Vec::new(),
            chunk: None,
            taken: Taken::none_of(&rules.caches().sort_room),
        }
    }

    /// The message whose facts come next, once these are gathered.
    pub fn reached(&self) -> Option<Uid> {
        match self.stage {
            Stage::Gather(next) => Some(next),
            Stage::Search(_) | Stage::Arrange | Stage::Tell(_) => None,
        }
    }

    /// Keys that were made, since this was asked last.
    pub fn take_made(&mut self) -> Vec<Made> {
        std::mem::take(&mut self.made)
    }

    /// A piece, and after the last the answer.
    ///
    /// # Errors
    /// As those of a search.
    pub fn go_on(
        &mut self,
        kv: &dyn Kv,
        rules: &Rules,
        search: &Search<'_>,
        since: ModSeq,
    ) -> Result<Option<Reply>, Error> {
        match &mut self.stage {
            Stage::Search(findings) => match search.go_on(kv, rules, since, findings)? {
                None => {}
                Some(Reply::Found {
                    hits,
                    modseqs,
                    unreadable,
                    ..
                }) => {
                    self.highest = modseqs.map(|it| it.highest);
                    self.unreadable = unreadable;
                    self.stage = Stage::Gather(Uid(0));
                    self.found = hits;
                }
                refused => return Ok(refused),
            },
            Stage::Gather(_) => return self.gather(kv, rules, search.mailbox),
            Stage::Arrange => {
                let is_done = match &mut self.work {
                    Work::Sort(_, sorter) => sorter.step(),
                    Work::Thread(threader) => threader.step(),
                };
                if is_done {
                    self.stage = Stage::Tell(Some(self.arranged()));
                }
            }
            Stage::Tell(arrangement) => {
                let Some(delta) = reading::delta(kv, rules, search.mailbox, since)? else {
                    return Ok(Some(Reply::Refused(reading::BEYOND_THE_HORIZON)));
                };
                let modseqs = match (self.highest, &arrangement) {
                    (Some(highest), Some(arrangement)) => {
                        Some(modseqs(kv, search.mailbox, arrangement, highest)?)
                    }
                    _ => None,
                };
                return Ok(arrangement.take().map(|arrangement| Reply::Arranged {
                    arrangement,
                    found: std::mem::take(&mut self.found),
                    modseqs,
                    unreadable: self.unreadable,
                    delta,
                }));
            }
        }
        Ok(None)
    }

    fn arranged(&mut self) -> Arrangement {
        let nothing = Work::Sort(Box::default(), Sorter::default());
        match std::mem::replace(&mut self.work, nothing) {
            Work::Sort(_, sorter) => Arrangement::Sorted(sorter.into_order().map(Uid).collect()),
            Work::Thread(threader) => Arrangement::Threaded(threader.into_parts()),
        }
    }

    /// Gathers the facts of some hits.
    fn gather(
        &mut self,
        kv: &dyn Kv,
        rules: &Rules,
        id: MailboxId,
    ) -> Result<Option<Reply>, Error> {
        let Stage::Gather(next) = &mut self.stage else {
            return Ok(None);
        };
        let hits = &self.found;
        let Some(mailbox) = tables::mailbox(kv, id)? else {
            return Ok(Some(Reply::Refused(Refusal::NoMailbox)));
        };
        for _ in 0..CHUNKS_MAX {
            let Some(first) = hits.range(*next..=Uid(u32::MAX)).next() else {
                self.stage = Stage::Arrange;
                return Ok(None);
            };
            let number = first.0 / CHUNK_UIDS;
            let last = Uid(number * CHUNK_UIDS + (CHUNK_UIDS - 1));
            let place = ChunkPlace::of(kv, id, number);
            let begun = self.chunk.take().filter(|(begun, _)| *begun == number);
            let kept = match begun {
                Some((_, chunk)) => Some(chunk),
                None => rules.caches().sort_keys.get(place),
            };
            let to = Uid(last.0.saturating_add(1)).min(mailbox.uid_next);
            let chunk = match kept {
                Some(chunk) if chunk.known_to >= to => chunk,
                kept => {
                    let chunk = Arc::new(longer(
                        kv,
                        (id, &mailbox),
                        (number, to),
                        kept,
                        &mut self.made,
                    )?);
                    // What can't be read now may be readable the next time.
                    if chunk.damaged.is_empty() {
                        rules.caches().sort_keys.insert(place, chunk.clone());
                    }
                    if chunk.known_to < to {
                        self.chunk = Some((number, chunk));
                        return Ok(None);
                    }
                    chunk
                }
            };
            for uid in hits.range(first..=last) {
                self.unreadable += usize::from(chunk.damaged.contains(&uid));
                let Some(facts) = chunk.facts(uid) else {
                    continue;
                };
                match &mut self.work {
                    Work::Sort(criteria, sorter) => {
                        sorter.push(uid.0, |key| facts.append_key(criteria, key));
                    }
                    Work::Thread(threader) => threader.push(&facts),
                }
            }
            let bytes = match &self.work {
                Work::Sort(_, sorter) => sorter.bytes(),
                Work::Thread(threader) => threader.bytes(),
            };
            if !self.taken.grow_to(bytes) {
                return Ok(Some(Reply::Refused(NO_ROOM)));
            }
            match last.0.checked_add(1) {
                Some(after) => *next = Uid(after),
                None => {
                    self.stage = Stage::Arrange;
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }
}

/// A chunk with what is not in it yet, up to a UID, or as far as a piece goes.
fn longer(
    kv: &dyn Kv,
    (id, mailbox): (MailboxId, &Mailbox),
    (number, to): (u32, Uid),
    known: Option<Arc<Chunk>>,
    made: &mut Vec<Made>,
) -> Result<Chunk, Error> {
    let mut chunk = known.map(|known| Chunk::clone(&known)).unwrap_or_default();
    let from = chunk.known_to.max(Uid(number * CHUNK_UIDS));
    let mut rows: Vec<(Uid, MessageRow)> = Vec::new();
    tables::rows(kv, id, from, &keys::message(id, to), |uid, row| {
        rows.push((uid, mailbox.resolved(uid, row)));
        true
    })?;
    let mut read = 0;
    for (uid, row) in rows {
        if read >= READ_BYTES_MAX {
            chunk.known_to = uid;
            return Ok(chunk);
        }
        let kept = kv.get(Space::SortKeys, &keys::number(row.body))?;
        let kept = kept.filter(|kept| SortKeys::read(kept).is_some());
        let keys = match kept {
            Some(kept) => kept,
            None => {
                let bytes = row.size.min(HEADER_BYTES_MAX as u64);
                read += bytes;
                match tables::body(kv, row.body, 0..bytes) {
                    Ok(header) => {
                        let keys = Made::sort_keys(row.body, &header);
                        let row = keys.row().clone();
                        made.push(keys);
                        row
                    }
                    Err(error) => {
                        damage::report(kv, (id, uid), &error);
                        chunk.damaged.push(uid);
                        Bytes::new()
                    }
                }
            }
        };
        chunk.push(uid, row.date.unix_s, row.size, &keys);
    }
    chunk.known_to = to;
    chunk.shrink();
    Ok(chunk)
}

/// Mod-sequences of the first and the last of an order, and the highest.
fn modseqs(
    kv: &dyn Kv,
    id: MailboxId,
    arrangement: &Arrangement,
    highest: ModSeq,
) -> Result<HitModSeqs, Error> {
    let (mut first, mut last) = (highest, highest);
    if let (Arrangement::Sorted(uids), Some(mailbox)) = (arrangement, tables::mailbox(kv, id)?)
        && let [one, ..] = uids[..]
        && let [.., other] = uids[..]
    {
        for (uid, modseq) in [(one, &mut first), (other, &mut last)] {
            let row = tables::message(kv, id, &mailbox, uid)?;
            // What has changed meanwhile may be above what was found.
            *modseq = row.map_or(highest, |row| row.modseq.min(highest));
        }
    }
    Ok(HitModSeqs {
        first,
        last,
        highest,
    })
}
