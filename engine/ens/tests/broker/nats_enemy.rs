//! Somebody at the NATS server who is no broker, and means ill.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ens::client::ClientEvent;

use crate::nats_servers::Cluster;
use crate::site::{broker, join, meet, until};
use crate::talk::{Client, PATIENCE};

/// Where a message of a broker says who it is of, and the end of its header.
const ORIGIN: std::ops::Range<usize> = 4..12;
const HEADER_BYTES: usize = 28;

type Message = (String, Vec<u8>);

struct Enemy {
    stream: BufReader<TcpStream>,
}

impl Enemy {
    fn new(cluster: &Cluster) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", cluster.port(0))).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut enemy = Self {
            stream: BufReader::new(stream),
        };
        enemy.say(b"CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n");
        enemy
    }

    fn say(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    fn publish(&mut self, subject: &str, payload: &[u8]) {
        let mut said = format!("PUB {subject} {}\r\n", payload.len()).into_bytes();
        said.extend_from_slice(payload);
        said.extend_from_slice(b"\r\n");
        self.say(&said);
    }

    /// All that is said at the site while `run` does something.
    fn overhears(&mut self, run: impl FnOnce()) -> Vec<Message> {
        self.say(b"SUB ens.test.> 1\r\n");
        self.has_read();
        run();
        self.say(b"UNSUB 1\r\n");
        self.has_read()
    }

    /// Waits until the server has read all that was said; gives what comes before it says so.
    fn has_read(&mut self) -> Vec<Message> {
        self.say(b"PING\r\n");
        let mut messages = vec![];
        loop {
            let mut line = String::new();
            assert!(self.stream.read_line(&mut line).unwrap() > 0, "cut off");
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[0] {
                "PONG" => return messages,
                "MSG" => {
                    let length: usize = words.last().unwrap().parse().unwrap();
                    let mut payload = vec![0; length + 2];
                    self.stream.read_exact(&mut payload).unwrap();
                    payload.truncate(length);
                    messages.push((words[1].to_owned(), payload));
                }
                "PING" => self.say(b"PONG\r\n"),
                _ => {}
            }
        }
    }
}

/// Numbers by chance, the same ones each time.
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

/// What some broker might say that nobody knows, or nobody ever would.
fn invented(chance: &mut Chance, (subject, payload): &Message) -> Message {
    let mut payload = payload.clone();
    if payload.len() < HEADER_BYTES {
        return (subject.clone(), payload);
    }
    let origin = (chance.next(5000) as u64 + 1) << 32;
    payload[ORIGIN].copy_from_slice(&origin.to_be_bytes());
    let body = payload.len() - HEADER_BYTES;
    match chance.next(4) {
        0 => payload.truncate(chance.next(payload.len())),
        1 if body > 8 => {
            let at = HEADER_BYTES + chance.next(body - 8);
            payload[at..at + 8].fill(0xFF);
        }
        2 if body > 0 => {
            let at = HEADER_BYTES + chance.next(body);
            payload[at] = chance.next(256) as u8;
        }
        3 => payload.extend((0..chance.next(50)).map(|at| at as u8)),
        _ => {}
    }
    (subject.clone(), payload)
}

/// Payloads of events that begin so, each as it came, until nothing comes for a while.
fn heard(client: &Client, prefix: &str, count: usize) -> Vec<String> {
    let mut heard = vec![];
    let end = Instant::now() + PATIENCE;
    while heard.len() < count {
        let left = end.saturating_duration_since(Instant::now());
        let Ok(news) = client.news.recv_timeout(left) else {
            break;
        };
        if let ClientEvent::Notified { payload, .. } = news
            && payload.starts_with(prefix.as_bytes())
        {
            heard.push(String::from_utf8(payload.to_vec()).unwrap());
        }
    }
    heard
}

#[test]
fn whatever_is_said_at_the_nats_server_brokers_go_on_and_lose_nothing() {
    let cluster = Cluster::new(1);
    let (one, other) = (broker(vec![cluster.url(0)]), broker(vec![cluster.url(0)]));
    meet(&[&one, &other]);
    let (publisher, subscriber, member) =
        (one.client(false), other.client(false), other.client(false));
    subscriber.subscribe("enp://h/x/*");
    member.subscribe("enp+pool://h/pool");
    join(&publisher, &subscriber, "enp://h/x/a");
    join(&publisher, &member, "enp://h/pool");
    let mut enemy = Enemy::new(&cluster);
    let overheard = enemy.overhears(|| {
        for number in 0..20 {
            publisher.publish("enp://h/x/a", &number.to_string());
            publisher.publish("enp://h/pool", &number.to_string());
        }
        // Digests and lists of pools come along.
        std::thread::sleep(Duration::from_millis(2500));
    });
    let subjects: BTreeSet<&str> = overheard.iter().map(|(subject, _)| &subject[..]).collect();
    assert!(subjects.len() >= 4, "{subjects:?}");

    let mut chance = Chance(7);
    for number in 0..60_000 {
        let message = &overheard[chance.next(overheard.len())];
        let (subject, payload) = match number % 8 {
            // One's own words come back.
            0 => message.clone(),
            1 => {
                let length = chance.next(300);
                let bytes = (0..length).map(|_| chance.next(256) as u8);
                (message.0.clone(), bytes.collect())
            }
            // To whom nobody says this.
            2 => {
                let elsewhere = &overheard[chance.next(overheard.len())];
                (elsewhere.0.clone(), message.1.clone())
            }
            3 => {
                let subject = [
                    "ens.test.b.x",
                    "ens.test.o",
                    "ens.test.c.d",
                    "ens.test.b.9999",
                ];
                (subject[chance.next(4)].into(), message.1.clone())
            }
            _ => invented(&mut chance, message),
        };
        enemy.publish(&subject, &payload);
    }
    enemy.publish("ens.test.b.7", &vec![0xFF; 1 << 20]);
    enemy.has_read();

    for site in [&one, &other] {
        let counters = site.broker.as_ref().unwrap().site().unwrap();
        until("nothing is strange", || counters.strange() > 0);
        until("the bus is lost", || counters.is_connected());
    }
    // Those who were invented were there for a while; what was for their members goes to others.
    join(&publisher, &subscriber, "enp://h/x/a");
    join(&publisher, &member, "enp://h/pool");
    let after: Vec<String> = (0..200).map(|number| format!("after {number}")).collect();
    for payload in &after {
        publisher.publish("enp://h/x/a", payload);
        publisher.publish("enp://h/pool", payload);
    }
    assert_eq!(heard(&subscriber, "after", after.len()), after);
    let given: BTreeSet<String> = heard(&member, "after", after.len()).into_iter().collect();
    assert_eq!(given, after.iter().cloned().collect());
    let twice = heard_soon(&member, "after") + heard_soon(&subscriber, "after");
    assert_eq!(twice, 0);
}

fn heard_soon(client: &Client, prefix: &str) -> usize {
    let mut heard = 0;
    while let Ok(news) = client.news.recv_timeout(Duration::from_millis(300)) {
        let ClientEvent::Notified { payload, .. } = news else {
            continue;
        };
        heard += usize::from(payload.starts_with(prefix.as_bytes()));
    }
    heard
}
