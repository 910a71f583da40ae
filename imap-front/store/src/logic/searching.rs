//! SEARCH: what a mailbox's index tells is answered from its bitmaps, and only messages that other
//! keys have to decide on are looked at.

use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;

use bytes::Bytes;
use mail::reply::HitModSeqs;
use mail::search::{Candidate, Key, Program, matches};
use mail::{EmailId, MailboxId, ModSeq, Refusal, Reply, Uid, UidSet};
use roaring::RoaringBitmap;

use super::texts::{KnownHeaders, Texts};
use super::{Rules, catch_up, damage, fetching, keys, reading, tables};
use crate::Error;
use crate::index::MailboxIndex;
use crate::kv::Kv;
use crate::rows::{Mailbox, MessageRow};

/// Messages that a piece of a search looks at.
const SEARCHED_MAX: usize = 4096;
/// Bytes of messages that a piece of a search reads, but for the last message.
const SEARCHED_BYTES_MAX: u64 = 1 << 20;
/// What a look at what tells a message's thread counts for.
const THREAD_BYTES: u64 = 1 << 10;
/// UIDs that one container of a bitmap is for.
const CONTAINER: u32 = 1 << 16;
/// Containers that a piece works on, one for each key of the program; one at least.
const CONTAINERS_MAX: usize = 4096;

/// What a search has found so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Findings {
    pub hits: UidSet,
    /// If the program asks for such.
    pub modseqs: Option<HitModSeqs>,
    /// How many messages can't be read.
    pub unreadable: usize,
    /// It goes on with this UID.
    pub next: Uid,
    /// When it was begun, in seconds since 1970-01-01T00:00:00Z.
    pub begun_s: Option<i64>,
    /// Texts of headers that are not complete yet.
    pub texts: Texts,
}

/// What a search is for.
pub(crate) struct Search<'a> {
    pub mailbox: MailboxId,
    pub program: &'a Program,
    pub recent_from: Uid,
}

