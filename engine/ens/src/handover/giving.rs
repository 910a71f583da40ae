//! The predecessor: gives all away, or goes on.
#![expect(
    clippy::disallowed_methods,
    reason = "a thread of its own waits for another process, by the machine's clock"
)]

use std::fs::File;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use engine::handover::Given;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::shards::{Outcome, Shards};
use super::wire::{DESCRIPTORS_MAX, Kind, Wire};
use super::{
    ANSWERED_WITHIN, HELD_WITHIN, PREPARED_WITHIN, SETTLED_WITHIN, SHARED_WITHIN, STILL_WITHIN,
    TURNED_TO_WITHIN,
};
use crate::supervisor::Supervisor;

/// Descriptors and pieces of rows that may wait to be sent, a shard.
const WAITING_MAX: usize = 256;

/// What a successor says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// What it reads.
    pub format: u64,
    /// How many shards each of its meshes has.
    pub shards: Vec<u64>,
    /// The longest that a step may take, in milliseconds, if it is less than usual.
    pub patience_ms: u64,
}

impl Hello {
    /// From a question; none if it is none.
    pub fn read(question: &Value) -> Option<Self> {
        let number = |name: &str| question.get(name).and_then(Value::as_u64);
        let shards = question.get("shards")?.as_array()?.iter();
        Some(Self {
            format: number("format")?,
            shards: shards.map(Value::as_u64).collect::<Option<_>>()?,
            patience_ms: number("patience_ms")?,
        })
    }
}

/// What a program has besides connections, of which only one process can have some.
pub trait Kept: Send + Sync {
    /// All goes on, and nobody new is to begin what couldn't be handed over. What was decided about
    /// sessions before now is seen to.
    ///
    /// # Errors
    /// If that takes longer.
    fn turn_to(&self, within: Duration) -> Outcome<()> {
        let _ = within;
        Ok(())
    }
    /// All sessions rest: lets go of what only one can have. What is announced before this returns
    /// reaches everybody.
    fn let_go(&self) {}
    /// What the successor is to know that lies in memory, and is to stay there; asked for when all
    /// sessions rest.
    fn memory(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::default()
    }
    /// The handover has failed: takes back what was let go, if it was, and undoes the rest.
    fn undo(&self, let_go: bool) {
        let _ = let_go;
    }
    /// This process is over: what was written for others should reach them.
    fn end(&self) {}
}

