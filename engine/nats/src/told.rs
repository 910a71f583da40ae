//! What the client tells of itself, in bounded space: its own channel of events may be full, so
//! what must not be missed is asked of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_nats::connection::State;
use async_nats::{Client, Event};
use tokio::sync::Notify;

use crate::driver::{Driver, News};

/// The longest complaint that is told, in bytes.
const TROUBLE_BYTES_MAX: usize = 512;

/// What the client has told and nobody has looked at.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// How often it found a subscription full.
    dropped: AtomicU64,
    /// The last thing that a server, or it itself, had to complain of.
    trouble: Mutex<Option<String>>,
    notify: Notify,
}

impl Told {
    /// It tells something.
    pub fn tell(&self, event: &Event) {
        match event {
            Event::SlowConsumer(_) => _ = self.0.dropped.fetch_add(1, Ordering::Relaxed),
            Event::ServerError(error) => self.complain(error.to_string()),
            Event::ClientError(error) => self.complain(error.to_string()),
            // Whether there is a connection it is asked.
            Event::Connected | Event::Disconnected | Event::Closed => {}
            Event::LameDuckMode | Event::Draining => {}
        }
        self.0.notify.notify_one();
    }

    fn complain(&self, mut trouble: String) {
        trouble.truncate(trouble.floor_char_boundary(TROUBLE_BYTES_MAX));
        *self.trouble() = Some(trouble);
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.0
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it tells something.
    pub async fn told(&self) {
        self.0.notify.notified().await;
    }

    /// Gives the driver what was told.
    pub fn give(&self, driver: &mut impl Driver) {
        let dropped = self.0.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            driver.news(News::Dropped { messages: dropped });
        }
        let trouble = self.trouble().take();
        if let Some(trouble) = trouble {
            driver.news(News::Trouble(trouble));
        }
    }
}

/// The connection, as the driver was told of it.
#[derive(Default)]
pub(crate) struct Standing {
    connects: u64,
    is_there: bool,
}

impl Standing {
    /// Tells the driver what has become of the connection since it was told last: each end before
    /// the next beginning, however many there were in between.
    pub fn look(&mut self, client: &Client, driver: &mut impl Driver) {
        let connects = client.statistics().connects.load(Ordering::Relaxed);
        let has_begun = connects != self.connects;
        let is_there = client.connection_state() == State::Connected;
        if self.is_there && (has_begun || !is_there) {
            self.is_there = false;
            driver.news(News::Disconnected);
        }
        self.connects = connects;
        if is_there && !self.is_there {
            self.is_there = true;
            let info = client.server_info();
            driver.news(News::Connected {
                server: format!("{}:{}", info.host, info.port),
                message_bytes_max: client.max_payload(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Hears(Vec<News>);

    impl Driver for Hears {
        fn news(&mut self, news: News) {
            self.0.push(news);
        }

        fn orders(&mut self) -> Vec<crate::Order> {
            vec![]
        }

        fn idle_ns(&self) -> u64 {
            0
        }

        fn is_over(&self) -> bool {
            false
        }
    }

    #[test]
    fn however_much_is_told_little_is_kept() {
        let told = Told::default();
        for _ in 0..1000 {
            told.tell(&Event::SlowConsumer(1));
            let error = async_nats::ClientError::Other("é".repeat(1000));
            told.tell(&Event::ClientError(error));
        }
        let mut driver = Hears::default();
        told.give(&mut driver);
        assert_eq!(driver.0[0], News::Dropped { messages: 1000 });
        let News::Trouble(text) = &driver.0[1] else {
            panic!("{:?}", driver.0);
        };
        assert!(text.len() <= TROUBLE_BYTES_MAX && text.contains('é'));
        told.give(&mut driver);
        assert_eq!(driver.0.len(), 2);
    }
}
