//! Subscriptions, and what has come of them.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_nats::{StatusCode, Subscriber};
use futures_util::Stream;

use crate::driver::{Message, Order};

/// What a message costs besides its bytes, about.
const EACH_BYTES: usize = 128;

/// Subscriptions, by subject.
pub(crate) struct Subscriptions {
    by_subject: BTreeMap<String, Subscriber>,
    /// Those that are wanted no more, until the client has let go of them.
    ending: Vec<Subscriber>,
    /// Bytes of messages that are taken at a time.
    most: usize,
}

/// What has come.
#[derive(Default)]
pub(crate) struct Taken {
    pub messages: Vec<Message>,
    bytes: usize,
    /// Messages for which there was no room.
    pub dropped: u64,
}

/// What comes of orders.
#[derive(Default)]
pub(crate) struct Done {
    pub new: BTreeMap<String, Subscriber>,
    pub ending: Vec<Subscriber>,
}

pub(crate) enum Task {
    Order(Order),
    End(Box<Subscriber>),
}

impl Subscriptions {
    pub fn new(most: usize) -> Self {
        Self {
            by_subject: BTreeMap::new(),
            ending: vec![],
            most,
        }
    }

    /// What was done.
    pub fn note(&mut self, mut done: Done) {
        self.by_subject.append(&mut done.new);
        self.ending.append(&mut done.ending);
    }

    /// Takes subscriptions out that are to end; gives what there is to do.
    pub fn tasks(&mut self, orders: Vec<Order>) -> Vec<Task> {
        let mut tasks: Vec<Task> = vec![];
        for order in orders {
            let Order::Unsubscribe(subject) = order else {
                tasks.push(Task::Order(order));
                continue;
            };
            // It may be one of those that are still to begin.
            let begin = Order::Subscribe { subject };
            let begins = |task: &Task| matches!(task, Task::Order(order) if *order == begin);
            if let Some(at) = tasks.iter().rposition(begins) {
                tasks.remove(at);
            } else if let Order::Subscribe { subject } = begin
                && let Some(it) = self.by_subject.remove(&subject)
            {
                tasks.push(Task::End(Box::new(it)));
            }
        }
        tasks
    }

    /// All that has come, as far as there is room. As this thread is the one that takes messages
    /// from the connection, it is what had come at one moment.
    pub fn take(&mut self, cx: &mut Context<'_>) -> Taken {
        let mut taken = Taken::default();
        // Backwards: what few say comes before what many do.
        for one in self.by_subject.values_mut().rev() {
            while let Poll::Ready(Some(message)) = Pin::new(&mut *one).poll_next(cx) {
                taken.add(message, self.most);
            }
        }
        self.ending.retain_mut(|one| {
            loop {
                match Pin::new(&mut *one).poll_next(cx) {
                    Poll::Ready(Some(message)) => taken.add(message, self.most),
                    Poll::Ready(None) => return false,
                    Poll::Pending => return true,
                }
            }
        });
        taken
    }
}

impl Taken {
    fn add(&mut self, message: async_nats::Message, most: usize) {
        // With its header, which nobody wants.
        let bytes = EACH_BYTES + message.length;
        if self.bytes > 0 && self.bytes + bytes > most {
            self.dropped += 1;
            return;
        }
        self.bytes += bytes;
        self.messages.push(Message {
            subject: message.subject.to_string(),
            payload: message.payload,
            nobody: message.status == Some(StatusCode::NO_RESPONDERS),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_no_more_before_it_was_asked_for_is_not_asked_for() {
        let begin = |subject: &str| Order::Subscribe {
            subject: subject.into(),
        };
        let end = |subject: &str| Order::Unsubscribe(subject.into());
        let orders = vec![
            begin("a"),
            begin("b"),
            end("a"),
            end("c"),
            begin("a"),
            end("b"),
        ];
        let tasks = Subscriptions::new(1).tasks(orders);
        let order = |task| match task {
            Task::Order(order) => order,
            Task::End(_) => panic!("nothing was there"),
        };
        let left: Vec<Order> = tasks.into_iter().map(order).collect();
        assert_eq!(left, [begin("a")]);
    }
}
