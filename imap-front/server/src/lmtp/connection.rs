//! One connection: the machine, its socket, and what the machine asks for.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_lite::{AsyncRead, AsyncWriteExt};
use glommio::net::TcpStream;
use mail::reply::Appended;
use mail::request::Body;
use mail::{Refusal, Reply, Request, SpoolId};
use proto::lmtp::{Action, Delivery, Lookup, Recipient, Session};

use super::acceptor::Accepted;
use super::{Common, Local, Settings, oneshot};

/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1024;
/// How long a client may take to read a reply.
const WRITE_WITHIN: Duration = Duration::from_secs(60);

struct Connection<'a> {
    common: &'a Common,
    local: &'a Local,
    slot: usize,
    settings: Settings,
    stream: TcpStream,
    machine: Session,
    /// The message's pieces so far.
    spool: Option<SpoolId>,
}

/// What came from the client.
enum Input {
    Bytes(usize),
    End,
    TimedOut,
    Stop,
}

/// Serves a connection to its end.
pub(super) async fn run(common: &Common, local: &Local, slot: usize, accepted: Accepted) {
    let Accepted {
        stream,
        peer,
        permit: _permit,
    } = accepted;
    let settings = common.settings();
    let machine = Session::new(settings.session.clone(), peer);
    // glommio takes sockets of another version of the same crate; both only hold the descriptor.
    let stream = TcpStream::from(glommio_socket2::Socket::from(stream));
    let timeouts = stream
        .set_read_timeout(Some(common.idle))
        .and_then(|()| stream.set_write_timeout(Some(WRITE_WITHIN)));
    let mut connection = Connection {
        common,
        local,
        slot,
        settings,
        stream,
        machine,
        spool: None,
    };
    let served = match timeouts {
        Ok(()) => connection.serve().await,
        Err(error) => Err(error.into()),
    };
    if let Err(cause) = served {
        tracing::debug!("lmtp: a connection broke: {cause}");
    }
    connection.discard();
}

impl Connection<'_> {
    async fn serve(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        while self.carry_out().await? {
            match self.read(&mut buffer).await? {
                Input::Bytes(count) => self.machine.handle_input(&buffer[..count]),
                Input::End => return Ok(()),
                Input::TimedOut => self.machine.handle_timeout(),
                Input::Stop => self.machine.handle_stop(),
            }
        }
        self.stream.close().await
    }

    /// Waits for the client, or for the end of the server.
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<Input> {
        poll_fn(|cx| {
            if self.local.stopping.get() {
                return Poll::Ready(Ok(Input::Stop));
            }
            match Pin::new(&mut self.stream).poll_read(cx, buffer) {
                Poll::Ready(Ok(0)) => Poll::Ready(Ok(Input::End)),
                Poll::Ready(Ok(count)) => Poll::Ready(Ok(Input::Bytes(count))),
                Poll::Ready(Err(cause)) if cause.kind() == io::ErrorKind::TimedOut => {
                    Poll::Ready(Ok(Input::TimedOut))
                }
                Poll::Ready(Err(cause)) => Poll::Ready(Err(cause)),
                Poll::Pending => {
                    self.local.wakers.borrow_mut()[self.slot] = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Carries out what the machine asks. False if the connection is to be closed.
    async fn carry_out(&mut self) -> io::Result<bool> {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Send(bytes) => self.stream.write_all(&bytes).await?,
                Action::Lookup(recipient) => {
                    let answer = self.lookup(&recipient);
                    self.machine.handle_lookup(answer);
                }
                Action::Begin => self.machine.handle_begin(Ok(self.common.ids.stamp())),
                Action::Chunk(chunk) => {
                    if let Err(refusal) = self.keep(chunk).await {
                        self.machine.handle_chunk_failed(refusal);
                    }
                }
                Action::Discard => self.discard(),
                Action::Deliver(delivery) => {
                    let results = self.deliver(delivery).await;
                    self.machine.handle_delivered(&results);
                    // Clients that send without a pause leave room for the others.
                    glommio::yield_if_needed().await;
                }
                Action::Close => return Ok(false),
            }
        }
        Ok(true)
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
                Ok(Some(user)) => return Lookup::Found(user.name),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!("lmtp: users can't be looked up: {error}");
                    return Lookup::Unavailable;
                }
            }
        }
        Lookup::Unknown
    }

    /// Gives a piece of a message to the store.
    async fn keep(&mut self, chunk: Bytes) -> Result<(), Refusal> {
        match self
            .ask(Request::Spool {
                spool: self.spool,
                chunk,
            })
            .await
        {
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
    async fn deliver(&mut self, delivery: Delivery) -> Vec<Result<Appended, Refusal>> {
        let count = delivery.targets.len();
        let refuse = |refusal: Refusal| vec![Err(refusal); count];
        let body = if self.spool.is_some() {
            if let Err(refusal) = self.keep(delivery.last).await {
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
        match self
            .ask(Request::Deliver {
                targets: delivery.targets,
                body,
            })
            .await
        {
            Reply::Delivered(results) => results,
            Reply::Refused(refusal) => refuse(refusal),
            other => refuse(unexpected(&other)),
        }
    }

    async fn ask(&self, request: Request) -> Reply {
        let (sender, receiver) = oneshot::channel();
        let completion = Box::new(move |reply| sender.send(reply));
        if self.common.store.write(request, completion).is_err() {
            return unavailable("too many requests are waiting");
        }
        receiver
            .receive()
            .await
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
