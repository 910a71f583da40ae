//! One buffer to many sockets: the reactor beside a bare loop of `send(2)`. Receivers are in this
//! process and drained outside of the clock, so both do the same work in the kernel.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use benches::clients::{connect, drain, listener, reactor_for};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use reactor::uring::Uring;
use reactor::{Completion, Conn, Reactor};

const MESSAGE: &[u8] = b"* 4711 EXISTS\r\n* 1 RECENT\r\n";

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
                    // The standard library sends with send(2).
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
        drain(clients, connections * MESSAGE.len());
    }
    took
}

fn fanout(criterion: &mut Criterion) {
    let sizes: &[usize] = if benches::is_measuring() {
        &[10, 100, 1_000, 10_000]
    } else {
        &[10]
    };
    for &connections in sizes {
        bare(criterion, connections);
        reactor(criterion, connections);
    }
}

criterion_group!(benches, fanout);
criterion_main!(benches);
