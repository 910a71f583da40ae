//! The kernel's reactor against ordinary sockets, with one ring and with three.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use reactor::uring::{Options, Uring};
use reactor::{Completion, Conn, Reactor};

const SECOND_NS: u64 = 1_000_000_000;

struct Host {
    reactor: Uring,
    address: SocketAddr,
    completions: Vec<Completion>,
}

impl Host {
    fn new(rings: usize, files_per_ring: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let options = Options {
            rings,
            files_per_ring,
            accept_margin: files_per_ring / 4,
            receive_buffers: 4,
            receive_buffer_bytes: 64,
            ..Options::default()
        };
        let reactor = Uring::new(options, vec![listener.into()]).expect("io_uring works here");
        Self {
            reactor,
            address,
            completions: Vec::new(),
        }
    }

    /// Turns until `found` picks something out of the completions.
    fn until<T>(&mut self, mut found: impl FnMut(&mut Uring, Completion) -> Option<T>) -> T {
        let deadline = self.reactor.now_ns() + 20 * SECOND_NS;
        loop {
            for completion in std::mem::take(&mut self.completions) {
                if let Some(value) = found(&mut self.reactor, completion) {
                    return value;
                }
            }
            assert!(self.reactor.now_ns() < deadline, "nothing came for 20 s");
            self.reactor.waker().announce_sleep();
            self.reactor.turn(Some(deadline), &mut self.completions);
        }
    }

    fn accept(&mut self) -> (TcpStream, Conn) {
        let client = TcpStream::connect(self.address).expect("listening");
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("valid");
        let conn = self.until(|_, completion| match completion {
            Completion::Accepted { conn, .. } => Some(conn),
            _ => None,
        });
        self.reactor.read(conn, true);
        (client, conn)
    }

    fn receive(&mut self, wanted: Conn, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.until(|_, completion| {
            if let Completion::Received { conn, data } = completion
                && conn == wanted
            {
                bytes.extend_from_slice(&data);
            }
            (bytes.len() >= len).then_some(())
        });
        bytes
    }

    fn flush(&mut self) {
        self.reactor.turn(Some(0), &mut self.completions);
    }
}

fn both(test: impl Fn(usize)) {
    for rings in [1, 3] {
        test(rings);
    }
}

#[test]
fn bytes_go_both_ways() {
    both(|rings| {
        let mut host = Host::new(rings, 16);
        // More connections than one ring takes, if there are three.
        let mut peers: Vec<_> = (0..rings * 11).map(|_| host.accept()).collect();
        for (number, (client, conn)) in peers.iter_mut().enumerate() {
            let text = format!("hello {number} {}", "x".repeat(300));
            client.write_all(text.as_bytes()).expect("open");
            assert_eq!(host.receive(*conn, text.len()), text.as_bytes());
            host.reactor.send(*conn, Bytes::from(text.clone()));
            host.reactor.send(*conn, Bytes::from_static(b"!"));
            host.flush();
            let mut answer = vec![0; text.len() + 1];
            client.read_exact(&mut answer).expect("answered");
            assert_eq!(answer, format!("{text}!").as_bytes());
        }
    });
}

#[test]
fn full_table_waits_and_room_is_used() {
    both(|rings| {
        let mut host = Host::new(rings, 16);
        let first: Vec<_> = (0..rings * 16).map(|_| host.accept()).collect();
        let _waiting = TcpStream::connect(host.address).expect("the backlog takes it");
        let until = host.reactor.now_ns() + SECOND_NS / 20;
        host.reactor.waker().announce_sleep();
        host.reactor.turn(Some(until), &mut host.completions);
        let accepted = host
            .completions
            .iter()
            .any(|c| matches!(c, Completion::Accepted { .. }));
        assert!(!accepted, "the table was full");
        for (_, conn) in &first {
            host.reactor.close(*conn);
        }
        host.until(|_, completion| matches!(completion, Completion::Accepted { .. }).then_some(()));
    });
}

#[test]
fn a_peer_that_stops_reading_gets_every_byte_later() {
    both(|rings| {
        let mut host = Host::new(rings, 16);
        let (mut client, conn) = host.accept();
        let piece: Bytes = (0..100_000u32)
            .flat_map(u32::to_le_bytes)
            .collect::<Vec<_>>()
            .into();
        let mut sent = Vec::new();
        let mut owed = Bytes::new();
        while owed.is_empty() {
            sent.extend_from_slice(&piece);
            host.reactor.send(conn, piece.clone());
            host.flush();
            for completion in host.completions.drain(..) {
                if let Completion::Unsent {
                    rest, error: None, ..
                } = completion
                {
                    owed = rest;
                }
            }
        }
        let total = sent.len();
        let reader = std::thread::spawn(move || {
            let mut bytes = vec![0; total];
            client.read_exact(&mut bytes).expect("all comes in the end");
            bytes
        });
        while !owed.is_empty() {
            host.reactor.watch_writable(conn);
            host.until(|_, c| matches!(c, Completion::Writable { .. }).then_some(()));
            host.reactor.send(conn, std::mem::take(&mut owed));
            host.flush();
            for completion in host.completions.drain(..) {
                if let Completion::Unsent { rest, .. } = completion {
                    owed = rest;
                }
            }
        }
        assert_eq!(reader.join().expect("read"), sent);
    });
}

