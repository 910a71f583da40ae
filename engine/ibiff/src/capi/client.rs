//! A connection to a broker as the C functions see it: what waits for which answer, and who is
//! called back.
#![expect(
    clippy::disallowed_methods,
    reason = "C programs wait by the machine's clock"
)]

use std::collections::HashMap;
use std::ffi::{CString, c_int};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ens::client::{Address, ClientEvent, Connection, OpenError, Options, PublishError};
use ens::frame::{Receipt, Scope};

use super::dispatcher::{Dispatcher, Strand, Task};

/// How it went: 0, or a number of `errno.h`.
pub(crate) type Status = i32;

/// Statuses other than 0.
pub(crate) mod status {
    use super::Status;

    /// `EAGAIN`: too much waits to be sent.
    pub const FULL: Status = 11;
    /// `EACCES`: the broker refused it.
    pub const REFUSED: Status = 13;
    /// `EINVAL`: an argument.
    pub const INVALID: Status = 22;
    /// `ECONNRESET`: the connection was lost meanwhile.
    pub const LOST: Status = 104;
    /// `ETIMEDOUT`.
    pub const TIMED_OUT: Status = 110;
    /// `ECONNREFUSED`: no broker answers, or it doesn't let us in.
    pub const UNREACHABLE: Status = 111;
}

/// How long the broker may take to answer those who wait for it.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long what was published may take to leave when a connection is closed.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Called once with a status.
pub(crate) type Done = Box<dyn FnOnce(Status) + Send>;
/// Called for each event, with its reference and its payload; says whether it was worked on.
pub(crate) type Notify = Arc<dyn Fn(CString, &[u8]) -> bool + Send + Sync>;

/// Called when events were not sent because the program was too slow, with how many.
pub(crate) type Lagged = Arc<dyn Fn(u64) + Send + Sync>;

/// Who is told of an answer.
pub(crate) enum Completer {
    /// Nobody.
    Nobody,
    /// A callback.
    Call(Done),
    /// A thread that waits.
    Wake(Sender<Status>),
}

impl Completer {
    fn give(self, strand: &Arc<Strand>, status: Status) {
        match self {
            Self::Nobody => {}
            Self::Call(done) => strand.push(Box::new(move || done(status))),
            // It may have stopped waiting.
            Self::Wake(waiter) => drop(waiter.send(status)),
        }
    }
}

/// What is asked of a PUBLISH.
struct Publishing {
    accepted: Completer,
    acknowledged: Completer,
}

struct Subscription {
    // C programs hold a pointer to it.
    _handle: Arc<SubscriptionHandle>,
    notify: Notify,
    established: Completer,
    cancelled: Completer,
    links: Vec<Arc<Link>>,
}

/// What a `subscription_t` points to.
pub(crate) struct SubscriptionHandle {
    id: u32,
    shared: Weak<Shared>,
}

/// What a `renl_t` points to: an agreement between a publisher and a subscriber that events are
/// acknowledged end to end.
pub(crate) struct Link {
    name: Vec<u8>,
    shared: Weak<Shared>,
    /// The subscription, on that side.
    subscription: Option<u32>,
}

#[derive(Default)]
struct State {
    publishing: HashMap<u32, Publishing>,
    subscriptions: HashMap<u32, Subscription>,
    /// On the publisher's side.
    links: Vec<Arc<Link>>,
    lagged: Option<Lagged>,
    /// Whose events later subscriptions want; none is as the broker has it.
    scope: Option<Scope>,
}

pub(crate) struct Shared {
    strand: Arc<Strand>,
    state: Mutex<State>,
    lost: Mutex<Option<Task>>,
}

/// A connection. Dropped, it is closed: no callback begins any more.
pub(crate) struct Client {
    shared: Arc<Shared>,
    // Taken when it is closed.
    connection: Option<Connection>,
    /// The thread of a dispatcher of its own.
    thread: Option<JoinHandle<()>>,
}

/// How a client is made.
pub(crate) struct How {
    pub name: &'static str,
    pub host: String,
    pub port: u16,
    /// Whose threads call back; none: one of its own.
    pub dispatcher: Option<Arc<Dispatcher>>,
    /// Called when the connection is lost; none: it is made again.
    pub lost: Option<Task>,
}

