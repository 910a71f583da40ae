//! One connection: the machine, its socket, and what the machine asks for.
#![expect(
    clippy::disallowed_methods,
    reason = "a delivery's thread goes by the machine's clock"
)]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mail::reply::Appended;
use mail::request::Body;
use mail::{Refusal, Reply, Request, SpoolId};
use proto::lmtp::{Action, Delivery, Lookup, Recipient, Session};

use super::open::Admission;
use super::pending_reply::PendingReply;
use super::{Common, Settings};

/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1024;
/// How long a client may take to read a reply.
const WRITE_WITHIN: Duration = Duration::from_secs(60);

struct Connection<'a> {
    common: &'a Common,
    settings: Settings,
    stream: &'a TcpStream,
    admission: &'a Admission,
    machine: Session,
    /// When the transaction that is under way has to be over.
    over_by: Option<Instant>,
    /// How long a read waits, as it was set last.
    waits: Option<Duration>,
    /// Replies that leave together, once all that the client has sent was dealt with (RFC 2920
    /// section 3.2).
    replies: Vec<u8>,
    /// The message's pieces so far.
    spool: Option<SpoolId>,
}

/// What came from the client.
enum Input {
    Bytes(usize),
    End,
    TimedOut,
    /// The transaction takes too long.
    Overdue,
    Stop,
}

/// Serves a connection to its end. The peer is the client's IP address, if it has one.
pub(super) fn run(
    common: &Common,
    stream: &Arc<TcpStream>,
    admission: &Admission,
    peer: Option<Box<str>>,
) {
    let settings = common.settings();
    let machine = Session::new(settings.session.clone(), peer);
    let mut connection = Connection {
        common,
        settings,
        stream,
        admission,
        machine,
        over_by: None,
        waits: None,
        replies: Vec::new(),
        spool: None,
    };
    if let Err(cause) = connection.serve() {
        tracing::debug!("lmtp: a connection broke: {cause}");
    }
    connection.discard();
}

