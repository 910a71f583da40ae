//! Connections that go from one reactor to another: both have them for a while, and one moves them.

use std::os::fd::{AsRawFd, OwnedFd};
use std::{fs, io};

use super::Inner;
use super::end::Heir;
use crate::Conn;

impl Inner {
    /// A descriptor that stands for a connection of a reactor: any that no other one has.
    pub(super) fn duplicate(&mut self, host: usize, conn: Conn) -> io::Result<OwnedFd> {
        let end = self.hosts[host].end_of(conn);
        let end = end.filter(|end| self.is_owned(*end, host) && !self.ends[*end].closed);
        let end = end.ok_or(io::ErrorKind::NotConnected)?;
        let descriptor = OwnedFd::from(fs::File::open("/dev/null")?);
        self.descriptors.insert(descriptor.as_raw_fd(), end);
        Ok(descriptor)
    }

    /// Another reactor has the connection, too.
    pub(super) fn adopt(&mut self, host: usize, descriptor: &OwnedFd) -> io::Result<Conn> {
        let end = self.descriptors.remove(&descriptor.as_raw_fd());
        let end = end.ok_or(io::ErrorKind::NotConnected)?;
        let conn = self.hosts[host].take_number(end);
        let conn = conn.ok_or(io::ErrorKind::StorageFull)?;
        self.ends[end].heir = Some(Heir {
            host,
            conn: conn.0,
            reading: false,
        });
        Ok(conn)
    }

    /// Whether a reactor is the one that moves a connection.
    pub(super) fn is_owned(&self, end: usize, host: usize) -> bool {
        self.ends[end].host == host
    }

    /// What a reactor does that has the connection and doesn't move it: it notes what it will want,
    /// or lets go of it.
    pub(super) fn note(&mut self, end: usize, host: usize, reading: bool) {
        if let Some(heir) = self.heir_of(end, host) {
            heir.reading = reading;
        }
    }

    pub(super) fn let_go(&mut self, end: usize, host: usize, conn: Conn) {
        if self.heir_of(end, host).is_some() {
            self.ends[end].heir = None;
        }
        self.hosts[host].give_number(conn.0);
    }

    fn heir_of(&mut self, end: usize, host: usize) -> Option<&mut Heir> {
        let heir = self.ends[end].heir.as_mut();
        heir.filter(|heir| heir.host == host)
    }

    /// A reactor receives nothing for now, or again: then what it has adopted is its own.
    pub(super) fn hold(&mut self, host: usize, on: bool) {
        self.hosts[host].held = on;
        if on {
            return;
        }
        for end in self.hosts[host].ends() {
            if self.heir_of(end, host).is_some() {
                self.inherit(end);
            }
            self.look(end);
        }
    }

    /// The heir has it from now on.
    pub(super) fn inherit(&mut self, end: usize) {
        let Some(heir) = self.ends[end].heir.take() else {
            return;
        };
        let before = self.ends[end].host;
        self.hosts[before].ready.remove(&end);
        let state = &mut self.ends[end];
        (state.host, state.conn, state.reading) = (heir.host, heir.conn, heir.reading);
        state.wants_writable = false;
        state.hung_up = false;
    }