impl Search<'_> {
    /// Goes on with what was found, as far as a piece goes. True if there is another piece; none if
    /// the mailbox is gone.
    ///
    /// # Errors
    /// As [`catch_up::numbering`], and if the disk fails or a row is damaged.
    fn piece(
        &self,
        kv: &dyn Kv,
        rules: &Rules,
        findings: &mut Findings,
    ) -> Result<Option<bool>, Error> {
        let Some(mailbox) = tables::mailbox(kv, self.mailbox)? else {
            return Ok(None);
        };
        let min = rules.options.index_messages_min;
        let numbering = catch_up::numbering(kv, self.mailbox, &mailbox, min)?;
        let index = &numbering.index;
        let Some(first) = index.uids().range(findings.next.0..).next() else {
            return Ok(Some(false));
        };
        let now = || (rules.options.now)().unix_s;
        findings.begun_s.get_or_insert_with(now);
        let mut window = window(first, self.program.keys());
        let split = |window: &RangeInclusive<u32>, texts: &KnownHeaders<'_>| {
            let bitmaps = Bitmaps {
                index,
                mailbox: &mailbox,
                recent_from: self.recent_from,
                uids: &within(index.uids(), window.clone()),
                window: window.clone(),
                texts,
            };
            bitmaps.split(&self.program.key)
        };
        let mut texts = KnownHeaders::of(self.program);
        let mut found = split(&window, &texts);
        if texts.are_wanted() && found.maybe.len() >= rules.texts_min {
            let of = (self.mailbox, &mailbox);
            let gathered = (findings.texts).gather(kv, rules, of, (index, &window), texts.len())?;
            let Some((to, chunks)) = gathered else {
                return Ok(Some(true));
            };
            texts.find(&chunks);
            window = first..=to;
            found = split(&window, &texts);
        }
        let mut split = found;
        if self.program.asks_for_modseqs() {
            split.maybe |= std::mem::take(&mut split.sure);
        }
        let of = (&mailbox, &**index, &texts);
        let next = self.look_at(kv, of, &split.maybe, findings)?;
        let next = next.or(window.end().checked_add(1).map(Uid));
        if let Some(next) = next {
            split.sure.remove_range(next.0..);
            findings.next = next;
        }
        findings.hits.union(&split.sure.into());
        Ok(Some(next.is_some_and(|next| {
            index.uids().max().is_some_and(|last| next.0 <= last)
        })))
    }

    /// A piece, and after the last the answer.
    ///
    /// # Errors
    /// As [`Search::piece`].
    pub fn go_on(
        &self,
        kv: &dyn Kv,
        rules: &Rules,
        since: ModSeq,
        found: &mut Findings,
    ) -> Result<Option<Reply>, Error> {
        match self.piece(kv, rules, found)? {
            Some(true) => return Ok(None),
            Some(false) => {}
            None => return Ok(Some(Reply::Refused(Refusal::NoMailbox))),
        }
        let Some(delta) = reading::delta(kv, rules, self.mailbox, since)? else {
            return Ok(Some(Reply::Refused(reading::BEYOND_THE_HORIZON)));
        };
        let Findings {
            hits,
            modseqs,
            unreadable,
            ..
        } = std::mem::take(found);
        Ok(Some(Reply::Found {
            hits,
            modseqs,
            unreadable,
            delta,
        }))
    }

    /// Looks at messages, as many as a piece may. Gives the first that is left.
    fn look_at(
        &self,
        kv: &dyn Kv,
        (mailbox, index, texts): (&Mailbox, &MailboxIndex, &KnownHeaders<'_>),
        maybe: &RoaringBitmap,
        findings: &mut Findings,
    ) -> Result<Option<Uid>, Error> {
        let id = self.mailbox;
        let mut next = maybe.iter().nth(SEARCHED_MAX).map(Uid);
        let uids: Vec<u32> = maybe.iter().take(SEARCHED_MAX).collect();
        let (Some(&first), Some(&last)) = (uids.first(), uids.last()) else {
            return Ok(None);
        };
        let mut read = 0;
        let mut look = |uid: Uid, row: MessageRow| {
            if read >= SEARCHED_BYTES_MAX {
                next = Some(uid);
                return false;
            }
            read += self.look(kv, (mailbox, texts), (uid, row), findings);
            true
        };
        // If most of those between are wanted, a scan is cheaper than asking for each.
        let between = index.uids().range_cardinality(first..=last) as usize;
        if between <= 2 * uids.len() {
            let to = keys::message(id, Uid(last.saturating_add(1)));
            tables::rows(kv, id, Uid(first), &to, |uid, row| {
                !maybe.contains(uid.0) || look(uid, mailbox.resolved(uid, row))
            })?;
        } else {
            for uid in uids.into_iter().map(Uid) {
                if let Some(row) = tables::message(kv, id, mailbox, uid)?
                    && !look(uid, row)
                {
                    break;
                }
            }
        }
        Ok(next)
    }

    /// Looks at a message. Gives how many bytes of it were read.
    fn look(
        &self,
        kv: &dyn Kv,
        (mailbox, texts): (&Mailbox, &KnownHeaders<'_>),
        (uid, row): (Uid, MessageRow),
        findings: &mut Findings,
    ) -> u64 {
        let (read, failure) = (Cell::new(0), RefCell::new(None));
        let candidate = Candidate {
            uid,
            modseq: row.modseq,
            flags: &row.flags(mailbox),
            date: row.date,
            saved: row.saved(),
            email: EmailId(row.body),
            thread: &|| {
                read.set(read.get().max(THREAD_BYTES));
                fetching::thread(kv, &row).unwrap_or_else(|error| {
                    failure.replace(Some(error));
                    None
                })
            },
            size: row.size,
            now_s: findings.begun_s.unwrap_or_default(),
            recent: uid >= self.recent_from,
            header: &|name, text| texts.contains(name, text, uid),
            bytes: &|| {
                read.set(row.size);
                match tables::body(kv, row.body, 0..row.size) {
                    Ok(bytes) => bytes,
                    Err(error) => {
                        failure.replace(Some(error));
                        Bytes::new()
                    }
                }
            },
        };
        let is_hit = matches(self.program, &candidate);
        if let Some(error) = failure.into_inner() {
            damage::report(kv, (self.mailbox, uid), &error);
            findings.unreadable += 1;
        } else if is_hit {
            findings.hits.insert(uid);
            if self.program.asks_for_modseqs() {
                findings.modseqs = Some(HitModSeqs::then(findings.modseqs, row.modseq));
            }
        }
        read.get()
    }
}

/// The UIDs that a piece is about, from the first of them, for a program of so many keys.
fn window(first: u32, keys: usize) -> RangeInclusive<u32> {
    let containers = (CONTAINERS_MAX / keys.max(1)).max(1) as u32;
    let begin = first - first % CONTAINER;
    first..=begin.saturating_add(containers.saturating_mul(CONTAINER) - 1)
}

fn within(bits: &RoaringBitmap, range: RangeInclusive<u32>) -> RoaringBitmap {
    let mut within = RoaringBitmap::new();
    within.insert_range(range);
    within &= bits;
    within
}

/// Which messages satisfy a key: those that do for certain, and those that have to be looked at.
/// No message is among both.
struct Split {
    sure: RoaringBitmap,
    maybe: RoaringBitmap,
}

impl Split {
    fn sure(sure: RoaringBitmap) -> Self {
        let maybe = RoaringBitmap::new();
        Self { sure, maybe }
    }

    fn maybe(maybe: RoaringBitmap) -> Self {
        let sure = RoaringBitmap::new();
        Self { sure, maybe }
    }

    fn and(&self, other: &Self) -> Self {
        let possible = (&self.sure | &self.maybe) & (&other.sure | &other.maybe);
        let sure = &self.sure & &other.sure;
        Self {
            maybe: possible - &sure,
            sure,
        }
    }

    fn or(&self, other: &Self) -> Self {
        let sure = &self.sure | &other.sure;
        Self {
            maybe: (&self.maybe | &other.maybe) - &sure,
            sure,
        }
    }

    fn is_empty(&self) -> bool {
        self.sure.is_empty() && self.maybe.is_empty()
    }
}

/// What is known of messages without a look at them.
struct Bitmaps<'a> {
    index: &'a MailboxIndex,
    mailbox: &'a Mailbox,
    recent_from: Uid,
    /// The messages in the window.
    uids: &'a RoaringBitmap,
    window: RangeInclusive<u32>,
    /// Which of them have what in their headers, if that is known.
    texts: &'a KnownHeaders<'a>,
}

