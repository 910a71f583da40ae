//! One buffer to many sockets: the reactor against a bare loop of `send(2)`, in one run.
//!
//! `cargo run --release -p reactor --example fanout -- [connections] [rings] [repeats]`
//!
//! Server and clients are in this process, on one thread after the other, so the ratio compares
//! the same work of the kernel: half of a connection each, and all receives outside of the clock.
#![allow(clippy::disallowed_methods, reason = "it measures")]
#![allow(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reactor::uring::{Options, Uring};
use reactor::{Completion, Conn, Reactor};

const MESSAGE: &[u8] = b"* 4711 EXISTS\r\n* 1 RECENT\r\n";
/// Connects under way at a time: fewer than the listener's backlog.
const BURST: usize = 100;
/// Clients a loopback address, so that ports never run out.
const CLIENTS_AN_ADDRESS: usize = 20_000;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| {
        let number: usize = argument.parse().expect("a number");
        number
    });
    let connections = arguments.next().unwrap_or(10_000);
    let rings = arguments.next().unwrap_or(1);
    let repeats = arguments.next().unwrap_or(15);

    let mut clients = reactor_for(connections, 1, Vec::new());
    let plain = plain_sockets(connections, &mut clients);
    let mut loops: Vec<Duration> = Vec::new();
    let mut batches: Vec<Duration> = Vec::new();

    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let mut server = reactor_for(connections, rings, vec![listener.into()]);
    let mut peers = reactor_for(connections, rings, Vec::new());
    let conns = parked_connections(address, connections, &mut server, &mut peers);
    println!(
        "{connections} connections on {:?} of {rings} rings",
        server.open()
    );

    for _ in 0..repeats {
        loops.push(bare_loop(&plain));
        clients_drain(&mut clients, plain.len() * MESSAGE.len());
        batches.push(fan_out(&mut server, &conns));
        clients_drain(&mut peers, conns.len() * MESSAGE.len());
    }
    let (bare, ours) = (median(&mut loops), median(&mut batches));
    let each = |time: Duration| time.as_nanos() as f64 / connections as f64 / 1000.0;
    println!(
        "bare send(2) loop  median {bare:>10.2?}  {:.2} us a socket",
        each(bare)
    );
    println!(
        "reactor fan-out    median {ours:>10.2?}  {:.2} us a socket",
        each(ours)
    );
    println!("ratio {:.2}", ours.as_secs_f64() / bare.as_secs_f64());
}

fn reactor_for(connections: usize, rings: usize, listeners: Vec<std::os::fd::OwnedFd>) -> Uring {
    let options = Options {
        rings,
        files_per_ring: connections.div_ceil(rings) as u32,
        ..Options::default()
    };
    Uring::new(options, listeners).expect("io_uring works here")
}

/// Sockets of the ordinary kind, half of whose pairs live in `clients`.
fn plain_sockets(connections: usize, clients: &mut Uring) -> Vec<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let mut sockets = Vec::with_capacity(connections);
    while sockets.len() < connections {
        let burst = BURST.min(connections - sockets.len());
        connect_burst(clients, address, sockets.len(), burst);
        // A handshake on loopback needs no accept: the backlog takes the burst.
        connected(clients, burst);
        for _ in 0..burst {
            let (socket, _) = listener.accept().expect("a client waits");
            socket.set_nodelay(true).expect("a TCP socket");
            sockets.push(socket);
        }
    }
    sockets
}

/// Connections of `server`, quiet and watched.
fn parked_connections(
    address: SocketAddr,
    connections: usize,
    server: &mut Uring,
    clients: &mut Uring,
) -> Vec<Conn> {
    let mut conns = Vec::with_capacity(connections);
    let mut completions = Vec::new();
    while conns.len() < connections {
        let (before, burst) = (conns.len(), BURST.min(connections - conns.len()));
        connect_burst(clients, address, before, burst);
        connected(clients, burst);
        while conns.len() < before + burst {
            server.turn(None, &mut completions);
            for completion in completions.drain(..) {
                if let Completion::Accepted { conn, .. } = completion {
                    server.read(conn, true);
                    conns.push(conn);
                }
            }
        }
    }
    conns.sort();
    conns
}

fn connect_burst(clients: &mut Uring, address: SocketAddr, before: usize, burst: usize) {
    for number in before..before + burst {
        let from = Ipv4Addr::new(127, 0, 0, 1 + (number / CLIENTS_AN_ADDRESS) as u8);
        clients.connect(number as u64, address, Some(IpAddr::V4(from)));
    }
}

fn connected(clients: &mut Uring, mut missing: usize) {
    let mut completions = Vec::new();
    while missing > 0 {
        clients.turn(None, &mut completions);
        for completion in completions.drain(..) {
            if let Completion::Connected { result, .. } = completion {
                clients.read(result.expect("the listener accepts"), true);
                missing -= 1;
            }
        }
    }
}

fn bare_loop(sockets: &[TcpStream]) -> Duration {
    let start = Instant::now();
    for socket in sockets {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the kernel reads the bytes given.
        let sent = unsafe {
            libc::send(
                socket.as_raw_fd(),
                MESSAGE.as_ptr().cast(),
                MESSAGE.len(),
                flags,
            )
        };
        assert_eq!(sent, MESSAGE.len() as isize, "there is room");
    }
    start.elapsed()
}

fn fan_out(server: &mut Uring, conns: &[Conn]) -> Duration {
    let message = Bytes::from_static(MESSAGE);
    let mut completions = Vec::new();
    let start = Instant::now();
    for conn in conns {
        server.send(*conn, message.clone());
    }
    server.turn(Some(0), &mut completions);
    let time = start.elapsed();
    assert!(completions.is_empty(), "success is silent");
    time
}

fn clients_drain(clients: &mut Uring, mut missing: usize) {
    let mut completions = Vec::new();
    while missing > 0 {
        clients.turn(None, &mut completions);
        for completion in completions.drain(..) {
            if let Completion::Received { data, .. } = completion {
                missing -= data.len();
            }
        }
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}
