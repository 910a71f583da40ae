//! Connections that come from another process.

use std::os::fd::OwnedFd;
use std::{io, mem};

use ahash::AHashMap;
use bytes::Bytes;
use deflate::Inflater;
use reactor::{Conn, Reactor};

use super::Shard;
use super::handover::{Handover, named};
use super::layers::Layer;
use crate::event::SessionId;
use crate::handover::Refused;
use crate::handover::row::PlainRow;
use crate::limits::SECOND_NS;
use crate::mesh::ShardMessage;
use crate::protocol::{Protocol, TakenOver};
use crate::row::{Outbox, Row, State};
use crate::secure::{Records, Tls};
use crate::topic::TopicId;

/// Connections that have come and whose rows have not, by what both processes call them.
#[derive(Default)]
pub struct Adopted {
    connections: AHashMap<u64, Conn>,
}

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    /// The same, which does nothing until [`crate::Handle::go_on`]: its connections are to come.
    #[must_use]
    pub fn awaiting(mut self) -> Self {
        self.reactor.accept(false);
        self.reactor.hold(true);
        self.handover = Some(Box::new(Handover::awaiting()));
        self
    }

    /// Takes a connection, which is watched from now on.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn adopt(
        &mut self,
        adopted: &mut Adopted,
        key: u64,
        descriptor: OwnedFd,
    ) -> io::Result<()> {
        let conn = self.reactor.adopt(descriptor)?;
        self.reactor.read(conn, true);
        if let Some(before) = adopted.connections.insert(key, conn) {
            self.reactor.close(before);
        }
        Ok(())
    }

    /// Begins to watch what has come; nothing is received. Other shards hear what rows here watch,
    /// and are heard.
    pub fn arm(&mut self) {
        let mut completions = mem::take(&mut self.completions);
        self.reactor.turn(Some(0), &mut completions);
        completions.clear();
        self.completions = completions;
        self.take_shard_messages();
    }

    /// Takes rows whose connections have come. One that has a row already, with nothing under way,
    /// has this one instead.
    ///
    /// # Errors
    /// What is wrong with them; nothing that came is of use then.
    pub fn take_rows(&mut self, adopted: &mut Adopted, mut rows: &[u8]) -> Result<(), Refused> {
        while !rows.is_empty() {
            let row = PlainRow::read(&mut rows).ok_or(Refused::Damaged)?;
            let new = adopted.connections.remove(&row.key);
            let conn = new.or_else(|| self.give_up_row(row.key));
            self.take_row(conn.ok_or(Refused::NoConnection)?, &row)?;
        }
        Ok(())
    }

    /// Forgets connections whose rows have come, with nothing under way.
    ///
    /// # Errors
    /// If one is not there.
    pub fn give_up(&mut self, keys: impl IntoIterator<Item = u64>) -> Result<(), Refused> {
        for key in keys {
            let conn = self.give_up_row(key).ok_or(Refused::NoConnection)?;
            self.reactor.close(conn);
        }
        Ok(())
    }

    /// Forgets what came with a row of a session that is packed away; gives its connection.
    fn give_up_row(&mut self, key: u64) -> Option<Conn> {
        let (slot, generation) = named(key)?;
        let id = SessionId {
            shard: self.id,
            slot,
            generation,
        };
        if !matches!(self.rows.of(id)?.state, State::Parked(_)) {
            return None;
        }
        self.watch(slot, TopicId(0));
        let Row {
            conn, state, flags, ..
        } = std::mem::replace(self.row(slot), Row::free(generation));
        if let State::Parked(parked) = state {
            self.parked -= 1;
            self.protocol.give_up(id, &parked);
        }
        self.leave_slot(slot, conn, flags);
        Some(conn)
    }

    /// All rows were taken: connections that are left have ended meanwhile.
    pub fn end_adopting(&mut self, adopted: Adopted) {
        let mut left: Vec<_> = adopted.connections.into_iter().collect();
        // In the same order in each simulated run.
        left.sort_unstable_by_key(|(key, _)| *key);
        for (_, conn) in left {
            self.reactor.close(conn);
        }
    }

    fn take_row(&mut self, conn: Conn, plain: &PlainRow<'_>) -> Result<(), Refused> {
        let (slot, generation) = named(plain.key).ok_or(Refused::Damaged)?;
        if !self.rows.take_at(slot) {
            return Err(Refused::NoConnection);
        }
        self.handle.enter_anyway();
        self.open += 1;
        self.set_slot(conn, Some(slot));
        let is_secure = plain.records.is_some();
        *self.row(slot) = Row {
            conn,
            state: State::Taken,
            ..Row::free(generation)
        };
        self.row(slot).set(Row::<P>::SECURE, is_secure);
        if let Some(records) = plain.records {
            let records = T::Records::taken_over(records).ok_or(Refused::NotUnderstood)?;
            self.layers.set(slot, Layer::Sealing(records));
        }
        if let Some(stream) = plain.stream {
            let inflater = Inflater::taken_over(stream).ok_or(Refused::NotUnderstood)?;
            self.compressed.insert(slot, inflater);
            self.row(slot).set(Row::<P>::COMPRESSED, true);
        }
        let id = self.session_id(slot);
        let taken = self.protocol.take_over(id, is_secure, plain.session);
        self.row(slot).state = match taken.ok_or(Refused::NotUnderstood)? {
            TakenOver::Active(session) => State::Active(Box::new(session)),
            TakenOver::Parked(parked) => {
                self.parked += 1;
                State::Parked(parked)
            }
        };
        if plain.deadline > 0 {
            self.set_deadline(slot, u64::from(plain.deadline) * SECOND_NS);
        }
        self.take_output(slot, plain);
        if !plain.partial.is_empty() {
            self.owed += plain.partial.len();
            self.layers.partial.insert(slot, plain.partial.to_vec());
        }
        if !plain.input.is_empty() {
            self.owed += plain.input.len();
            self.reactor.read(conn, false);
        }
        self.row(slot).set(Row::<P>::STALE, plain.stale);
        if let Some(handover) = &mut self.handover {
            if !plain.input.is_empty() {
                handover.keep_input(slot, plain.input);
            }
            if plain.stale {
                handover.stale.push_back(id);
            }
        }
        self.take_watch(slot, TopicId(plain.topic));
        Ok(())
    }

    /// What had not left leaves once all goes on.
    fn take_output(&mut self, slot: u32, plain: &PlainRow<'_>) {
        if plain.ready.is_empty() && plain.plain.is_empty() {
            return;
        }
        let has_ready = plain.records.is_some() || plain.stream.is_some();
        let mut outbox = Outbox::new();
        for part in [plain.ready, plain.plain] {
            if !part.is_empty() {
                outbox.pieces.push(Bytes::copy_from_slice(part));
            }
        }
        outbox.ready = usize::from(has_ready && !plain.ready.is_empty());
        outbox.bytes = plain.ready.len() + plain.plain.len();
        self.owed += outbox.cost();
        let row = self.row(slot);
        row.outbox = Some(Box::new(outbox));
        row.set(Row::<P>::BLOCKED, true);
        let id = self.session_id(slot);
        if let Some(handover) = &mut self.handover {
            handover.blocked.push(id);
        }
    }

    /// Watches what the row watched. Nothing happens to that before all shards go on, so nothing is
    /// missed.
    fn take_watch(&mut self, slot: u32, topic: TopicId) {
        if topic.0 == 0 {
            return;
        }
        self.row(slot).topic = topic;
        if self.topics.add(topic, slot, self.rows.watched()) {
            let epoch = self.topics.begin(topic);
            let owner = topic.owner(self.handle.shards());
            self.send_shard_message(owner, ShardMessage::Watch(topic, epoch));
        }
    }
}