impl Client {
    /// Connects.
    pub fn open(how: How) -> Result<Self, OpenError> {
        let (dispatcher, thread) = match how.dispatcher {
            Some(dispatcher) => (dispatcher, None),
            None => {
                let dispatcher = Dispatcher::new();
                let runs = dispatcher.clone();
                let builder = std::thread::Builder::new().name("ens-call".into());
                let thread = builder.spawn(move || runs.run());
                (dispatcher, Some(thread.map_err(OpenError::Thread)?))
            }
        };
        let options = Options {
            name: how.name.into(),
            reconnect: how.lost.is_none(),
            ..Options::default()
        };
        let shared = Arc::new(Shared {
            strand: Strand::new(dispatcher),
            state: Mutex::default(),
            lost: Mutex::new(how.lost),
        });
        let hears = shared.clone();
        let on_news = move |connection: &Connection, news| hears.hear(connection, news);
        let connection = Connection::open(Address::new(&how.host, how.port), options, on_news);
        // Without a connection the drop below ends the thread.
        let mut client = Self {
            shared,
            connection: None,
            thread,
        };
        client.connection = Some(connection?);
        Ok(client)
    }

    /// Who is told from now on that events were not sent.
    pub fn on_lagged(&self, lagged: Option<Lagged>) {
        self.shared.lock().lagged = lagged;
    }

    /// Whose events later subscriptions want. False if nobody knows that scope.
    pub fn set_scope(&self, scope: c_int) -> bool {
        let known = u8::try_from(scope).ok().and_then(Scope::of);
        if scope != 0 && known.is_none() {
            return false;
        }
        self.shared.lock().scope = known;
        true
    }

    fn connection(&self) -> &Connection {
        self.connection
            .as_ref()
            .expect("it is there until the drop")
    }

    /// Publishes. Events of a publisher with links are acknowledged by those who hear them; after
    /// `patience`, if there is any, `acknowledged` is told that nobody did. Returns whether an
    /// acknowledgement may come.
    pub fn publish(
        &self,
        event: &str,
        payload: &[u8],
        accepted: Completer,
        acknowledged: Completer,
        patience: Option<Duration>,
    ) -> bool {
        let shared = &self.shared;
        let mut state = shared.lock();
        let names: Vec<&[u8]> = state.links.iter().map(|link| &link.name[..]).collect();
        let link = names.join(&b'\n');
        let answered = !matches!(accepted, Completer::Nobody);
        let published = if answered && !self.connection().is_up() {
            // It would be forgotten when the connection is made again.
            Err(PublishError::Lost)
        } else {
            self.connection().publish(event, payload, &link, answered)
        };
        let id = match published {
            Ok(0) => return false,
            Ok(id) => id,
            Err(error) => {
                drop(state);
                let status = match error {
                    PublishError::Bad(_) => status::INVALID,
                    PublishError::Full => status::FULL,
                    PublishError::Lost => status::LOST,
                };
                accepted.give(&shared.strand, status);
                acknowledged.give(&shared.strand, status);
                return false;
            }
        };
        let acknowledged = if link.is_empty() {
            Completer::Nobody
        } else {
            acknowledged
        };
        let waits = !matches!(acknowledged, Completer::Nobody);
        let publishing = Publishing {
            accepted,
            acknowledged,
        };
        state.publishing.insert(id, publishing);
        drop(state);
        if let (Some(patience), true) = (patience, waits) {
            let late = Arc::downgrade(shared);
            let task = Box::new(move || {
                if let Some(shared) = late.upgrade() {
                    shared.give_up(id);
                }
            });
            let at = Instant::now() + patience;
            shared.strand.dispatcher().at(at, &shared.strand, task);
        }
        waits
    }

    /// Publishes and waits until the broker has it; with links, until somebody acknowledged it.
    pub fn publish_and_wait(&self, event: &str, payload: &[u8]) -> Status {
        let (accepted, accepts) = channel();
        let (acknowledged, acknowledges) = channel();
        let acknowledged = Completer::Wake(acknowledged);
        let linked = self.publish(
            event,
            payload,
            Completer::Wake(accepted),
            acknowledged,
            None,
        );
        self.shared.strand.hurry(|| {
            let status = accepts.recv_timeout(ANSWER_WITHIN);
            match status.unwrap_or(status::TIMED_OUT) {
                0 if linked => acknowledges.recv().unwrap_or(status::LOST),
                status => status,
            }
        })
    }

    /// Subscribes. `established` is told how it went, and given what the handle points to.
    pub fn subscribe(
        &self,
        pattern: &str,
        notify: Notify,
        established: impl FnOnce(&Arc<SubscriptionHandle>) -> Completer,
    ) -> Option<Arc<SubscriptionHandle>> {
        let mut state = self.shared.lock();
        let scope = state.scope;
        let id = self.connection().subscribe_to(pattern, scope).ok()?;
        let handle = Arc::new(SubscriptionHandle {
            id,
            shared: Arc::downgrade(&self.shared),
        });
        let subscription = Subscription {
            _handle: handle.clone(),
            notify,
            established: established(&handle),
            cancelled: Completer::Nobody,
            links: vec![],
        };
        state.subscriptions.insert(id, subscription);
        Some(handle)
    }

