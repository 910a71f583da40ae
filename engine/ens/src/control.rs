//! The Unix socket at which another process asks `enpd`, by a line of JSON: for all connections, as
//! [`crate::handover`] has it, or what is counted of the site. Only root and the user of this
//! process are listened to.
#![expect(
    clippy::disallowed_methods,
    reason = "a thread of its own waits for whoever comes, and a little if that fails"
)]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use serde_json::{Value, json};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::handover::{Giving, Hello, Successor, TakingError};
use crate::own_socket::OwnSocket;
use crate::site::{Counters, Figures};

/// What clients are written down as, and what both processes say: to be raised with every change of
/// it.
pub const FORMAT: u64 = 5;
/// What the socket is called among those that another process inherits.
const NAME: &str = "ens-control";
/// The longest question, in bytes, and how long it may take to come.
const QUESTION_BYTES_MAX: u64 = 4096;
const ANSWER_BYTES_MAX: u64 = 4096;
const ASKED_WITHIN: Duration = Duration::from_secs(10);
/// How soon it is tried again, if somebody can't be let in.
const AGAIN: Duration = Duration::from_millis(100);

/// The socket.
pub struct Control(OwnSocket);

impl Control {
    /// Listens at a path, as [`OwnSocket::bind`] has it.
    ///
    /// # Errors
    /// Its own.
    pub fn bind(path: &Path) -> io::Result<Self> {
        OwnSocket::bind(NAME, path).map(Self)
    }

    /// Another descriptor of it, and its name.
    ///
    /// # Errors
    /// If the process may have no more.
    pub fn copy(&self) -> io::Result<(&'static str, OwnedFd)> {
        Ok((NAME, self.0.listener().try_clone()?.into()))
    }

    /// Gives everything to whoever asks for it, and says what is counted of the site if there is
    /// one, from now on, on a thread of its own.
    ///
    /// # Errors
    /// If the system has no more threads or descriptors.
    pub fn serve(&self, giving: Arc<Giving>, site: Option<Arc<Counters>>) -> io::Result<()> {
        let listener = self.0.listener().try_clone()?;
        let serve = move || {
            for stream in listener.incoming() {
                // Who asks and leaves is no fault.
                if stream
                    .and_then(|stream| answer(stream, &giving, site.as_deref()))
                    .is_err()
                {
                    std::thread::sleep(AGAIN);
                }
            }
        };
        Builder::new().name("control".into()).spawn(serve).map(drop)
    }
}

/// Asks the running broker for all it has.
///
/// # Errors
/// If none runs, or it says no.
pub fn ask(path: &Path, shards: u16) -> Result<Successor, TakingError> {
    Successor::ask(UnixStream::connect(path)?, FORMAT, &[shards])
}

/// What the running broker counts of the site that it has joined; none if it has joined none, or is
/// of a version that doesn't say. Waits for each step no longer than this, whatever the broker is
/// at.
///
/// # Errors
/// If none runs, or it doesn't answer.
pub fn figures(path: &Path, within: Duration) -> io::Result<Option<Figures>> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A full queue is no reason to wait.
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    socket.set_nonblocking(false)?;
    let mut stream = UnixStream::from(OwnedFd::from(socket));
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
    writeln!(stream, "{}", json!({ "ask": "site" }))?;
    let mut line = String::new();
    BufReader::new(stream.take(ANSWER_BYTES_MAX)).read_line(&mut line)?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let answer: Value = serde_json::from_str(&line)?;
    Ok(Figures::from_json(&answer["site"]))
}

fn answer(mut stream: UnixStream, giving: &Giving, site: Option<&Counters>) -> io::Result<()> {
    let peer = rustix::net::sockopt::socket_peercred(&stream)?;
    stream.set_read_timeout(Some(ASKED_WITHIN))?;
    stream.set_write_timeout(Some(ASKED_WITHIN))?;
    let own = rustix::process::geteuid();
    if !peer.uid.is_root() && peer.uid != own {
        let why = "only root and the service user may ask";
        return writeln!(stream, "{}", json!({ "error": why }));
    }
    let mut line = String::new();
    let mut limited = BufReader::new((&stream).take(QUESTION_BYTES_MAX));
    limited.read_line(&mut line)?;
    let question: Value = serde_json::from_str(&line).unwrap_or_default();
    if question["ask"] == "site" {
        let figures = site.map(|counters| counters.figures().to_json());
        return writeln!(stream, "{}", json!({ "site": figures }));
    }
    let hello = Hello::read(&question).filter(|_| question["ask"] == "upgrade");
    let refusal = match &hello {
        Some(hello) => giving.refusal(hello),
        None => Some("that is no question".into()),
    };
    if let (Some(hello), None) = (hello, &refusal) {
        writeln!(stream, "{}", json!({ "upgrade": true }))?;
        giving.give(stream, peer.pid.as_raw_nonzero().get(), &hello);
        return Ok(());
    }
    writeln!(stream, "{}", json!({ "error": refusal }))
}
