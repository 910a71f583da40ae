//! What was made of messages, and is kept beside them so that it need not be made again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mail::mime::Structure;
use mail::sort::keys::{self as sort_keys, HEADER_BYTES_MAX};
use xxhash_rust::xxh3::xxh3_64;

use super::{keys, tables};
use crate::kv::{Kv, Space, Transaction};

/// Something that was made of a message.
#[derive(Debug)]
pub(crate) struct Made {
    space: Space,
    body: u64,
    /// Hash of the body's first piece: a number whose commit has failed is another body's next.
    begins: u64,
    row: Bytes,
}

impl Made {
    /// The sort keys of the message with this body, which begins so, up to [`HEADER_BYTES_MAX`] at
    /// least.
    pub fn sort_keys(body: u64, begins: &[u8]) -> Self {
        // What is hashed is a first piece.
        const { assert!(HEADER_BYTES_MAX as u64 == tables::PIECE_BYTES) };
        let row = sort_keys::of_header(first_piece(begins));
        Self::of(Space::SortKeys, body, begins, row)
    }

    /// The structure of the message with this body.
    pub fn structure(body: u64, message: &[u8], structure: &Structure) -> Self {
        Self::of(Space::Structures, body, message, structure.to_bytes())
    }

    fn of(space: Space, body: u64, begins: &[u8], row: Vec<u8>) -> Self {
        Self {
            space,
            body,
            begins: xxh3_64(first_piece(begins)),
            row: row.into(),
        }
    }

    /// What is to be kept.
    pub fn row(&self) -> &Bytes {
        &self.row
    }

    /// Whose it is.
    #[cfg(test)]
    pub fn body(&self) -> u64 {
        self.body
    }

    /// What it takes in memory, in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.row.len()
    }
}

fn first_piece(message: &[u8]) -> &[u8] {
    &message[..message.len().min(tables::PIECE_BYTES as usize)]
}

/// What waits until its reader hands it to the writer.
#[derive(Default)]
pub(crate) struct MadeStructures(Mutex<Vec<Made>>);

impl MadeStructures {
    /// Bytes of those that may wait; what finds no room is made again another time.
    const BYTES_MAX: usize = 4 << 20;

    pub fn push(&self, made: Made) {
        let mut all = self.all();
        let waiting: usize = all.iter().map(Made::bytes).sum();
        if waiting + made.bytes() <= Self::BYTES_MAX {
            all.push(made);
        }
    }

    pub fn take(&self) -> Vec<Made> {
        std::mem::take(&mut *self.all())
    }

    fn all(&self) -> MutexGuard<'_, Vec<Made>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps what was made of bodies that are still there.
pub(crate) fn keep_made(txn: &mut Transaction<'_>, all: Vec<Made>) {
    for made in all {
        match txn.get(Space::Bodies, &keys::piece(made.body, 0)) {
            Ok(Some(piece)) if xxh3_64(&piece) == made.begins => {
                txn.put(made.space, &keys::number(made.body), made.row);
            }
            Ok(_) => {}
            Err(error) => tracing::error!("{error}"),
        }
    }
}
