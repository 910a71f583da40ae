//! Waking a driver.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Wakes a driver, from any thread.
#[derive(Clone, Debug, Default)]
pub struct Waker(Arc<Woken>);

#[derive(Debug, Default)]
struct Woken {
    /// It was woken, and has not looked yet.
    is_asked: AtomicBool,
    notify: Notify,
}

impl Waker {
    /// It looks soon. Costs nothing if it was to do so anyway.
    pub fn wake(&self) {
        if !self.0.is_asked.swap(true, Ordering::SeqCst) {
            self.0.notify.notify_one();
        }
    }

    pub(crate) async fn woken(&self) {
        self.0.notify.notified().await;
    }

    /// To be called before it looks.
    pub(crate) fn looks(&self) {
        self.0.is_asked.store(false, Ordering::SeqCst);
    }
}
