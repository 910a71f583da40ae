//! A connection to a broker, with a thread that listens and one that sends what had to wait.
#![expect(
    clippy::disallowed_methods,
    reason = "a client has a thread of its own and the machine's clock"
)]

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Buf;

use super::Address;
use super::machine::{ClientEvent, Machine};
use super::stream::Stream;
use crate::event_ref::RefError;
use crate::frame::{Receipt, Scope, Unpublishable};

/// How long a connect may take, and the greeting after it.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The first and the longest wait before a lost connection is made again. One that has held for the
/// longest begins with the first again.
const BACKOFF: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(5)];
/// Bytes received at a time.
const RECEIVE_BYTES: usize = 64 * 1024;

/// How a connection behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// The client's name, for the broker's log.
    pub name: String,
    /// A connection that is lost is made again, with all subscriptions.
    pub reconnect: bool,
    /// Also the first one: [`Connection::open`] succeeds although nobody answers yet.
    pub patient: bool,
    /// Certificates of authorities, PEM, one of which must have signed a broker's that speaks TLS.
    /// Without it those of the file that [`super::ENS_CA_FILE`] names, or else the system's.
    pub ca: Option<PathBuf>,
    /// Bytes that may wait to be sent.
    pub backlog_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "ens client".into(),
            reconnect: false,
            patient: false,
            ca: None,
            backlog_bytes_max: 16 << 20,
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nobody answers.
    #[error("can't connect to the ENS broker at {0}: {1}")]
    Connect(Address, io::Error),
    /// Somebody answers who is no broker, or doesn't let us in.
    #[error("the ENS broker at {0} does not greet: {1}")]
    NotGreeted(Address, String),
    /// There are no more threads.
    #[error("can't start a thread: {0}")]
    Thread(io::Error),
}

/// Why an event was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Reference, payload or link can't be sent.
    #[error(transparent)]
    Bad(#[from] Unpublishable),
    /// Too much waits to be sent.
    #[error("too many events wait for the broker")]
    Full,
    /// The connection is gone for good.
    #[error("the connection to the broker is lost")]
    Lost,
}

/// What happens to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Up,
    /// It is being made again.
    Down,
    Over,
}

struct State {
    machine: Machine,
    stream: Option<Arc<Stream>>,
    life: Life,
    /// Why the last try to connect failed.
    failure: Option<String>,
}

struct Shared {
    address: Address,
    options: Options,
    state: Mutex<State>,
    /// There is something to send, or room again, or the connection's life has changed.
    changed: Condvar,
}

