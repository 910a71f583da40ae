//! The Unix socket at which another process asks `enpd` for all connections: a line of JSON, as
//! [`crate::handover`] has it. Only root and the user of this process are listened to.
#![expect(
    clippy::disallowed_methods,
    reason = "a thread of its own waits for whoever comes, and a little if that fails"
)]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use reactor::listen;
use serde_json::{Value, json};

use crate::handover::{self, Giving, Hello, Successor, TakingError};

/// What clients are written down as, and what both processes say: to be raised with every change of
/// it.
pub const FORMAT: u64 = 1;
/// What the socket is called among those that another process inherits.
const NAME: &str = "ens-control";
/// The longest question, in bytes, and how long it may take to come.
const QUESTION_BYTES_MAX: u64 = 4096;
const ASKED_WITHIN: Duration = Duration::from_secs(10);
/// How soon it is tried again, if somebody can't be let in.
const AGAIN: Duration = Duration::from_millis(100);
/// Only for its user, and root.
const MODE: u32 = 0o600;

/// The socket. Dropping it removes its name.
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Control {
    fn drop(&mut self) {
        if handover::owns_names() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Control {
    /// Listens at a path, as the process before has done, or anew: a socket that was left there is
    /// replaced.
    ///
    /// # Errors
    /// If it can't be bound, or somebody else listens there.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let own = |listener| Self {
            listener,
            path: path.to_owned(),
        };
        if let Some(socket) = listen::inherited_at(NAME, path) {
            return Ok(own(socket.into()));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE))?;
        Ok(own(listener))
    }

    /// Another descriptor of it, and its name.
    ///
    /// # Errors
    /// If the process may have no more.
    pub fn copy(&self) -> io::Result<(&'static str, OwnedFd)> {
        Ok((NAME, self.listener.try_clone()?.into()))
    }

    /// Gives everything to whoever asks for it, from now on, on a thread of its own.
    ///
    /// # Errors
    /// If the system has no more threads or descriptors.
    pub fn serve(&self, giving: Arc<Giving>) -> io::Result<()> {
        let listener = self.listener.try_clone()?;
        let serve = move || {
            for stream in listener.incoming() {
                // Who asks and leaves is no fault.
                if stream.and_then(|stream| answer(stream, &giving)).is_err() {
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

fn answer(mut stream: UnixStream, giving: &Giving) -> io::Result<()> {
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
