//! The successor: takes all, or ends.
#![expect(
    clippy::disallowed_methods,
    reason = "the start of a process waits for another, by the machine's clock"
)]

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use admin::Base;
use admin::tools::ask::{AskError, connect};
use engine::event::ShardId;
use engine::protocol::Protocol;
use engine::secure::Tls;
use engine::{Adopted, Shard};
use ens::supervisor::Supervisor;
use reactor::{Reactor, listen};
use serde_json::{Value, json};
use store::{OpenError, Recovery, Store};

use super::wire::{Frame, Kind, Wire};
use super::{AWAITS, FORMAT};
use crate::control::MailHandle;
use crate::planted;

/// The name of the way to the supervisor among sockets.
pub(super) const SUPERVISOR: &str = "supervisor\n";
/// How long anything may take that the predecessor does.
const PATIENCE: Duration = Duration::from_secs(120);
/// After this time in all a successor that has not taken over is of no use, whatever it waits for.
const OVER_AFTER: Duration = Duration::from_secs(300);
/// Bytes of the predecessor's first line.
const LINE_BYTES_MAX: usize = 4096;
/// Another process may be about to let the store go.
const STORE_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Why nothing was taken.
#[derive(Debug, thiserror::Error)]
pub enum TakingError {
    /// There is nobody to take from, or they say no.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The connection to the running server.
    #[error("the running server: {0}")]
    Broken(#[from] io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Connections that can't be taken.
    #[error("{0}")]
    Connections(String),
}

/// A process that is about to take over.
pub struct Successor {
    wire: Wire,
    /// One a shard.
    streams: Vec<Option<UnixStream>>,
    supervisor: Option<Supervisor>,
    report: Sender<Result<usize, String>>,
    reports: Receiver<Result<usize, String>>,
}

/// The way of a shard's connections.
pub struct Coming {
    wire: Wire,
    report: Sender<Result<usize, String>>,
}

impl Successor {
    /// Asks the running server of a base directory. What that listens on is inherited from now on.
    ///
    /// # Errors
    /// If there is none, or it says no.
    pub fn connect(base: &Base, shards: u16) -> Result<Self, TakingError> {
        let mut stream = connect(base)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let question = json!({
            "ask": "upgrade", "format": FORMAT, "version": env!("CARGO_PKG_VERSION"),
            "shards": shards, "patience_ms": PATIENCE.as_millis() as u64,
        });
        writeln!(stream, "{question}")?;
        let answer: Value = serde_json::from_str(&line(&mut stream)?).map_err(io::Error::from)?;
        if let Some(why) = answer["error"].as_str() {
            return Err(AskError::Refused(why.to_owned()).into());
        }
        AWAITS.store(true, Ordering::SeqCst);
        end_if_it_takes_too_long()?;
        let mut wire = Wire::new(stream, PATIENCE)?;
        let mut supervisor = None;
        let streams = loop {
            let Frame {
                kind,
                body,
                descriptors,
            } = wire.receive()?;
            match kind {
                Kind::Sockets => supervisor = inherit(&body, descriptors)?.or(supervisor),
                Kind::Streams => break descriptors,
                other => return Err(out_of_place(other)),
            }
        };
        let (report, reports) = channel();
        Ok(Self {
            wire,
            streams: streams.into_iter().map(|it| Some(it.into())).collect(),
            supervisor,
            report,
            reports,
        })
    }

    /// The way of a shard's connections.
    ///
    /// # Errors
    /// If there is none.
    pub fn coming(&mut self, shard: ShardId) -> io::Result<Coming> {
        let stream = self.streams.get_mut(usize::from(shard.0));
        let stream = stream
            .and_then(Option::take)
            .ok_or(io::ErrorKind::NotFound)?;
        Ok(Coming {
            wire: Wire::new(stream, PATIENCE)?,
            report: self.report.clone(),
        })
    }

    /// Who is to be told that this process serves.
    pub fn supervisor(&mut self) -> Option<Supervisor> {
        self.supervisor.take()
    }

