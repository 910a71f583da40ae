//! Who publishes, and who hears.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Error};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ens::bus::bucket_of;
use ens::client::{Address, ClientEvent, Connection, Options};

use super::judge::{Heard, Name, Published};

/// Keys that events have; then the pool's, and that of marks.
pub const KEYS: usize = 12;
/// The key of events that a pool takes.
pub const WORK: usize = KEYS;
/// The key of events that end a round; everybody has subscribed to it.
pub const MARK: usize = KEYS + 1;
/// What the pool is called.
pub const POOL: &str = "enp+pool.workers";
/// Published and not accepted yet.
const WINDOW: usize = 300;
/// Nothing takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// The reference of a key's events.
pub fn reference(key: usize) -> &'static str {
    static REFERENCES: LazyLock<Vec<String>> = LazyLock::new(references);
    &REFERENCES[key]
}

/// In different buckets, so that who misses something in one knows of which key it was.
fn references() -> Vec<String> {
    let mut buckets = BTreeSet::new();
    let references = (0..).map(|number| format!("enp://site/k{number}"));
    let own = references.filter(|reference| buckets.insert(bucket_of(reference)));
    own.take(MARK + 1).collect()
}

fn payload(name: Name, key: usize) -> String {
    format!("{} {} {key}", name.publisher, name.number)
}

/// The event that a payload stands for, and its key.
pub fn named(payload: &[u8]) -> Option<(Name, usize)> {
    let text = std::str::from_utf8(payload).ok()?;
    let mut words = text.split(' ');
    let name = Name {
        publisher: words.next()?.parse().ok()?,
        number: words.next()?.parse().ok()?,
    };
    Some((name, words.next()?.parse().ok()?))
}

