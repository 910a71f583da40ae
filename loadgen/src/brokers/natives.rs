//! A publisher and a subscriber of NATS as programs have them: by the client library that brokers
//! use, each on one thread that does nothing else.

use std::io::{self, Error, Write};
use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use nats::{Credentials, Driver, Link, News, Options, Order, Waker};

use crate::measure::now_ns;

/// What is published, and who hears of it.
const SUBJECT: &str = "store.fred";
/// Bytes that may wait; never reached.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// How long the drivers can be left alone when there is nothing to do, in nanoseconds.
const QUIET_NS: u64 = 1_000_000_000;

fn start(address: SocketAddr, driver: impl Driver) -> io::Result<Link> {
    let options = Options {
        urls: vec![format!("nats://{address}")],
        name: "loadgen".into(),
        credentials: Credentials::None,
        tls: None,
        waiting_bytes_max: WAITING_BYTES_MAX,
    };
    Link::start(options, Waker::default(), driver).map_err(Error::other)
}

/// Publishes on the connection's own thread.
struct Publisher {
    payload: Bytes,
    gap_ns: u64,
    count: usize,
    /// When the next one goes, once there is a connection.
    next_ns: Option<u64>,
    begun: Vec<u64>,
    done: Sender<Vec<u64>>,
}

impl Driver for Publisher {
    fn news(&mut self, news: News) {
        if let News::Connected { .. } = news {
            self.next_ns = Some(now_ns());
        }
    }

    fn orders(&mut self) -> Vec<Order> {
        let now_ns = now_ns();
        let is_time = self.next_ns.is_some_and(|next_ns| now_ns >= next_ns);
        if !is_time || self.is_over() {
            return vec![];
        }
        self.next_ns = Some(now_ns + self.gap_ns);
        self.begun.push(now_ns);
        if self.is_over() {
            // Nobody waits for it only if the run has failed.
            let _ = self.done.send(std::mem::take(&mut self.begun));
            self.count = 0;
        }
        vec![Order::Publish {
            subject: SUBJECT.into(),
            reply: None,
            payload: self.payload.clone(),
        }]
    }

    fn idle_ns(&self) -> u64 {
        self.next_ns
            .map_or(QUIET_NS, |next_ns| next_ns.saturating_sub(now_ns()))
    }

    fn is_over(&self) -> bool {
        self.begun.len() >= self.count
    }
}

/// Publishes so many events with pauses between them; gives when each began.
///
/// # Errors
/// If the thread can't be started, or ends early.
pub fn publish(
    address: SocketAddr,
    payload: Bytes,
    count: usize,
    gap: Duration,
) -> io::Result<Vec<u64>> {
    let (done, times) = channel();
    let driver = Publisher {
        payload,
        gap_ns: gap.as_nanos() as u64,
        count,
        next_ns: None,
        begun: Vec::with_capacity(count),
        done,
    };
    start(address, driver)?.join();
    times.recv().map_err(Error::other)
}

/// Hears on the connection's own thread.
struct Subscriber {
    count: usize,
    is_new: bool,
    came: Vec<u64>,
    done: Sender<Vec<u64>>,
}

impl Driver for Subscriber {
    fn news(&mut self, news: News) {
        match news {
            News::Connected { .. } => self.is_new = true,
            News::Messages(messages) => {
                let now_ns = now_ns();
                self.came.extend(messages.iter().map(|_| now_ns));
                if self.came.len() >= self.count {
                    let _ = self.done.send(std::mem::take(&mut self.came));
                }
            }
            _ => {}
        }
    }

    fn orders(&mut self) -> Vec<Order> {
        match std::mem::take(&mut self.is_new) {
            true => vec![Order::Subscribe {
                subject: SUBJECT.into(),
            }],
            false => vec![],
        }
    }

    fn idle_ns(&self) -> u64 {
        QUIET_NS
    }

    fn is_over(&self) -> bool {
        false
    }
}

/// The child's side, as [`super::listener::listen`] is another client's.
///
/// # Errors
/// If the thread can't be started, or ends early.
pub fn listen(address: SocketAddr, count: usize) -> io::Result<()> {
    let (done, times) = channel();
    let driver = Subscriber {
        count,
        is_new: false,
        came: Vec::with_capacity(count),
        done,
    };
    let _link = start(address, driver)?;
    println!("subscribed");
    let times = times.recv().map_err(Error::other)?;
    let mut out = io::stdout().lock();
    times.iter().try_for_each(|time| writeln!(out, "{time}"))
}
