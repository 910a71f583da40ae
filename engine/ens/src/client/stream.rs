//! A socket to a broker, TCP or Unix, behind which it doesn't matter.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use socket2::Socket;

use super::Address;

/// A connected stream socket.
pub(super) struct Stream(Socket);

impl Stream {
    /// Connects, to the first address of the host that answers.
    pub fn connect(address: &Address, within: Duration) -> io::Result<Self> {
        let socket: Socket = match address {
            Address::Unix(path) => UnixStream::connect(path)?.into(),
            Address::Tcp(host, port) => {
                let mut last = io::Error::other("the host has no address");
                let mut found = None;
                for address in (host.as_str(), *port).to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, within) {
                        Ok(stream) => {
                            found = Some(stream);
                            break;
                        }
                        Err(error) => last = error,
                    }
                }
                let stream = found.ok_or(last)?;
                stream.set_nodelay(true)?;
                stream.into()
            }
        };
        socket.set_keepalive(true)?;
        Ok(Self(socket))
    }

    /// Waits for bytes; 0 at the end.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut &self.0, buffer)
    }

    /// Sends what the kernel takes at once.
    pub fn send_some(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL;
        match rustix::net::send(&self.0, bytes, flags) {
            Ok(sent) => Ok(sent),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until there is room.
    pub fn wait_for_room(&self) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, poll};
        poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None)?;
        Ok(())
    }

    /// Ends it, and with it what waits for it in other threads.
    pub fn shut_down(&self) {
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}
