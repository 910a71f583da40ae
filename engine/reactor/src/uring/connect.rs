//! Outgoing connections (SOCKET → BIND → CONNECT, all on direct descriptors), and addresses.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{FromRawFd, OwnedFd};

use io_uring::{opcode, squeue, types};
use slab::Slab;
use socket2::{SockAddr, SockRef};

use super::Uring;
use super::ring::{Slot, ring_of};
use super::token::{Kind, Token};
use crate::{Completion, Conn, Reactor};

/// Connects under way.
#[derive(Default)]
pub(super) struct Connects {
    wanted: Slab<Wanted>,
    /// By connection once it has one.
    by_conn: std::collections::HashMap<u32, usize>,
}

/// Boxed: the kernel reads the addresses while the operations run.
struct Wanted {
    token: u64,
    to: Box<SockAddr>,
    from: Option<Box<SockAddr>>,
    nodelay: Box<i32>,
}

impl Uring {
    pub(super) fn begin_connect(&mut self, token: u64, to: SocketAddr, from: Option<IpAddr>) {
        let Some(ring) = self
            .rings
            .iter()
            .position(|ring| ring.free > 64.min(ring.free / 2))
        else {
            let result = Err(io::Error::from_raw_os_error(libc::ENFILE));
            self.out.push(Completion::Connected { token, result });
            return;
        };
        let domain = if to.is_ipv4() {
            libc::AF_INET
        } else {
            libc::AF_INET6
        };
        let wanted = Wanted {
            token,
            to: Box::new(to.into()),
            from: from.map(|address| Box::new(SocketAddr::new(address, 0).into())),
            nodelay: Box::new(1),
        };
        let place = self.connects.wanted.insert(wanted);
        // Taken now, so that a burst of connects spreads over the rings.
        self.rings[ring].free -= 1;
        let entry = opcode::Socket::new(domain, libc::SOCK_STREAM, 0)
            .file_index(Some(types::DestinationSlot::auto_target()))
            .build()
            .user_data(Token::new(Kind::Socket, place as u32).pack());
        self.push(ring, entry);
    }

    pub(super) fn socket_made(&mut self, ring: usize, place: u32, result: i32) {
        self.rings[ring].free += 1;
        let place = place as usize;
        let Ok(slot) = u32::try_from(result) else {
            let wanted = self.connects.wanted.remove(place);
            let result = Err(io::Error::from_raw_os_error(-result));
            self.out.push(Completion::Connected {
                token: wanted.token,
                result,
            });
            return;
        };
        let conn = self.open_slot(ring, slot);
        self.connects.by_conn.insert(conn.0, place);
        let fd = self.rings[ring].fd(conn);
        let wanted = &self.connects.wanted[place];
        let ignored = Token::new(Kind::Ignored, 0).pack();
        let quiet = squeue::Flags::SKIP_SUCCESS;
        let nodelay = opcode::SetSockOpt::new(
            fd,
            libc::IPPROTO_TCP as u32,
            libc::TCP_NODELAY as u32,
            std::ptr::from_ref(&*wanted.nodelay).cast(),
            size_of::<i32>() as u32,
        )
        .build()
        .user_data(ignored)
        .flags(quiet);
        let bind = wanted.from.as_ref().map(|from| {
            opcode::Bind::new(fd, from.as_ptr().cast(), from.len())
                .build()
                .user_data(ignored)
                .flags(quiet | squeue::Flags::IO_LINK)
        });
        let connect = opcode::Connect::new(fd, wanted.to.as_ptr().cast(), wanted.to.len())
            .build()
            .user_data(Token::of(Kind::Connect, conn, 0).pack());
        self.push(ring, nodelay);
        if let Some(bind) = bind {
            self.push(ring, bind);
        }
        self.push(ring, connect);
    }

    pub(super) fn connected(&mut self, conn: Conn, result: i32) {
        let Some(place) = self.connects.by_conn.remove(&conn.0) else {
            return;
        };
        let wanted = self.connects.wanted.remove(place);
        let result = if result < 0 {
            if self.rings[ring_of(conn)].slot(conn).has(Slot::OPEN) {
                self.close(conn);
            }
            Err(io::Error::from_raw_os_error(-result))
        } else {
            Ok(conn)
        };
        self.out.push(Completion::Connected {
            token: wanted.token,
            result,
        });
    }
}

/// The peer of a descriptor that was installed for this purpose; closes it.
pub(super) fn peer_of(installed: i32) -> io::Result<SocketAddr> {
    if installed < 0 {
        return Err(io::Error::from_raw_os_error(-installed));
    }
    // SAFETY: the kernel has just installed this descriptor for us and nothing else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(installed) };
    SockRef::from(&fd)
        .peer_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("the peer has no IP address"))
}
