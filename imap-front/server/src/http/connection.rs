//! A client: its socket, TLS if that is spoken, one request after the other.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant, SystemTime};

use monitor::http::{EVENTS_HEAD, Method, Request, Requests};
use rustls::ServerConnection;

use super::site::Told;

/// How long a handshake may take, and a request from its first byte to its last.
const ASKED_WITHIN: Duration = Duration::from_secs(10);
/// How long a client may be quiet between two requests: longer than from one scrape to the next.
const QUIET_WITHIN: Duration = Duration::from_secs(150);
/// How long a client may take nothing of what it is sent.
const TAKEN_WITHIN: Duration = Duration::from_secs(20);
/// How long a client may go on sending after the last answer.
const ENDED_WITHIN: Duration = Duration::from_secs(2);

/// Answers to one client before others have their turn.
const ANSWERS_A_ROUND: usize = 4;

/// What a client does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It asks, or may.
    Asking,
    /// It is told something each second, and says nothing.
    Streaming,
    /// It has heard its last answer; what it still sends is dropped, so that it gets that.
    Ending,
}

/// A client.
pub(super) struct Connection {
    stream: TcpStream,
    tls: Option<Box<ServerConnection>>,
    requests: Requests,
    /// What is to be sent, and how much of it was.
    output: (Vec<u8>, usize),
    phase: Phase,
    /// The connection ends with what is sent now.
    is_last: bool,
    /// It may have asked more, and others come first.
    pub(super) has_more: bool,
    /// It lacks something that others were told.
    pub(super) is_behind: bool,
    /// Something was asked that it was let see.
    pub(super) has_looked: bool,
    /// When it last did what it is waited for.
    pub(super) since: Instant,
}

