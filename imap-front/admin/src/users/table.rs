//! The index of the user directory: eight bytes a slot, no allocation a user. Lines are read from
//! the file when they are needed.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::LazyLock;

use ahash::RandomState;

use super::entry::{self, Entry, LINE_BYTES_MAX, User};
use crate::password::scram::Verifier;
use crate::password::{self, Scheme};

/// Bits of a slot that hold where the line begins; the rest hold bits of the name's hash.
const OFFSET_BITS: u32 = 40;
const OFFSET_MASK: u64 = (1 << OFFSET_BITS) - 1;

/// What is said of a directory that somebody writes into.
const CHANGED: &str = "it was changed while it was read: write another file and rename it, as \
                       msguser does, then run refresh";
/// A directory up to this size is kept in memory, so that it is known whatever becomes of the file.
const KEPT_BYTES_MAX: u64 = 4 << 20;

/// One for all tables, so that a change of the file changes little of whom names lead to that are
/// nobody's ([`Table::some_other`]).
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Open addressing with linear probing; a slot is 0 or (hash tag, offset of the line + 1).
pub(super) struct Table {
    file: File,
    /// What the file held, if that is little.
    text: Option<Box<[u8]>>,
    /// The file's inode, size and time of the last change when it was indexed.
    indexed: (u64, u64, i64, i64),
    slots: Box<[u64]>,
    count: usize,
    /// How many of them SCRAM can verify.
    scram: usize,
    /// Names of the few accounts that were made under another.
    renamed: HashMap<Box<str>, Box<str>, RandomState>,
    hasher: RandomState,
}

/// A line that can't be used.
#[derive(Debug)]
pub(super) struct BadLine {
    pub line: usize,
    pub reason: String,
}

/// Why a file can't be indexed.
#[derive(Debug)]
pub(super) enum IndexError {
    Io(io::Error),
    Line(BadLine),
}

impl From<io::Error> for IndexError {
    fn from(cause: io::Error) -> Self {
        Self::Io(cause)
    }
}

impl Table {
    /// A directory without users.
    pub fn empty(file: File) -> Self {
        Self {
            file,
            text: None,
            indexed: (0, 0, 0, 0),
            slots: vec![0; 1].into(),
            count: 0,
            scram: 0,
            renamed: HashMap::default(),
            hasher: HASHER.clone(),
        }
    }

    /// Checks and indexes a file.
    pub fn index(file: File) -> Result<Self, IndexError> {
        let mut table = Self::empty(file.try_clone()?);
        table.indexed = state_of(&file)?;
        if table.indexed.1 <= KEPT_BYTES_MAX {
            let mut text = Vec::new();
            Lines::new(&file)?.reader.read_to_end(&mut text)?;
            table.text = Some(text.into());
        }
        let text = table.text.clone();
        let lines = match &text {
            Some(text) => text.iter().filter(|byte| **byte == b'\n').count() + 1,
            None => count_lines(&file)?,
        };
        // At most two thirds full.
        table.slots = vec![0; (lines + lines / 2 + 1).next_power_of_two()].into();
        let mut reader = match &text {
            Some(text) => Lines::of(text),
            None => Lines::new(&file)?,
        };
        while let Some((number, offset, line)) = reader.next()? {
            let fail = |reason: String| {
                IndexError::Line(BadLine {
                    line: number,
                    reason,
                })
            };
            if crate::lines::is_blank(line) {
                continue;
            }
            let line = std::str::from_utf8(line).map_err(|_| fail("it is not UTF-8".into()))?;
            let entry = entry::parse(line).map_err(fail)?;
            if !table.insert(entry.name, offset)? {
                return Err(fail(format!("the user {} is there twice", entry.name)));
            }
            table.scram += usize::from(is_scram(&entry));
            if entry.first_name.is_some() {
                table.renamed.insert(entry.account(), entry.name.into());
            }
        }
        if table.text.is_none() && state_of(&file)? != table.indexed {
            return Err(io::Error::other(CHANGED).into());
        }
        Ok(table)
    }

    /// The name of the user whose account it is, or was.
    pub fn name_of(&self, account: &str) -> Box<str> {
        match self.renamed.get(account) {
            Some(name) => name.clone(),
            None => entry::first_name(account).into(),
        }
    }