impl Connection<'_> {
    fn serve(&mut self) -> io::Result<()> {
        self.stream.set_write_timeout(Some(WRITE_WITHIN))?;
        let mut buffer = vec![0; READ_BYTES];
        while self.carry_out()? {
            match self.read(&mut buffer)? {
                Input::Bytes(count) => self.machine.handle_input(&buffer[..count]),
                Input::End => return Ok(()),
                Input::TimedOut => self.machine.handle_timeout(),
                Input::Overdue => self.machine.handle_overdue(),
                Input::Stop => self.machine.handle_stop(),
            }
        }
        Ok(())
    }

    /// Waits for the client, until it is quiet or at work for too long, its place is wanted, or the
    /// server ends.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Input> {
        use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
        if self.machine.is_in_transaction() {
            let over_by = || Instant::now() + self.common.transaction;
            self.over_by = self.over_by.or_else(|| Some(over_by()));
        } else {
            self.over_by = None;
            self.admission.quiet();
        }
        loop {
            if self.common.open.is_stopping() {
                return Ok(Input::Stop);
            }
            if self.admission.gives_way() {
                return Ok(Input::TimedOut);
            }
            let Some(within) = self.patience() else {
                return Ok(Input::Overdue);
            };
            self.wait_at_most(within)?;
            match self.stream.read(buffer) {
                // At the end of the server the socket is shut for reading, and when others want
                // the place.
                Ok(0) if self.common.open.is_stopping() || self.admission.gives_way() => {}
                Ok(0) => return Ok(Input::End),
                Ok(count) => {
                    self.admission.busy();
                    return Ok(Input::Bytes(count));
                }
                Err(cause) => match cause.kind() {
                    Interrupted => {}
                    TimedOut | WouldBlock if within < self.common.idle => {}
                    TimedOut | WouldBlock => return Ok(Input::TimedOut),
                    _ => return Err(cause),
                },
            }
        }
    }

    /// How long to wait for the client; none if its transaction takes too long already.
    fn patience(&self) -> Option<Duration> {
        let Some(over_by) = self.over_by else {
            return Some(self.common.idle);
        };
        let left = over_by.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| left.min(self.common.idle))
    }

    /// Sets how long a read waits, if that is not set already.
    fn wait_at_most(&mut self, within: Duration) -> io::Result<()> {
        if self.waits != Some(within) {
            self.stream.set_read_timeout(Some(within))?;
            self.waits = Some(within);
        }
        Ok(())
    }

    /// Carries out what the machine asks. False if the connection is to be closed.
    fn carry_out(&mut self) -> io::Result<bool> {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Send(bytes) => self.replies.extend_from_slice(&bytes),
                Action::Lookup(recipient) => {
                    let answer = self.lookup(&recipient);
                    self.machine.handle_lookup(answer);
                }
                Action::Begin => self.machine.handle_begin(Ok(self.common.ids.stamp())),
                Action::Chunk(chunk) => {
                    self.reply()?;
                    if let Err(refusal) = self.keep(chunk) {
                        self.machine.handle_chunk_failed(refusal);
                    }
                }
                Action::Discard => self.discard(),
                Action::Deliver(delivery) => {
                    self.reply()?;
                    let results = self.deliver(delivery);
                    self.machine.handle_delivered(&results);
                }
                Action::Close => {
                    self.reply()?;
                    return Ok(false);
                }
            }
        }
        self.reply()?;
        Ok(true)
    }

    /// Sends the replies.
    fn reply(&mut self) -> io::Result<()> {
        if !self.replies.is_empty() {
            self.stream.write_all(&self.replies)?;
            self.replies.clear();
        }
        Ok(())
    }

    /// A user whose name is the whole address comes before one whose name is its local part.
    fn lookup(&self, recipient: &Recipient) -> Lookup {
        let domain = recipient.domain.as_deref().map(str::to_lowercase);
        let domains = &self.settings.domains;
        if let Some(domain) = &domain
            && !domains.is_empty()
            && !domains.contains(domain)
        {
            return Lookup::NotHere;
        }
        let whole = domain.map(|domain| format!("{}@{domain}", recipient.user));
        for name in whole.as_deref().into_iter().chain([&*recipient.user]) {
            match self.common.users.find(name) {
                Ok(Some(user)) => return Lookup::Found(user.account),
                Ok(None) => {}
                Err(error) => {
                    self.common.lookups.say(|more| {
                        tracing::error!("lmtp: users can't be looked up: {error}{more}");
                    });
                    return Lookup::Unavailable;
                }
            }
        }
        Lookup::Unknown
    }

    /// Gives a piece of a message to the store.
    fn keep(&mut self, chunk: Bytes) -> Result<(), Refusal> {
        match self.ask(Request::Spool {
            spool: self.spool,
            chunk,
        }) {
            Reply::Spooled(spool) => {
                self.spool = Some(spool);
                Ok(())
            }
            Reply::Refused(refusal) => Err(refusal),
            other => Err(unexpected(&other)),
        }
    }

    /// Forgets the message's pieces.
    fn discard(&mut self) {
        if let Some(spool) = self.spool.take() {
            // If the store takes no more requests, it removes left-over pieces when it is opened.
            let _ = self
                .common
                .store
                .write(Request::Discard { spool }, Box::new(|_| {}));
        }
    }

    /// A result for each target; once it is there, what was accepted is durable.
    fn deliver(&mut self, delivery: Delivery) -> Vec<Result<Appended, Refusal>> {
        let count = delivery.targets.len();
        let refuse = |refusal: Refusal| vec![Err(refusal); count];
        let body = if self.spool.is_some() {
            if let Err(refusal) = self.keep(delivery.last) {
                self.discard();
                return refuse(refusal);
            }
            self.spool
                .take()
                .map(Body::Spooled)
                .expect("it was there, and more was added")
        } else {
            Body::Inline(delivery.last)
        };
        match self.ask(Request::Deliver {
            targets: delivery.targets,
            body,
        }) {
            Reply::Delivered(results) => results,
            Reply::Refused(refusal) => refuse(refusal),
            other => refuse(unexpected(&other)),
        }
    }

    fn ask(&self, request: Request) -> Reply {
        let answer = PendingReply::default();
        let answerer = answer.answerer();
        let completion = Box::new(move |reply| answerer.give(reply));
        if self.common.store.write(request, completion).is_err() {
            return unavailable("too many requests are waiting");
        }
        answer
            .wait()
            .unwrap_or_else(|| unavailable("the store gave no answer"))
    }
}

fn unavailable(why: &str) -> Reply {
    Reply::Refused(Refusal::Unavailable(why.into()))
}

fn unexpected(reply: &Reply) -> Refusal {
    tracing::error!("lmtp: the store gave an answer that fits no question: {reply:?}");
    Refusal::Unavailable("the store gave another answer than expected".into())
}
