//! A journal of the database, read without opening it.
//!
//! A record is a batch: `1`, items (u32), sequence number (u64); each item: `2`, kind, compression,
//! keyspace (u64), key length (u16), value length (u32) twice, key, value; then `3`, XXH3-64 over
//! the items, `FJL` 3. Numbers are little-endian. A new journal is zeros to its end. The database
//! takes the first record that it can't read for the end, and cuts the rest off.

use std::hash::Hasher;
use std::ops::Range;

use xxhash_rust::xxh3::Xxh3;

use crate::kv::Space;
use crate::progress::{COMMITS, DURABLE, Progress, TOUCHED, Touched};
use crate::rows::u64_row;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const TRAILER: &[u8] = b"FJL\x03";
/// A search for records looks at so many times a journal's length at most: overlapping ones are
/// those of a message that holds a journal.
const SEARCH_FACTOR: usize = 16;
/// Sequence numbers may leave gaps, as tables take some; a larger one is damage.
const SEQUENCE_GAP_MAX: u64 = 1 << 24;

/// The number by which records name a keyspace: 0 is the database's own, ours follow in order.
pub(super) fn keyspace_id(space: Space) -> u64 {
    space as u64 + 1
}

/// An intact record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Where it stands in its file.
    pub at: Range<usize>,
    /// The database's number for it.
    pub sequence: u64,
    /// What the commit says of itself.
    pub progress: Progress,
    /// What it says in each keyspace that it touches.
    pub touched: Vec<(Space, Touched)>,
    /// The last commit that was durable when it was written.
    pub durable: u64,
}

/// What stands at a place of a journal.
#[allow(
    clippy::large_enum_variant,
    reason = "there is one at a time, and nearly all are the large one"
)]
#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Record(Record),
    /// Nothing any more.
    Nothing,
    /// The form of a record that ends there, with other bytes than were written, and what it says
    /// was durable before it.
    Spoilt(usize, Option<u64>),
    /// No record.
    Broken,
}

/// A stretch of a journal that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// Where it begins.
    pub at: usize,
    /// Intact records follow by which it was durable, so it is not the end of what was being
    /// written.
    pub is_followed: bool,
    /// It has a record's form to its end, so it is not half of one; and neither it nor what follows
    /// says that it was not durable, so that the disk may have written its parts in any order.
    pub is_whole: bool,
}

/// What a journal holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Journal {
    /// Intact records, in order; those after an unreadable one as well.
    pub records: Vec<Record>,
    /// The first stretch that can't be read.
    pub unreadable: Option<Unreadable>,
}

/// Reads a journal, whose records follow the one with this sequence number and commit.
pub(crate) fn read(bytes: &[u8], mut sequence: Option<u64>, mut last: u64) -> Journal {
    let mut journal = Journal::default();
    // Of the records, those before what can't be read.
    let mut before = None;
    let mut at = 0;
    loop {
        let parsed = parse(bytes, at);
        let (next, is_whole) = match parsed {
            Parsed::Nothing => return journal.without_tail(before),
            Parsed::Record(record) if follows(sequence, record.sequence) => {
                at = record.at.end;
                sequence = Some(record.sequence);
                match &mut journal.unreadable {
                    Some(unreadable) if record.durable > last => unreadable.is_followed = true,
                    Some(unreadable) => unreadable.is_whole = false,
                    None => last = record.progress.commit,
                }
                journal.records.push(record);
                continue;
            }
            Parsed::Record(record) => (Some(record.at.end), true),
            Parsed::Spoilt(end, durable) => {
                let is_tail = durable.is_some_and(|durable| durable <= last);
                (Some(end), !is_tail)
            }
            Parsed::Broken => (None, false),
        };
        before.get_or_insert(journal.records.len());
        let unreadable = journal.unreadable.get_or_insert(Unreadable {
            at,
            is_followed: false,
            is_whole,
        });
        match next {
            Some(end) => at = end,
            // Records further on only tell that this is no end; none is taken from there, since
            // a message may hold bytes that look like one.
            None => {
                unreadable.is_followed |= search(bytes, at + 1, last).is_followed;
                return journal.without_tail(before);
            }
        }
    }
}

