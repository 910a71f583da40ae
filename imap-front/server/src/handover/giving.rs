//! The predecessor: gives all away, or goes on.
#![expect(
    clippy::disallowed_methods,
    reason = "a thread of its own waits for another process, by the machine's clock"
)]

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use engine::event::ShardId;
use engine::handover::Given;
use ens::supervisor::Supervisor;
use serde_json::json;
use store::{OpenError, Store};
use zeroize::Zeroize;

use super::FORMAT;
use super::wire::{DESCRIPTORS_MAX, Kind, Wire};
use crate::control::MailHandle;
use crate::lines::WRITTEN_WITHIN;
use crate::notify::Queue;
use crate::{announce, panics};

/// How long the successor may take to read configuration and users and to load plug-ins.
const PREPARED_WITHIN: Duration = Duration::from_secs(120);
/// How long a step may take while all goes on.
const SHARED_WITHIN: Duration = Duration::from_secs(60);
/// How long sessions may take to end what they are in the middle of.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);
/// How long plug-ins may take to hear of the last commits.
const TOLD_WITHIN: Duration = Duration::from_millis(500);
/// How long a step may take while nobody is served.
const STILL_WITHIN: Duration = Duration::from_secs(30);
/// How long the store may stay with a successor that has failed.
const STORE_BACK_WITHIN: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Descriptors and pieces of rows that may wait to be sent, a shard.
const WAITING_MAX: usize = 256;

/// What a successor says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// What it reads.
    pub format: u64,
    /// How many shards it has.
    pub shards: u64,
    /// The longest that a step may take, in milliseconds, if it is less than usual.
    pub patience_ms: u64,
}

/// What this process has that a successor needs.
pub struct Giving {
    handle: MailHandle,
    store: Store,
    /// What is listened on, by name.
    sockets: Vec<(&'static str, OwnedFd)>,
    /// Who is to be told which process the service is.
    supervisor: Mutex<Option<Supervisor>>,
    /// How many clients the broker in this process has, which are left behind.
    subscribers: Option<Subscribers>,
    /// What plug-ins are still to be told.
    notifications: Option<Queue>,
    /// One successor at a time.
    turn: Mutex<()>,
}

/// Counts clients.
pub type Subscribers = Box<dyn Fn() -> u64 + Send + Sync>;
type Outcome<T> = Result<T, String>;

/// What has been done, and is to be undone if it fails.
#[derive(Default)]
struct Done {
    asked: bool,
    store_gone: bool,
    committed: bool,
}

impl Giving {
    /// Of a running server.
    pub fn new(handle: MailHandle, store: Store, sockets: Vec<(&'static str, OwnedFd)>) -> Self {
        Self {
            handle,
            store,
            sockets,
            supervisor: Mutex::default(),
            subscribers: None,
            notifications: None,
            turn: Mutex::default(),
        }
    }

    /// The same, with plug-ins, which read the store of what they are told.
    #[must_use]
    pub fn with_notifications(self, notifications: Option<Queue>) -> Self {
        Self {
            notifications,
            ..self
        }
    }

    /// The same, with a broker in this process, of which this counts the clients.
    #[must_use]
    pub fn with_subscribers(self, subscribers: Option<Subscribers>) -> Self {
        Self {
            subscribers,
            ..self
        }
    }

    /// Whom to tell which process the service is.
    pub fn tell(&self, supervisor: Option<Supervisor>) {
        let mut place = self
            .supervisor
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *place = supervisor;
    }

    /// Why a successor can't have anything; nothing was done.
    pub fn refusal(&self, hello: Hello) -> Option<String> {
        if hello.format != FORMAT {
            return Some(format!(
                "this server writes connections in format {FORMAT} and the new one reads {}: \
                 restart it instead",
                hello.format
            ));
        }
        let shards = u64::from(self.handle.shards());
        (hello.shards != shards).then(|| {
            format!(
                "this server has {shards} shards and the new one would have {}: restart it \
                 instead, or set service.imap.shards back",
                hello.shards
            )
        })
    }

    /// Gives everything to a successor, and ends this process. Returns only if that fails: then
    /// this one goes on, and this is why.
    pub fn give(&self, stream: UnixStream, pid: i32, hello: Hello) -> String {
        let Ok(_turn) = self.turn.try_lock() else {
            return "another upgrade is under way".into();
        };
        tracing::info!(
            target: "imapd", event = %"upgrade", result = %"begun", pid,
            "another process asks for all connections"
        );
        let mut done = Done::default();
        let end = stream.try_clone();
        let why = match self.try_give(stream, hello, &mut done) {
            Ok(()) => self.end(pid),
            Err(why) => why,
        };
        if let Ok(mut end) = end {
            // It may be gone. If not, it gives the store back when it hears this.
            let _ = writeln!(end, "{}", json!({ "error": why }));
            let _ = end.shutdown(Shutdown::Both);
            if done.committed && has_taken(end) {
                self.end(pid);
            }
        }
        tracing::error!(
            target: "imapd", event = %"upgrade", result = %"failed", pid,
            "this process goes on: {why}"
        );
        self.undo(&done);
        why
    }

    fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.handle.shards()).map(ShardId)
    }

