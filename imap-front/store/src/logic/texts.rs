//! Texts of headers that searches look at, gathered for many messages at a time, and what is found
//! in them.

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use mail::search::Program;
use mail::search::header_texts::{self, TextField};
use mail::{MailboxId, Uid};
use memchr::memmem;
use roaring::RoaringBitmap;

use super::{Rules, keys, tables};
use crate::Error;
use crate::chunk_cache::{CHUNK_UIDS, ChunkPlace};
use crate::index::MailboxIndex;
use crate::kv::Kv;
use crate::rows::{Mailbox, MessageRow};
use crate::text_cache::TextChunk;

/// Chunks that a piece of a search goes through, one for each key; one at least.
const CHUNKS_MAX: usize = 16;
/// Bytes of a message in which its header has to end.
const HEADER_BYTES_MAX: u64 = 64 << 10;
/// Bytes of messages that a piece reads, but for the last message.
const READ_BYTES_MAX: u64 = 1 << 20;

/// Keys that are looked for in texts; of a program with more no texts are gathered.
const KEYS_MAX: usize = 16;

/// A chunk that is not complete yet, by its number.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Texts(Option<(u32, Arc<TextChunk>)>);

/// Up to which UID texts are known, and the texts.
type Gathered = (u32, Vec<Arc<TextChunk>>);

impl Texts {
    /// Texts of messages of a window, from its beginning on, as far as a piece goes that looks for
    /// so many keys. None if another piece is needed.
    ///
    /// # Errors
    /// If the disk fails or a row is damaged.
    pub fn gather(
        &mut self,
        kv: &dyn Kv,
        rules: &Rules,
        (id, mailbox): (MailboxId, &Mailbox),
        (index, window): (&MailboxIndex, &RangeInclusive<u32>),
        keys: usize,
    ) -> Result<Option<Gathered>, Error> {
        let (first, last) = (window.start() / CHUNK_UIDS, window.end() / CHUNK_UIDS);
        let chunks_max = (CHUNKS_MAX / keys.max(1)).max(1) as u32;
        let last = last.min(first + (chunks_max - 1));
        let mut chunks = Vec::new();
        for number in first..=last {
            let from = number * CHUNK_UIDS;
            let whole = from..=from + (CHUNK_UIDS - 1);
            let Some(highest) = index.uids().range(whole.clone()).next_back() else {
                continue;
            };
            let place = ChunkPlace::of(kv, id, number);
            let begun = self.0.take().filter(|(begun, _)| *begun == number);
            let kept = begun.map(|(_, chunk)| chunk);
            let kept = kept.or_else(|| rules.caches().texts.get(place));
            match kept {
                Some(chunk) if chunk.known_to.0 > highest => chunks.push(chunk),
                kept => {
                    let to = Uid(highest + 1);
                    let chunk = Arc::new(longer(kv, (id, mailbox), (Uid(from), to), kept)?);
                    // One is made longer in a piece; others have their turn before the next.
                    if chunk.known_to < to {
                        self.0 = Some((number, chunk));
                        return Ok((number > first).then_some((from - 1, chunks)));
                    }
                    rules.caches().texts.insert(place, chunk.clone());
                    chunks.push(chunk);
                    return Ok(Some((*whole.end().min(window.end()), chunks)));
                }
            }
        }
        let to = (last * CHUNK_UIDS + (CHUNK_UIDS - 1)).min(*window.end());
        Ok(Some((to, chunks)))
    }
}

/// Which messages have what in their headers: what keys of a program are about.
pub(crate) struct KnownHeaders<'a> {
    keys: Vec<HeaderKey<'a>>,
    /// Whether it is known.
    is_known: bool,
}

/// A key, and whose header it is true of.
pub(crate) struct HeaderKey<'a> {
    name: &'a str,
    text: &'a str,
    field: TextField,
    needle: Vec<u8>,
    pub found: RoaringBitmap,
    /// These have to be looked at.
    pub unknown: RoaringBitmap,
}

impl<'a> KnownHeaders<'a> {
    /// Of the program's keys, unless there are very many; nothing is known yet.
    pub fn of(program: &'a Program) -> Self {
        let key = |(name, text): (&'a str, &'a str)| {
            Some(HeaderKey {
                name,
                text,
                field: TextField::of(name)?,
                needle: header_texts::needle(text)?,
                found: RoaringBitmap::new(),
                unknown: RoaringBitmap::new(),
            })
        };
        let mut keys: Vec<_> = program.header_keys().into_iter().filter_map(key).collect();
        if keys.len() > KEYS_MAX {
            keys.clear();
        }
        Self {
            keys,
            is_known: false,
        }
    }

    /// Whether there is anything that could be known.
    pub fn are_wanted(&self) -> bool {
        !self.keys.is_empty()
    }

    /// How many keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Looks for all keys in these texts.
    pub fn find(&mut self, chunks: &[Arc<TextChunk>]) {
        for key in &mut self.keys {
            let finder = memmem::Finder::new(&key.needle);
            for chunk in chunks {
                chunk.find(key.field, &finder, &mut key.found, &mut key.unknown);
            }
        }
        self.is_known = true;
    }

    /// What is known of a key.
    pub fn of_key(&self, name: &str, text: &str) -> Option<&HeaderKey<'a>> {
        let is = |key: &&HeaderKey<'_>| key.name == name && key.text == text;
        self.keys.iter().find(is).filter(|_| self.is_known)
    }

    /// Whether a message's field contains a text, if that is known.
    pub fn contains(&self, name: &str, text: &str, uid: Uid) -> Option<bool> {
        let key = self.of_key(name, text)?;
        (!key.unknown.contains(uid.0)).then(|| key.found.contains(uid.0))
    }
}

/// A chunk with what is not in it yet, up to a UID, or as far as a piece goes.
fn longer(
    kv: &dyn Kv,
    (id, mailbox): (MailboxId, &Mailbox),
    (from, to): (Uid, Uid),
    known: Option<Arc<TextChunk>>,
) -> Result<TextChunk, Error> {
    let mut chunk = known.map(Arc::unwrap_or_clone).unwrap_or_default();
    let from = chunk.known_to.max(from);
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
        let bytes = row.size.min(HEADER_BYTES_MAX);
        read += bytes;
        // What can't be read is looked at by itself, and reported there.
        let begins: Option<Bytes> = tables::body(kv, row.body, 0..bytes).ok();
        chunk.push(uid, begins.as_deref(), bytes == row.size);
    }
    chunk.known_to = to;
    chunk.shrink();
    Ok(chunk)
}
