//! The addresses of peers: asked for in the batch behind the accept, where the host wants those of
//! a listener, or one by one.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use io_uring::{opcode, squeue};
use slab::Slab;
use socket2::{SockAddr, SockAddrStorage, SockRef};

use super::Uring;
use super::op::{Op, fixed};
use super::ring::Done;
use super::slots::ring_of;
use super::token::{Kind, Token};
use crate::{Completion, Conn, Reactor};

/// The command of the kernel's `linux/io_uring.h` that does what getsockopt does.
const SOCKET_URING_OP_GETSOCKOPT: u32 = 2;
/// Where an operation has the number of its command, in numbers of 32 bits.
const COMMAND_AT: usize = 2;

/// Addresses asked for, and those of whom the host has not asked yet, by the number of their
/// connection.
#[derive(Default)]
pub(super) struct Peers {
    asked: Slab<Asked>,
    found: BTreeMap<u32, SocketAddr>,
}

struct Asked {
    listener: u8,
    conn: Conn,
    /// How long an address is that the listener's peers have.
    len: u32,
    // Boxed: the kernel writes it when the operation is submitted.
    address: Box<SockAddrStorage>,
}

impl Peers {
    /// The connection has ended.
    pub fn forget(&mut self, conn: Conn) {
        self.found.remove(&conn.0);
    }
}

impl Uring {
    /// A connection was accepted; the host hears of it once its peer's address has come.
    pub(super) fn want_peer(&mut self, listener: u8, conn: Conn, len: u32) {
        let address = Box::new(SockAddrStorage::zeroed());
        let asked = Asked {
            listener,
            conn,
            len,
            address,
        };
        let place = self.peers.asked.insert(asked);
        self.ops.push(Op::Peer(place as u32));
    }

    pub(super) fn push_peer(&mut self, place: u32) {
        let asked = &mut self.peers.asked[place as usize];
        let (conn, value) = (asked.conn, &raw mut *asked.address);
        let option = libc::SO_PEERNAME as u32;
        let level = libc::SOL_SOCKET as u32;
        let fd = fixed(conn);
        let mut entry = opcode::SetSockOpt::new(fd, level, option, value.cast(), asked.len).build();
        get_instead(&mut entry);
        let entry = entry.user_data(Token::new(Kind::Peer, place).pack());
        // SAFETY: the address is boxed in `asked` until the operation has completed, and has room
        // for the longest.
        unsafe { self.push(ring_of(conn), 1, entry) };
    }

    pub(super) fn peer_came(&mut self, place: u32, done: &Done) {
        let asked = self.peers.asked.remove(place as usize);
        if done.result >= 0 {
            // SAFETY: the kernel has written an address of this length.
            let address = unsafe { SockAddr::new(*asked.address, asked.len) };
            let peer = address.as_socket();
            if let Some(peer) = peer {
                self.peers.found.insert(asked.conn.0, peer);
            }
        }
        self.out.push(Completion::Accepted {
            listener: asked.listener,
            conn: asked.conn,
        });
    }

    /// The peer of a connection, of whom it may be known already.
    pub(super) fn peer_of(&mut self, conn: Conn) -> io::Result<SocketAddr> {
        match self.peers.found.remove(&conn.0) {
            Some(peer) => Ok(peer),
            None => ask(&self.duplicate(conn)?),
        }
    }
}

/// Makes what sets a socket's option get it.
fn get_instead(entry: &mut squeue::Entry) {
    const _: () = assert!(size_of::<squeue::Entry>() == 64);
    // SAFETY: an entry is the kernel's `io_uring_sqe`, whose bytes 8 to 12 say which command it is.
    unsafe {
        let words = std::ptr::from_mut(entry).cast::<u32>();
        words.add(COMMAND_AT).write(SOCKET_URING_OP_GETSOCKOPT);
    }
}

/// How long the addresses of a listener's peers are; 0 if they have none.
pub(super) fn address_len(listener: &OwnedFd) -> u32 {
    let own = SockRef::from(listener).local_addr();
    match own.ok().and_then(|own| own.as_socket()) {
        Some(SocketAddr::V4(_)) => size_of::<libc::sockaddr_in>() as u32,
        Some(SocketAddr::V6(_)) => size_of::<libc::sockaddr_in6>() as u32,
        None => 0,
    }
}

fn ask(fd: &OwnedFd) -> io::Result<SocketAddr> {
    let peer = SockRef::from(fd).peer_addr()?;
    peer.as_socket()
        .ok_or_else(|| io::ErrorKind::Unsupported.into())
}
