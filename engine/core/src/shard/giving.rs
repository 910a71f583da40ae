//! A shard gives away what it keeps of its connections.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use bytes::Bytes;
use deflate::Inflater;
use reactor::Reactor;

use super::Shard;
use super::handover::{LATER_NS, TOO_MANY_OPEN, key_of};
use super::pen::{Pen, make_room};
use super::settling::Phase;
use crate::event::SessionId;
use crate::handover::order::Given;
use crate::handover::row::PlainRow;
use crate::hash_tables::hasher;
use crate::protocol::{Protocol, Seen};
use crate::row::{Row, State};
use crate::secure::{Records, Tls};
use crate::stats::Counter;

/// So often a descriptor is tried again.
const TRIES_MAX: usize = 5000;

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

    /// Gives the rows of all connections, but of those that were given early and are as they were.
    fn give_rows(&mut self, to: &SyncSender<Given>) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        let give_up = |keys: &mut Vec<u64>| match std::mem::take(keys) {
            none if none.is_empty() => Ok(()),
            keys => to.send(Given::Gone(keys)).map_err(gone),
        };
        let (mut count, mut pen) = (0, Pen::new());
        let mut no_more = Vec::new();
        for slot in 0..self.rows.len() as u32 {
            let (shared, early) = self.given_early(slot);
            let early_id = shared.filter(|_| early != 0);
            let is_open = self.rows.get(slot).is_some_and(Row::is_open);
            let id = is_open.then(|| self.session_id(slot));
            let digest = match id {
                Some(_) if self.rests(slot) => self.write_row(slot, &mut pen),
                _ => None,
            };
            if let Some(early_id) = early_id.filter(|_| digest.is_none() || id != early_id) {
                no_more.push(key_of(early_id));
            }
            let (Some(id), Some(digest)) = (id, digest) else {
                continue;
            };
            count += 1;
            if Some(id) == early_id && digest == early {
                pen.take_back();
                continue;
            }
            if shared != Some(id) {
                let descriptor = self.duplicate_patiently(slot)?;
                to.send(Given::Descriptor(key_of(id), descriptor))
                    .map_err(gone)?;
            }
            if pen.is_full() {
                // Another connection may have the slot of one that is no more.
                give_up(&mut no_more)?;
                to.send(pen.turn_page()).map_err(gone)?;
            }
        }
        give_up(&mut no_more)?;
        to.send(pen.turn_page()).map_err(gone)?;
        to.send(Given::End).map_err(gone)?;
        Ok(count)
    }

    /// The connection at a slot whose descriptor was given while all went on, and the digest of the
    /// row that was given with it; 0 if there was none.
    fn given_early(&self, slot: u32) -> (Option<SessionId>, u64) {
        let Some(handover) = &self.handover else {
            return (None, 0);
        };
        let counted = handover.shared.get(slot as usize);
        let generation = counted.checked_sub(1).map(|generation| generation as u16);
        let id = generation.map(|generation| SessionId {
            shard: self.id,
            slot,
            generation,
        });
        (id, handover.early.get(slot as usize))
    }

    /// Writes down the row of a session that is packed away and has nothing under way, while all
    /// goes on: most will be the same when nobody is served any more.
    pub(super) fn write_early(&mut self, slot: u32, pen: &mut Pen) {
        let moving = Row::<P>::STALE | Row::<P>::MISSED | Row::<P>::FURTHER;
        let row = &self.rows[slot];
        let is_quiet = matches!(row.state, State::Parked(_)) && row.outbox.is_none();
        let is_whole = !self.layers.partial.contains_key(&slot);
        if !is_quiet || !is_whole || row.flags & moving != 0 || !self.rests(slot) {
            return;
        }
        let Some(digest) = self.write_row(slot, pen) else {
            return;
        };
        if let Some(handover) = &mut self.handover {
            handover.early.set(slot as usize, digest);
        }
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

    /// Writes a row down; none if the protocol or its TLS can't. Gives its digest, which is not 0.
    fn write_row(&mut self, slot: u32, pen: &mut Pen) -> Option<u64> {
        let id = self.session_id(slot);
        let row = &self.rows[slot];
        let Pen {
            session,
            records,
            stream,
            ..
        } = pen;
        for part in [&mut *session, &mut *records, &mut *stream] {
            part.clear();
        }
        let (seen, hears) = match &row.state {
            State::Active(session) => (Seen::Active(&**session), self.protocol.hears(session)),
            State::Parked(parked) => (Seen::Parked(parked), self.protocol.cursor(parked).is_some()),
            State::Free | State::Taken => return None,
        };
        if !self.protocol.hand_over(id, seen, session) {
            return None;
        }
        let is_secure = row.has(Row::<P>::SECURE);
        let layer = self.layers.records(slot);
        if is_secure && !layer.is_some_and(|layer| layer.hand_over(records)) {
            return None;
        }
        let is_compressed = row.has(Row::<P>::COMPRESSED);
        if is_compressed {
            let kept = self.compressed.get(slot);
            make_room(stream, kept.map_or(0, Inflater::bytes));
            if !kept.is_some_and(|kept| kept.hand_over(stream)) {
                return None;
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
            session,
            records: is_secure.then_some(&records[..]),
            stream: is_compressed.then_some(&stream[..]),
            partial: self.layers.partial.get(&slot).map_or(&[], Vec::as_slice),
            input: input.map_or(&[], Vec::as_slice),
            ready: &ready,
            plain: &plain,
        };
        make_room(&mut pen.page, plain.bytes());
        pen.row_at = pen.page.len();
        plain.write(&mut pen.page);
        Some(hasher().hash_one(&pen.page[pen.row_at..]).max(1))
    }
}