    /// Subscribes and waits until the subscription is in force.
    pub fn subscribe_and_wait(
        &self,
        pattern: &str,
        notify: Notify,
    ) -> Option<Arc<SubscriptionHandle>> {
        let (established, established_with) = channel();
        let handle = self.subscribe(pattern, notify, |_| Completer::Wake(established))?;
        let wait = || established_with.recv_timeout(ANSWER_WITHIN);
        let status = self.shared.strand.hurry(wait);
        if status == Ok(0) {
            return Some(handle);
        }
        self.forget(&handle);
        None
    }

    /// Unsubscribes; `cancelled` is told when it is done.
    pub fn unsubscribe(&self, handle: &SubscriptionHandle, cancelled: Done) {
        let (strand, cancelled) = (&self.shared.strand, Completer::Call(cancelled));
        let mut state = self.shared.lock();
        let Some(subscription) = state.subscriptions.get_mut(&handle.id) else {
            drop(state);
            return cancelled.give(strand, status::INVALID);
        };
        self.connection().unsubscribe(handle.id);
        if self.connection().is_up() {
            subscription.cancelled = cancelled;
        } else {
            // Nobody will answer.
            let gone = state.subscriptions.remove(&handle.id);
            drop(state);
            cancelled.give(strand, 0);
            drop(gone);
        }
    }

    /// Unsubscribes: when this returns no callback of the subscription runs or begins any more,
    /// but the one that calls this.
    pub fn forget(&self, handle: &SubscriptionHandle) {
        let gone = self.shared.lock().subscriptions.remove(&handle.id);
        if gone.is_some() {
            self.connection().unsubscribe(handle.id);
            self.shared.strand.settle();
        }
    }

    /// From now on events are published over one more link.
    pub fn link(&self, name: &[u8], done: impl FnOnce(&Arc<Link>) -> Done) {
        let link = Arc::new(Link {
            name: name.to_vec(),
            shared: Arc::downgrade(&self.shared),
            subscription: None,
        });
        let done = done(&link);
        self.shared.lock().links.push(link);
        Completer::Call(done).give(&self.shared.strand, 0);
    }

    /// Runs a callback of this connection's.
    pub fn call(&self, task: Task) {
        self.shared.strand.push(task);
    }

    /// Sends a sign of life each time so much time has passed.
    pub fn keep_alive(&self, every: Duration) {
        beat(&self.shared.strand, self.connection().share(), every);
    }
}