#[test]
fn hangup_comes_once_and_numbers_are_reused_cleanly() {
    both(|rings| {
        let mut host = Host::new(rings, 16);
        for round in 0..200u32 {
            let (mut client, conn) = host.accept();
            client.write_all(&round.to_le_bytes()).expect("open");
            if round % 3 == 0 {
                // Closed with bytes on their way: nobody may hear of them.
                host.reactor.close(conn);
                continue;
            }
            assert_eq!(host.receive(conn, 4), round.to_le_bytes());
            drop(client);
            host.until(|_, completion| match completion {
                Completion::Hangup { conn: gone, .. } => {
                    assert_eq!(gone, conn);
                    Some(())
                }
                Completion::Received { .. } => panic!("a stale completion"),
                _ => None,
            });
            host.reactor.close(conn);
        }
        host.flush();
        assert_eq!(host.reactor.open().iter().sum::<u32>(), 0);
    });
}

#[test]
fn reading_can_be_turned_off() {
    let mut host = Host::new(1, 16);
    let (mut client, conn) = host.accept();
    host.reactor.read(conn, false);
    client.write_all(b"later").expect("open");
    for _ in 0..10 {
        let until = host.reactor.now_ns() + SECOND_NS / 200;
        host.reactor.waker().announce_sleep();
        host.reactor.turn(Some(until), &mut host.completions);
    }
    assert!(
        !host
            .completions
            .iter()
            .any(|c| matches!(c, Completion::Received { .. }))
    );
    host.reactor.read(conn, true);
    assert_eq!(host.receive(conn, 5), b"later");
}

#[test]
fn wakes_are_not_lost() {
    both(|rings| {
        let mut host = Host::new(rings, 16);
        let waker = host.reactor.waker();
        let count = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let seen = count.clone();
        let wakes = 20_000;
        let other = std::thread::spawn(move || {
            for _ in 0..wakes {
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                waker.wake();
            }
        });
        let load = || seen.load(std::sync::atomic::Ordering::SeqCst);
        let mut last = 0;
        while last < wakes {
            host.reactor.waker().announce_sleep();
            let now = load();
            let until = if now > last {
                0
            } else {
                host.reactor.now_ns() + 20 * SECOND_NS
            };
            last = now;
            let before = host.reactor.now_ns();
            host.reactor.turn(Some(until), &mut host.completions);
            assert!(
                host.reactor.now_ns() - before < 10 * SECOND_NS,
                "a wake was lost"
            );
        }
        other.join().expect("woke");
    });
}

#[test]
fn connects_and_names_its_peer() {
    both(|rings| {
        let mut host = Host::new(rings, 64);
        let address = host.address;
        host.reactor
            .connect(7, address, Some("127.0.0.9".parse().expect("an address")));
        let (mut ours, mut theirs) = (None, None);
        host.until(|_, completion| {
            match completion {
                Completion::Connected { token: 7, result } => ours = result.ok(),
                Completion::Accepted { conn, .. } => theirs = Some(conn),
                _ => {}
            }
            (ours.is_some() && theirs.is_some()).then_some(())
        });
        let (ours, theirs) = (ours.expect("connected"), theirs.expect("accepted"));
        let peer = host.reactor.peer(theirs).expect("connected");
        assert_eq!(peer.ip().to_string(), "127.0.0.9");
        assert_eq!(host.reactor.peer(ours).expect("connected"), address);
        host.reactor.read(theirs, true);
        host.reactor.send(ours, Bytes::from_static(b"ping"));
        assert_eq!(host.receive(theirs, 4), b"ping");
    });
}

#[test]
fn refused_connect_says_so() {
    let mut host = Host::new(1, 64);
    let closed = TcpListener::bind("127.0.0.1:0")
        .expect("free")
        .local_addr()
        .expect("bound");
    host.reactor.connect(1, closed, None);
    let error = host.until(|_, completion| match completion {
        Completion::Connected { result, .. } => Some(result.expect_err("nobody listens")),
        _ => None,
    });
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    host.flush();
    assert_eq!(host.reactor.open(), [0]);
}
