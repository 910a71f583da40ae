//! Which of several servers is asked first.
#![allow(clippy::disallowed_methods, reason = "tests wait and have servers")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod server;

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use nats::{Credentials, Driver, Link, News, Options, Order, Waker};
use server::server;

const PATIENCE: Duration = Duration::from_secs(30);

/// Ends once it is connected.
struct Once {
    told: Sender<String>,
    over: bool,
}

impl Driver for Once {
    fn news(&mut self, news: News) {
        if let News::Connected { server, .. } = news {
            self.told.send(server).unwrap();
            self.over = true;
        }
    }

    fn orders(&mut self) -> Vec<Order> {
        vec![]
    }

    fn idle_ns(&self) -> u64 {
        1_000_000_000
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

#[test]
fn the_server_that_is_named_first_is_asked_first() {
    let (mut urls, _connections): (Vec<String>, Vec<_>) = (0..4).map(|_| server()).unzip();
    for _ in 0..8 {
        urls.rotate_left(1);
        let (told, server) = channel();
        let options = Options {
            urls: urls.clone(),
            name: "test".into(),
            credentials: Credentials::None,
            tls: None,
            waiting_bytes_max: 1 << 20,
        };
        let driver = Once { told, over: false };
        let link = Link::start(options, Waker::default(), driver).unwrap();
        let server = server.recv_timeout(PATIENCE).unwrap();
        assert_eq!(urls[0], format!("nats://{server}"));
        link.join();
    }
}