/// A connection to a broker; dropped, it is closed. What comes is told to the function given to
/// [`Connection::open`], on the connection's own thread, in order.
pub struct Connection {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Connection {
    /// Connects and waits for the greeting. `on_news` also hears [`ClientEvent::Over`] when the
    /// connection is lost, and [`ClientEvent::Welcome`] each time it is made again.
    ///
    /// # Errors
    /// If nobody greets, unless [`Options::patient`].
    pub fn open(
        address: Address,
        options: Options,
        on_news: impl FnMut(&Connection, ClientEvent) + Send + 'static,
    ) -> Result<Self, OpenError> {
        let machine = Machine::new(&options.name);
        let patient = options.patient;
        let state = State {
            machine,
            stream: None,
            life: Life::Down,
            failure: None,
        };
        let shared = Arc::new(Shared {
            address,
            options,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let mut early = Vec::new();
        if let Err(error) = shared.connect(&mut early)
            && !patient
        {
            return Err(error);
        }
        let mut threads = vec![];
        let sender = shared.clone();
        let name = |what: &str| Builder::new().name(format!("ens-{what}"));
        let thread = name("send").spawn(move || sender.send_backlog());
        threads.push(thread.map_err(OpenError::Thread)?);
        let listener = shared.clone();
        let thread = name("listen").spawn(move || listener.listen(early, on_news));
        threads.push(thread.map_err(OpenError::Thread)?);
        Ok(Self { shared, threads })
    }

    /// Publishes an event, see [`Machine::publish`].
    ///
    /// # Errors
    /// Why it is not published.
    pub fn publish(
        &self,
        event: &str,
        payload: &[u8],
        link: &[u8],
        answered: bool,
    ) -> Result<u32, PublishError> {
        let mut state = self.shared.lock();
        let id = self
            .shared
            .put(&mut state, event, payload, link, answered)?;
        self.shared.send(&mut state);
        Ok(id)
    }

    /// Publishes many events with as few system calls as possible; waits while too much waits.
    ///
    /// # Errors
    /// Why an event, and those after it, are not published.
    pub fn publish_all<'e>(
        &self,
        events: impl IntoIterator<Item = (&'e str, &'e [u8])>,
    ) -> Result<(), PublishError> {
        let mut state = self.shared.lock();
        for (event, payload) in events {
            while let Err(error) = self.shared.put(&mut state, event, payload, b"", false) {
                if error != PublishError::Full {
                    return Err(error);
                }
                self.shared.send(&mut state);
                state = self.shared.wait(state);
            }
        }
        self.shared.send(&mut state);
        Ok(())
    }

    /// Subscribes, see [`Machine::subscribe`].
    ///
    /// # Errors
    /// If the pattern is none.
    pub fn subscribe(&self, pattern: &str) -> Result<u32, RefError> {
        self.change(|machine| machine.subscribe(pattern))
    }

    /// Subscribes, and says whose events are wanted, see [`Machine::subscribe_to`].
    ///
    /// # Errors
    /// If the pattern is none.
    pub fn subscribe_to(&self, pattern: &str, scope: Option<Scope>) -> Result<u32, RefError> {
        self.change(|machine| machine.subscribe_to(pattern, scope))
    }

    /// Unsubscribes.
    pub fn unsubscribe(&self, id: u32) {
        self.change(|machine| machine.unsubscribe(id));
    }

    /// Tells an event's publisher that it was worked on.
    pub fn acknowledge(&self, receipt: Receipt) {
        self.change(|machine| machine.acknowledge(receipt));
    }

    /// Sends a sign of life.
    pub fn ping(&self) {
        self.change(Machine::ping);
    }

    /// Whether a broker is there now.
    pub fn is_up(&self) -> bool {
        self.shared.lock().life == Life::Up
    }

    /// Why no broker is there, if none is and it is known: a certificate that is not trusted, for
    /// instance.
    pub fn failure(&self) -> Option<String> {
        let state = self.shared.lock();
        let failure = state.failure.clone();
        failure.filter(|_| state.life != Life::Up)
    }

    /// Waits until everything has been given to the kernel, or the connection is lost, or the time
    /// is over.
    pub fn drain(&self, within: Duration) {
        let waits = |state: &mut State| {
            let behind = state.stream.as_ref().is_some_and(|it| it.is_behind());
            state.life == Life::Up && (state.machine.has_output() || behind)
        };
        let state = self.shared.lock();
        drop(self.shared.changed.wait_timeout_while(state, within, waits));
    }

    /// The same connection once more, to be spoken on from elsewhere. It is closed when the one
    /// that [`Connection::open`] gave is dropped.
    pub fn share(&self) -> Self {
        Self::borrowed(&self.shared)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Machine) -> T) -> T {
        let mut state = self.shared.lock();
        let outcome = change(&mut state.machine);
        self.shared.send(&mut state);
        outcome
    }

