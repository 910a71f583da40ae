//! Servers that are faster, or slower, than whoever is connected to them.
#![allow(clippy::disallowed_methods, reason = "tests wait and measure")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod server;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use nats::{Credentials, Driver, Link, News, Options, Order, Waker};
use server::server;

const PATIENCE: Duration = Duration::from_secs(30);
/// Less than what is read at a time.
const MOST: usize = 16 * 1024;

#[derive(Default)]
struct Seen {
    messages: u64,
    dropped: u64,
    most_at_once: usize,
    ordered: usize,
    last: Vec<u8>,
    connected: i32,
    over: bool,
}

/// Takes its time with what comes, and orders as much as it may.
struct Slow {
    seen: Arc<Mutex<Seen>>,
    takes: Duration,
    subscribed: bool,
    /// Bytes of a message that it sends, if it sends any.
    sends: usize,
}

impl Driver for Slow {
    fn news(&mut self, news: News) {
        let mut seen = self.seen.lock().unwrap();
        let mut takes = Duration::ZERO;
        match news {
            News::Messages(messages) => {
                let bytes = messages.iter().map(|it| it.payload.len()).sum();
                seen.most_at_once = seen.most_at_once.max(bytes);
                seen.messages += messages.len() as u64;
                if let Some(last) = messages.last() {
                    seen.last = last.payload.to_vec();
                }
                takes = self.takes;
            }
            News::Dropped { messages } => seen.dropped += messages,
            News::Connected { .. } => seen.connected += 1,
            News::Disconnected => seen.connected -= 1,
            News::Trouble(_) | News::Look => {}
        }
        assert!((0..=1).contains(&seen.connected));
        drop(seen);
        thread::sleep(takes);
    }

    fn orders(&mut self) -> Vec<Order> {
        if !std::mem::replace(&mut self.subscribed, true) {
            return vec![Order::Subscribe {
                subject: "a".into(),
            }];
        }
        let mut seen = self.seen.lock().unwrap();
        if self.sends == 0 || seen.connected == 0 {
            return vec![];
        }
        seen.ordered += self.sends;
        vec![Order::Publish {
            subject: "b".into(),
            reply: None,
            payload: Bytes::from(vec![b'x'; self.sends]),
        }]
    }

    fn idle_ns(&self) -> u64 {
        match self.sends {
            0 => 1_000_000_000,
            _ => 0,
        }
    }

    fn is_over(&self) -> bool {
        self.seen.lock().unwrap().over
    }
}

fn start(url: String, takes: Duration, sends: usize) -> (Link, Arc<Mutex<Seen>>) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let driver = Slow {
        seen: seen.clone(),
        takes,
        subscribed: false,
        sends,
    };
    let options = Options {
        urls: vec![url],
        name: "test".into(),
        credentials: Credentials::None,
        tls: None,
        waiting_bytes_max: MOST,
    };
    let link = Link::start(options, Waker::default(), driver).unwrap();
    (link, seen)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn end(link: Link, seen: &Arc<Mutex<Seen>>) {
    seen.lock().unwrap().over = true;
    link.join();
}

/// Sends messages of one size, and a last one; answers signs of life meanwhile.
fn flood(mut stream: TcpStream, count: usize, bytes: usize) {
    let mut answers = stream.try_clone().unwrap();
    thread::spawn(move || {
        let mut said = [0; 4096];
        while answers.read(&mut said).is_ok_and(|count| count > 0) {}
    });
    let message = |payload: &[u8]| {
        let head = format!("MSG a 1 {}\r\n", payload.len());
        [head.as_bytes(), payload, b"\r\n"].concat()
    };
    let one = message(&vec![b'x'; bytes]);
    for _ in 0..count {
        stream.write_all(&one).unwrap();
    }
    // It finds room once all before was looked at.
    loop {
        if stream
            .write_all(&[&message(b"last")[..], b"PONG\r\n"].concat())
            .is_err()
        {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn what_comes_faster_than_it_is_taken_is_dropped_by_bytes_and_counted() {
    const COUNT: usize = 16_000;
    let (url, connections) = server();
    let (link, seen) = start(url, Duration::from_millis(20), 0);
    let stream = connections.recv_timeout(PATIENCE).unwrap();
    thread::spawn(move || flood(stream, COUNT, 4 * 1024));
    until("the last does not come", || {
        seen.lock().unwrap().last == b"last"
    });
    let (messages, dropped) = {
        let seen = seen.lock().unwrap();
        assert!(seen.most_at_once <= MOST, "{}", seen.most_at_once);
        (seen.messages, seen.dropped)
    };
    assert!(dropped > 0, "the server was no faster");
    // And some that were the last.
    let told = messages + dropped;
    assert!(
        told > COUNT as u64 && told < COUNT as u64 + 300,
        "{messages} and {dropped}"
    );
    end(link, &seen);
}

#[test]
fn very_many_small_messages_are_bounded_too() {
    let (url, connections) = server();
    let (link, seen) = start(url, Duration::from_millis(50), 0);
    let stream = connections.recv_timeout(PATIENCE).unwrap();
    thread::spawn(move || flood(stream, 300_000, 0));
    until("the last does not come", || {
        seen.lock().unwrap().last == b"last"
    });
    let seen_now = seen.lock().unwrap();
    assert!(seen_now.dropped > 0 && seen_now.connected == 1);
    drop(seen_now);
    end(link, &seen);
}

#[test]
fn a_server_that_takes_nothing_is_given_little() {
    let (url, connections) = server();
    let (link, seen) = start(url, Duration::ZERO, 1 << 20);
    let stream = connections.recv_timeout(PATIENCE).unwrap();
    // As much as the kernel has room for, and not a hundred messages more.
    thread::sleep(Duration::from_millis(1500));
    let ordered = seen.lock().unwrap().ordered;
    assert!(ordered >= 1 << 20, "nothing was ordered");
    assert!(ordered < 40 << 20, "{ordered} bytes are on their way");
    drop(stream);
    end(link, &seen);
}
