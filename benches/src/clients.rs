//! Clients on one reactor, for servers in the same process.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use reactor::uring::{Options, Uring};
use reactor::{Completion, Conn, Reactor};

/// Connects under way at a time: fewer than the listener's backlog.
const BURST: usize = 100;

/// A reactor with room for that many connections.
pub fn reactor_for(connections: usize, listeners: Vec<OwnedFd>) -> Uring {
    Uring::new(Options::for_connections(connections), listeners).expect("io_uring works here")
}

/// A listener on a free port of loopback.
pub fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// Connects that many clients and reads from them; after each burst `accept` takes its half.
pub fn connect(
    clients: &mut Uring,
    address: SocketAddr,
    connections: usize,
    mut accept: impl FnMut(usize),
) -> Vec<Conn> {
    let mut conns = Vec::with_capacity(connections);
    let mut completions = Vec::new();
    while conns.len() < connections {
        let burst = BURST.min(connections - conns.len());
        for token in 0..burst as u64 {
            clients.connect(token, address, None);
        }
        let enough = conns.len() + burst;
        while conns.len() < enough {
            clients.turn(None, &mut completions);
            for completion in completions.drain(..) {
                if let Completion::Connected { result, .. } = completion {
                    let conn = result.expect("the listener accepts");
                    clients.read(conn, true);
                    conns.push(conn);
                }
            }
        }
        accept(burst);
    }
    conns
}

/// Waits until the clients have received that many bytes, all together.
///
/// # Panics
/// If a connection ends.
pub fn drain(clients: &mut Uring, bytes: usize) {
    let mut missing = bytes;
    let mut completions = Vec::new();
    while missing > 0 {
        clients.turn(None, &mut completions);
        for completion in completions.drain(..) {
            match completion {
                Completion::Received { data, .. } => missing -= data.len(),
                Completion::Hangup { .. } => panic!("the server closed a connection"),
                _ => {}
            }
        }
    }
}
