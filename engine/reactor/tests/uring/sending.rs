//! Fan-out, and peers that do not read.

use std::collections::BTreeMap;
use std::io::Read;

use bytes::Bytes;
use reactor::{Completion, Conn, Reactor};

use crate::host::{Host, both, options};

#[test]
fn one_buffer_reaches_thousands() {
    const PEERS: usize = 4000;
    both(|rings| {
        let mut host = Host::with(reactor::uring::Options {
            batch: 256,
            ..options(rings, (PEERS / rings + 10) as u32)
        });
        let mut clients = Host::with(reactor::uring::Options {
            receive_buffers: 64,
            ..options(1, PEERS as u32)
        });
        clients.reactor.accept(false);
        clients.flush();
        let mut conns = Vec::new();
        while conns.len() < PEERS {
            for token in 0..100 {
                clients.reactor.connect(token, host.address, None);
            }
            let mut connected = 0;
            clients.until(|reactor, completion| {
                let Completion::Connected { result, .. } = completion else {
                    return None;
                };
                reactor.read(result.expect("accepted"), true);
                connected += 1;
                (connected == 100).then_some(())
            });
            for _ in 0..100 {
                let conn = host.accepted();
                host.reactor.read(conn, true);
                conns.push(conn);
            }
        }
        let message = Bytes::from_static(b"* 23 EXISTS\r\n");
        for round in 0..3 {
            for conn in &conns {
                host.reactor.send(*conn, message.clone());
                if round == 2 {
                    host.reactor
                        .send(*conn, Bytes::from_static(b"* 1 RECENT\r\n"));
                }
            }
            host.flush();
            assert!(host.completions.is_empty(), "success is silent");
        }
        let whole = b"* 23 EXISTS\r\n* 23 EXISTS\r\n* 23 EXISTS\r\n* 1 RECENT\r\n";
        let mut heard: BTreeMap<Conn, Vec<u8>> = BTreeMap::new();
        let mut complete = 0;
        clients.until(|_, completion| {
            let Completion::Received { conn, data } = completion else {
                panic!("{completion:?}");
            };
            let text = heard.entry(conn).or_default();
            text.extend_from_slice(&data);
            assert!(whole.starts_with(text), "in order");
            complete += usize::from(text.len() == whole.len());
            (complete == PEERS).then_some(())
        });
    });
}

/// Sends `pieces` a turn until one turn's bytes did not all leave, then pays what is owed as the
/// peer reads. What the peer reads must be what was sent.
fn overrun(rings: usize, pieces: &[Bytes]) {
    let mut host = Host::new(rings, 16);
    let (mut client, conn) = host.accept();
    let mut sent: Vec<u8> = Vec::new();
    let mut owed = None;
    while owed.is_none() {
        for piece in pieces {
            sent.extend_from_slice(piece);
            host.reactor.send(conn, piece.clone());
        }
        host.flush();
        let mut unsent = host.completions.drain(..);
        owed = unsent.next().map(|completion| match completion {
            Completion::Unsent {
                conn: whose,
                rest,
                error: None,
            } => {
                assert_eq!(whose, conn);
                assert!(
                    sent.ends_with(&rest),
                    "the rest is the end of what was sent"
                );
                rest
            }
            other => panic!("{other:?}"),
        });
        assert!(unsent.next().is_none(), "once");
    }
    let total = sent.len();
    let reader = std::thread::spawn(move || {
        let mut bytes = vec![0; total];
        client.read_exact(&mut bytes).expect("all comes in the end");
        (client, bytes)
    });
    while let Some(rest) = owed.take() {
        host.reactor.watch_writable(conn);
        host.until(|_, completion| {
            assert!(matches!(completion, Completion::Writable { .. }));
            Some(())
        });
        host.reactor.send(conn, rest);
        host.flush();
        owed = host
            .completions
            .drain(..)
            .next()
            .map(|completion| match completion {
                Completion::Unsent {
                    rest, error: None, ..
                } => rest,
                other => panic!("{other:?}"),
            });
    }
    let (_client, bytes) = reader.join().expect("read");
    assert!(bytes == sent, "every byte, in order");
}

#[test]
fn a_peer_that_stops_reading_gets_every_byte_later() {
    let numbers = |count: u32| -> Bytes { (0..count).flat_map(u32::to_le_bytes).collect() };
    both(|rings| {
        overrun(rings, &[numbers(100_000)]);
        overrun(rings, &[numbers(10_000), numbers(3), numbers(7_001)]);
        // More parts than one message takes.
        overrun(rings, &vec![numbers(5); 1500]);
    });
}

#[test]
fn a_stuck_peer_does_not_hold_the_others() {
    both(|rings| {
        let mut host = Host::new(rings, 64);
        let (_stuck, deaf) = host.accept();
        let mut others: Vec<_> = (0..30).map(|_| host.accept()).collect();
        let large = Bytes::from(vec![b'-'; 8 << 20]);
        for (number, (client, conn)) in others.iter_mut().enumerate() {
            host.reactor.send(deaf, large.clone());
            host.reactor
                .send(*conn, Bytes::from(format!("to {number:3}")));
            host.flush();
            let mut text = [0; 6];
            client.read_exact(&mut text).expect("not held up");
            assert_eq!(text, format!("to {number:3}").as_bytes());
            let unsent = host
                .completions
                .drain(..)
                .map(|completion| completion.conn());
            assert_eq!(unsent.collect::<Vec<_>>(), [Some(deaf)]);
        }
    });
}