/// Whether a client stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stays {
    Yes,
    No,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, tls: Option<ServerConnection>, now: Instant) -> Self {
        let mut tls = tls.map(Box::new);
        if let Some(tls) = &mut tls {
            // What waits is bounded by an answer's length.
            tls.set_buffer_limit(None);
        }
        Self {
            stream,
            tls,
            requests: Requests::default(),
            output: (Vec::new(), 0),
            phase: Phase::Asking,
            is_last: false,
            has_more: false,
            is_behind: false,
            has_looked: false,
            since: now,
        }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Until when it is waited for.
    pub(super) fn until(&self) -> Instant {
        let shaking = self.tls.as_ref().is_some_and(|tls| tls.is_handshaking());
        self.since
            + match self.phase {
                Phase::Ending => ENDED_WITHIN,
                Phase::Asking | Phase::Streaming if self.wants_to_write() => TAKEN_WITHIN,
                Phase::Streaming => QUIET_WITHIN,
                Phase::Asking if shaking || self.requests.has_begun() => ASKED_WITHIN,
                Phase::Asking => QUIET_WITHIN,
            }
    }

    /// Whether something waits to be sent.
    pub(super) fn wants_to_write(&self) -> bool {
        let of_tls = self.tls.as_ref().is_some_and(|tls| tls.wants_write());
        of_tls || self.output.1 < self.output.0.len()
    }

    /// Whether it is told something each second.
    pub(super) fn streams(&self) -> bool {
        self.phase == Phase::Streaming
    }

    /// Tells it more. A client that has not taken what came before is told nothing until then:
    /// false, and it lacks this.
    pub(super) fn tell(&mut self, now: Instant, bytes: &[u8]) -> bool {
        if self.wants_to_write() {
            return false;
        }
        (self.output, self.since) = ((bytes.to_vec(), 0), now);
        true
    }

    /// Goes on as far as the socket lets it; `answer` has the answers.
    pub(super) fn go_on(
        &mut self,
        now: Instant,
        answer: &mut dyn FnMut(Result<Request, u16>) -> Told,
    ) -> Stays {
        match self.try_go_on(now, answer) {
            Ok(stays) => stays,
            // Whoever breaks off, or speaks another protocol, is no fault of ours.
            Err(_) => Stays::No,
        }
    }

    fn try_go_on(
        &mut self,
        now: Instant,
        answer: &mut dyn FnMut(Result<Request, u16>) -> Told,
    ) -> io::Result<Stays> {
        let mut answers = 0;
        self.has_more = false;
        loop {
            if self.write(now)? {
                return Ok(Stays::Yes);
            }
            if answers == ANSWERS_A_ROUND {
                self.has_more = true;
                return Ok(Stays::Yes);
            }
            if self.phase == Phase::Asking && self.is_last {
                self.say_last(now)?;
            }
            if self.phase == Phase::Asking && self.next_answer(now, answer) {
                answers += 1;
                continue;
            }
            let mut buffer = [0; 4096];
            let room = match self.phase {
                Phase::Asking => self.requests.room().min(buffer.len()),
                Phase::Streaming | Phase::Ending => buffer.len(),
            };
            match self.read(&mut buffer[..room]) {
                Ok(0) => return Ok(Stays::No),
                Ok(_) if self.phase != Phase::Asking => {}
                Ok(count) => {
                    if !self.requests.has_begun() {
                        self.since = now;
                    }
                    self.requests.feed(&buffer[..count]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // What the record layer has to say.
                    self.write(now)?;
                    return Ok(Stays::Yes);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Prepares the next answer. False if nothing whole was asked.
    fn next_answer(
        &mut self,
        now: Instant,
        answer: &mut dyn FnMut(Result<Request, u16>) -> Told,
    ) -> bool {
        let request = match self.requests.next_request() {
            Ok(None) => return false,
            Ok(Some(request)) => Ok(request),
            Err(fault) => Err(fault.code()),
        };
        let (method, keeps_open) = match &request {
            Ok(request) => (request.method, request.keeps_open),
            Err(_) => (Method::Get, false),
        };
        let told = answer(request);
        self.has_looked |= told.code() == 200;
        let bytes = match told {
            Told::Answer(answer) => {
                self.is_last = !keeps_open;
                answer.to_bytes(method, keeps_open, time_of_day())
            }
            Told::Events(first) => {
                self.phase = Phase::Streaming;
                [EVENTS_HEAD.as_bytes(), &first].concat()
            }
        };
        (self.output, self.since) = ((bytes, 0), now);
        true
    }

    /// Sends what waits. True if some of it must wait on.
    fn write(&mut self, now: Instant) -> io::Result<bool> {
        let Self {
            stream,
            tls,
            output: (bytes, sent),
            ..
        } = self;
        loop {
            let count = match tls {
                Some(tls) => {
                    if *sent < bytes.len() && !tls.is_handshaking() {
                        tls.writer().write_all(&bytes[*sent..])?;
                        *sent = bytes.len();
                    }
                    match tls.wants_write() {
                        true => tls.write_tls(stream),
                        false => break,
                    }
                }
                None if *sent < bytes.len() => stream
                    .write(&bytes[*sent..])
                    .inspect(|count| *sent += count),
                None => break,
            };
            match count {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => self.since = now,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if *sent == bytes.len() {
            self.output = (Vec::new(), 0);
        }
        Ok(false)
    }

    /// Nothing more is sent.
    fn say_last(&mut self, now: Instant) -> io::Result<()> {
        self.phase = Phase::Ending;
        self.since = now;
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // If there is no room for it the connection ends without.
            while tls.wants_write() && tls.write_tls(&mut self.stream).is_ok_and(|it| it > 0) {}
        }
        self.stream.shutdown(Shutdown::Write)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.stream.read(buffer);
        };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => return other,
            }
            match tls.read_tls(&mut self.stream)? {
                0 => return Ok(0),
                _ => {
                    let processed = tls.process_new_packets();
                    if let Err(fault) = processed {
                        // It is told what is wrong.
                        let _ = tls.write_tls(&mut self.stream);
                        return Err(io::Error::other(fault));
                    }
                }
            }
            if tls.wants_write() {
                // A part of the handshake; what finds no room waits for it.
                match tls.write_tls(&mut self.stream) {
                    Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                    _ => {}
                }
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "answers carry the time of day")]
fn time_of_day() -> SystemTime {
    SystemTime::now()
}
