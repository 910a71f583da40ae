//! One-way bounded queues between threads.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_queue::ArrayQueue;

use crate::mutant::{Mutant, planted};
use crate::topic::TopicId;

/// A bounded queue.
pub(crate) struct Queue<T> {
    queue: ArrayQueue<T>,
}

impl<T> Queue<T> {
    pub fn new(capacity: usize) -> Self {
        Self {
            queue: ArrayQueue::new(capacity),
        }
    }

    /// Puts an item, or gives it back.
    pub fn push(&self, item: T) -> Result<(), T> {
        self.queue.push(item)
    }

    /// Takes an item.
    pub fn pop(&self) -> Option<T> {
        self.queue.pop()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// A bounded queue that remembers of which topics it could not take an item.
pub(crate) struct LossyQueue<T> {
    queue: ArrayQueue<T>,
    topics_max: usize,
    any_lost: AtomicBool,
    lost: Mutex<BTreeSet<TopicId>>,
    all_lost: AtomicBool,
}

/// Topics of which items were lost.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub topics: Vec<TopicId>,
    /// Too many to remember: any topic may be concerned.
    pub all: bool,
}

impl<T> LossyQueue<T> {
    pub fn new(capacity: usize, topics_max: usize) -> Self {
        Self {
            queue: ArrayQueue::new(capacity),
            topics_max,
            any_lost: AtomicBool::new(false),
            lost: Mutex::new(BTreeSet::new()),
            all_lost: AtomicBool::new(false),
        }
    }

    /// Puts an item, or remembers its topic and returns false.
    pub fn push(&self, topic: TopicId, item: T) -> bool {
        if self.queue.push(item).is_ok() {
            return true;
        }
        if planted(Mutant::SilentLoss) {
            return false;
        }
        self.note(std::iter::once(topic));
        false
    }

    fn note(&self, topics: impl Iterator<Item = TopicId>) {
        let mut lost = self.lost.lock().expect("no one panics while holding it");
        for topic in topics {
            if lost.len() < self.topics_max {
                lost.insert(topic);
            } else if !lost.contains(&topic) {
                self.all_lost.store(true, Ordering::SeqCst);
            }
        }
        self.any_lost.store(true, Ordering::SeqCst);
    }

    pub fn pop(&self) -> Option<T> {
        self.queue.pop()
    }

    /// Whether it is less than three quarters full.
    pub fn has_room(&self) -> bool {
        self.queue.len() < self.queue.capacity().div_ceil(4) * 3
    }

    /// Notes items as lost that never came here.
    pub fn lose(&self, more: &Lost) {
        if more.all {
            self.all_lost.store(true, Ordering::SeqCst);
        }
        self.note(more.topics.iter().copied());
    }

    /// What was lost since the last call.
    pub fn take_lost(&self) -> Option<Lost> {
        if !self.any_lost.load(Ordering::SeqCst) {
            return None;
        }
        let mut lost = self.lost.lock().expect("no one panics while holding it");
        self.any_lost.store(false, Ordering::SeqCst);
        let topics = std::mem::take(&mut *lost);
        Some(Lost {
            topics: topics.into_iter().collect(),
            all: self.all_lost.swap(false, Ordering::SeqCst),
        })
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && !self.any_lost.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lossy_queue_names_the_topics_it_lost() {
        let queue = LossyQueue::new(1, 2);
        assert!(queue.push(TopicId(1), ()));
        assert_eq!(queue.take_lost(), None);
        for topic in [2, 2, 3] {
            assert!(!queue.push(TopicId(topic), ()));
        }
        let lost = Lost {
            topics: vec![TopicId(2), TopicId(3)],
            all: false,
        };
        assert_eq!(queue.take_lost(), Some(lost));
        for topic in [4, 5, 6] {
            queue.push(TopicId(topic), ());
        }
        assert!(queue.take_lost().expect("three were lost").all);
        queue.pop();
        assert!(queue.is_empty());
    }
}
