//! Watches: a row's on its home shard, a shard's on the topic's owner.

use reactor::Reactor;

use super::Shard;
use crate::event::{SessionId, ShardId};
use crate::mesh::ShardMessage;
use crate::protocol::Protocol;
use crate::row::{Row, State};
use crate::secure::Tls;
use crate::topic::TopicId;

impl<R: Reactor, P: Protocol, T: Tls> Shard<R, P, T> {
    /// A row watches this topic from now on, and no other; 0 is none.
    pub(super) fn watch(&mut self, slot: u32, topic: TopicId) {
        let before = self.row(slot).topic;
        if before.0 != 0 && before != topic {
            let was_last = self.topics.remove(before, slot, self.rows.watched());
            let row = self.row(slot);
            row.topic = TopicId(0);
            row.set(Row::<P>::PENDING, false);
            row.set(Row::<P>::STALE, false);
            row.set(Row::<P>::MISSED, false);
            if was_last && !self.watches.contains(before) {
                self.topics.forget(before);
                let owner = before.owner(self.handle.shards());
                self.send_shard_message(owner, ShardMessage::Unwatch(before));
            }
        }
        if topic.0 == 0 {
            return;
        }
        self.row(slot).topic = topic;
        self.row(slot).set(Row::<P>::PENDING, true);
        let owner = topic.owner(self.handle.shards());
        let is_new = self.topics.add(topic, slot, self.rows.watched());
        if is_new && !self.watches.contains(topic) {
            let epoch = self.topics.begin(topic);
            self.send_shard_message(owner, ShardMessage::Watch(topic, epoch));
        } else if self.topics.is_acknowledged(topic) {
            // Told through the queue all the same, so that no call is made within a call.
            let id = self.session_id(slot);
            self.send_shard_message(self.id, ShardMessage::Watched(id));
        }
    }

    /// Sends a message; one that finds its queue full waits its turn, in order.
    pub(super) fn send_shard_message(&mut self, to: ShardId, message: ShardMessage) {
        self.waiting.push_back((to, message));
        self.send_shard_messages();
    }

    fn send_shard_messages(&mut self) {
        while let Some((to, message)) = self.waiting.pop_front() {
            let port = &self.handle.ports[usize::from(to.0)];
            match port.messages[usize::from(self.id.0)].push(message) {
                Ok(()) if to == self.id => {}
                Ok(()) => port.wake(),
                Err(message) => {
                    self.waiting.push_front((to, message));
                    port.wake();
                    return;
                }
            }
        }
    }

    pub(super) fn take_shard_messages(&mut self) {
        self.send_shard_messages();
        for from in 0..self.handle.shards() {
            for _ in 0..self.limits.items_per_turn {
                let Some(message) = self.port().messages[usize::from(from)].pop() else {
                    break;
                };
                match message {
                    ShardMessage::Watch(topic, epoch) => {
                        // What rows here watch is in `topics` already.
                        if ShardId(from) != self.id {
                            self.remote_watchers.add(topic, ShardId(from));
                        }
                        self.send_shard_message(
                            ShardId(from),
                            ShardMessage::Watching(topic, epoch),
                        );
                    }
                    ShardMessage::Unwatch(topic) => {
                        self.remote_watchers.remove(topic, ShardId(from))
                    }
                    ShardMessage::Watching(topic, epoch) => self.watching(topic, epoch),
                    ShardMessage::Watched(id) => self.watched(id),
                    ShardMessage::Placed(id) => self.placed(id),
                }
            }
        }
    }

    /// A row watches a topic whose owner knew already that this shard does.
    fn watched(&mut self, id: SessionId) {
        let row = self.rows.of(id).filter(|row| row.is_open());
        let topic = row
            .filter(|row| row.has(Row::<P>::PENDING))
            .map(|row| row.topic);
        if topic.is_some_and(|topic| self.topics.is_acknowledged(topic)) {
            self.row(id.slot).set(Row::<P>::PENDING, false);
            self.call(id.slot, |protocol, session, cx| {
                protocol.handle_watching(session, cx)
            });
        }
    }

    /// The owner knows that this shard watches: its rows miss nothing from now on.
    fn watching(&mut self, id: TopicId, epoch: u32) {
        if !self.topics.acknowledge(id, epoch) {
            return;
        }
        for slot in self.topics.rows(id, self.rows.watched()) {
            let row = self.row(slot);
            if row.topic == id && row.has(Row::<P>::PENDING) && !matches!(row.state, State::Free) {
                row.set(Row::<P>::PENDING, false);
                self.call(slot, |protocol, session, cx| {
                    protocol.handle_watching(session, cx)
                });
            }
        }
        if !self.watches.is_empty() {
            for slot in self.watches.acknowledge(id) {
                self.further_watching(slot);
            }
        }
    }
}