    /// Whether there are users and SCRAM can verify each: by the entry, or as `has_other` says,
    /// which is true of at most `others`.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn is_all_scram(
        &self,
        others: usize,
        has_other: impl Fn(&User) -> bool,
    ) -> io::Result<bool> {
        let missing = self.count - self.scram;
        if missing == 0 || missing > others {
            return Ok(missing == 0 && self.count > 0);
        }
        let mut reader = match &self.text {
            Some(text) => Lines::of(text),
            None => Lines::new(&self.file)?,
        };
        while let Some((_, _, line)) = reader.next()? {
            let Some(entry) = entry_of(line) else {
                continue;
            };
            if !is_scram(&entry) && !has_other(&entry.user()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How many users there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The file's inode; 0 if there was no file.
    pub fn inode(&self) -> u64 {
        self.indexed.0
    }

    /// The user's line, if there is such a user; what `take` makes of it.
    pub fn find<T>(&self, name: &str, take: impl FnOnce(&Entry<'_>) -> T) -> io::Result<Option<T>> {
        if let Some(found) = self.look_up(name, take)? {
            return Ok(Some(found));
        }
        // A line that can't be found may have been written over.
        if self.text.is_none() && self.count > 0 && state_of(&self.file)? != self.indexed {
            return Err(io::Error::other(
                "it was changed in its place: who is in it can't be told until it is in order",
            ));
        }
        Ok(None)
    }

    /// The same, by the index alone: it does not ask whether the file is what was indexed.
    fn look_up<T>(&self, name: &str, take: impl FnOnce(&Entry<'_>) -> T) -> io::Result<Option<T>> {
        let mut buffer = [0; LINE_BYTES_MAX + 1];
        for offset in self.candidates(name) {
            let entry = self.read(offset, &mut buffer)?;
            if let Some(entry) = entry.filter(|entry| entry.name == name) {
                return Ok(Some(take(&entry)));
            }
        }
        Ok(None)
    }

    /// The accounts of this directory whose entry is not in a later one, is locked there, or has
    /// another password.
    ///
    /// # Errors
    /// If the file can't be read, or is large and was changed in its place: nobody knows then what
    /// it held.
    pub fn revoked_by(&self, later: &Self) -> io::Result<Vec<Box<str>>> {
        let mut revoked = vec![];
        if self.count == 0 {
            return Ok(revoked);
        }
        let mut reader = match &self.text {
            Some(text) => Lines::of(text),
            None if state_of(&self.file)? != self.indexed => {
                return Err(io::Error::other(
                    "it was changed in its place: who was in it can't be told any more; write \
                     another file and rename it, or restart the server",
                ));
            }
            None => Lines::new(&self.file)?,
        };
        while let Some((_, _, line)) = reader.next()? {
            let Some(entry) = entry_of(line) else {
                continue;
            };
            if later.find(entry.name, |now| now.admits_as(&entry))? != Some(true) {
                revoked.push(entry.account());
            }
        }
        Ok(revoked)
    }

    /// The line of some user, chosen by `name`; none if there are no users.
    pub fn some_other<T>(
        &self,
        name: &str,
        take: impl FnOnce(&Entry<'_>) -> T,
    ) -> io::Result<Option<T>> {
        if self.count == 0 {
            return Ok(None);
        }
        let mut at = self.hasher.hash_one(name) as usize & self.mask();
        while self.slots[at] == 0 {
            at = (at + 1) & self.mask();
        }
        let mut buffer = [0; LINE_BYTES_MAX + 1];
        let offset = (self.slots[at] & OFFSET_MASK) - 1;
        Ok(self.read(offset, &mut buffer)?.map(|entry| take(&entry)))
    }

    fn insert(&mut self, name: &str, offset: u64) -> io::Result<bool> {
        if self.look_up(name, |_| ())?.is_some() {
            return Ok(false);
        }
        if offset + 1 > OFFSET_MASK {
            return Err(io::Error::other("the file is larger than 1 TiB"));
        }
        let hash = self.hasher.hash_one(name);
        let mut at = hash as usize & self.mask();
        while self.slots[at] != 0 {
            at = (at + 1) & self.mask();
        }
        self.slots[at] = tag(hash) | (offset + 1);
        self.count += 1;
        Ok(true)
    }

    /// Offsets of the lines that may be this name's.
    fn candidates(&self, name: &str) -> impl Iterator<Item = u64> {
        let hash = self.hasher.hash_one(name);
        let start = hash as usize & self.mask();
        (0..self.slots.len())
            .map(move |step| self.slots[(start + step) & self.mask()])
            .take_while(|slot| *slot != 0)
            .filter(move |slot| slot & !OFFSET_MASK == tag(hash))
            .map(|slot| (slot & OFFSET_MASK) - 1)
    }

    fn mask(&self) -> usize {
        self.slots.len() - 1
    }

    /// The line at `offset`; none if the file was changed in place, so that no line is there.
    fn read<'b>(&self, offset: u64, buffer: &'b mut [u8]) -> io::Result<Option<Entry<'b>>> {
        let mut filled = 0;
        while filled < buffer.len() {
            let (rest, at) = (&mut buffer[filled..], offset + filled as u64);
            let source = match &self.text {
                Some(text) => Source::Text(text),
                None => Source::File(&self.file),
            };
            match source.read_at(rest, at) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        let text = &buffer[..filled];
        let end = text.iter().position(|b| *b == b'\n').unwrap_or(filled);
        Ok(std::str::from_utf8(&text[..end])
            .ok()
            .and_then(|line| entry::split(line).ok()))
    }
}

fn tag(hash: u64) -> u64 {
    hash & !OFFSET_MASK
}

/// A file's inode and size, and when it was changed.
fn state_of(file: &File) -> io::Result<(u64, u64, i64, i64)> {
    let meta = file.metadata()?;
    Ok((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}

fn count_lines(file: &File) -> io::Result<usize> {
    let mut reader = Lines::new(file)?;
    let mut count = 0;
    while reader.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// Reads a file's lines without keeping them.
pub(super) struct Lines<'a> {
    reader: BufReader<At<'a>>,
    line: Vec<u8>,
    number: usize,
    offset: u64,
}

/// Where lines come from.
#[derive(Clone, Copy)]
enum Source<'a> {
    File(&'a File),
    Text(&'a [u8]),
}

impl Source<'_> {
    fn read_at(self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read_at(buffer, offset),
            Self::Text(text) => {
                let mut rest = text.get(offset as usize..).unwrap_or_default();
                io::Read::read(&mut rest, buffer)
            }
        }
    }
}

/// Reads from a place of its own, so that clones of a file don't disturb each other.
struct At<'a> {
    source: Source<'a>,
    offset: u64,
}

impl io::Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

impl<'a> Lines<'a> {
    pub fn new(file: &'a File) -> io::Result<Self> {
        Ok(Self::from(Source::File(file)))
    }

    fn of(text: &'a [u8]) -> Self {
        Self::from(Source::Text(text))
    }

    fn from(source: Source<'a>) -> Self {
        Self {
            reader: BufReader::with_capacity(256 * 1024, At { source, offset: 0 }),
            line: Vec::new(),
            number: 0,
            offset: 0,
        }
    }

    /// Number (from 1), offset and bytes of the next line, without its end. Of a line that is too
    /// long only so much is kept that it is seen to be too long.
    pub fn next(&mut self) -> io::Result<Option<(usize, u64, &[u8])>> {
        self.line.clear();
        let start = self.offset;
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            let end = chunk.iter().position(|b| *b == b'\n');
            let text = &chunk[..end.unwrap_or(chunk.len())];
            let room = (LINE_BYTES_MAX + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.reader.consume(used);
            self.offset += used as u64;
            if end.is_some() {
                break;
            }
        }
        if self.offset == start {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some((self.number, start, &self.line)))
    }
}

/// The entry of a line; none if it is blank, a comment or no entry.
fn entry_of(line: &[u8]) -> Option<Entry<'_>> {
    let text = std::str::from_utf8(line).ok()?;
    let is_blank = crate::lines::is_blank(line);
    (!is_blank).then(|| entry::split(text).ok())?
}

/// Whether the entry has what SCRAM is verified by.
fn is_scram(entry: &Entry<'_>) -> bool {
    let scheme = password::split(entry.stored).map(|(scheme, _)| scheme);
    let is_beside = |text| Verifier::parse_beside(text, entry.stored).is_some();
    entry.verifier.is_some_and(is_beside) || scheme == Ok(Scheme::ScramSha256)
}