    fn try_give(&self, stream: UnixStream, hello: Hello, done: &mut Done) -> Outcome<()> {
        let within = |usual: Duration| usual.min(Duration::from_millis(hello.patience_ms));
        let broke = |error: io::Error| format!("the new process: {error}");
        let mut wire = Wire::new(stream, within(PREPARED_WITHIN)).map_err(broke)?;
        let (ways, pumps) = self.open_ways(&mut wire).map_err(broke)?;
        wire.expect(Kind::Prepared).map_err(broke)?;
        wire.set_patience(within(STILL_WITHIN)).map_err(broke)?;
        done.asked = true;
        let began = Instant::now();
        let shared = self.shards().zip(&ways);
        let shared = shared.map(|(id, way)| self.handle.share(id, way.clone()));
        each(
            shared.collect(),
            began + within(SHARED_WITHIN),
            "descriptors",
        )?;
        let within_ns = SETTLED_WITHIN.as_nanos() as u64;
        let settled = self.shards().map(|id| self.handle.settle(id, within_ns));
        let until = Instant::now() + SETTLED_WITHIN + STILL_WITHIN;
        let settled = each(settled.collect(), until, "sessions to rest")?;
        let ended: usize = settled.iter().map(|shard| shard.ended).sum();
        let held = settled.iter().map(|shard| shard.held_ns).max();
        let held = Duration::from_nanos(held.unwrap_or(0));
        let still = Instant::now();
        let until = still + within(STILL_WITHIN);
        // What was committed is announced before this returns.
        done.store_gone = true;
        self.store.close();
        if let Some(queue) = &self.notifications {
            // It is only some plug-in's if that is too slow.
            let _ = queue.pass().recv_timeout(TOLD_WITHIN);
        }
        self.store.let_go();
        let closed = still.elapsed();
        self.pass_until_quiet(until)?;
        let rows = self.shards().zip(ways);
        let rows = rows.map(|(id, way)| self.handle.export(id, way));
        let mut count = 0;
        for written in each(rows.collect(), until, "rows")? {
            count += written.map_err(|error| format!("rows: {error}"))?;
        }
        for pump in pumps {
            let pumped = pump.join().map_err(|_| "a thread has failed".to_owned())?;
            pumped.map_err(broke)?;
        }
        let written = still.elapsed();
        wire.send(Kind::Released, b"", &[]).map_err(broke)?;
        wire.expect(Kind::Ready).map_err(broke)?;
        done.committed = true;
        wire.send(Kind::Commit, b"", &[]).map_err(broke)?;
        wire.expect(Kind::Taken).map_err(broke)?;
        tracing::info!(
            target: "imapd", event = %"upgrade", result = %"ok", connections = count, ended,
            still_ms = (held + still.elapsed()).as_millis() as u64,
            whole_ms = began.elapsed().as_millis() as u64,
            close_ms = closed.as_millis() as u64, rows_ms = (written - closed).as_millis() as u64,
            open_ms = (still.elapsed() - written).as_millis() as u64,
            broker_clients = self.subscribers.as_ref().map_or(0, |count| count()),
            "another process has all connections"
        );
        Ok(())
    }

    /// Gives what is listened on, and opens a way for each shard's connections.
    #[allow(clippy::type_complexity, reason = "ends and threads of the same ways")]
    fn open_ways(
        &self,
        wire: &mut Wire,
    ) -> io::Result<(Vec<SyncSender<Given>>, Vec<JoinHandle<io::Result<()>>>)> {
        for some in self.sockets.chunks(DESCRIPTORS_MAX) {
            let names: String = some.iter().map(|(name, _)| format!("{name}\n")).collect();
            let copies = some.iter().map(|(_, socket)| socket.try_clone());
            let copies = copies.collect::<io::Result<Vec<_>>>()?;
            wire.send(Kind::Sockets, names.as_bytes(), &copies)?;
        }
        self.give_supervisor(wire)?;
        let (mut ways, mut pumps, mut theirs) = (vec![], vec![], vec![]);
        for _ in self.shards() {
            let (own, other) = UnixStream::pair()?;
            let own = Wire::new(own, STILL_WITHIN)?;
            let (way, given) = sync_channel(WAITING_MAX);
            let pump = Builder::new().name("handover".into());
            pumps.push(pump.spawn(move || pump_to(own, &given))?);
            ways.push(way);
            theirs.push(OwnedFd::from(other));
        }
        wire.send(Kind::Streams, b"", &theirs)?;
        Ok((ways, pumps))
    }

