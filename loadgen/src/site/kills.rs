//! A NATS server is killed while events cross from one host to another.

use std::io::{self, Error};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ens::client::{Address, ClientEvent, Connection, Options};
use rustix::process::Signal;

use super::hosts::{Hosts, Service};

/// Between two events.
const GAP: Duration = Duration::from_millis(2);
/// How long they are published before and after.
const BEFORE: Duration = Duration::from_millis(500);
const AFTER: Duration = Duration::from_secs(4);
/// By then the last ones have come, or were told as missed.
const SETTLED: Duration = Duration::from_millis(2500);
/// Nothing takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the subscriber knows of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Killed {
    /// The longest time in which nothing came.
    pub longest: Duration,
    /// Events that it was told to have missed.
    pub missed: u64,
    /// Those that it has missed without a word.
    pub untold: u64,
}

type News = mpsc::Receiver<(Instant, ClientEvent)>;

fn client(hosts: &Hosts, host: usize) -> io::Result<(Connection, News)> {
    let (sender, news) = mpsc::channel();
    let address = Address::Unix(hosts.socket(host));
    let hear = move |_: &Connection, news| drop(sender.send((Instant::now(), news)));
    let connection = Connection::open(address, Options::default(), hear)
        .map_err(|error| Error::other(error.to_string()))?;
    Ok((connection, news))
}

/// Kills the server of a host and starts it again; events cross to that host from the next one.
pub fn one(hosts: &mut Hosts, server: usize) -> io::Result<Killed> {
    let event = format!("enp://site/killed{server}");
    let (publisher, _answers) = client(hosts, (server + 1) % hosts.count())?;
    let (subscriber, news) = client(hosts, server)?;
    subscriber.subscribe(&event).map_err(Error::other)?;
    let publish = |payload: &[u8]| {
        let id = publisher.publish(&event, payload, b"", false);
        id.map(drop).map_err(Error::other)
    };
    meet(&news, || publish(b"probe"))?;
    let mut published = 0u64;
    let mut go_on = |within: Duration| -> io::Result<()> {
        let until = Instant::now() + within;
        while Instant::now() < until {
            publish(b"x")?;
            published += 1;
            std::thread::sleep(GAP);
        }
        Ok(())
    };
    go_on(BEFORE)?;
    hosts.end(server, Service::Nats, Signal::KILL)?;
    go_on(AFTER)?;
    hosts.start(server, Service::Nats)?;
    std::thread::sleep(SETTLED);
    let mut killed = Killed::default();
    let (mut heard, mut last, mut unknown) = (0, None, false);
    for (at, news) in news.try_iter() {
        match news {
            ClientEvent::Notified { .. } => {
                heard += 1;
                let silent = last.map_or(Duration::ZERO, |last| at - last);
                killed.longest = killed.longest.max(silent);
                last = Some(at);
            }
            ClientEvent::Lagged(events) => killed.missed += events,
            ClientEvent::Missed => unknown = true,
            _ => {}
        }
    }
    if !unknown {
        killed.untold = published.saturating_sub(heard + killed.missed);
    }
    Ok(killed)
}

/// Until the subscriber hears the publisher, and has heard all of it.
fn meet(news: &News, probe: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let is_event = |it: &(Instant, ClientEvent)| matches!(it.1, ClientEvent::Notified { .. });
    let until = Instant::now() + PATIENCE;
    loop {
        probe()?;
        std::thread::sleep(Duration::from_millis(100));
        if news.try_iter().any(|it| is_event(&it)) {
            break;
        }
        if Instant::now() > until {
            return Err(Error::other("no event crosses"));
        }
    }
    // What was missed before is told by now.
    std::thread::sleep(SETTLED);
    news.try_iter().for_each(drop);
    Ok(())
}
