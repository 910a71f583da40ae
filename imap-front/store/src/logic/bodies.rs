//! Messages share bodies, and give them up.

use super::{keys, tables};
use crate::Error;
use crate::kv::{Kv, Space, Transaction};
use crate::rows::{MessageRow, u64_row};

/// Rows that a slice may touch for each of its messages, on average.
pub(super) const PIECES_A_MESSAGE: usize = 8;

/// Rows of a message's body.
pub(super) fn pieces(row: &MessageRow) -> usize {
    row.size.div_ceil(tables::PIECE_BYTES) as usize
}

/// One message less uses a body.
pub(super) fn release(txn: &mut Transaction<'_>, row: &MessageRow) -> Result<(), Error> {
    let key = keys::number(row.body);
    match txn.get(Space::References, &key)? {
        None => {
            tables::remove_pieces(txn, row.body, row.size);
            txn.delete(Space::SortKeys, &key);
            if tables::keeps_structure(row.size) {
                txn.delete(Space::Structures, &key);
            }
        }
        Some(count) => match u64_row(&count)? {
            0..=2 => txn.delete(Space::References, &key),
            count => txn.put(Space::References, &key, keys::number(count - 1)),
        },
    }
    Ok(())
}

/// One message more uses a body.
pub(super) fn share(txn: &mut Transaction<'_>, body: u64) -> Result<(), Error> {
    let key = keys::number(body);
    let count = match txn.get(Space::References, &key)? {
        Some(count) => u64_row(&count)?,
        None => 1,
    };
    txn.put(Space::References, &key, keys::number(count + 1));
    Ok(())
}