/// What a look at all that may be records came to.
#[derive(Debug, PartialEq, Eq)]
struct Search {
    /// One says that more was durable than the commit given.
    is_followed: bool,
    /// Bytes that were looked at, those of overlapping records several times.
    looked: usize,
}

/// Looks for a record at each place where one may begin. A message may hold very many that overlap:
/// where there is more to look at than in any journal that nobody made for this purpose, the rest
/// counts as records, so that it is taken for damage and not for an end.
fn search(bytes: &[u8], from: usize, last: u64) -> Search {
    let enough = bytes.len().saturating_mul(SEARCH_FACTOR);
    let mut looked = 0;
    for at in (from..bytes.len()).filter(|&at| bytes[at] == START) {
        let mut cursor = Cursor { bytes, at };
        let parsed = record(&mut cursor).unwrap_or(Parsed::Broken);
        looked += cursor.at - at;
        let is_followed = matches!(parsed, Parsed::Record(record) if record.durable > last);
        if is_followed || looked > enough {
            return Search {
                is_followed: true,
                looked,
            };
        }
    }
    Search {
        is_followed: false,
        looked,
    }
}

impl Journal {
    /// Forgets the records after what is only the end of what was being written: parts of uploads
    /// whose order on the disk was left to the system.
    fn without_tail(mut self, before: Option<usize>) -> Self {
        if let (Some(unreadable), Some(before)) = (self.unreadable, before)
            && !unreadable.is_followed
            && !unreadable.is_whole
        {
            self.records.truncate(before);
        }
        self
    }
}

fn follows(before: Option<u64>, sequence: u64) -> bool {
    before.is_none_or(|before| sequence > before && sequence - before < SEQUENCE_GAP_MAX)
}

/// Bytes yet to be read.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn number(&mut self, len: usize) -> Option<u64> {
        let mut number = [0; 8];
        number[..len].copy_from_slice(self.take(len)?);
        Some(u64::from_le_bytes(number))
    }
}

fn parse(bytes: &[u8], at: usize) -> Parsed {
    let rest = bytes.get(at..).unwrap_or_default();
    if rest.iter().all(|byte| *byte == 0) {
        return Parsed::Nothing;
    }
    record(&mut Cursor { bytes, at }).unwrap_or(Parsed::Broken)
}

/// The record that begins at a cursor; none if its form is not that of a record.
fn record(cursor: &mut Cursor<'_>) -> Option<Parsed> {
    let begin = cursor.at;
    if cursor.number(1)? != u64::from(START) {
        return None;
    }
    let items = cursor.number(4)?;
    let sequence = cursor.number(8)?;
    let mut hash = Xxh3::new();
    let mut seen = 0;
    let mut said = Said::default();
    loop {
        let from = cursor.at;
        match cursor.number(1)? as u8 {
            ITEM => {
                let item = item(cursor)?;
                hash.update(&cursor.bytes[from..cursor.at]);
                seen += 1;
                said.note(&item);
            }
            END => break,
            _ => return None,
        }
    }
    let sum = cursor.number(8)?;
    if cursor.take(TRAILER.len())? != TRAILER {
        return None;
    }
    // All of ours say which commit they are.
    let is_intact = sum == hash.finish() && seen == items;
    let Some(progress) = said.progress.filter(|_| is_intact) else {
        return Some(Parsed::Spoilt(cursor.at, said.durable));
    };
    Some(Parsed::Record(Record {
        at: begin..cursor.at,
        sequence,
        progress,
        touched: said.touched,
        durable: said.durable.unwrap_or(progress.before),
    }))
}

struct Item<'a> {
    keyspace: u64,
    key: &'a [u8],
    value: &'a [u8],
}

