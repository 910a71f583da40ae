//! Connections that go from one reactor to another.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;

use bytes::Bytes;
use reactor::{Completion, Reactor};

use crate::host::{Host, SECOND_NS, both};

fn heard(host: &Host) -> bool {
    let received = |one: &Completion| matches!(one, Completion::Received { .. });
    host.completions.iter().any(received)
}

#[test]
fn a_connection_goes_on_with_another_reactor() {
    both(|rings| {
        let (mut old, mut new) = (Host::new(rings, 16), Host::new(rings, 16));
        let (mut client, conn) = old.accept();
        client.write_all(b"one").expect("connected");
        assert_eq!(old.receive(conn, 3), b"one");
        // Both have it: the new one watches, and takes nothing.
        new.reactor.hold(true);
        let copy = old.reactor.duplicate(conn).expect("it is open");
        let taken = new.reactor.adopt(copy).expect("there is room");
        new.reactor.read(taken, true);
        client.write_all(b"two").expect("connected");
        assert_eq!(old.receive(conn, 3), b"two");
        new.pass(SECOND_NS / 50);
        assert!(!heard(&new));
        // From here on the other way round.
        old.reactor.hold(true);
        client.write_all(b"three").expect("connected");
        old.pass(SECOND_NS / 50);
        assert!(!heard(&old));
        new.reactor.hold(false);
        assert_eq!(new.receive(taken, 5), b"three");
        new.reactor.send(taken, Bytes::from_static(b"four"));
        new.flush();
        let mut four = [0; 4];
        client.read_exact(&mut four).expect("it is sent");
        assert_eq!(&four, b"four");
        assert_eq!(new.reactor.peer(taken).ok(), client.local_addr().ok());
        client.write_all(b"five").expect("connected");
        assert_eq!(new.receive(taken, 4), b"five");
        // The old one's ring is there for as long as this thread.
        new.reactor.share(true);
        new.reactor.close(taken);
        new.flush();
        assert_eq!(client.read(&mut four).expect("closed, not reset"), 0);
    });
}

#[test]
fn what_is_held_comes_to_who_goes_on() {
    both(|rings| {
        let mut host = Host::new(rings, 16);
        let (mut client, conn) = host.accept();
        host.flush();
        host.reactor.hold(true);
        client.write_all(b"said meanwhile").expect("connected");
        host.pass(SECOND_NS / 50);
        assert!(!heard(&host));
        host.reactor.hold(false);
        assert_eq!(host.receive(conn, 14), b"said meanwhile");
    });
}

#[test]
fn an_end_is_told_although_another_process_has_the_connection() {
    both(|rings| {
        let mut host = Host::new(rings, 16);
        let (mut client, conn) = host.accept();
        host.flush();
        let _copy = host.reactor.duplicate(conn).expect("it is open");
        host.reactor.share(true);
        host.reactor.send(conn, Bytes::from_static(b"bye"));
        host.reactor.close(conn);
        host.flush();
        let mut said = String::new();
        client.read_to_string(&mut said).expect("closed, not reset");
        assert_eq!(said, "bye");
        assert!(host.reactor.duplicate(conn).is_err(), "it is closed");
    });
}

#[test]
fn a_full_table_takes_no_more() {
    let mut host = Host::new(1, 4);
    let pairs: Vec<_> = (0..5)
        .map(|_| std::os::unix::net::UnixStream::pair().expect("a pair"))
        .collect();
    let (mut taken, mut ends) = (vec![], vec![]);
    for (one, other) in pairs {
        ends.push(other);
        taken.push(host.reactor.adopt(OwnedFd::from(one)));
    }
    let kinds: Vec<_> = taken.iter().map(|it| it.as_ref().err()).collect();
    assert!(kinds[..4].iter().all(Option::is_none), "{kinds:?}");
    assert_eq!(kinds[4].map(|it| it.kind()), Some(ErrorKind::StorageFull));
}
