//! Full tables, bursts, and accepting that is turned off.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use reactor::uring::options::{ACCEPT_MARGIN, Options};
use reactor::{Completion, Conn, Reactor};

use crate::host::{Host, SECOND_NS, both, options};

fn accepted(host: &mut Host) -> Vec<Conn> {
    let taken = std::mem::take(&mut host.completions);
    let conns = taken.into_iter().map(|completion| match completion {
        Completion::Accepted { conn, .. } => conn,
        other => panic!("{other:?}"),
    });
    conns.collect()
}

#[test]
fn a_burst_fills_ring_after_ring_and_loses_nobody() {
    both(|rings| fill(rings, ACCEPT_MARGIN, 150));
}

#[test]
fn multishot_accepts_move_from_ring_to_ring() {
    both(|rings| fill(rings, 16, 1));
}

/// Fills all tables. `waiting` clients are in the backlog before the first turn.
fn fill(rings: usize, accept_margin: u32, waiting: usize) {
    let mut host = Host::with(Options {
        accept_margin,
        ..options(rings, 64)
    });
    let files = rings * 64;
    let mut clients: Vec<TcpStream> = (0..files.min(waiting)).map(|_| host.dial()).collect();
    let mut conns = BTreeSet::new();
    while conns.len() < files {
        if clients.len() < files {
            clients.push(host.dial());
        }
        let conn = host.accepted();
        assert!(conns.insert(conn), "a number is given once");
    }
    assert_eq!(host.reactor.room(), 0);
    assert_eq!(host.reactor.open(), vec![64; rings]);
    let mut waiting = host.dial();
    host.pass(SECOND_NS / 20);
    assert!(accepted(&mut host).is_empty(), "the tables were full");
    // Everyone who was accepted is served: a full table has closed nobody.
    for conn in &conns {
        host.reactor.read(*conn, true);
    }
    for client in &mut clients {
        client.write_all(b"here").expect("open");
    }
    let mut heard = BTreeSet::new();
    host.until(|_, completion| {
        match completion {
            Completion::Received { conn, .. } => heard.insert(conn),
            other => panic!("{other:?}"),
        };
        (heard.len() == files).then_some(())
    });
    // Room that returns is used.
    let last = *conns.last().expect("many");
    host.reactor.close(last);
    let conn = host.accepted();
    assert_eq!(conn, last, "the only free number");
    host.reactor.close(conn);
    host.flush();
    assert_eq!(waiting.read(&mut [0]).expect("closed cleanly"), 0);
}

#[test]
fn accepting_pauses_and_resumes() {
    both(|rings| {
        let mut host = Host::new(rings, 16);
        let first = host.accept();
        host.reactor.accept(false);
        host.pass(SECOND_NS / 100);
        let _waiting = host.dial();
        host.pass(SECOND_NS / 20);
        assert!(accepted(&mut host).is_empty());
        host.reactor.accept(true);
        let second = host.accepted();
        assert_ne!(second, first.1);
    });
}

#[test]
fn two_listeners_keep_their_numbers() {
    let listeners: Vec<_> = (0..2)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0").expect("a free port"))
        .collect();
    let addresses: Vec<_> = listeners
        .iter()
        .map(|listener| listener.local_addr().expect("bound"))
        .collect();
    // Whether a listener blocks is none of the ring's business.
    listeners[1].set_nonblocking(true).expect("a socket");
    let mut host = Host::new(1, 64);
    let fds = listeners.into_iter().map(Into::into).collect();
    host.reactor = reactor::uring::Uring::new(options(1, 64), fds).expect("works");
    host.pass(SECOND_NS / 50);
    for (number, address) in addresses.iter().enumerate().rev() {
        let _client = TcpStream::connect(address).expect("listening");
        let listener = host.until(|_, completion| match completion {
            Completion::Accepted { listener, .. } => Some(listener),
            _ => None,
        });
        assert_eq!(usize::from(listener), number);
    }
}
