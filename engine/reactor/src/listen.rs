//! Listening sockets: one a shard on the same port, shared with SO_REUSEPORT.
#![expect(
    clippy::disallowed_methods,
    reason = "a start waits for a port that another process is leaving"
)]

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::inherited;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// Connections that may wait to be accepted, a listener.
const BACKLOG: i32 = 4096;
/// A connection whose peer has vanished is noticed after this time plus nine probes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(600);
/// Sent data that is not acknowledged for this long ends the connection.
const USER_TIMEOUT: Duration = Duration::from_secs(120);
/// Bytes that the kernel takes for a client before it sends them; more waits in the process, where
/// it is counted. Without this a client that reads nothing has some 4 MiB of the kernel's memory.
const NOT_SENT_BYTES: u32 = 64 << 10;
/// How long a port may take to become free.
const RELEASE: Duration = Duration::from_millis(1500);
/// Between two tries.
const RELEASE_LOOK: Duration = Duration::from_millis(20);

/// Why a port can't be listened on, for the administrator.
#[derive(Debug, thiserror::Error)]
#[error("{service}: can't listen on {address}: {cause}; {advice}")]
pub struct ListenError {
    service: &'static str,
    address: SocketAddr,
    cause: std::io::Error,
    advice: String,
}

/// `count` listeners on one address. With port 0 the kernel picks the port, the same for all. If a
/// supervisor has opened a socket with the service's name already, that one is shared instead, and
/// the address is the supervisor's.
///
/// # Errors
/// If the address can't be bound, or another process listens on it.
pub fn listeners(
    service: &'static str,
    option: &str,
    address: SocketAddr,
    count: usize,
) -> Result<Vec<TcpListener>, ListenError> {
    let fail = |cause: std::io::Error| {
        let advice = match cause.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("stop the program that uses it or set {option} to another port")
            }
            std::io::ErrorKind::PermissionDenied => {
                format!("start as root or set {option} to a port above 1023")
            }
            _ => format!("set {option} and the listen address to what this host has"),
        };
        ListenError {
            service,
            address,
            cause,
            advice,
        }
    };
    if let Some(socket) = inherited::take(service).into_iter().next() {
        let socket = Socket::from(socket);
        return prepare(&socket)
            .and_then(|()| (0..count).map(|_| Ok(socket.try_clone()?.into())).collect())
            .map_err(fail);
    }
    let given = inherited::take_given(service, |socket| listens_on(socket, address));
    if !given.is_empty() {
        let of_each = (0..count).map(|number| &given[number % given.len()]);
        let ports = of_each.map(|socket| socket.try_clone().map(TcpListener::from));
        return ports.collect::<std::io::Result<Vec<_>>>().map_err(fail);
    }
    // With SO_REUSEPORT two servers could share a port without noticing. So one socket without it
    // must get the port first.
    let bound = local_address(&probe(address).map_err(fail)?).map_err(fail)?;
    (0..count)
        .map(|_| {
            let socket = socket(bound, true)?;
            bind(&socket, bound)?;
            socket.listen(BACKLOG)?;
            Ok(TcpListener::from(socket))
        })
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(fail)
}

/// Whether a socket listens on an address, or on some port of it if none is meant.
fn listens_on(socket: &OwnedFd, address: SocketAddr) -> bool {
    let own = SockRef::from(socket).local_addr().ok();
    own.and_then(|own| own.as_socket()).is_some_and(|own| {
        own.ip() == address.ip() && (address.port() == 0 || own.port() == address.port())
    })
}

/// A socket that another process of this service listens on: [`listeners`] of its name and address
/// are made of it, and of others of the same name.
pub fn inherit(name: &str, socket: OwnedFd) {
    inherited::add(name, socket);
}

/// A Unix socket that was inherited by that name, if it is at this path.
pub fn inherited_at(name: &str, path: &Path) -> Option<OwnedFd> {
    let is_there = |socket: &OwnedFd| {
        let own = SockRef::from(socket).local_addr().ok();
        own.is_some_and(|own| own.as_pathname() == Some(path))
    };
    inherited::take_given(name, is_there).into_iter().next()
}

/// Closes what was inherited from another process and is not listened on any more.
pub fn forget_inherited() {
    inherited::forget();
}

/// Takes the port for itself. The kernel closes the sockets of a killed server's rings some time
/// after its end, so a port that is in use is tried again for a while.
fn probe(address: SocketAddr) -> std::io::Result<Socket> {
    let until = Instant::now() + RELEASE;
    loop {
        let socket = socket(address, false)?;
        match bind(&socket, address) {
            Ok(()) => return Ok(socket),
            Err(error) if error.kind() != std::io::ErrorKind::AddrInUse => return Err(error),
            Err(error) if Instant::now() >= until => return Err(error),
            Err(_) => std::thread::sleep(RELEASE_LOOK),
        }
    }
}

/// Accepted sockets inherit these options from their listener.
fn prepare(socket: &Socket) -> std::io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(NOT_SENT_BYTES)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_IDLE))?;
    SockRef::from(socket).set_tcp_user_timeout(Some(USER_TIMEOUT))
}

fn socket(address: SocketAddr, shared: bool) -> std::io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    prepare(&socket)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    Ok(socket)
}

fn bind(socket: &Socket, address: SocketAddr) -> std::io::Result<()> {
    socket.bind(&address.into())
}

fn local_address(socket: &Socket) -> std::io::Result<SocketAddr> {
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| std::io::Error::other("not an IP socket"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    #[test]
    fn listeners_share_one_port() {
        let both = listeners("imap", "service.imap.port", loopback(), 2).expect("free port");
        let ports: Vec<_> = both
            .iter()
            .map(|l| l.local_addr().expect("bound").port())
            .collect();
        assert_eq!(ports[0], ports[1]);
        assert_ne!(ports[0], 0);
    }

    #[test]
    fn occupied_port_names_the_option() {
        let first = listeners("imap", "service.imap.port", loopback(), 1).expect("free port");
        let address = first[0].local_addr().expect("bound");
        let error = listeners("imap", "service.imap.port", address, 1).expect_err("occupied");
        let text = error.to_string();
        assert!(text.contains("service.imap.port"), "{text}");
        assert!(text.contains(&address.to_string()), "{text}");
    }
}