fn beat(strand: &Arc<Strand>, connection: Connection, every: Duration) {
    let again = strand.clone();
    let task = Box::new(move || {
        connection.ping();
        beat(&again, connection, every);
    });
    strand.dispatcher().at(Instant::now() + every, strand, task);
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.strand.close();
        if let Some(connection) = self.connection.take() {
            connection.drain(DRAIN_WITHIN);
        }
        if let Some(thread) = self.thread.take() {
            self.shared.strand.dispatcher().shut_down();
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl SubscriptionHandle {
    /// Events that come over a link of this name are acknowledged when they were worked on.
    pub fn link(&self, name: &[u8]) -> Option<Arc<Link>> {
        let shared = self.shared.upgrade()?;
        let mut state = shared.lock();
        let subscription = state.subscriptions.get_mut(&self.id)?;
        let link = Arc::new(Link {
            name: name.to_vec(),
            shared: self.shared.clone(),
            subscription: Some(self.id),
        });
        subscription.links.push(link.clone());
        Some(link)
    }
}

impl Link {
    /// Whether a link may have this name.
    pub fn is_name(name: &[u8]) -> bool {
        !name.is_empty() && !name.contains(&b'\n')
    }

    /// Ends it; nothing is acknowledged over it any more.
    pub fn cancel(self: &Arc<Self>) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let mut state = shared.lock();
        let links = match self.subscription {
            None => Some(&mut state.links),
            Some(id) => state.subscriptions.get_mut(&id).map(|it| &mut it.links),
        };
        if let Some(links) = links {
            links.retain(|link| !Arc::ptr_eq(link, self));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no one panics while holding it")
    }

    /// Called with each thing that the broker says, on the connection's thread.
    fn hear(self: &Arc<Self>, connection: &Connection, news: ClientEvent) {
        match news {
            ClientEvent::Accepted(id) => {
                let mut state = self.lock();
                let Some(publishing) = state.publishing.get_mut(&id) else {
                    return;
                };
                let answer = std::mem::replace(&mut publishing.accepted, Completer::Nobody);
                if matches!(publishing.acknowledged, Completer::Nobody) {
                    state.publishing.remove(&id);
                }
                drop(state);
                answer.give(&self.strand, 0);
            }
            ClientEvent::Acknowledged(id) => {
                if let Some(publishing) = self.take(id) {
                    publishing.acknowledged.give(&self.strand, 0);
                }
            }
            ClientEvent::Subscribed(id) => {
                let mut state = self.lock();
                if let Some(subscription) = state.subscriptions.get_mut(&id) {
                    let answer =
                        std::mem::replace(&mut subscription.established, Completer::Nobody);
                    drop(state);
                    answer.give(&self.strand, 0);
                }
            }
            ClientEvent::Unsubscribed(id) => {
                let gone = self.lock().subscriptions.remove(&id);
                if let Some(subscription) = gone {
                    subscription.cancelled.give(&self.strand, 0);
                }
            }
            ClientEvent::Refused { id, .. } => self.refused(id),
            ClientEvent::Over(_) => self.lost(),
            ClientEvent::Notified {
                subscriptions,
                receipt,
                event,
                payload,
            } => {
                for id in subscriptions {
                    let (connection, receipt) = (connection.share(), receipt.clone());
                    self.notified(connection, id, receipt, &event, &payload);
                }
            }
            ClientEvent::Lagged(events) => {
                if let Some(lagged) = self.lock().lagged.clone() {
                    self.strand.push(Box::new(move || lagged(events)));
                }
            }
            // Lagging callbacks take a number: it is one at least.
            ClientEvent::Missed => {
                if let Some(lagged) = self.lock().lagged.clone() {
                    self.strand.push(Box::new(move || lagged(1)));
                }
            }
            ClientEvent::Welcome => {}
        }
    }

    fn notified(
        self: &Arc<Self>,
        connection: Connection,
        id: u32,
        receipt: Option<(Receipt, Bytes)>,
        event: &str,
        payload: &Bytes,
    ) {
        let Ok(event) = CString::new(event) else {
            return;
        };
        let (shared, payload) = (Arc::downgrade(self), payload.clone());
        self.strand.push(Box::new(move || {
            let Some(shared) = shared.upgrade() else {
                return;
            };
            let state = shared.lock();
            let Some(subscription) = state.subscriptions.get(&id) else {
                return;
            };
            let notify = subscription.notify.clone();
            drop(state);
            let worked = notify(event, &payload);
            if let (true, Some((receipt, names))) = (worked, receipt)
                && shared.agreed(id, &names)
            {
                connection.acknowledge(receipt);
            }
        }));
    }

    /// Whether a subscription acknowledges what comes over one of these links.
    fn agreed(&self, id: u32, names: &[u8]) -> bool {
        let state = self.lock();
        let links = state.subscriptions.get(&id).map(|it| &it.links);
        let mut links = links.into_iter().flatten();
        links.any(|link| names.split(|&b| b == b'\n').any(|name| name == link.name))
    }

    fn take(&self, id: u32) -> Option<Publishing> {
        self.lock().publishing.remove(&id)
    }

    fn refused(self: &Arc<Self>, id: u32) {
        if let Some(publishing) = self.take(id) {
            publishing.accepted.give(&self.strand, status::REFUSED);
            publishing.acknowledged.give(&self.strand, status::REFUSED);
        }
        let gone = self.lock().subscriptions.remove(&id);
        if let Some(subscription) = gone {
            subscription.established.give(&self.strand, status::REFUSED);
        }
    }

    /// Nobody acknowledged it in time.
    fn give_up(self: &Arc<Self>, id: u32) {
        if let Some(publishing) = self.take(id) {
            publishing.accepted.give(&self.strand, status::TIMED_OUT);
            publishing
                .acknowledged
                .give(&self.strand, status::TIMED_OUT);
        }
    }

    fn lost(self: &Arc<Self>) {
        let publishing = std::mem::take(&mut self.lock().publishing);
        for (_, publishing) in publishing {
            publishing.accepted.give(&self.strand, status::LOST);
            publishing.acknowledged.give(&self.strand, status::LOST);
        }
        let is_cancelled =
            |subscription: &mut Subscription| !matches!(subscription.cancelled, Completer::Nobody);
        let mut state = self.lock();
        let cancelled: Vec<Subscription> = state
            .subscriptions
            .extract_if(|_, subscription| is_cancelled(subscription))
            .map(|(_, subscription)| subscription)
            .collect();
        drop(state);
        for subscription in cancelled {
            subscription.cancelled.give(&self.strand, 0);
        }
        let lost = self
            .lost
            .lock()
            .expect("no one panics while holding it")
            .take();
        if let Some(lost) = lost {
            self.strand.push(lost);
        }
    }
}