fn connect(
    socket: &Path,
    hear: impl FnMut(ClientEvent) + Send + 'static,
) -> io::Result<Connection> {
    let mut hear = hear;
    let address = Address::Unix(socket.into());
    Connection::open(address, Options::default(), move |_, news| hear(news))
        .map_err(|error| Error::other(error.to_string()))
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A subscriber, or a member of a pool.
pub struct Listener {
    /// Which host's.
    pub host: usize,
    connection: Connection,
    inbox: Arc<Mutex<Inbox>>,
}

#[derive(Default)]
struct Inbox {
    heard: Heard,
    subscribed: usize,
    /// The last mark of each publisher.
    marks: BTreeMap<u32, u64>,
    strange: Vec<String>,
}

impl Listener {
    /// Connects and subscribes.
    ///
    /// # Errors
    /// If the broker doesn't take it.
    pub fn new(host: usize, socket: &Path, patterns: &[String]) -> io::Result<Self> {
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let shared = inbox.clone();
        let connection = connect(socket, move |news| lock(&shared).hear(news))?;
        for pattern in patterns {
            connection.subscribe(pattern).map_err(Error::other)?;
        }
        let until = Instant::now() + PATIENCE;
        while lock(&inbox).subscribed < patterns.len() {
            if Instant::now() > until {
                return Err(Error::other("a subscription does not come into force"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self {
            host,
            connection,
            inbox,
        })
    }

    /// What it has heard since it was asked last.
    pub fn take(&self) -> (Heard, Vec<String>) {
        let mut inbox = lock(&self.inbox);
        let over = inbox.heard.over;
        let heard = std::mem::take(&mut inbox.heard);
        inbox.heard.over = over;
        (heard, std::mem::take(&mut inbox.strange))
    }

    /// Whether its connection has ended.
    pub fn is_over(&self) -> bool {
        lock(&self.inbox).heard.over
    }

    /// Whether it has heard such a late mark of each of these.
    pub fn has_marks(&self, marks: &BTreeMap<u32, u64>) -> bool {
        let inbox = lock(&self.inbox);
        let has = |(publisher, number)| inbox.marks.get(publisher).is_some_and(|it| it >= number);
        marks.iter().all(has)
    }

    /// Subscribes to more, or to less, which it doesn't wait for.
    ///
    /// # Errors
    /// If a pattern is none.
    pub fn subscribe(&self, pattern: &str) -> io::Result<u32> {
        self.connection.subscribe(pattern).map_err(Error::other)
    }

    /// See [`Listener::subscribe`].
    pub fn unsubscribe(&self, id: u32) {
        self.connection.unsubscribe(id);
    }
}

impl Inbox {
    fn hear(&mut self, news: ClientEvent) {
        match news {
            ClientEvent::Notified { event, payload, .. } => match named(&payload) {
                Some((name, key)) if event == reference(key) => {
                    if key == MARK {
                        self.marks.insert(name.publisher, name.number);
                    }
                    self.heard.events.push((name, key));
                }
                _ => self.strange.push(format!("{event} has come")),
            },
            ClientEvent::Lagged(events) => self.heard.missed += events,
            ClientEvent::Missed => self.heard.unknown += 1,
            ClientEvent::Over(_) => self.heard.over = true,
            ClientEvent::Subscribed(_) => self.subscribed += 1,
            ClientEvent::Welcome | ClientEvent::Unsubscribed(_) => {}
            news => self.strange.push(format!("{news:?} has come")),
        }
    }
}

/// A publisher.
pub struct Publisher {
    /// Which host's.
    pub host: usize,
    name: u32,
    connection: Connection,
    number: u64,
    shared: Arc<Mutex<Answers>>,
    published: Vec<Published>,
}

#[derive(Default)]
struct Answers {
    /// PUBLISHes without an answer, with the events' numbers.
    open: VecDeque<(u32, u64)>,
    accepted: BTreeSet<u64>,
    over: bool,
}

impl Publisher {
    /// Connects.
    ///
    /// # Errors
    /// If the broker doesn't take it.
    pub fn new(host: usize, socket: &Path, name: u32) -> io::Result<Self> {
        let shared = Arc::new(Mutex::new(Answers::default()));
        let answers = shared.clone();
        let connection = connect(socket, move |news| lock(&answers).hear(&news))?;
        Ok(Self {
            host,
            name,
            connection,
            number: 0,
            shared,
            published: vec![],
        })
    }

    /// Publishes, unless its broker is behind or gone.
    pub fn publish(&mut self, key: usize) {
        let mut answers = lock(&self.shared);
        if answers.open.len() >= WINDOW || answers.over {
            return;
        }
        let name = Name {
            publisher: self.name,
            number: self.number + 1,
        };
        let payload = payload(name, key);
        // While the lock is held no answer is looked at.
        let id = self
            .connection
            .publish(reference(key), payload.as_bytes(), b"", true);
        if let Ok(id) = id {
            answers.open.push_back((id, name.number));
            self.number += 1;
            self.published.push(Published {
                name,
                key,
                sure: false,
            });
        }
    }

    /// Publishes a mark; gives whose it is and its number.
    pub fn mark(&mut self) -> (u32, u64) {
        self.publish(MARK);
        (self.name, self.number)
    }

    /// Whether its connection has ended.
    pub fn is_over(&self) -> bool {
        lock(&self.shared).over
    }

    /// Whether all that it has published was answered, or never will be.
    pub fn is_answered(&self) -> bool {
        let answers = lock(&self.shared);
        answers.over || answers.open.is_empty()
    }

    /// What it has published since it was asked last.
    pub fn take(&mut self) -> Vec<Published> {
        let accepted = std::mem::take(&mut lock(&self.shared).accepted);
        let mut published = std::mem::take(&mut self.published);
        for one in &mut published {
            one.sure = accepted.contains(&one.name.number);
        }
        published
    }
}

impl Answers {
    fn hear(&mut self, news: &ClientEvent) {
        match news {
            ClientEvent::Accepted(id) => {
                if let Some(at) = self.open.iter().position(|open| open.0 == *id)
                    && let Some((_, number)) = self.open.remove(at)
                {
                    self.accepted.insert(number);
                }
            }
            ClientEvent::Over(_) => self.over = true,
            _ => {}
        }
    }
}