/// What this process has that a successor needs.
pub struct Giving {
    format: u64,
    shards: Shards,
    kept: Box<dyn Kept>,
    /// What is listened on, by name.
    sockets: Vec<(&'static str, OwnedFd)>,
    /// What it needs besides; nobody else may know it.
    secret: Option<[u8; 32]>,
    /// Who is to be told which process the service is.
    supervisor: Mutex<Option<Supervisor>>,
    /// One successor at a time.
    turn: Mutex<()>,
}

/// What has been done, and is to be undone if it fails.
#[derive(Default)]
struct Done {
    /// Where whoever started the successor hears how it went.
    report: Option<File>,
    turned_to: bool,
    let_go: bool,
    committed: bool,
}

impl Giving {
    /// Of a running program, whose connections are written down in this format.
    pub fn new(format: u64, shards: Shards, sockets: Vec<(&'static str, OwnedFd)>) -> Self {
        struct Nothing;
        impl Kept for Nothing {}
        Self {
            format,
            shards,
            kept: Box::new(Nothing),
            sockets,
            secret: None,
            supervisor: Mutex::default(),
            turn: Mutex::default(),
        }
    }

    /// The same, with more than connections.
    #[must_use]
    pub fn with_kept(self, kept: Box<dyn Kept>) -> Self {
        Self { kept, ..self }
    }

    /// The same, with a secret that the successor is to have, too.
    #[must_use]
    pub fn with_secret(self, secret: Option<[u8; 32]>) -> Self {
        Self { secret, ..self }
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
    pub fn refusal(&self, hello: &Hello) -> Option<String> {
        if super::is_awaiting() {
            return Some("this process has not taken over itself yet, try again".into());
        }
        if hello.format != self.format {
            return Some(format!(
                "this server writes connections in format {} and the new one reads {}: restart it \
                 instead",
                self.format, hello.format
            ));
        }
        let shards = self.shards.counts();
        let words = |counts: &[u64]| {
            let counts = counts.iter().map(u64::to_string);
            counts.collect::<Vec<_>>().join(" and ")
        };
        (hello.shards != shards).then(|| {
            format!(
                "this server has {} shards and the new one would have {}: restart it instead, or \
                 set service.imap.shards, ens.shards and ens.embedded back",
                words(&shards),
                words(&hello.shards)
            )
        })
    }

    /// Gives everything to a successor, and ends this process. Returns only if that fails: then
    /// this one goes on, and this is why.
    pub fn give(&self, stream: UnixStream, pid: i32, hello: &Hello) -> String {
        let Ok(_turn) = self.turn.try_lock() else {
            return "another upgrade is under way".into();
        };
        tracing::info!(
            target: "handover", event = %"upgrade", result = %"begun", pid,
            "another process asks for all connections"
        );
        let mut done = Done::default();
        let end = stream.try_clone();
        let why = match self.try_give(stream, hello, &mut done) {
            Ok(()) => self.end(pid),
            Err(why) => why,
        };
        if let Ok(mut end) = end {
            // It may be gone. If not, it ends when it hears this.
            let _ = writeln!(end, "{}", json!({ "error": why }));
            let _ = end.shutdown(Shutdown::Both);
            if done.committed && has_taken(end) {
                self.end(pid);
            }
        }
        tracing::error!(
            target: "handover", event = %"upgrade", result = %"failed", pid,
            "this process goes on: {why}"
        );
        if let Some(report) = &mut done.report {
            // Whoever started it sees to it that it is gone, whatever it hangs in.
            let _ = writeln!(report, "error: {}", why.replace('\n', " "));
        }
        if done.turned_to {
            self.kept.undo(done.let_go);
            self.shards.go_on(STILL_WITHIN);
        }
        why
    }

    fn try_give(&self, stream: UnixStream, hello: &Hello, done: &mut Done) -> Outcome<()> {
        let within = |usual: Duration| usual.min(Duration::from_millis(hello.patience_ms));
        let broke = |error: io::Error| format!("the new process: {error}");
        let mut wire = Wire::new(stream, within(PREPARED_WITHIN)).map_err(broke)?;
        let (ways, pumps) = self.open_ways(&mut wire).map_err(broke)?;
        let prepared = wire.expect(Kind::Prepared).map_err(broke)?;
        done.report = prepared.descriptors.into_iter().next().map(File::from);
        wire.set_patience(within(STILL_WITHIN)).map_err(broke)?;
        done.turned_to = true;
        let began = Instant::now();
        self.shards.share(&ways, began + within(SHARED_WITHIN))?;
        self.kept.turn_to(TURNED_TO_WITHIN)?;
        let until = Instant::now() + SETTLED_WITHIN + STILL_WITHIN;
        self.shards.settle(SETTLED_WITHIN, until)?;
        let until = Instant::now() + ANSWERED_WITHIN;
        let held = self.shards.hold(HELD_WITHIN, until)?;
        let still = Instant::now();
        let until = still + within(STILL_WITHIN);
        done.let_go = true;
        self.kept.let_go();
        let closed = still.elapsed();
        self.shards.pass_until_quiet(until)?;
        let count = self.shards.export(ways, until)?;
        for pump in pumps {
            let pumped = pump.join().map_err(|_| "a thread has failed".to_owned())?;
            pumped.map_err(broke)?;
        }
        let written = still.elapsed();
        wire.send(Kind::Released, &self.kept.memory(), &[])
            .map_err(broke)?;
        wire.expect(Kind::Ready).map_err(broke)?;
        done.committed = true;
        wire.send(Kind::Commit, b"", &[]).map_err(broke)?;
        wire.expect(Kind::Taken).map_err(broke)?;
        let held_back = Duration::from_nanos(held.held_ns);
        tracing::info!(
            target: "handover", event = %"upgrade", result = %"ok", connections = count,
            ended = held.ended, still_ms = (held_back + still.elapsed()).as_millis() as u64,
            whole_ms = began.elapsed().as_millis() as u64,
            held_ms = held_back.as_millis() as u64, close_ms = closed.as_millis() as u64,
            rows_ms = (written - closed).as_millis() as u64,
            open_ms = (still.elapsed() - written).as_millis() as u64,
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
        if let Some(secret) = &self.secret {
            wire.send(Kind::Secret, secret, &[])?;
        }
        let (mut ways, mut pumps, mut theirs) = (vec![], vec![], vec![]);
        for _ in 0..self.shards.count() {
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
        self.kept.end();
        std::process::exit(0);
    }
}

/// Whether the successor has said at the last moment that it goes on. It can't say so any more.
fn has_taken(end: UnixStream) -> bool {
    let taken = |mut wire: Wire| wire.expect(Kind::Taken);
    Wire::new(end, STILL_WITHIN).and_then(taken).is_ok()
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
            Given::Rows(rows) => {
                flush(&mut wire, &mut keys, &mut descriptors)?;
                wire.send(Kind::Rows, &rows, &[])?;
            }
            Given::Gone(keys) => {
                let keys: Vec<u8> = keys.into_iter().flat_map(u64::to_be_bytes).collect();
                wire.send(Kind::Gone, &keys, &[])?;
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