    /// Takes over, once all is prepared but the store: after this the predecessor is gone. Gives
    /// how many connections there are.
    ///
    /// # Errors
    /// What can't be taken: the predecessor goes on then, and this process is to end.
    pub fn take(
        mut self,
        store: &Store,
        handle: &MailHandle,
        announcer: impl Fn() -> store::Announcer,
    ) -> Result<(usize, Recovery), TakingError> {
        // What remains are those of shards: one that fails is noticed.
        drop(self.report);
        planted::here("successor-prepares");
        self.wire.send(Kind::Prepared, b"", &[])?;
        self.wire.expect(Kind::Released)?;
        planted::here("successor-opens");
        let recovery = take_store(store, announcer)?;
        let mut count = 0;
        for _ in 0..handle.shards() {
            let came = self.reports.recv_timeout(PATIENCE);
            let came = came.map_err(|error| TakingError::Connections(error.to_string()))?;
            count += came.map_err(TakingError::Connections)?;
        }
        watch_all(handle)?;
        planted::here("successor-is-ready");
        self.wire.send(Kind::Ready, b"", &[])?;
        self.wire.expect(Kind::Commit)?;
        // From here on there is no way back, and the other one is told first. If it can't be told
        // it has given up, and goes on.
        self.wire.send(Kind::Taken, b"", &[])?;
        AWAITS.store(false, Ordering::SeqCst);
        for id in (0..handle.shards()).map(ShardId) {
            let _ = handle.go_on(id).recv_timeout(PATIENCE);
        }
        Ok((count, recovery))
    }
}

impl Coming {
    /// Takes a shard's connections, and says how that went. False if the shard is of no use.
    pub fn take<R: Reactor, P: Protocol, T: Tls>(mut self, shard: &mut Shard<R, P, T>) -> bool {
        let mut adopted = Adopted::default();
        let taken = self.take_all(shard, &mut adopted);
        let is_whole = taken.is_ok();
        shard.end_adopting(adopted);
        // Whoever is told may have given up.
        let _ = self.report.send(taken);
        is_whole
    }

    fn take_all<R: Reactor, P: Protocol, T: Tls>(
        &mut self,
        shard: &mut Shard<R, P, T>,
        adopted: &mut Adopted,
    ) -> Result<usize, String> {
        let mut count = 0;
        loop {
            let frame = self.wire.receive().map_err(|error| error.to_string())?;
            match frame.kind {
                Kind::Descriptors => {
                    let keys = frame.body.as_chunks::<8>().0;
                    if keys.len() != frame.descriptors.len() {
                        return Err("descriptors without names".into());
                    }
                    for (key, descriptor) in keys.iter().zip(frame.descriptors) {
                        shard
                            .adopt(adopted, u64::from_be_bytes(*key), descriptor)
                            .map_err(|error| format!("a connection: {error}"))?;
                    }
                    shard.arm();
                }
                Kind::Rows => {
                    planted::here("successor-takes");
                    let taken = shard.take_rows(adopted, &frame.body);
                    count += taken.map_err(|refused| refused.to_string())?;
                }
                Kind::End => return Ok(count),
                other => return Err(format!("{other:?} among connections")),
            }
        }
    }
}

fn out_of_place(kind: Kind) -> TakingError {
    io::Error::new(io::ErrorKind::InvalidData, format!("{kind:?} out of place")).into()
}

/// A line, and nothing behind it.
fn line(stream: &mut UnixStream) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LINE_BYTES_MAX && !line.ends_with(b"\n") {
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    String::from_utf8(line).map_err(io::Error::other)
}

/// What the predecessor listens on. The supervisor is no listener.
fn inherit(names: &[u8], sockets: Vec<OwnedFd>) -> io::Result<Option<Supervisor>> {
    let names = std::str::from_utf8(names).map_err(io::Error::other)?;
    if names == SUPERVISOR {
        return Ok(sockets.into_iter().next().map(Supervisor::of));
    }
    if names.lines().count() != sockets.len() {
        return Err(io::Error::other("sockets without names"));
    }
    for (name, socket) in names.lines().zip(sockets) {
        listen::inherit(name, socket);
    }
    Ok(None)
}

/// The predecessor has closed it; its files may be closed a little later.
fn take_store(
    store: &Store,
    announcer: impl Fn() -> store::Announcer,
) -> Result<Recovery, OpenError> {
    let until = Instant::now() + STORE_WITHIN;
    loop {
        match store.take_again(announcer()) {
            Err(OpenError::InUse { .. }) if Instant::now() < until => {
                std::thread::sleep(LOOK_EVERY);
            }
            outcome => return outcome,
        }
    }
}

/// All shards know what the others watch.
fn watch_all(handle: &MailHandle) -> Result<(), TakingError> {
    let failed = |error| TakingError::Connections(format!("a shard: {error}"));
    let mut quiet = 0;
    while quiet < 2 {
        let shards = (0..handle.shards()).map(ShardId);
        let passes: Vec<_> = shards.map(|id| handle.pass(id)).collect();
        let mut all = true;
        for pass in passes {
            all &= pass.recv_timeout(PATIENCE).map_err(failed)?;
        }
        quiet = if all { quiet + 1 } else { 0 };
    }
    Ok(())
}

/// A successor that hangs must not keep the store from its predecessor.
fn end_if_it_takes_too_long() -> io::Result<()> {
    let watch = || {
        std::thread::sleep(OVER_AFTER);
        if AWAITS.load(Ordering::SeqCst) {
            eprintln!("imapd: taking over takes too long; the old process goes on");
            std::process::exit(1);
        }
    };
    Builder::new().name("hard-stop".into()).spawn(watch)?;
    Ok(())
}
