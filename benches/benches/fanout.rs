//! One buffer to many sockets: the reactor beside a bare loop of `write(2)`. Receivers are in this
//! process and drained outside of the clock, so both do the same work in the kernel.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use reactor::uring::{Options, Uring};
use reactor::{Completion, Conn, Reactor};

const MESSAGE: &[u8] = b"* 4711 EXISTS\r\n* 1 RECENT\r\n";
/// Connects under way at a time: fewer than the listener's backlog.
const BURST: usize = 100;

fn reactor_for(connections: usize, listeners: Vec<OwnedFd>) -> Uring {
    Uring::new(Options::for_connections(connections), listeners).expect("io_uring works here")
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// Connects that many clients, after each burst of which `accept` takes its half.
fn connect(
    clients: &mut Uring,
    address: SocketAddr,
    connections: usize,
    mut accept: impl FnMut(usize),
) {
    let (mut done, mut completions) = (0, Vec::new());
    while done < connections {
        let burst = BURST.min(connections - done);
        for number in done..done + burst {
            clients.connect(number as u64, address, None);
        }
        let mut missing = burst;
        while missing > 0 {
            clients.turn(None, &mut completions);
            for completion in completions.drain(..) {
                if let Completion::Connected { result, .. } = completion {
                    clients.read(result.expect("the listener accepts"), true);
                    missing -= 1;
                }
            }
        }
        accept(burst);
        done += burst;
    }
}

/// Takes what was sent out of the clients' sockets.
fn drain(clients: &mut Uring, connections: usize) {
    let mut missing = connections * MESSAGE.len();
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

fn bare(criterion: &mut Criterion, connections: usize) {
    let mut clients = reactor_for(connections, vec![]);
    let (listener, address) = listener();
    let mut sockets: Vec<TcpStream> = Vec::new();
    connect(&mut clients, address, connections, |burst| {
        for _ in 0..burst {
            let (socket, _) = listener.accept().expect("a client waits");
            socket.set_nodelay(true).expect("a TCP socket");
            sockets.push(socket);
        }
    });
    let mut group = criterion.benchmark_group("fanout");
    group.throughput(Throughput::Elements(connections as u64));
    group.sample_size(10);
    group.bench_function(format!("bare/{connections}"), |bencher| {
        bencher.iter_custom(|rounds| {
            timed(rounds, &mut clients, connections, || {
                for socket in &mut sockets {
                    socket.write_all(MESSAGE).expect("there is room");
                }
            })
        });
    });
    group.finish();
}

fn reactor(criterion: &mut Criterion, connections: usize) {
    let mut clients = reactor_for(connections, vec![]);
    let (listener, address) = listener();
    let mut server = reactor_for(connections, vec![listener.into()]);
    let mut conns: Vec<Conn> = Vec::new();
    let mut completions = Vec::new();
    connect(&mut clients, address, connections, |burst| {
        let enough = conns.len() + burst;
        while conns.len() < enough {
            server.turn(None, &mut completions);
            for completion in completions.drain(..) {
                if let Completion::Accepted { conn, .. } = completion {
                    server.read(conn, true);
                    conns.push(conn);
                }
            }
        }
    });
    conns.sort();
    let message = Bytes::from_static(MESSAGE);
    let mut group = criterion.benchmark_group("fanout");
    group.throughput(Throughput::Elements(connections as u64));
    group.sample_size(10);
    group.bench_function(format!("reactor/{connections}"), |bencher| {
        bencher.iter_custom(|rounds| {
            timed(rounds, &mut clients, connections, || {
                for conn in &conns {
                    server.send(*conn, message.clone());
                }
                server.turn(Some(0), &mut completions);
                assert!(completions.is_empty(), "success is silent");
            })
        });
    });
    group.finish();
}

fn timed(rounds: u64, clients: &mut Uring, connections: usize, mut send: impl FnMut()) -> Duration {
    let mut took = Duration::ZERO;
    for _ in 0..rounds {
        let begun = Instant::now();
        send();
        took += begun.elapsed();
        drain(clients, connections);
    }
    took
}

fn fanout(criterion: &mut Criterion) {
    for connections in [10, 100, 1000, 5000] {
        bare(criterion, connections);
        reactor(criterion, connections);
    }
}

criterion_group!(benches, fanout);
criterion_main!(benches);
