//! The successor: takes all, or ends.
#![expect(
    clippy::disallowed_methods,
    reason = "the start of a process waits for another, by the machine's clock"
)]

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use engine::protocol::Protocol;
use engine::secure::Tls;
use engine::{Adopted, Shard};
use reactor::{Reactor, listen};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use super::shards::Shards;
use super::wire::{Frame, Kind, Wire};
use super::{AWAITS, IS_OVER, OVER_AFTER, PATIENCE, SERVES, STANDING, decide, is_awaiting};
use crate::planted;
use crate::ready::Ready;
use crate::supervisor::Supervisor;

/// The name of the way to the supervisor among sockets.
pub(super) const SUPERVISOR: &str = "supervisor\n";
/// Bytes of the predecessor's first line.
const LINE_BYTES_MAX: usize = 4096;
/// How often a successor looks whether it is still waited for, and how long it then has to say why
/// it ends.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const SAID_WITHIN: Duration = Duration::from_secs(1);

/// Why nothing was taken.
#[derive(Debug, thiserror::Error)]
pub enum TakingError {
    /// The running program says no.
    #[error("{0}")]
    Refused(String),
    /// The connection to it.
    #[error("the running server: {0}")]
    Broken(#[from] io::Error),
    /// Connections that can't be taken.
    #[error("{0}")]
    Connections(String),
    /// What only one process can have.
    #[error("{0}")]
    Kept(String),
}

type Reported = Result<usize, String>;

/// A process that is about to take over.
pub struct Successor {
    wire: Wire,
    /// One a shard, mesh after mesh.
    streams: VecDeque<OwnedFd>,
    supervisor: Option<Supervisor>,
    secret: Option<[u8; 32]>,
    report: Sender<Reported>,
    reports: Receiver<Reported>,
}

/// The way of a shard's connections.
pub struct Coming {
    wire: Wire,
    report: Sender<Reported>,
}

impl Successor {
    /// Asks the running program over a connection: for what has so many shards in each mesh and is
    /// written down in this format. What it listens on is inherited from now on.
    ///
    /// # Errors
    /// If it says no.
    pub fn ask(mut stream: UnixStream, format: u64, shards: &[u16]) -> Result<Self, TakingError> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let patience_ms = planted::patience_ms().unwrap_or(PATIENCE.as_millis() as u64);
        let question = json!({
            "ask": "upgrade", "format": format, "version": env!("CARGO_PKG_VERSION"),
            "shards": shards, "patience_ms": patience_ms,
        });
        writeln!(stream, "{question}")?;
        let answer: Value = serde_json::from_str(&line(&mut stream)?).map_err(io::Error::from)?;
        if let Some(why) = answer["error"].as_str() {
            return Err(TakingError::Refused(why.to_owned()));
        }
        STANDING.store(AWAITS, Ordering::SeqCst);
        let mut wire = Wire::new(stream, PATIENCE)?;
        let (mut supervisor, mut secret) = (None, None);
        let streams = loop {
            let Frame {
                kind,
                body,
                descriptors,
            } = wire.receive()?;
            match kind {
                Kind::Sockets => supervisor = inherit(&body, descriptors)?.or(supervisor),
                Kind::Secret => secret = body.as_slice().try_into().ok(),
                Kind::Streams => break descriptors,
                other => return Err(out_of_place(other)),
            }
        };
        let (report, reports) = channel();
        Ok(Self {
            wire,
            streams: streams.into(),
            supervisor,
            secret,
            report,
            reports,
        })
    }

    /// Ends this process, from now on, when nobody waits for it any more: the predecessor, whoever
    /// started it and hears of it by `ready`, or after a time that is too long for anything. Makes
    /// a thread.
    ///
    /// # Errors
    /// If the system has no more threads or descriptors.
    pub fn end_when_given_up(&self, ready: &Ready) -> io::Result<()> {
        let (wire, report) = (self.wire.stream()?, ready.descriptor()?);
        let watch = move || watch(&wire, report.as_ref());
        Builder::new().name("hard-stop".into()).spawn(watch)?;
        Ok(())
    }

    /// The way of the next shard's connections.
    ///
    /// # Errors
    /// If there is none.
    pub fn coming(&mut self) -> io::Result<Coming> {
        let stream = self.streams.pop_front().ok_or(io::ErrorKind::NotFound)?;
        Ok(Coming {
            wire: Wire::new(stream.into(), PATIENCE)?,
            report: self.report.clone(),
        })
    }

    /// Who is to be told that this process serves.
    pub fn supervisor(&mut self) -> Option<Supervisor> {
        self.supervisor.take()
    }

    /// What both know and nobody else.
    pub fn secret(&self) -> Option<[u8; 32]> {
        self.secret
    }

