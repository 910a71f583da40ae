//! Bytes in both directions.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

use bytes::Bytes;
use reactor::{Completion, Conn, Reactor, Rng};

use crate::host::{Host, SECOND_NS, both, write_from_thread};

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
fn many_connections_echo() {
    both(|rings| {
        let mut host = Host::new(rings, 300);
        let mut rng = Rng::new(rings as u64);
        let clients: Vec<_> = (0..280)
            .map(|_| {
                let client = host.dial();
                let bytes: Vec<u8> = (0..rng.below(20_000)).map(|_| rng.u64() as u8).collect();
                let (mut reader, expected) =
                    (client.try_clone().expect("one more file"), bytes.clone());
                let writer = write_from_thread(client, bytes, |client| {
                    client.shutdown(std::net::Shutdown::Write).expect("open");
                });
                std::thread::spawn(move || {
                    let mut echo = Vec::new();
                    reader.read_to_end(&mut echo).expect("closed cleanly");
                    assert!(echo == expected, "every byte, in order");
                    writer.join().expect("wrote all");
                })
            })
            .collect();
        let mut owed: BTreeMap<Conn, Bytes> = BTreeMap::new();
        let mut ended = 0;
        let mut gone = BTreeSet::new();
        host.until(|reactor, completion| {
            match completion {
                Completion::Accepted { conn, .. } => reactor.read(conn, true),
                Completion::Received { conn, data } => {
                    reactor.send(conn, Bytes::copy_from_slice(&data))
                }
                Completion::Unsent { conn, rest, error } => {
                    assert_eq!(error, None);
                    // Owed bytes go first, so nothing may be read until they left.
                    reactor.read(conn, false);
                    let before = owed.insert(conn, rest);
                    assert!(before.is_none(), "one debt at a time");
                    reactor.watch_writable(conn);
                }
                Completion::Writable { conn } => {
                    reactor.send(conn, owed.remove(&conn).expect("watched for a debt"));
                    reactor.read(conn, true);
                }
                Completion::Hangup { conn, error } => {
                    assert_eq!(error, None);
                    assert!(gone.insert(conn), "a hangup comes once");
                    reactor.close(conn);
                    ended += 1;
                }
                Completion::Connected { .. } => panic!("nobody connects"),
            }
            (ended == 280).then_some(())
        });
        host.flush();
        for client in clients {
            client.join().expect("echoed");
        }
        assert_eq!(host.reactor.open().iter().sum::<u32>(), 0);
    });
}

#[test]
fn reading_can_be_turned_off() {
    let mut host = Host::new(1, 16);
    let (mut client, conn) = host.accept();
    host.reactor.read(conn, false);
    client.write_all(b"later").expect("open");
    host.pass(SECOND_NS / 20);
    assert!(
        !host
            .completions
            .iter()
            .any(|c| matches!(c, Completion::Received { .. }))
    );
    host.reactor.read(conn, true);
    assert_eq!(host.receive(conn, 5), b"later");
}