    /// A reactor listens where another one did, with those who wait there.
    pub(super) fn pass_listeners(&mut self, from: usize, to: usize) {
        for listeners in self.listeners.values_mut() {
            for (host, _) in listeners.iter_mut().filter(|(host, _)| *host == from) {
                *host = to;
            }
        }
        self.hosts[from].passed_to = Some(to);
        let waiting = std::mem::take(&mut self.hosts[from].backlog);
        for (listener, end) in waiting {
            self.arrive((from, listener), end);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use bytes::Bytes;

    use crate::sim::{Options, SimReactor, World};
    use crate::{Completion, Conn, Reactor};

    /// The old one, its client, and the new one; none once it has ended.
    type Three = [Option<SimReactor>; 3];

    fn turn(reactors: &mut Three, number: usize, act: impl FnOnce(&mut SimReactor)) {
        act(reactors[number].as_mut().expect("it is there"));
    }

    /// Lets all turn until nothing happens; gives what each has heard.
    fn settle(world: &World, reactors: &mut Three) -> Vec<Vec<Completion>> {
        let until_ns = world.now_ns() + 1_000_000_000;
        let mut heard: Vec<_> = reactors.iter().map(|_| Vec::new()).collect();
        // What was asked of them meanwhile is carried out first.
        let there: Vec<_> = (0..3).filter(|it| reactors[*it].is_some()).collect();
        let mut act = |number: usize| {
            turn(reactors, number, |reactor| {
                reactor.waker().announce_sleep();
                reactor.turn(None, &mut heard[number]);
            });
        };
        there.into_iter().for_each(&mut act);
        while let Some(number) = world.next(until_ns) {
            act(number);
        }
        heard
    }

    fn text(completions: &[Completion]) -> String {
        let received = completions.iter().filter_map(|it| match it {
            Completion::Received { data, .. } => Some(String::from_utf8_lossy(data).into_owned()),
            _ => None,
        });
        received.collect()
    }

    /// The new one has adopted the connection of the old one and its client.
    fn adopted(world: &World) -> (Three, [Conn; 3]) {
        let address = SocketAddr::from(([127, 0, 0, 1], 25));
        let [mut old, mut client, new] = [(); 3].map(|()| world.reactor(8));
        old.listen(address);
        client.connect(7, address, None);
        let mut three = [old, client, new].map(Some);
        let heard = settle(world, &mut three);
        let conn = |completions: &[Completion]| {
            completions.iter().find_map(|it| match it {
                Completion::Accepted { conn, .. } => Some(*conn),
                Completion::Connected { result, .. } => result.as_ref().ok().copied(),
                _ => None,
            })
        };
        let own = conn(&heard[0]).expect("it was accepted");
        let theirs = conn(&heard[1]).expect("it has connected");
        turn(&mut three, 1, |client| client.read(theirs, true));
        let mut descriptor = None;
        turn(&mut three, 0, |old| {
            old.read(own, true);
            descriptor = old.duplicate(own).ok();
        });
        let mut adopted = None;
        turn(&mut three, 2, |new| {
            new.hold(true);
            adopted = descriptor.and_then(|it| new.adopt(it).ok());
            adopted.into_iter().for_each(|it| new.read(it, true));
        });
        (three, [own, theirs, adopted.expect("it was adopted")])
    }

    #[test]
    fn a_connection_goes_on_at_another_reactor() {
        let world = World::new(1, Options::default());
        let (mut three, [own, theirs, adopted]) = adopted(&world);
        let say = |three: &mut Three, what: &'static [u8]| {
            turn(three, 1, |it| it.send(theirs, Bytes::from_static(what)));
            let heard = settle(&world, three);
            [0, 1, 2].map(|number| text(&heard[number]))
        };
        assert_eq!(say(&mut three, b"first"), ["first", "", ""]);
        turn(&mut three, 0, |old| old.hold(true));
        assert_eq!(say(&mut three, b"second"), ["", "", ""]);
        turn(&mut three, 2, |new| {
            new.hold(false);
            new.send(adopted, Bytes::from_static(b"answer"));
        });
        assert_eq!(say(&mut three, b", third"), ["", "answer", "second, third"]);
        // The first one ends, and nobody notices.
        turn(&mut three, 0, |old| old.close(own));
        three[0] = None;
        assert!(settle(&world, &mut three).iter().all(Vec::is_empty));
        turn(&mut three, 2, |new| new.close(adopted));
        let heard = settle(&world, &mut three);
        assert!(
            matches!(heard[1][..], [Completion::Hangup { .. }]),
            "{heard:?}"
        );
    }

    #[test]
    fn a_reactor_that_ends_leaves_connections_to_who_has_them_too() {
        for ends in [0, 2] {
            let world = World::new(1, Options::default());
            let (mut three, [_, theirs, _]) = adopted(&world);
            settle(&world, &mut three);
            three[ends] = None;
            if ends == 0 {
                turn(&mut three, 2, |new| new.hold(false));
            }
            turn(&mut three, 1, |it| {
                it.send(theirs, Bytes::from_static(b"x"))
            });
            assert_eq!(text(&settle(&world, &mut three)[2 - ends]), "x");
        }
    }
}
