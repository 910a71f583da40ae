//! Subscriptions, and what has come of them.

use std::collections::BTreeMap;
use std::future::poll_fn;
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
    /// Those that are wanted no more, until the server knows.
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
        let task = |order| match order {
            Order::Unsubscribe(subject) => self
                .by_subject
                .remove(&subject)
                .map(|it| Task::End(Box::new(it))),
            order => Some(Task::Order(order)),
        };
        orders.into_iter().filter_map(task).collect()
    }

    /// Whether the server does not know yet of some that are wanted no more.
    pub fn has_ending(&self) -> bool {
        !self.ending.is_empty()
    }

    /// What comes next; nothing if none is left that is ending.
    pub async fn last(&mut self) -> Taken {
        poll_fn(|cx| {
            let taken = self.take(cx);
            match taken.messages.is_empty() && self.has_ending() {
                true => Poll::Pending,
                false => Poll::Ready(taken),
            }
        })
        .await
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
