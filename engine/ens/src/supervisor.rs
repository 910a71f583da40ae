//! Telling a supervisor that a service is ready: systemd's sd_notify(3).

use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The way to the supervisor. It stays open to a process that can't make such a socket any more.
pub struct Supervisor(UnixDatagram);

impl Supervisor {
    /// The one whose socket is in `NOTIFY_SOCKET`, if there is one.
    ///
    /// # Errors
    /// If it can't be reached.
    pub fn from_env() -> io::Result<Option<Self>> {
        let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
            return Ok(None);
        };
        let text = path.as_encoded_bytes();
        let address = match text.strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(&path)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        Ok(Some(Self(socket)))
    }

    /// The way that another process of this service has had.
    pub fn of(descriptor: OwnedFd) -> Self {
        Self(descriptor.into())
    }

    /// Another descriptor of it, for another process.
    ///
    /// # Errors
    /// If this process may have no more.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.0.try_clone().map(OwnedFd::from)
    }

    /// Sends `MAINPID=`: the service is another process from now on.
    ///
    /// # Errors
    /// If it can't be sent.
    pub fn main_process(&self, pid: i32) -> io::Result<()> {
        self.0.send(format!("MAINPID={pid}\n").as_bytes()).map(drop)
    }

    /// Sends `READY=1`.
    ///
    /// # Errors
    /// If it can't be sent.
    pub fn ready(&self) -> io::Result<()> {
        self.0.send(b"READY=1\n").map(drop)
    }
}
