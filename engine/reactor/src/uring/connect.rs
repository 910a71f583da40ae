//! Outgoing connections: SOCKET → BIND → CONNECT, all on direct descriptors.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{FromRawFd, OwnedFd};

use io_uring::{opcode, squeue, types};
use slab::Slab;
use socket2::SockAddr;

use super::Uring;
use super::op::{Op, fixed};
use super::slots::ring_of;
use super::token::{Kind, Token};
use crate::{Completion, Conn, Reactor};

/// The value of the socket options that are turned on.
static ON: i32 = 1;

/// Connects under way.
#[derive(Default)]
pub(super) struct Connects {
    wanted: Slab<Wanted>,
}

struct Wanted {
    token: u64,
    // Boxed: the kernel reads the addresses when the operations are submitted.
    to: Box<SockAddr>,
    from: Option<Box<SockAddr>>,
    conn: Option<Conn>,
}

impl Connects {
    /// Notes a connect and returns its place.
    pub fn want(&mut self, token: u64, to: SocketAddr, from: Option<IpAddr>) -> u32 {
        let wanted = Wanted {
            token,
            to: Box::new(to.into()),
            from: from.map(|address| Box::new(SocketAddr::new(address, 0).into())),
            conn: None,
        };
        self.wanted.insert(wanted) as u32
    }
}

impl Uring {
    pub(super) fn push_socket(&mut self, place: u32) {
        let Some(ring) = self.rings.iter().position(|ring| ring.room() > 0) else {
            return self.not_connected(place, libc::ENFILE);
        };
        self.rings[ring].promised += 1;
        let domain = i32::from(self.connects.wanted[place as usize].to.family());
        let entry = opcode::Socket::new(domain, libc::SOCK_STREAM, 0)
            .file_index(Some(types::DestinationSlot::auto_target()))
            .build()
            .user_data(Token::new(Kind::Socket, place).pack());
        // SAFETY: the entry points to nothing.
        unsafe { self.push(ring, 1, entry) };
    }

    pub(super) fn socket_made(&mut self, ring: usize, place: u32, result: i32) {
        self.rings[ring].promised -= 1;
        let Ok(slot) = u32::try_from(result) else {
            return self.not_connected(place, -result);
        };
        let conn = self.opened(ring, slot);
        self.connects.wanted[place as usize].conn = Some(conn);
        self.ops.push(Op::Dial(place));
    }

    pub(super) fn push_dial(&mut self, place: u32) {
        let wanted = &self.connects.wanted[place as usize];
        let conn = wanted.conn.expect("the socket was made");
        let fd = fixed(conn);
        let token = Token::new(Kind::Connect, place).pack();
        let connect = opcode::Connect::new(fd, wanted.to.as_ptr().cast(), wanted.to.len())
            .build()
            .user_data(token);
        let mut chain = vec![set_on(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY)];
        if let Some(from) = &wanted.from {
            // The port is chosen at the connect: as many connections to each peer as it has ports.
            chain.push(set_on(fd, libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT));
            let bind = opcode::Bind::new(fd, from.as_ptr().cast(), from.len())
                .build()
                .user_data(token)
                .flags(squeue::Flags::SKIP_SUCCESS | squeue::Flags::IO_LINK);
            chain.push(bind);
        }
        chain.push(connect);
        for (number, entry) in chain.iter().enumerate() {
            let still_to_come = chain.len() - number;
            // SAFETY: the addresses are boxed in `wanted` until the connect has completed, and the
            // options' value is static.
            unsafe { self.push(ring_of(conn), still_to_come, entry.clone()) };
        }
    }

    pub(super) fn push_acknowledge(&mut self, conn: Conn) {
        let entry = set_on(fixed(conn), libc::IPPROTO_TCP, libc::TCP_QUICKACK);
        // SAFETY: the option's value is static.
        unsafe { self.push(ring_of(conn), 1, entry) };
    }

    /// A BIND failed, or a CONNECT ended.
    pub(super) fn dialled(&mut self, place: u32, result: i32) {
        // The completion of a CONNECT whose BIND failed is as silent as the BIND's success.
        if result < 0 {
            self.not_connected(place, -result);
        } else {
            let wanted = self.connects.wanted.remove(place as usize);
            let conn = wanted.conn.expect("the socket was made");
            self.out.push(Completion::Connected {
                token: wanted.token,
                result: Ok(conn),
            });
        }
    }

    fn not_connected(&mut self, place: u32, error: i32) {
        let wanted = self.connects.wanted.remove(place as usize);
        if let Some(conn) = wanted.conn {
            self.close(conn);
        }
        self.out.push(Completion::Connected {
            token: wanted.token,
            result: Err(io::Error::from_raw_os_error(error)),
        });
    }
}

/// Turns a socket option on. Older kernels refuse, and nothing depends on it.
fn set_on(fd: types::Fixed, level: i32, option: i32) -> squeue::Entry {
    let value = std::ptr::from_ref(&ON);
    let len = size_of_val(&ON) as u32;
    opcode::SetSockOpt::new(fd, level as u32, option as u32, value.cast(), len)
        .build()
        .user_data(Token::IGNORED)
        .flags(squeue::Flags::SKIP_SUCCESS)
}

/// A descriptor that the kernel was asked for.
pub(super) fn installed(result: i32) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result));
    }
    // SAFETY: the kernel has just installed this descriptor for us and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(result) })
}