fn item<'a>(cursor: &mut Cursor<'a>) -> Option<Item<'a>> {
    let _kind_and_compression = cursor.take(2)?;
    let keyspace = cursor.number(8)?;
    let key_bytes = cursor.number(2)? as usize;
    let value_bytes = cursor.number(4)? as usize;
    // Nothing is compressed.
    if cursor.number(4)? as usize != value_bytes {
        return None;
    }
    Some(Item {
        keyspace,
        key: cursor.take(key_bytes)?,
        value: cursor.take(value_bytes)?,
    })
}

/// What a commit says of itself.
#[derive(Default)]
struct Said {
    progress: Option<Progress>,
    touched: Vec<(Space, Touched)>,
    /// The last commit that was durable before it, if that is not the one before.
    durable: Option<u64>,
}

impl Said {
    fn note(&mut self, item: &Item<'_>) {
        let is_meta = item.keyspace == keyspace_id(Space::Meta);
        if is_meta && item.key == COMMITS {
            self.progress = Progress::decode(item.value).ok();
        } else if is_meta && item.key == DURABLE {
            self.durable = u64_row(item.value).ok();
        } else if item.key == TOUCHED
            && let Ok(row) = Touched::decode(item.value)
        {
            let spaces = Space::ALL.into_iter();
            let space = spaces.filter(|space| keyspace_id(*space) == item.keyspace);
            self.touched.extend(space.map(|space| (space, row)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as the database writes it.
    fn written(sequence: u64, progress: &Progress, body: &[u8]) -> Vec<u8> {
        written_after(sequence, progress, body, None)
    }

    /// A record of a commit before which that one was the last durable one.
    fn written_after(
        sequence: u64,
        progress: &Progress,
        body: &[u8],
        durable: Option<u64>,
    ) -> Vec<u8> {
        let item = |space, key: &[u8], value: &[u8]| {
            let mut item = vec![ITEM, 0, 0];
            item.extend(keyspace_id(space).to_le_bytes());
            item.extend((key.len() as u16).to_le_bytes());
            item.extend((value.len() as u32).to_le_bytes());
            item.extend((value.len() as u32).to_le_bytes());
            item.extend(key);
            item.extend(value);
            item
        };
        let mut items = item(Space::Bodies, b"body", body);
        if let Some(durable) = durable {
            items.extend(item(Space::Meta, DURABLE, &durable.to_be_bytes()));
        }
        items.extend(item(Space::Meta, COMMITS, &progress.encode()));
        let count = 2 + u8::from(durable.is_some());
        let mut hash = Xxh3::new();
        hash.update(&items);
        let mut record = vec![START, count, 0, 0, 0];
        record.extend(sequence.to_le_bytes());
        record.extend(items);
        record.push(END);
        record.extend(hash.finish().to_le_bytes());
        record.extend(TRAILER);
        record
    }

    fn three() -> (Vec<u8>, Vec<usize>) {
        let mut progress = Progress::default();
        let (mut bytes, mut ends) = (Vec::new(), vec![]);
        for commit in 1..=3 {
            progress = progress.next(commit, &[Space::Bodies]);
            bytes.extend(written(10 + 2 * commit, &progress, &[7; 50]));
            ends.push(bytes.len());
        }
        bytes.extend([0; 100]);
        (bytes, ends)
    }

    fn commits(journal: &Journal) -> Vec<u64> {
        let records = journal.records.iter();
        records.map(|record| record.progress.commit).collect()
    }

    #[test]
    fn records_are_read_to_the_zeros() {
        let (bytes, ends) = three();
        let journal = read(&bytes, None, 0);
        assert_eq!(commits(&journal), [1, 2, 3]);
        assert_eq!(journal.unreadable, None);
        assert_eq!(journal.records[2].at, ends[1]..ends[2]);
        assert_eq!(read(&[0; 9], None, 0), Journal::default());
        assert_eq!(read(&[], None, 0), Journal::default());
    }

    /// Whatever byte is flipped, exactly the record with it is missing, or all from it on.
    #[test]
    fn a_flipped_byte_is_seen_wherever_it_is() {
        let (bytes, ends) = three();
        for at in 0..ends[2] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            let journal = read(&flipped, Some(10), 0);
            let hit = ends.iter().position(|end| at < *end).expect("in one");
            let found = commits(&journal);
            let before: Vec<u64> = (1..=hit as u64).collect();
            let mut around = before.clone();
            around.extend(hit as u64 + 2..=3);
            // A sequence number is covered by no sum, only by its order.
            let start = if hit == 0 { 0 } else { ends[hit - 1] };
            let is_sequence = (start + 5..start + 13).contains(&at);
            if is_sequence && (found == [1, 2, 3] || journal.unreadable.is_some()) {
                continue;
            }
            assert!(found == before || found == around, "{at}: {found:?}");
            let unreadable = journal.unreadable.expect("seen");
            assert_eq!(unreadable.is_followed, hit < 2, "{at}");
        }
    }

    #[test]
    fn a_cut_is_the_end() {
        let (bytes, ends) = three();
        for len in 0..ends[2] {
            let journal = read(&bytes[..len], None, 0);
            let whole = ends.iter().filter(|end| **end <= len).count();
            assert_eq!(commits(&journal).len(), whole);
            let is_between = len == 0 || ends.contains(&len);
            assert_eq!(journal.unreadable.is_none(), is_between, "{len}");
        }
    }

    /// A message of beginnings of records, each followed by the same items to its end.
    #[test]
    fn beginnings_that_overlap_are_looked_at_in_bounds() {
        let mut bytes = vec![START, 1, 0];
        for _ in 0..20_000 {
            let mut value = vec![START];
            value.extend([9; 12]);
            bytes.extend([ITEM, 0, 0]);
            bytes.extend(0u64.to_le_bytes());
            bytes.extend(0u16.to_le_bytes());
            bytes.extend(13u32.to_le_bytes());
            bytes.extend(13u32.to_le_bytes());
            bytes.extend(value);
        }
        let found = search(&bytes, 1, 0);
        assert!(found.is_followed, "what is not looked at may be a record");
        assert!(
            found.looked <= (SEARCH_FACTOR + 1) * bytes.len(),
            "{found:?}"
        );
        assert!(read(&bytes, None, 0).unreadable.expect("seen").is_followed);
    }

    /// One durable commit, then four parts of an upload, then, if `confirmed`, a durable one.
    fn upload(confirmed: bool) -> (Vec<u8>, Vec<usize>) {
        let mut progress = Progress::default();
        let (mut bytes, mut ends) = (Vec::new(), vec![]);
        let mut durable = 0;
        for commit in 1..=5 + u64::from(confirmed) {
            progress = progress.next(commit, &[Space::Bodies]);
            let said = (commit > 1 && commit < 6).then_some(durable);
            bytes.extend(written_after(10 + commit, &progress, &[7; 50], said));
            ends.push(bytes.len());
            durable = if commit == 1 { 1 } else { durable };
        }
        if confirmed {
            progress = progress.next(7, &[Space::Bodies]);
            bytes.extend(written_after(17, &progress, &[7; 50], None));
        }
        bytes.extend([0; 100]);
        (bytes, ends)
    }

    /// The disk may have written what was not synced in any order: what it left out is no damage,
    /// unless a later commit says that it was durable.
    #[test]
    fn holes_in_what_was_not_durable_are_the_end() {
        for confirmed in [false, true] {
            let (bytes, ends) = upload(confirmed);
            for from in (ends[0]..ends[4]).step_by(7) {
                let to = (from + 30).min(ends[4]);
                let mut holed = bytes.clone();
                holed[from..to].fill(0);
                if holed == bytes {
                    continue;
                }
                let journal = read(&holed, None, 0);
                let unreadable = journal.unreadable.expect("seen");
                let is_tail = !unreadable.is_followed && !unreadable.is_whole;
                assert_eq!(is_tail, !confirmed, "{from}: {unreadable:?}");
                if is_tail {
                    let hit = ends.iter().position(|end| from < *end).expect("in one");
                    let before: Vec<u64> = (1..=hit as u64).collect();
                    assert_eq!(commits(&journal), before, "{from}");
                }
            }
        }
    }
}
