//! Watches: a row's on its home shard, a shard's on the topic's owner.

use reactor::Reactor;

use super::Shard;
use crate::event::ShardId;
use crate::mesh::Frame;
use crate::mutant::{Mutant, planted};
use crate::protocol::Protocol;
use crate::row::{Row, State};
use crate::topic::TopicId;

impl<R: Reactor, P: Protocol> Shard<R, P> {
    /// A row watches this topic from now on, and no other; 0 is none.
    pub(super) fn watch(&mut self, slot: u32, topic: TopicId) {
        let before = self.row(slot).topic;
        if before.0 != 0 && before != topic {
            self.row(slot).topic = TopicId(0);
            self.row(slot).set(Row::<P>::PENDING, false);
            self.row(slot).set(Row::<P>::STALE, false);
            self.row(slot).set(Row::<P>::MISSED, false);
            if self.topics.remove(before, slot) {
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
        if let Some(epoch) = self.topics.add(topic, slot) {
            self.tell(owner, Frame::Watch(topic, epoch));
        } else if self
            .topics
            .get(topic)
            .is_some_and(|topic| topic.is_acknowledged())
        {
            // Told through the lane all the same, so that no call is made within a call.
            let epoch = self.topics.get(topic).map_or(0, |topic| topic.epoch());
            self.tell(self.id, Frame::Watching(topic, epoch));
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
                        self.interest.add(topic, ShardId(from));
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
        let is_new = |of: u32| of == epoch || planted(Mutant::AnyEpoch);
        let Some(topic) = self.topics.get(id).filter(|topic| is_new(topic.epoch())) else {
            return;
        };
        topic.acknowledge();
        let rows = topic.rows().to_vec();
        for slot in rows {
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
