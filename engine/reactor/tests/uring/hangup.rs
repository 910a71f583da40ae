//! How connections end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use bytes::Bytes;
use reactor::uring::{Options, Uring};
use reactor::{Completion, Reactor};

use crate::host::{Host, SECOND_NS, both, options, write_from_thread};

fn none_more(host: &mut Host) {
    host.pass(SECOND_NS / 50);
    assert!(host.completions.is_empty(), "{:?}", host.completions);
}

#[test]
fn a_clean_end_comes_once_and_after_the_bytes() {
    both(|rings| {
        let mut host = Host::new(rings, 16);
        // From nothing to many buffers.
        for len in [0, 1, 63, 64, 65, 128, 10_000] {
            let (client, conn) = host.accept();
            let text = vec![b'x'; len];
            let writer = write_from_thread(client, text.clone(), drop);
            assert_eq!(host.receive_all(conn), (text, None));
            writer.join().expect("wrote");
            none_more(&mut host);
            host.reactor.close(conn);
        }
    });
}

#[test]
fn a_reset_names_its_error() {
    both(|rings| {
        let mut host = Host::new(rings, 16);
        let (client, conn) = host.accept();
        host.flush();
        socket2::SockRef::from(&client)
            .set_linger(Some(std::time::Duration::ZERO))
            .expect("a TCP socket");
        drop(client);
        assert_eq!(host.receive_all(conn), (Vec::new(), Some(libc::ECONNRESET)));
        none_more(&mut host);
        // What is sent now does not leave, and says why.
        host.reactor.send(conn, Bytes::from_static(b"any"));
        host.reactor.send(conn, Bytes::from_static(b"one?"));
        host.flush();
        match host.completions.pop() {
            Some(Completion::Unsent { rest, error, .. }) => {
                assert_eq!((&*rest, error), (&b"anyone?"[..], Some(libc::EPIPE)));
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn bytes_sent_before_a_close_arrive() {
    both(|rings| {
        let mut host = Host::new(rings, 16);
        for watched in [false, true] {
            let (mut client, conn) = host.accept();
            if watched {
                host.reactor.watch_writable(conn);
            }
            host.flush();
            host.reactor.send(conn, Bytes::from_static(b"* BYE "));
            host.reactor.send(conn, Bytes::from_static(b"now\r\n"));
            host.reactor.close(conn);
            host.flush();
            let mut text = String::new();
            client.read_to_string(&mut text).expect("closed, not reset");
            assert_eq!(text, "* BYE now\r\n");
            host.completions.clear();
        }
        none_more(&mut host);
        assert_eq!(host.reactor.open().iter().sum::<u32>(), 0);
    });
}

/// Polls of many are let go at once, by the end of their thread and its rings.
#[test]
fn who_is_closed_by_a_reactor_that_winds_down_hears_it_when_that_is_gone_at_the_latest() {
    both(|rings| {
        for cancelled_max in [0, 16] {
            let (told, address) = std::sync::mpsc::channel();
            let (may_end, end) = std::sync::mpsc::channel::<()>();
            let thread = std::thread::spawn(move || {
                let mut host = Host::with(Options {
                    cancelled_max,
                    ..options(rings, 16)
                });
                told.send(host.address).expect("awaited");
                let conn = host.accepted();
                host.reactor.read(conn, true);
                host.flush();
                host.reactor.wind_down();
                host.reactor
                    .send(conn, Bytes::from_static(b"* BYE now\r\n"));
                host.reactor.close(conn);
                host.flush();
                assert_eq!(host.reactor.open().iter().sum::<u32>(), 0);
                let _ = end.recv();
            });
            let address = address.recv().expect("a listener");
            let mut client = TcpStream::connect(address).expect("listening");
            client
                .set_read_timeout(Some(Duration::from_secs(20)))
                .expect("valid");
            let mut may_end = Some(may_end);
            if cancelled_max == 0 {
                may_end = None;
            }
            let mut text = String::new();
            client.read_to_string(&mut text).expect("closed, not reset");
            assert_eq!(text, "* BYE now\r\n");
            drop(may_end);
            thread.join().expect("it works");
        }
    });
}

/// Another poll is asked for when all was received, and only then.
#[test]
fn who_says_something_bit_by_bit_is_heard_each_time() {
    both(|rings| {
        let mut host = Host::new(rings, 16);
        let (mut client, conn) = host.accept();
        for turn in 0..50u8 {
            // More than a buffer holds, and less.
            let text = vec![turn; 1 + usize::from(turn) * 7];
            client.write_all(&text).expect("open");
            let mut heard = Vec::new();
            while heard.len() < text.len() {
                heard.extend(host.until(|_, completion| match completion {
                    Completion::Received { data, .. } => Some(data.to_vec()),
                    _ => None,
                }));
            }
            assert_eq!(heard, text);
            if turn % 3 == 0 {
                host.reactor.read(conn, false);
                host.flush();
                client.write_all(b"later").expect("open");
                none_more(&mut host);
                host.reactor.read(conn, true);
                assert_eq!(host.receive(conn, 5), b"later");
            }
        }
    });
}

#[test]
fn a_close_reaches_the_peer_while_its_bytes_are_on_their_way() {
    both(|rings| {
        let mut host = Host::new(rings, 16);
        for _ in 0..100 {
            let (mut client, conn) = host.accept();
            host.flush();
            client.write_all(b"unheard").expect("open");
            // The poll has fired, but nobody has looked yet.
            host.reactor.close(conn);
            host.flush();
            let end = client.read(&mut [0; 8]);
            let reset = end
                .as_ref()
                .is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset);
            assert!(reset || end.as_ref().is_ok_and(|len| *len == 0), "{end:?}");
        }
        none_more(&mut host);
    });
}

#[test]
fn unix_sockets_end_as_well() {
    both(|rings| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a free path");
        let mut host = Host::new(1, 16);
        host.reactor = Uring::new(options(rings, 16), vec![listener.into()]).expect("works");
        host.reactor.expect_peers(0);
        for len in [0, 1, 64, 100, 5000] {
            let client = UnixStream::connect(&path).expect("listening");
            let conn = host.accepted();
            let error = host.reactor.peer(conn).expect_err("it has no IP address");
            assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
            host.reactor.read(conn, true);
            let text = vec![b'u'; len];
            let sent = text.clone();
            let writer = std::thread::spawn(move || {
                let mut client = client;
                for piece in sent.chunks(33) {
                    client.write_all(piece).expect("the host reads");
                }
            });
            assert_eq!(host.receive_all(conn), (text, None));
            writer.join().expect("wrote");
            host.reactor.close(conn);
        }
    });
}
