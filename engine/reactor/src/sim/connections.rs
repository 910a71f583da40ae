//! The connections that a simulated actor makes: one at a time for each of its members, by number.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;

use super::SimReactor;
use crate::{Completion, Conn, Lease, Reactor, Waker};

/// The members of an actor and their connections.
pub struct Connections {
    reactor: SimReactor,
    members: Vec<Member>,
    by_conn: BTreeMap<Conn, usize>,
    /// What has happened and was not asked for yet.
    completions: VecDeque<Completion>,
    gathered: Vec<Completion>,
    leaving: bool,
}

#[derive(Default)]
struct Member {
    conn: Option<Conn>,
    connecting: bool,
    /// What the kernel did not take.
    owed: Bytes,
    blocked: bool,
}

/// What has happened to a member's connection.
#[derive(Debug)]
pub enum News {
    /// It is there, and is read.
    Connected,
    /// It could not be made.
    Refused,
    /// Bytes came.
    Received(Lease),
    /// It is gone and closed: with an error number if it broke.
    Lost(Option<i32>),
    /// The kernel takes bytes again, and has what was owed.
    Room,
}

impl Connections {
    /// So many members, none of them connected.
    pub fn new(reactor: SimReactor, members: usize) -> Self {
        Self {
            reactor,
            members: (0..members).map(|_| Member::default()).collect(),
            by_conn: BTreeMap::new(),
            completions: VecDeque::new(),
            gathered: Vec::new(),
            leaving: false,
        }
    }

    /// The time, in nanoseconds.
    pub fn now_ns(&self) -> u64 {
        self.reactor.now_ns()
    }

    /// Ends the actor's sleep.
    pub fn waker(&self) -> Waker {
        self.reactor.waker()
    }

    /// Carries out what was asked for and waits: see [`Reactor::turn`].
    pub fn turn(&mut self, until_ns: Option<u64>) {
        self.reactor.turn(until_ns, &mut self.gathered);
        for completion in self.gathered.drain(..) {
            // At once, so that nothing is sent before what is owed.
            let Completion::Unsent {
                conn,
                ref rest,
                error: None,
            } = completion
            else {
                self.completions.push_back(completion);
                continue;
            };
            if let Some(&number) = self.by_conn.get(&conn) {
                self.members[number].owed = rest.clone();
                self.members[number].blocked = true;
                self.reactor.watch_writable(conn);
            }
        }
    }

    /// The next of what has happened: to be asked for until there is none. Nothing is told of a
    /// connection that was closed meanwhile.
    pub fn take_next(&mut self) -> Option<(usize, News)> {
        while let Some(completion) = self.completions.pop_front() {
            if let Some(news) = self.handle(completion) {
                return Some(news);
            }
        }
        None
    }

    fn handle(&mut self, completion: Completion) -> Option<(usize, News)> {
        let number = match &completion {
            Completion::Connected { token, .. } => *token as usize,
            other => *self.by_conn.get(&other.conn()?)?,
        };
        let news = match completion {
            Completion::Connected { result, .. } => {
                self.members[number].connecting = false;
                match result {
                    Ok(conn) if self.leaving => {
                        self.reactor.close(conn);
                        return None;
                    }
                    Ok(conn) => {
                        self.members[number].conn = Some(conn);
                        self.by_conn.insert(conn, number);
                        self.reactor.read(conn, true);
                        News::Connected
                    }
                    Err(_) => News::Refused,
                }
            }
            Completion::Received { data, .. } => News::Received(data),
            Completion::Hangup { error, .. } => {
                self.close(number);
                News::Lost(error)
            }
            Completion::Unsent {
                error: Some(error), ..
            } => {
                self.close(number);
                News::Lost(Some(error))
            }
            Completion::Writable { conn } => {
                self.members[number].blocked = false;
                let owed = std::mem::take(&mut self.members[number].owed);
                self.reactor.send(conn, owed);
                News::Room
            }
            Completion::Unsent { .. } | Completion::Accepted { .. } => return None,
        };
        Some((number, news))
    }

