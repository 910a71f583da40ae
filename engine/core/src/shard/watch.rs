//! Watches: a row's on its home shard, a shard's on the topic's owner.

use reactor::Reactor;

use super::Shard;
use crate::event::ShardId;
use crate::mesh::Frame;
use crate::protocol::Protocol;
use crate::row::{Row, State};
use crate::topic::TopicId;

impl<R: Reactor, P: Protocol> Shard<R, P> {
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
            if was_last {
                let owner = before.owner(self.handle.shards());
                self.tell(owner, Frame::Unwatch(before));
            }
        }
        if topic.0 == 0 {
            return;
        }
        self.row(slot).topic = topic;
        self.row(slot).set(Row::<P>::PENDING, true);
        let owner = topic.owner(self.handle.shards());
        if let Some(epoch) = self.topics.add(topic, slot, self.rows.watched()) {
            self.tell(owner, Frame::Watch(topic, epoch));
        } else if self.topics.is_acknowledged(topic) {
            // Told through the lane all the same, so that no call is made within a call.
            self.tell(self.id, Frame::Watching(topic, 0));
        }
    }

    /// Sends a frame; one that finds its lane full waits its turn, in order.
    fn tell(&mut self, to: ShardId, frame: Frame) {
        self.waiting.push_back((to, frame));
        self.send_frames();
    }

    fn send_frames(&mut self) {
        while let Some((to, frame)) = self.waiting.pop_front() {
            let port = &self.handle.ports[usize::from(to.0)];
            match port.frames[usize::from(self.id.0)].push(frame) {
                Ok(()) if to == self.id => {}
                Ok(()) => port.wake(),
                Err(frame) => {
                    self.waiting.push_front((to, frame));
                    port.wake();
                    return;
                }
            }
        }
    }

    pub(super) fn take_frames(&mut self) {
        self.send_frames();
        for from in 0..self.handle.shards() {
            for _ in 0..self.limits.items_per_turn {
                let Some(frame) = self.port().frames[usize::from(from)].pop() else {
                    break;
                };
                match frame {
                    Frame::Watch(topic, epoch) => {
                        // What rows here watch is in `topics` already.
                        if ShardId(from) != self.id {
                            self.interest.add(topic, ShardId(from));
                        }
                        self.tell(ShardId(from), Frame::Watching(topic, epoch));
                    }
                    Frame::Unwatch(topic) => self.interest.remove(topic, ShardId(from)),
                    Frame::Watching(topic, epoch) => self.watching(topic, epoch),
                }
            }
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
    }
}
