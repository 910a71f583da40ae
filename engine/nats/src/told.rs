//! What the client tells of itself, in bounded space: its own channel of events may be full, so
//! what must not be missed is asked of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::connection::State;
use async_nats::{Client, ClientError, ConnectErrorKind, Event, Server};
use tokio::sync::Notify;

use crate::driver::{Driver, News};
use crate::options::shown;

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
    /// Why the servers were tried in vain since there was a connection: of the last one, in a word.
    failed: Mutex<Option<String>>,
    notify: Notify,
}

impl Told {
    /// It tells something.
    pub fn tell(&self, event: &Event) {
        match event {
            Event::SlowConsumer(_) => _ = self.0.dropped.fetch_add(1, Ordering::Relaxed),
            Event::ServerError(error) => self.complain(error.to_string()),
            // The word for what kind of error it was; more is known when they are tried again.
            Event::ClientError(ClientError::Other(kind)) => {
                *lock(&self.0.failed) = Some(kind.clone())
            }
            Event::ClientError(error) => self.complain(error.to_string()),
            Event::Connected => *lock(&self.0.failed) = None,
            // Whether there is a connection it is asked.
            Event::Disconnected | Event::Closed => {}
            Event::LameDuckMode | Event::Draining => {}
        }
        self.0.notify.notify_one();
    }

    /// Servers are about to be tried, perhaps again.
    pub fn complain_of(&self, servers: &[Server]) {
        if let Some(kind) = &*lock(&self.0.failed) {
            self.complain(why_in_vain(servers, kind));
            self.0.notify.notify_one();
        }
    }

    fn complain(&self, mut trouble: String) {
        trouble.truncate(trouble.floor_char_boundary(TROUBLE_BYTES_MAX));
        *lock(&self.0.trouble) = Some(trouble);
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
        let trouble = lock(&self.0.trouble).take();
        if let Some(trouble) = trouble {
            driver.news(News::Trouble(trouble));
        }
    }
}

fn lock(text: &Mutex<Option<String>>) -> MutexGuard<'_, Option<String>> {
    text.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was wrong with each server. The client keeps that, unless it has found no address for the
/// server's name.
fn why_in_vain(servers: &[Server], kind: &str) -> String {
    let each = servers.iter().filter_map(|server| {
        let why = server.last_error.as_deref().map(lasting);
        let unnamed =
            (kind == ConnectErrorKind::Dns.to_string()).then_some("its name has no address");
        Some(format!("{}: {}", shown(&server.addr), why.or(unnamed)?))
    });
    let each: Vec<_> = each.collect();
    match each.is_empty() {
        true => kind.to_owned(),
        false => each.join("; "),
    }
}

/// What stays so at the next try: not what time it was.
fn lasting(why: &str) -> &str {
    let time = ": verification time ";
    why.split_once(time).map_or(why, |(lasting, _)| lasting)
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
    use async_nats::ServerError;

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
    fn each_server_that_was_tried_in_vain_is_told_with_the_reason() {
        let server = |url: &str, error: Option<&str>| Server {
            addr: url.parse().expect("an address"),
            failed_attempts: 1,
            did_connect: false,
            is_discovered: false,
            last_error: error.map(str::to_owned),
        };
        let servers = [
            server("nats://[::1]", Some("IO error: refused")),
            server("tls://h:1", None),
        ];
        let told = Told::default();
        let trouble = || lock(&told.0.trouble).take();
        told.complain_of(&servers);
        assert_eq!(trouble(), None, "they were not tried yet");
        let fails = |kind: &str| {
            told.tell(&Event::ClientError(ClientError::Other(kind.into())));
            told.complain_of(&servers);
            trouble().expect("they were tried")
        };
        let one = "nats://[::1]:4222: IO error: refused";
        assert_eq!(fails("IO error"), one);
        let both = format!("{one}; tls://h:1: its name has no address");
        assert_eq!(fails("DNS error"), both);
        let expired = "certificate expired: verification time 9 (UNIX), but certificate is not …";
        let servers = [server("tls://h:1", Some(expired))];
        told.complain_of(&servers);
        let said = trouble().expect("it was tried");
        assert_eq!(
            said, "tls://h:1: certificate expired",
            "the same at each try"
        );
        told.tell(&Event::Connected);
        told.complain_of(&servers);
        assert_eq!(trouble(), None, "one was reached");
    }

    #[test]
    fn however_much_is_told_little_is_kept() {
        let told = Told::default();
        for _ in 0..1000 {
            told.tell(&Event::SlowConsumer(1));
            let error = ServerError::Other("é".repeat(1000));
            told.tell(&Event::ServerError(error));
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
