//! A shard gives away what it keeps of its connections.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use ::tls::HANDED_OVER_BYTES_MAX;
use bytes::Bytes;
use deflate::Inflater;
use reactor::Reactor;
use zeroize::Zeroizing;

use super::Shard;
use super::handover::{LATER_NS, TOO_MANY_OPEN, key_of};
use super::settling::Phase;
use crate::handover::order::Given;
use crate::handover::row::PlainRow;
use crate::protocol::{Protocol, Seen};
use crate::row::{Row, State};
use crate::secure::{Records, Tls};
use crate::stats::Counter;

/// So often a descriptor is tried again.
const TRIES_MAX: usize = 5000;
/// Rows are given in pieces of about this many bytes.
const PIECE_BYTES: usize = 32 << 10;
/// More than most sessions take; one before login may have a long name from its certificate.
const SESSION_BYTES: usize = 4 << 10;

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    /// Gives all away, if that was asked for and all output was given to the kernel.
    pub(super) fn export_if_asked(&mut self) {
        if self.phase() != Phase::Settled || !self.dirty.is_empty() || !self.leaving.is_empty() {
            return;
        }
        let stats = &self.port().stats;
        let said = stats.counter(Counter::SentBytes) + stats.counter(Counter::Announced);
        let Some(handover) = &mut self.handover else {
            return;
        };
        // What was said in this turn may come back in the next.
        if handover.export.is_none() || handover.said.replace(said) != Some(said) {
            return;
        }
        let Some((to, answer)) = handover.export.take() else {
            return;
        };
        handover.phase = Phase::Still;
        self.reactor.hold(true);
        let _ = answer.send(self.give_rows(&to));
    }

    fn give_rows(&mut self, to: &SyncSender<Given>) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        let (mut count, mut piece) = (0, empty_piece(PIECE_BYTES));
        for slot in 0..self.rows.len() as u32 {
            if !self.rows.get(slot).is_some_and(Row::is_open) {
                continue;
            }
            let id = self.session_id(slot);
            let before = piece.len();
            if !self.rests(slot) || !self.write_row(slot, &mut piece) {
                piece.truncate(before);
                continue;
            }
            let generation = u32::from(id.generation) + 1;
            let is_shared = self
                .handover
                .as_ref()
                .is_some_and(|it| it.shared.get(slot as usize) == generation);
            if !is_shared {
                let descriptor = self.duplicate_patiently(slot)?;
                to.send(Given::Descriptor(key_of(id), descriptor))
                    .map_err(gone)?;
            }
            count += 1;
            if piece.len() >= PIECE_BYTES {
                let full = std::mem::replace(&mut piece, empty_piece(PIECE_BYTES));
                to.send(Given::Rows(full)).map_err(gone)?;
            }
        }
        to.send(Given::Rows(piece)).map_err(gone)?;
        to.send(Given::End).map_err(gone)?;
        Ok(count)
    }

    /// Another descriptor of a connection, once others were sent if there are too many.
    fn duplicate_patiently(&mut self, slot: u32) -> io::Result<OwnedFd> {
        for _ in 0..TRIES_MAX {
            match self.reactor.duplicate(self.rows[slot].conn) {
                Err(error) if error.raw_os_error() == Some(TOO_MANY_OPEN) => {
                    std::thread::park_timeout(Duration::from_nanos(LATER_NS));
                }
                outcome => return outcome,
            }
        }
        Err(io::Error::from_raw_os_error(TOO_MANY_OPEN))
    }

    /// Writes a row down; false if the protocol or its TLS can't.
    fn write_row(&mut self, slot: u32, output: &mut Zeroizing<Vec<u8>>) -> bool {
        let id = self.session_id(slot);
        let row = &self.rows[slot];
        let mut session = empty_piece(SESSION_BYTES);
        let (seen, hears) = match &row.state {
            State::Active(session) => (Seen::Active(&**session), self.protocol.hears(session)),
            State::Parked(parked) => (Seen::Parked(parked), self.protocol.cursor(parked).is_some()),
            State::Free | State::Taken => return false,
        };
        if !self.protocol.hand_over(id, seen, &mut session) {
            return false;
        }
        let is_secure = row.has(Row::<P>::SECURE);
        let mut records = empty_piece(HANDED_OVER_BYTES_MAX);
        let layer = self.layers.records(slot);
        if is_secure && !layer.is_some_and(|layer| layer.hand_over(&mut records)) {
            return false;
        }
        let mut stream = empty_piece(0);
        let is_compressed = row.has(Row::<P>::COMPRESSED);
        if is_compressed {
            let kept = self.compressed.get(slot);
            make_room(&mut stream, kept.map_or(0, Inflater::bytes));
            if !kept.is_some_and(|kept| kept.hand_over(&mut stream)) {
                return false;
            }
        }
        let joined = |pieces: &[Bytes]| pieces.concat();
        let (ready, plain) = match &row.outbox {
            Some(outbox) => {
                let (ready, plain) = outbox.pieces.split_at(outbox.ready);
                (joined(ready), joined(plain))
            }
            None => (vec![], vec![]),
        };
        let input = self.handover.as_ref().and_then(|it| it.input.get(&slot));
        let missed = row.flags & (Row::<P>::STALE | Row::<P>::MISSED) != 0;
        let lives_on_posts = self.protocol.lives_on_posts();
        let hears_nothing = missed || row.outbox.is_some() && !lives_on_posts;
        let plain = PlainRow {
            key: key_of(id),
            topic: row.topic.0,
            deadline: row.deadline,
            // Whoever has output heard nothing since.
            // And what is watched beside the first topic stays behind.
            stale: (hears || lives_on_posts) && hears_nothing || row.has(Row::<P>::FURTHER),
            session: &session,
            records: is_secure.then_some(&records[..]),
            stream: is_compressed.then_some(&stream[..]),
            partial: self.layers.partial.get(&slot).map_or(&[], Vec::as_slice),
            input: input.map_or(&[], Vec::as_slice),
            ready: &ready,
            plain: &plain,
        };
        make_room(output, plain.bytes());
        plain.write(output);
        true
    }
}

/// Cleared when it goes; that it never grows by itself is its users' care, as what it leaves then
/// is not cleared.
fn empty_piece(bytes: usize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(bytes))
}

/// Room for so many bytes more; what had too little is cleared.
fn make_room(piece: &mut Zeroizing<Vec<u8>>, bytes: usize) {
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