    /// Takes over, once all is prepared but what only one can have: that is had by `open`, which is
    /// given what the predecessor had in memory besides, if that was anything. After this the
    /// predecessor is gone. Gives how many connections there are, and what was opened.
    ///
    /// # Errors
    /// What can't be taken: the predecessor goes on then, and this process is to end.
    pub fn take<T>(
        mut self,
        ready: &mut Ready,
        shards: &Shards,
        open: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<(usize, T), TakingError> {
        // What remains are those of shards: one that fails is noticed.
        drop(self.report);
        planted::here("successor-prepares");
        let report: Vec<OwnedFd> = ready.descriptor()?.into_iter().collect();
        self.wire.send(Kind::Prepared, b"", &report)?;
        drop(report);
        let released = self.wire.expect(Kind::Released)?;
        planted::here("successor-opens");
        let opened = open(&released.body).map_err(TakingError::Kept)?;
        let mut count = 0;
        for _ in 0..shards.count() {
            let came = self.reports.recv_timeout(PATIENCE);
            let came = came.map_err(|error| TakingError::Connections(error.to_string()))?;
            count += came.map_err(TakingError::Connections)?;
        }
        // All shards know what the others watch.
        let watched = shards.pass_until_quiet(Instant::now() + PATIENCE);
        watched.map_err(TakingError::Connections)?;
        planted::here("successor-is-ready");
        self.wire.send(Kind::Ready, b"", &[])?;
        self.wire.expect(Kind::Commit)?;
        planted::here("successor-commits");
        // Whoever started this process notes which one the service is, and doesn't end it any more.
        // If nobody is there it would not be known.
        ready.committed()?;
        if !decide(SERVES) {
            return Err(TakingError::Connections("it took too long".into()));
        }
        // There is no way back, and the other one is told first. If it can't be told it has given
        // up, and goes on.
        if let Err(error) = self.wire.send(Kind::Taken, b"", &[]) {
            STANDING.store(IS_OVER, Ordering::SeqCst);
            return Err(error.into());
        }
        shards.go_on(PATIENCE);
        Ok((count, opened))
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
    ) -> Reported {
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
                }
                Kind::Rows => {
                    planted::here("successor-takes");
                    let taken = shard.take_rows(adopted, &frame.body);
                    taken.map_err(|refused| refused.to_string())?;
                }
                Kind::Gone => {
                    let keys = frame.body.as_chunks::<8>().0;
                    let given_up = shard.give_up(keys.iter().copied().map(u64::from_be_bytes));
                    given_up.map_err(|refused| refused.to_string())?;
                }
                Kind::End => return Ok(shard.open()),
                other => return Err(format!("{other:?} among connections")),
            }
            shard.arm();
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

/// A successor that hangs must not keep from its predecessor what only one can have.
fn watch(wire: &UnixStream, report: Option<&OwnedFd>) {
    let until = Instant::now() + OVER_AFTER;
    while is_awaiting() {
        let too_late = Instant::now() >= until;
        if !too_late && !has_ended(wire, report) {
            continue;
        }
        // Whoever hears the same by itself says why.
        std::thread::sleep(SAID_WITHIN);
        if decide(IS_OVER) {
            eprintln!("nobody waits for this process to take over; the old one goes on");
            std::process::exit(1);
        }
    }
}

/// Whether one of the other ends is closed, within a while. What comes is not looked at.
fn has_ended(wire: &UnixStream, report: Option<&OwnedFd>) -> bool {
    let within = Timespec::try_from(LOOK_EVERY).ok();
    let ends = [Some(wire.as_fd()), report.map(AsFd::as_fd)];
    let ends = ends.into_iter().flatten();
    let mut ends: Vec<_> = ends
        .map(|end| PollFd::from_borrowed_fd(end, PollFlags::empty()))
        .collect();
    // An end that can't be waited for: looked at again all the same, later.
    if poll(&mut ends, within.as_ref()).is_err() {
        std::thread::sleep(LOOK_EVERY);
    }
    let gone = PollFlags::HUP | PollFlags::ERR;
    ends.iter().any(|end| end.revents().intersects(gone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_noticed() {
        let (one, other) = UnixStream::pair().unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        assert!(!has_ended(&one, Some(&writer)));
        drop(reader);
        assert!(has_ended(&one, Some(&writer)), "nobody hears of it");
        assert!(!has_ended(&one, None));
        (&other).write_all(b"x").unwrap();
        assert!(!has_ended(&one, None), "something came");
        let still_open = other.try_clone().unwrap();
        other.shutdown(std::net::Shutdown::Both).unwrap();
        assert!(has_ended(&one, None), "it has given up");
        drop(still_open);
    }
}