    /// The successor tells the supervisor when it is ready.
    fn give_supervisor(&self, wire: &mut Wire) -> io::Result<()> {
        let supervisor = self
            .supervisor
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &*supervisor {
            Some(supervisor) => {
                let copy = supervisor.descriptor()?;
                wire.send(Kind::Sockets, super::taking::SUPERVISOR.as_bytes(), &[copy])
            }
            None => Ok(()),
        }
    }

    /// All that was announced has reached those who watch.
    fn pass_until_quiet(&self, until: Instant) -> Outcome<()> {
        let mut quiet = 0;
        while quiet < 2 {
            let passes = self.shards().map(|id| self.handle.pass(id));
            let all = each(passes.collect(), until, "shards")?;
            quiet = if all.into_iter().all(|it| it) {
                quiet + 1
            } else {
                0
            };
            if Instant::now() > until {
                return Err("shards have too much to do".into());
            }
        }
        Ok(())
    }

    /// The successor serves: this process is over. Names of sockets are that one's.
    fn end(&self, pid: i32) -> ! {
        let supervisor = self
            .supervisor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Err(error)) = supervisor.map(|it| it.main_process(pid)) {
            tracing::warn!("the supervisor can't be told of the new process: {error}");
        }
        // What sessions did until now is on its way to the log.
        std::thread::sleep(WRITTEN_WITHIN);
        std::process::exit(0);
    }

    /// Takes back what was given.
    fn undo(&self, done: &Done) {
        if done.store_gone {
            self.take_store_back();
        }
        if done.asked {
            for id in self.shards() {
                let _ = self.handle.go_on(id).recv_timeout(STILL_WITHIN);
            }
        }
    }

    fn take_store_back(&self) {
        let until = Instant::now() + STORE_BACK_WITHIN;
        loop {
            let handle = self.handle.clone();
            let announcer = Box::new(move |news: Vec<mail::News>| {
                announce::announce(&handle, news);
            });
            match self.store.take_again(announcer) {
                Ok(_) => return,
                // The successor ends when it hears that it gets nothing.
                Err(OpenError::InUse { .. }) if Instant::now() < until => {}
                Err(error) => {
                    tracing::error!("the store can't be taken back: {error}");
                    panics::end_process("store");
                }
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Whether the successor has said at the last moment that it goes on. It can't say so any more.
fn has_taken(end: UnixStream) -> bool {
    let taken = |mut wire: Wire| wire.expect(Kind::Taken);
    Wire::new(end, STILL_WITHIN).and_then(taken).is_ok()
}

/// The answers of all shards.
fn each<T>(answers: Vec<Receiver<T>>, until: Instant, what: &str) -> Outcome<Vec<T>> {
    let one = |answer: Receiver<T>| {
        let left = until.saturating_duration_since(Instant::now());
        answer.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("it takes too long: {what}"),
            RecvTimeoutError::Disconnected => format!("the new process takes none: {what}"),
        })
    };
    answers.into_iter().map(one).collect()
}

/// Sends what a shard gives, until its end or that of whoever takes it.
fn pump_to(mut wire: Wire, given: &Receiver<Given>) -> io::Result<()> {
    let (mut keys, mut descriptors) = (Vec::new(), Vec::new());
    loop {
        let next = match given.try_recv() {
            Err(TryRecvError::Empty) => {
                flush(&mut wire, &mut keys, &mut descriptors)?;
                given.recv().map_err(io::Error::other)?
            }
            next => next.map_err(io::Error::other)?,
        };
        match next {
            Given::Descriptor(key, descriptor) => {
                keys.extend(key.to_be_bytes());
                descriptors.push(descriptor);
                if descriptors.len() == DESCRIPTORS_MAX {
                    flush(&mut wire, &mut keys, &mut descriptors)?;
                }
            }
            Given::Rows(mut rows) => {
                flush(&mut wire, &mut keys, &mut descriptors)?;
                let sent = wire.send(Kind::Rows, &rows, &[]);
                rows.zeroize();
                sent?;
            }
            Given::End => return wire.send(Kind::End, b"", &[]),
        }
    }
}

fn flush(wire: &mut Wire, keys: &mut Vec<u8>, descriptors: &mut Vec<OwnedFd>) -> io::Result<()> {
    if descriptors.is_empty() {
        return Ok(());
    }
    wire.send(Kind::Descriptors, keys, descriptors)?;
    keys.clear();
    descriptors.clear();
    Ok(())
}