    /// Begins to connect a member, which has no connection and none under way.
    pub fn connect(&mut self, number: usize, to: SocketAddr) {
        self.members[number].connecting = true;
        self.reactor.connect(number as u64, to, None);
    }

    /// Whether a member has a connection.
    pub fn is_open(&self, number: usize) -> bool {
        self.members[number].conn.is_some()
    }

    /// Whether a member may connect: it has no connection and none under way, and nobody leaves.
    pub fn may_connect(&self, number: usize) -> bool {
        let member = &self.members[number];
        member.conn.is_none() && !member.connecting && !self.leaving
    }

    /// Whether the kernel takes what a member sends: nothing is owed.
    pub fn has_room(&self, number: usize) -> bool {
        let member = &self.members[number];
        member.conn.is_some() && !member.blocked
    }

    /// Sends, behind what is owed.
    pub fn send(&mut self, number: usize, bytes: Bytes) {
        let member = &mut self.members[number];
        let Some(conn) = member.conn.filter(|_| !bytes.is_empty()) else {
            return;
        };
        match member.blocked {
            true => member.owed = [&member.owed[..], &bytes].concat().into(),
            false => self.reactor.send(conn, bytes),
        }
    }

    /// Has a member read, or not.
    pub fn read(&mut self, number: usize, on: bool) {
        if let Some(conn) = self.members[number].conn {
            self.reactor.read(conn, on);
        }
    }

    /// Closes a member's connection, if it has one.
    pub fn close(&mut self, number: usize) {
        let connecting = self.members[number].connecting;
        let before = std::mem::take(&mut self.members[number]);
        self.members[number].connecting = connecting;
        if let Some(conn) = before.conn {
            self.by_conn.remove(&conn);
            self.reactor.close(conn);
        }
    }

    /// Closes all, for good.
    pub fn leave(&mut self) {
        self.leaving = true;
        (0..self.members.len()).for_each(|number| self.close(number));
        self.reactor.waker().wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Options, World};

    const NUMBERS: u32 = 2000;

    #[test]
    fn what_is_sent_while_something_is_owed_comes_behind_it() {
        let mut owed = 0;
        for seed in 0..50 {
            let world = World::new(seed, Options::swarm(seed));
            let address = SocketAddr::from(([127, 0, 0, 1], 25));
            let mut server = world.reactor(8);
            server.listen(address);
            let mut clients = Connections::new(world.reactor(8), 1);
            let (mut heard, mut completions) = (BTreeMap::new(), Vec::new());
            let mut number = 0u32;
            clients.connect(0, address);
            while let Some(turn) = world.next(5_000_000_000) {
                if turn == 0 {
                    server.waker().announce_sleep();
                    server.turn(None, &mut completions);
                    for completion in completions.drain(..) {
                        match completion {
                            Completion::Accepted { conn, .. } => {
                                heard.insert(conn, Vec::new());
                                server.read(conn, true);
                            }
                            Completion::Received { conn, data } => {
                                let heard = heard.get_mut(&conn).expect("it was accepted");
                                heard.extend_from_slice(&data);
                            }
                            Completion::Hangup { conn, .. } => server.close(conn),
                            _ => {}
                        }
                    }
                    continue;
                }
                clients.waker().announce_sleep();
                let until_ns = clients.now_ns() + 100_000;
                clients.turn((number < NUMBERS).then_some(until_ns));
                while let Some((_, news)) = clients.take_next() {
                    match news {
                        News::Connected => number = 0,
                        News::Lost(_) | News::Refused => clients.connect(0, address),
                        News::Received(_) | News::Room => {}
                    }
                }
                if clients.is_open(0) && number < NUMBERS {
                    owed += usize::from(!clients.has_room(0));
                    clients.send(0, number.to_be_bytes().to_vec().into());
                    number += 1;
                }
            }
            for heard in heard.values() {
                let numbers = heard.chunks_exact(4).map(|it| it.try_into().expect("four"));
                for (at, number) in (0..).zip(numbers.map(u32::from_be_bytes)) {
                    assert_eq!(at, number, "seed {seed}");
                }
            }
        }
        assert!(owed > 0, "nothing was ever owed");
    }
}
