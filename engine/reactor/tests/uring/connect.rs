//! Outgoing connections.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use bytes::Bytes;
use reactor::uring::Uring;
use reactor::{Completion, Reactor};

use crate::host::{Host, both, options};

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

/// Those who come in a burst are known together, whatever their family.
#[test]
fn peers_who_are_expected_are_known_when_they_come() {
    both(|rings| {
        for any in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let listener = TcpListener::bind(any).expect("a free port");
            let mut address = listener.local_addr().expect("bound");
            if any.starts_with("[::]") {
                // A mapped address.
                address.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            let mut host = Host::new(1, 16);
            let reactor = Uring::new(options(rings, 64), vec![listener.into()]);
            host.reactor = reactor.expect("works");
            host.reactor.expect_peers(0);
            let dial = |_| TcpStream::connect(address).expect("listening");
            let clients: Vec<_> = (0..30).map(dial).collect();
            let own = |client: &TcpStream| client.local_addr().expect("open").port();
            let own: BTreeSet<u16> = clients.iter().map(own).collect();
            let mut peers = BTreeSet::new();
            host.until(|reactor, completion| {
                let Completion::Accepted { conn, .. } = completion else {
                    return None;
                };
                let peer = reactor.peer(conn).expect("connected");
                assert_eq!(peer.ip().to_canonical(), address.ip());
                // It is asked for once more.
                assert_eq!(reactor.peer(conn).ok(), Some(peer));
                peers.insert(peer.port());
                (peers.len() == 30).then_some(())
            });
            assert_eq!(peers, own);
        }
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

#[test]
fn an_address_that_is_not_ours_is_refused() {
    let mut host = Host::new(1, 64);
    let address = host.address;
    let foreign = "192.0.2.1".parse().expect("an address");
    host.reactor.connect(1, address, Some(foreign));
    let error = host.until(|_, completion| match completion {
        Completion::Connected { result, .. } => Some(result.expect_err("not ours")),
        _ => None,
    });
    assert_eq!(error.kind(), std::io::ErrorKind::AddrNotAvailable);
}

#[test]
fn connects_fill_all_rings_and_then_fail() {
    both(|rings| {
        let mut host = Host::new(1, 512);
        let mut clients = Host::with(options(rings, 64));
        clients.reactor.accept(false);
        clients.flush();
        for token in 0..rings as u64 * 64 + 5 {
            clients.reactor.connect(token, host.address, None);
        }
        let (mut made, mut failed) = (BTreeSet::new(), 0);
        clients.until(|_, completion| {
            if let Completion::Connected { result, .. } = completion {
                match result {
                    Ok(conn) => assert!(made.insert(conn), "each has a number of its own"),
                    Err(error) => {
                        assert_eq!(error.raw_os_error(), Some(libc::ENFILE));
                        failed += 1;
                    }
                }
            }
            (made.len() + failed == rings * 64 + 5).then_some(())
        });
        assert_eq!((made.len(), failed), (rings * 64, 5));
        assert_eq!(clients.reactor.room(), 0);
        // All of them live.
        for conn in &made {
            clients.reactor.send(*conn, Bytes::from_static(b"?"));
        }
        clients.flush();
        let mut heard = BTreeSet::new();
        host.until(|reactor, completion| {
            match completion {
                Completion::Accepted { conn, .. } => reactor.read(conn, true),
                Completion::Received { conn, data } => {
                    assert_eq!(&*data, b"?");
                    assert!(heard.insert(conn), "each says one thing");
                }
                other => panic!("{other:?}"),
            }
            (heard.len() == made.len()).then_some(())
        });
    });
}