    /// The same connection for the function that hears news, which may not end it.
    fn borrowed(shared: &Arc<Shared>) -> Self {
        Self {
            shared: shared.clone(),
            threads: vec![],
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        let mut state = self.shared.lock();
        state.life = Life::Over;
        if let Some(stream) = state.stream.take() {
            stream.shut_down();
        }
        drop(state);
        self.shared.changed.notify_all();
        let current = std::thread::current().id();
        for thread in self.threads.drain(..) {
            // The function that hears news may be the one that drops it.
            if thread.thread().id() != current {
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no one panics while holding it")
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .expect("no one panics while holding it")
    }

    fn put(
        &self,
        state: &mut State,
        event: &str,
        payload: &[u8],
        link: &[u8],
        answered: bool,
    ) -> Result<u32, PublishError> {
        if state.life == Life::Over {
            return Err(PublishError::Lost);
        }
        if state.machine.output().len() > self.options.backlog_bytes_max {
            return Err(PublishError::Full);
        }
        Ok(state.machine.publish(event, payload, link, answered)?)
    }

    /// Sends what the kernel takes; the rest is for the thread that waits.
    fn send(&self, state: &mut State) {
        let State {
            machine, stream, ..
        } = state;
        let Some(stream) = stream else { return };
        let output = machine.output();
        while !output.is_empty() || stream.is_behind() {
            match stream.send_some(output) {
                Ok(0) if output.is_empty() && !stream.is_behind() => return,
                Ok(0) => return self.changed.notify_all(),
                Ok(sent) => output.advance(sent),
                // The listener finds out and connects again.
                Err(_) => return stream.shut_down(),
            }
        }
    }

    fn send_backlog(&self) {
        let mut state = self.lock();
        loop {
            let waits = match (&state.life, &state.stream) {
                (Life::Over, _) => return,
                (_, Some(stream)) => {
                    let waits = state.machine.has_output() || stream.is_behind();
                    waits.then(|| stream.clone())
                }
                _ => None,
            };
            let Some(stream) = waits else {
                state = self.wait(state);
                continue;
            };
            drop(state);
            let _ = stream.wait_for_room();
            state = self.lock();
            self.send(&mut state);
            if state.machine.output().is_empty() {
                self.changed.notify_all();
            }
        }
    }

    /// Connects and hears the greeting; what comes with it goes to `news`. Why that failed is kept.
    fn connect(&self, news: &mut Vec<ClientEvent>) -> Result<(), OpenError> {
        let outcome = self.try_connect(news);
        self.lock().failure = outcome.as_ref().err().map(|error| match error {
            OpenError::Connect(_, why) | OpenError::Thread(why) => why.to_string(),
            OpenError::NotGreeted(_, why) => why.clone(),
        });
        outcome
    }

    fn try_connect(&self, news: &mut Vec<ClientEvent>) -> Result<(), OpenError> {
        let failed = |error| OpenError::Connect(self.address.clone(), error);
        let ca = self.options.ca.as_deref();
        let stream = Stream::connect(&self.address, ca, CONNECT_WITHIN).map_err(failed)?;
        let stream = Arc::new(stream);
        let mut state = self.lock();
        if state.life == Life::Over {
            return Err(failed(io::ErrorKind::NotConnected.into()));
        }
        state.machine.reconnect();
        state.stream = Some(stream.clone());
        self.send(&mut state);
        drop(state);
        let until = Instant::now() + CONNECT_WITHIN;
        let mut buffer = vec![0; 4096];
        loop {
            let why = match stream.receive_until(&mut buffer, until) {
                Ok(0) => "it closed the connection; see its log and ENS_ACCESS".into(),
                Ok(count) => {
                    let mut state = self.lock();
                    state.machine.handle_input(&buffer[..count], news);
                    if state.machine.is_welcome() {
                        stream.be_patient().map_err(failed)?;
                        state.life = Life::Up;
                        self.changed.notify_all();
                        return Ok(());
                    }
                    match news.last() {
                        Some(ClientEvent::Over(why)) => why.clone(),
                        _ => continue,
                    }
                }
                Err(error) => error.to_string(),
            };
            self.lock().stream = None;
            return Err(OpenError::NotGreeted(self.address.clone(), why));
        }
    }

    fn listen(
        self: Arc<Self>,
        mut news: Vec<ClientEvent>,
        mut on_news: impl FnMut(&Connection, ClientEvent) + Send + 'static,
    ) {
        let connection = Connection::borrowed(&self);
        let mut buffer = vec![0; RECEIVE_BYTES];
        let mut backoff = BACKOFF[0];
        let mut up_since = Instant::now();
        loop {
            news.drain(..).for_each(|one| on_news(&connection, one));
            // What came with the greeting may have been its end.
            let (stream, life, mut over) = {
                let state = self.lock();
                let over = state.machine.is_over();
                (state.stream.clone(), state.life.clone(), over)
            };
            if life == Life::Over {
                return;
            }
            let received = stream
                .filter(|_| !over)
                .map(|stream| stream.receive(&mut buffer));
            if let Some(Ok(count @ 1..)) = received {
                let mut state = self.lock();
                state.machine.handle_input(&buffer[..count], &mut news);
                // It may have answered a PING.
                self.send(&mut state);
                over = state.machine.is_over();
                if !over {
                    continue;
                }
            }
            if life == Life::Up && !over {
                news.push(ClientEvent::Over("the connection was closed".into()));
            }
            let mut state = self.lock();
            if let Some(stream) = state.stream.take() {
                stream.shut_down();
            }
            if state.life == Life::Over || !self.options.reconnect {
                state.life = Life::Over;
                drop(state);
                self.changed.notify_all();
                news.drain(..).for_each(|one| on_news(&connection, one));
                return;
            }
            state.life = Life::Down;
            drop(state);
            self.changed.notify_all();
            news.drain(..).for_each(|one| on_news(&connection, one));
            if life == Life::Up && up_since.elapsed() > BACKOFF[1] {
                backoff = BACKOFF[0];
            }
            self.pause(&mut backoff);
            let _ = self.connect(&mut news);
            up_since = Instant::now();
        }
    }

    /// Waits before the next try, with some chance, so that not all come at once.
    fn pause(&self, backoff: &mut Duration) {
        let wait = backoff.mul_f64(0.5 + fastrand::f64());
        let state = self.lock();
        let over = |state: &mut State| state.life != Life::Over;
        let _ = self.changed.wait_timeout_while(state, wait, over);
        *backoff = (*backoff * 2).min(BACKOFF[1]);
    }
}