impl Bitmaps<'_> {
    fn split(&self, key: &Key) -> Split {
        match key {
            Key::All => Split::sure(self.uids.clone()),
            Key::And(keys) => {
                let mut all = Split::sure(self.uids.clone());
                for key in keys {
                    if all.is_empty() {
                        break;
                    }
                    all = all.and(&self.split(key));
                }
                all
            }
            Key::Or(first, second) => self.split(first).or(&self.split(second)),
            Key::Not(key) => {
                let Split { sure, maybe } = self.split(key);
                let sure = self.uids - sure;
                Split {
                    sure: sure - &maybe,
                    maybe,
                }
            }
            Key::Numbers(_) => Split::sure(RoaringBitmap::new()),
            Key::Uids(set) => self.ranges(&set.resolve(u32::MAX)),
            Key::UidRanges(ranges) => self.ranges(ranges),
            Key::Among(uids) => Split::sure(self.uids & uids.bits()),
            Key::Flag(flag) => {
                let bit = (*flag as u8).trailing_zeros() as usize;
                Split::sure(self.uids & self.index.with_system(bit))
            }
            Key::Keyword(keyword) => {
                let known = &self.mailbox.keywords;
                let place = known.iter().position(|it| it.eq_ignore_ascii_case(keyword));
                let bits = place.and_then(|place| self.index.with_keywords()[0].get(place));
                Split::sure(bits.map(|bits| self.uids & bits).unwrap_or_default())
            }
            Key::Recent => {
                let first = self.recent_from.0.max(*self.window.start());
                Split::sure(within(self.uids, first..=*self.window.end()))
            }
            Key::Header(name, text) => match self.texts.of_key(name, text) {
                Some(known) => {
                    let maybe = &known.unknown & self.uids;
                    Split {
                        sure: (&known.found & self.uids) - &maybe,
                        maybe,
                    }
                }
                None => Split::maybe(self.uids.clone()),
            },
            Key::Before(..)
            | Key::On(..)
            | Key::Since(..)
            | Key::Older(_)
            | Key::Younger(_)
            | Key::Larger(_)
            | Key::Smaller(_)
            | Key::Body(_)
            | Key::Text(_)
            | Key::ModSeq(_)
            | Key::Email(_)
            | Key::Thread(_) => Split::maybe(self.uids.clone()),
        }
    }

    /// Of sorted ranges those UIDs that are there.
    fn ranges(&self, ranges: &[(u32, u32)]) -> Split {
        let (first, last) = (*self.window.start(), *self.window.end());
        let from = ranges.partition_point(|&(_, high)| high < first);
        let mut bits = RoaringBitmap::new();
        for &(low, high) in &ranges[from..] {
            if low > last {
                break;
            }
            bits.insert_range(low.max(first)..=high.min(last));
        }
        Split::sure(bits & self.uids)
    }
}
