//! Recent events of one topic on one shard, shared by all its watchers that are behind.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::Event;

/// A reader fell off the tail, or the tail has a gap after its cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lagged;

/// A chain of events, the newest last. A reader's cursor is the number it has been told up to.
///
/// A shard makes one when a row is behind and drops it when none is; hosts need it only to measure.
#[derive(Debug)]
pub struct Tail<F> {
    /// Everything after this number is here.
    floor: u64,
    events: VecDeque<Arc<Event<F>>>,
}

impl<F> Tail<F> {
    /// A tail that begins after `head`, the newest number seen.
    pub fn new(head: u64) -> Self {
        Self {
            floor: head,
            events: VecDeque::new(),
        }
    }

    /// Adds the newest event and forgets the oldest beyond `events_max`.
    pub fn push(&mut self, event: Arc<Event<F>>, events_max: usize) {
        let newest = self.events.back().map_or(self.floor, |last| last.seq);
        if event.prev > newest && newest > 0 {
            // A gap: what is before it leads nowhere.
            self.floor = event.prev;
            self.events.clear();
        }
        self.events.push_back(event);
        while self.events.len() > events_max {
            let oldest = self
                .events
                .pop_front()
                .expect("there are more than events_max");
            self.floor = self.floor.max(oldest.seq);
        }
    }

    /// The events after `cursor`.
    ///
    /// # Errors
    /// If some of them were forgotten or never came.
    pub fn after(&mut self, cursor: u64) -> Result<&[Arc<Event<F>>], Lagged> {
        if cursor < self.floor {
            return Err(Lagged);
        }
        let first = self.events.partition_point(|event| event.seq <= cursor);
        let news = &self.events.make_contiguous()[first..];
        match news.first() {
            Some(event) if event.prev > cursor => Err(Lagged),
            _ => Ok(news),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::TopicId;

    fn event(prev: u64, seq: u64) -> Arc<Event<()>> {
        Arc::new(Event {
            topic: TopicId(1),
            prev,
            seq,
            born_ns: 0,
            fact: (),
        })
    }

    fn check(tail: &mut Tail<()>, cursor: u64, expected: Result<&[u64], Lagged>) {
        let news = tail
            .after(cursor)
            .map(|events| events.iter().map(|e| e.seq).collect());
        assert_eq!(news, expected.map(<[u64]>::to_vec), "after {cursor}");
    }

    #[test]
    fn reads_from_the_cursor() {
        let mut tail = Tail::new(10);
        check(&mut tail, 10, Ok(&[]));
        check(&mut tail, 9, Err(Lagged));
        tail.push(event(10, 11), 8);
        tail.push(event(11, 14), 8);
        check(&mut tail, 10, Ok(&[11, 14]));
        check(&mut tail, 11, Ok(&[14]));
        check(&mut tail, 14, Ok(&[]));
        check(&mut tail, 20, Ok(&[]));
    }

    #[test]
    fn forgets_the_oldest() {
        let mut tail = Tail::new(0);
        for seq in 1..=5 {
            tail.push(event(seq - 1, seq), 2);
        }
        check(&mut tail, 2, Err(Lagged));
        check(&mut tail, 3, Ok(&[4, 5]));
    }

    #[test]
    fn a_gap_is_not_read_over() {
        let mut tail = Tail::new(3);
        tail.push(event(3, 4), 8);
        tail.push(event(6, 7), 8);
        check(&mut tail, 3, Err(Lagged));
        check(&mut tail, 4, Err(Lagged));
        check(&mut tail, 6, Ok(&[7]));
        check(&mut tail, 7, Ok(&[]));
    }

    #[test]
    fn a_reader_from_before_the_first_event_seen_has_lagged() {
        let mut tail = Tail::new(0);
        tail.push(event(6, 7), 8);
        check(&mut tail, 5, Err(Lagged));
        check(&mut tail, 6, Ok(&[7]));
    }
}
