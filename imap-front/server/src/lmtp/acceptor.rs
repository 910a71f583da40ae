//! Listeners, a thread each, which make a thread a connection.
#![expect(
    clippy::disallowed_methods,
    reason = "a thread that accepts has nothing to do until it can again"
)]

use std::fs::File;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::open::Peer;
use super::{Common, connection};
use crate::sparing::Sparing;
use crate::{panics, planted};
use reactor::listen::{self, ListenError};

/// Connections that may wait to be accepted on a Unix socket.
const BACKLOG: i32 = 1024;
/// Everybody who reaches the path may deliver; its folder's mode says who does.
const SOCKET_MODE: u32 = 0o666;
/// Room for a connection's calls; its buffers are on the heap.
const STACK_BYTES: usize = 256 * 1024;
/// After a failure to accept, such as a lack of file descriptors.
const FAILURE_PAUSE: Duration = Duration::from_millis(100);
/// What a client hears that is one too many, in all or of its peer.
const FULL: &[u8] = b"421 4.3.2 Too many connections, come back later\r\n";

/// Why LMTP can't listen, for the administrator.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// On TCP.
    #[error(transparent)]
    Tcp(#[from] ListenError),
    /// On a Unix socket.
    #[error("lmtp: can't listen on {}: {cause}; set service.lmtp.socket to a path that can be \
             used", path.display())]
    Unix {
        /// The path.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// All listeners of LMTP.
pub struct Listeners {
    listeners: Vec<Arc<Listener>>,
    threads: Vec<JoinHandle<()>>,
}

struct Listener {
    socket: Socket,
    name: String,
    path: Option<PathBuf>,
    stopping: AtomicBool,
    failures: Sparing,
}

impl Listeners {
    /// Listens on an address, a Unix socket, or both. Nobody is accepted yet.
    ///
    /// # Errors
    /// If one can't be bound.
    pub fn bind(address: Option<SocketAddr>, socket: Option<&Path>) -> Result<Self, BindError> {
        let mut listeners = Vec::new();
        if let Some(address) = address {
            for listener in listen::listeners("lmtp", "service.lmtp.port", address, 1)? {
                let name = match listener.local_addr() {
                    Ok(bound) => bound.to_string(),
                    Err(_) => address.to_string(),
                };
                listeners.push(Arc::new(Listener::new(listener.into(), name, None)));
            }
        }
        if let Some(path) = socket {
            let socket = unix(path).map_err(|cause| BindError::Unix {
                path: path.to_owned(),
                cause,
            })?;
            let name = path.display().to_string();
            listeners.push(Arc::new(Listener::new(socket, name, Some(path.to_owned()))));
        }
        Ok(Self {
            listeners,
            threads: Vec::new(),
        })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.listeners.iter().map(|listener| &*listener.name)
    }

    pub(super) fn start(&mut self, common: &Arc<Common>) -> io::Result<()> {
        for listener in &self.listeners {
            let (listener, common) = (listener.clone(), common.clone());
            let accept = move || listener.run(&common);
            self.threads
                .push(panics::spawn_plane("lmtp-accept", accept)?);
        }
        Ok(())
    }

    pub(super) fn stop(&mut self) {
        for listener in &self.listeners {
            listener.stopping.store(true, Ordering::Release);
            // Wakes the thread that accepts; it fails only if the socket is not open, which it is.
            let _ = listener.socket.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("lmtp: a thread that accepts had panicked");
            }
        }
        for listener in self.listeners.drain(..) {
            if let Some(path) = &listener.path {
                // A socket that nobody listens on; the next start removes it, too.
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

impl Listener {
    fn new(socket: Socket, name: String, path: Option<PathBuf>) -> Self {
        Self {
            socket,
            name,
            path,
            stopping: AtomicBool::new(false),
            failures: Sparing::default(),
        }
    }

    fn run(&self, common: &Arc<Common>) {
        let mut spare = spare();
        loop {
            let accepted = self.socket.accept();
            planted::here("lmtp-accept");
            if self.stopping.load(Ordering::Acquire) {
                return;
            }
            match accepted {
                Ok((socket, peer)) => serve(common, socket, &peer),
                Err(cause) if cause.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(cause) => {
                    self.failures.say(|more| {
                        tracing::error!("lmtp: can't accept a connection: {cause}{more}");
                    });
                    // Whoever waits is told, by the descriptor that was kept for this.
                    if spare.take().is_some()
                        && let Ok((socket, _)) = self.socket.accept()
                    {
                        refuse(&TcpStream::from(socket));
                    }
                    spare = self::spare();
                    std::thread::sleep(FAILURE_PAUSE);
                }
            }
        }
    }
}

/// A descriptor to be closed when there are no more, so that one can be accepted and refused.
fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

/// Serves a connection on a thread of its own, if there is room for one more.
fn serve(common: &Arc<Common>, socket: Socket, peer: &SockAddr) {
    let address = peer.as_socket().map(|it| it.ip().to_canonical());
    // Of either kind: the type only holds the descriptor.
    let stream = Arc::new(TcpStream::from(socket));
    let Some(admission) = common.open.enter(&stream, Peer::new(address)) else {
        common.refusals.say(|more| {
            let from = address.map_or("the Unix socket".into(), |it| it.to_string());
            tracing::warn!("lmtp: too many connections, one from {from} was refused{more}");
        });
        return refuse(&stream);
    };
    let (common, client) = (common.clone(), stream.clone());
    let peer = address.map(|it| it.to_string().into());
    let serve = move || connection::run(&common, &client, &admission, peer);
    let thread = Builder::new()
        .name("lmtp".into())
        .stack_size(STACK_BYTES)
        .spawn(serve);
    if let Err(cause) = thread {
        tracing::error!("lmtp: no thread for a connection: {cause}");
        refuse(&stream);
    }
}

/// Says that there are too many connections, without waiting for the client.
fn refuse(mut stream: &TcpStream) {
    if stream.set_nonblocking(true).is_ok() {
        // A client that does not take it sees the connection close.
        let _ = stream.write_all(FULL);
    }
}

/// Listens on a path. A socket that a server left there is replaced; one that a server listens on,
/// or anything else, is not.
fn unix(path: &Path) -> io::Result<Socket> {
    let address = SockAddr::unix(path)?;
    if let Ok(there) = std::fs::symlink_metadata(path) {
        let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        if !there.file_type().is_socket() || probe.connect(&address).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&address)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}
