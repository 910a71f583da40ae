//! What searches see of header fields, of many messages at a time: those that were searched lately.
//!
//! A message's header never changes, and a UID is never given again while the database is open, so
//! nothing here ever is out of date: a chunk only lacks what came after it was made.

use mail::Uid;
use mail::search::header_texts::{self, TextField};
use memchr::memmem;
use roaring::RoaringBitmap;

use crate::chunk_cache::Chunked;

/// Memory for chunks, in bytes.
const BYTES_MAX: u64 = 64 << 20;
/// What a chunk takes besides its texts.
const CHUNK_BYTES: usize = 512;
/// Bytes of a message's texts; one that has more is looked at. So a chunk has some 2 MiB at most.
const MESSAGE_BYTES_MAX: usize = 2048;

/// The texts of the messages in a range of UIDs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TextChunk {
    /// Messages below this UID are in it.
    pub known_to: Uid,
    uids: Vec<u32>,
    /// Of which nothing is known: they have to be looked at.
    unknown: RoaringBitmap,
    fields: [Column; TextField::COUNT],
}

/// The texts of one field.
#[derive(Clone, Debug, Default, PartialEq)]
struct Column {
    bytes: Vec<u8>,
    /// Where those of each message end.
    ends: Vec<u32>,
}

impl TextChunk {
    /// Adds a message above all that are in it, by the bytes that it begins with; none if they
    /// can't be read.
    pub fn push(&mut self, uid: Uid, begins: Option<&[u8]>, is_all: bool) {
        let lengths = self.fields.each_ref().map(|column| column.bytes.len());
        let columns = self.fields.each_mut().map(|column| &mut column.bytes);
        let is_known = begins.is_some_and(|it| header_texts::append(it, is_all, columns));
        let all: usize = self.fields.iter().map(|column| column.bytes.len()).sum();
        if !is_known || all - lengths.iter().sum::<usize>() > MESSAGE_BYTES_MAX {
            self.unknown.insert(uid.0);
            for (column, length) in self.fields.iter_mut().zip(lengths) {
                column.bytes.truncate(length);
            }
        }
        self.uids.push(uid.0);
        for column in &mut self.fields {
            column.ends.push(column.bytes.len() as u32);
        }
    }

    /// Gives back what it has no use for.
    pub fn shrink(&mut self) {
        self.uids.shrink_to_fit();
        for column in &mut self.fields {
            column.bytes.shrink_to_fit();
            column.ends.shrink_to_fit();
        }
    }

    /// Adds those in whose field a text is, and those that have to be looked at.
    pub fn find(
        &self,
        field: TextField,
        needle: &memmem::Finder<'_>,
        found: &mut RoaringBitmap,
        unknown: &mut RoaringBitmap,
    ) {
        *unknown |= &self.unknown;
        let Column { bytes, ends } = &self.fields[field as usize];
        if needle.needle().is_empty() {
            let mut from = 0;
            for (uid, end) in self.uids.iter().zip(ends) {
                if *end > from {
                    found.insert(*uid);
                }
                from = *end;
            }
            return;
        }
        let (mut at, mut message) = (0, 0);
        while let Some(next) = needle.find(&bytes[at..]) {
            let place = (at + next) as u32;
            message += ends[message..].partition_point(|end| *end <= place);
            found.insert(self.uids[message]);
            at = ends[message] as usize;
        }
    }
}

impl Chunked for TextChunk {
    const BYTES_MAX: u64 = BYTES_MAX;

    fn memory_bytes(&self) -> usize {
        let columns = self.fields.iter();
        let columns = columns.map(|it| it.bytes.capacity() + 4 * it.ends.capacity());
        CHUNK_BYTES + 4 * self.uids.capacity() + columns.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mail::MailboxId;

    use super::*;
    use crate::chunk_cache::{ChunkCache, ChunkPlace};
    use crate::kv::Memory;

    fn find(chunk: &TextChunk, field: TextField, text: &str) -> (Vec<u32>, Vec<u32>) {
        let needle = header_texts::needle(text).expect("one line");
        let (mut found, mut unknown) = (RoaringBitmap::new(), RoaringBitmap::new());
        let finder = memmem::Finder::new(&needle);
        chunk.find(field, &finder, &mut found, &mut unknown);
        (found.iter().collect(), unknown.iter().collect())
    }

    #[test]
    fn messages_are_found_by_their_fields() {
        let mut chunk = TextChunk::default();
        for (uid, header) in [
            (2, &b"Subject: one\r\nTo: x@y\r\n\r\n"[..]),
            (5, b"To: one@y\r\n\r\n"),
            (9, b"Subject: two ONE one\r\n\r\n"),
            (11, b"Subject:\r\n\r\n"),
        ] {
            chunk.push(Uid(uid), Some(header), true);
        }
        chunk.push(Uid(12), None, true);
        chunk.push(Uid(13), Some(b"Subject: one"), false);
        chunk.push(Uid(14), Some(b"Subject: last one\r\n\r\n"), true);
        let long = ["Subject: one\r\nTo: ", &"one ".repeat(1000), "\r\n\r\n"].concat();
        chunk.push(Uid(15), Some(long.as_bytes()), true);
        let unknown = vec![12, 13, 15];
        use TextField::{Bcc, Subject, To};
        assert_eq!(
            find(&chunk, Subject, "One"),
            (vec![2, 9, 14], unknown.clone())
        );
        assert_eq!(
            find(&chunk, Subject, ""),
            (vec![2, 9, 11, 14], unknown.clone())
        );
        assert_eq!(find(&chunk, To, "one"), (vec![5], unknown.clone()));
        assert_eq!(find(&chunk, Bcc, ""), (vec![], unknown));
    }

    #[test]
    fn memory_is_bounded() {
        let (cache, rows) = (ChunkCache::default(), Memory::default());
        let header = [b"Subject: ", &vec![b'a'; 2000][..], b"\r\n\r\n"].concat();
        for number in 0..60_000 {
            let mut chunk = TextChunk::default();
            chunk.push(Uid(1), Some(&header), true);
            chunk.shrink();
            cache.insert(ChunkPlace::of(&rows, MailboxId(1), number), Arc::new(chunk));
        }
        assert!(cache.cache.weight() <= BYTES_MAX && cache.cache.len() > 1000);
    }
}
