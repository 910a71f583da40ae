//! What rows are written down with on their way to another process.

use std::sync::mpsc::{SyncSender, TrySendError};

use ::tls::HANDED_OVER_BYTES_MAX;
use zeroize::Zeroizing;

use crate::handover::order::Given;

/// Rows are given in pieces of about this many bytes.
const PIECE_BYTES: usize = 32 << 10;
/// More than most sessions take; one before login may have a long name from its certificate.
const SESSION_BYTES: usize = 4 << 10;

/// Why rows were not given.
pub(super) enum NotGiven {
    /// There is no room at the moment.
    Full,
    /// Whoever was to take them is gone.
    NobodyTakes,
}

/// What rows are written with. All of it is cleared when it goes, as it holds keys.
pub(super) struct Pen {
    pub session: Zeroizing<Vec<u8>>,
    pub records: Zeroizing<Vec<u8>>,
    pub stream: Zeroizing<Vec<u8>>,
    /// Rows, one behind the other, and where the last of them begins.
    pub page: Zeroizing<Vec<u8>>,
    pub row_at: usize,
}

impl Pen {
    pub fn new() -> Self {
        Self {
            session: empty_piece(SESSION_BYTES),
            records: empty_piece(HANDED_OVER_BYTES_MAX),
            stream: empty_piece(0),
            page: empty_piece(PIECE_BYTES),
            row_at: 0,
        }
    }

    /// The last row is not given.
    pub fn take_back(&mut self) {
        self.page.truncate(self.row_at);
    }

    /// Whether it is time to give what was written.
    pub fn is_full(&self) -> bool {
        self.page.len() >= PIECE_BYTES
    }

    /// What was written.
    pub fn turn_page(&mut self) -> Given {
        self.row_at = 0;
        Given::Rows(std::mem::replace(&mut self.page, empty_piece(PIECE_BYTES)))
    }

    /// Gives what was written, if it is much or `all`.
    pub fn try_give(&mut self, to: &SyncSender<Given>, all: bool) -> Result<(), NotGiven> {
        if self.page.is_empty() || !all && !self.is_full() {
            return Ok(());
        }
        match to.try_send(self.turn_page()) {
            Err(TrySendError::Full(Given::Rows(page))) => {
                self.page = page;
                Err(NotGiven::Full)
            }
            Err(_) => Err(NotGiven::NobodyTakes),
            Ok(()) => Ok(()),
        }
    }
}

/// Cleared when it goes; that it never grows by itself is its users' care, as what it leaves then
/// is not cleared.
fn empty_piece(bytes: usize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(bytes))
}

/// Room for so many bytes more; what had too little is cleared.
pub(super) fn make_room(piece: &mut Zeroizing<Vec<u8>>, bytes: usize) {
    if piece.capacity() - piece.len() < bytes {
        let mut larger = empty_piece(2 * piece.capacity().max(piece.len() + bytes));
        larger.extend_from_slice(piece);
        *piece = larger;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_gets_room_before_it_would_move() {
        let mut piece = empty_piece(4);
        piece.extend([1, 2, 3]);
        make_room(&mut piece, 1);
        assert_eq!(piece.capacity(), 4);
        make_room(&mut piece, 100);
        assert!(piece.capacity() >= 103);
        assert_eq!(piece[..], [1, 2, 3]);
    }
}
