//! One value from any thread to one task.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use atomic_waker::AtomicWaker;

struct Shared<T> {
    value: Mutex<State<T>>,
    waker: AtomicWaker,
}

enum State<T> {
    Empty,
    Full(T),
    Dropped,
}

/// The end that sends.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// The end that receives.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

/// A connected pair.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        value: Mutex::new(State::Empty),
        waker: AtomicWaker::new(),
    });
    (
        Sender {
            shared: shared.clone(),
        },
        Receiver { shared },
    )
}

impl<T> Sender<T> {
    /// Sends the value and wakes the receiver.
    pub fn send(self, value: T) {
        *self
            .shared
            .value
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = State::Full(value);
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self
            .shared
            .value
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Empty) {
            *state = State::Dropped;
        }
        drop(state);
        self.shared.waker.wake();
    }
}

impl<T> Receiver<T> {
    /// The value; none if the sender was dropped without one.
    pub async fn receive(self) -> Option<T> {
        poll_fn(|cx| {
            self.shared.waker.register(cx.waker());
            let mut state = self
                .shared
                .value
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match std::mem::replace(&mut *state, State::Dropped) {
                State::Empty => {
                    *state = State::Empty;
                    Poll::Pending
                }
                State::Full(value) => Poll::Ready(Some(value)),
                State::Dropped => Poll::Ready(None),
            }
        })
        .await
    }
}
