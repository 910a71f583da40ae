//! A socket to a broker, TCP or Unix, with TLS or without, behind which it doesn't matter.
#![expect(
    clippy::disallowed_methods,
    reason = "a client has a thread of its own and the machine's clock"
)]

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::Socket;

use super::Address;
use super::secure::Secure;

/// Sealed bytes received at a time.
const SEALED_BYTES: usize = 16 * 1024;

/// A connected stream socket.
pub(super) struct Stream {
    socket: Socket,
    /// TLS; nobody waits for the socket while it is locked.
    secure: Option<Mutex<Secure>>,
}

impl Stream {
    /// Connects, to the first address of the host that answers, and shakes hands if TLS is spoken
    /// there; `ca` names the file of certificates that are trusted.
    pub fn connect(address: &Address, ca: Option<&Path>, within: Duration) -> io::Result<Self> {
        let (socket, secure): (Socket, _) = match address {
            Address::Unix(path) => (UnixStream::connect(path)?.into(), None),
            Address::Tcp(host, port) => (tcp(host, *port, within)?.into(), None),
            Address::Tls(host, port) => {
                let stream = tcp(host, *port, within)?;
                let secure = Secure::connect(&stream, host, ca, within)?;
                (stream.into(), Some(Mutex::new(secure)))
            }
        };
        socket.set_keepalive(true)?;
        Ok(Self { socket, secure })
    }

    /// Waits for bytes; 0 at the end.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(secure) = &self.secure else {
            return io::Read::read(&mut &self.socket, buffer);
        };
        let mut sealed = [0; SEALED_BYTES];
        loop {
            if let Some(count) = lock(secure).take(buffer) {
                return Ok(count);
            }
            let count = io::Read::read(&mut &self.socket, &mut sealed)?;
            lock(secure).receive(&sealed[..count])?;
        }
    }

    /// As [`Stream::receive`], but no longer than that; who receives without end afterwards says so
    /// by [`Stream::be_patient`].
    pub fn receive_until(&self, buffer: &mut [u8], until: Instant) -> io::Result<usize> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "it says nothing");
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(late());
        }
        self.socket.set_read_timeout(Some(left))?;
        self.receive(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => late(),
            _ => error,
        })
    }

    /// Receives without end from now on.
    pub fn be_patient(&self) -> io::Result<()> {
        self.socket.set_read_timeout(None)
    }

    /// Sends what the kernel takes at once.
    pub fn send_some(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = AtOnce(&self.socket);
        let sent = match &self.secure {
            Some(secure) => lock(secure).send_some(bytes, &mut socket),
            None => io::Write::write(&mut socket, bytes),
        };
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            sent => sent,
        }
    }

    /// Whether something that was taken by [`Stream::send_some`] has not left.
    pub fn is_behind(&self) -> bool {
        self.secure.as_ref().is_some_and(|it| lock(it).is_behind())
    }

    /// Waits until there is room.
    pub fn wait_for_room(&self) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, poll};
        poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], None)?;
        Ok(())
    }

    /// Ends it, and with it what waits for it in other threads.
    pub fn shut_down(&self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

fn lock(secure: &Mutex<Secure>) -> MutexGuard<'_, Secure> {
    secure.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tcp(host: &str, port: u16, within: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, within) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A socket that takes what fits at once.
struct AtOnce<'a>(&'a Socket);

impl io::Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let flags = rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL;
        match rustix::net::send(self.0, bytes, flags) {
            Ok(sent) => Ok(sent),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
