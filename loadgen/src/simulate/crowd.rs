//! Everybody outside of the server: clients that come, idle, act and come back, and deliveries.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use mail::reply::Appended;
use mail::request::{Body, Target};
use mail::{MailboxName, Reply, Request};
use reactor::rng::Stream;
use reactor::sim::SimReactor;
use reactor::{Completion, Conn, Reactor, Rng};

use super::backend::{Asker, SharedQueue};
use super::watcher::Watcher;

/// A client that was thrown out comes back after less than this.
const RETURN_NS_MAX: u64 = 500_000_000;
/// A client does something after idling for less than this.
const STIR_NS_MAX: u64 = 4_000_000_000;

/// A client and its connection.
struct Member {
    user: usize,
    watcher: Watcher,
    conn: Option<Conn>,
    connecting: bool,
    /// When it does something next: connect, or leave IDLE.
    at_ns: u64,
    owed: Bytes,
}

/// The actor.
pub struct Crowd {
    reactor: SimReactor,
    server: SocketAddr,
    requests: SharedQueue,
    rng: Rng,
    members: Vec<Member>,
    by_conn: BTreeMap<Conn, usize>,
    users: usize,
    /// When to deliver next, and the average pause.
    deliver_ns: u64,
    pause_ns: u64,
    deliveries: Vec<usize>,
    /// Deliveries answered with success: the user and where the message went.
    pub receipts: Vec<(usize, Appended)>,
    /// What clients found wrong.
    pub faults: Vec<String>,
    /// Nobody does anything by themselves, except to come back.
    pub calm: bool,
    /// Nobody comes back.
    pub leaving: bool,
    completions: Vec<Completion>,
}

/// The name of a user by number.
pub fn user(number: usize) -> String {
    format!("u{number}")
}

impl Crowd {
    /// `members` clients of `users` users.
    pub fn new(
        seed: u64,
        reactor: SimReactor,
        server: SocketAddr,
        requests: SharedQueue,
        (members, users): (usize, usize),
    ) -> Self {
        let mut rng = Rng::stream(seed, Stream::Workload);
        requests.borrow_mut().receiver = Some(reactor.waker());
        let members = (0..members)
            .map(|number| Member {
                user: number % users,
                watcher: Watcher::new(&user(number % users)),
                conn: None,
                connecting: false,
                at_ns: rng.below(RETURN_NS_MAX),
                owed: Bytes::new(),
            })
            .collect();
        Self {
            reactor,
            server,
            requests,
            members,
            by_conn: BTreeMap::new(),
            users,
            deliver_ns: 0,
            pause_ns: [1_000_000, 30_000_000, 300_000_000][rng.below(3) as usize],
            deliveries: Vec::new(),
            receipts: Vec::new(),
            faults: Vec::new(),
            calm: false,
            leaving: false,
            completions: Vec::new(),
            rng,
        }
    }

    /// One turn.
    pub fn turn(&mut self) {
        self.reactor.waker().announce_sleep();
        let until_ns = self.rest_until();
        let mut completions = std::mem::take(&mut self.completions);
        self.reactor.turn(until_ns, &mut completions);
        for completion in completions.drain(..) {
            self.handle(completion);
        }
        self.completions = completions;
        self.take_receipts();
        let now_ns = self.reactor.now_ns();
        let more = self.deliveries.len() < super::DELIVERIES_MAX;
        if !self.calm && more && self.deliver_ns <= now_ns {
            let user = self.rng.below(self.users as u64) as usize;
            self.deliver(user);
            self.deliver_ns = now_ns + 1 + self.rng.below(2 * self.pause_ns);
        }
        for number in 0..self.members.len() {
            self.tend(number, now_ns);
        }
    }

    /// Hands in one message for a user.
    pub fn deliver(&mut self, number: usize) {
        let target = Target {
            user: user(number).into(),
            folder: MailboxName::inbox(),
        };
        let text = format!("Subject: {}\r\n\r\nhello\r\n", self.deliveries.len());
        let request = Request::Deliver {
            targets: vec![target],
            body: Body::Inline(text.into()),
        };
        let asker = Asker::Delivery(self.deliveries.len());
        self.deliveries.push(number);
        self.requests.borrow_mut().submit(asker, request);
    }

    /// Every client with its user and whether it idles.
    pub fn watchers(&self) -> impl Iterator<Item = (usize, &Watcher, bool)> {
        let idles = |member: &Member| member.conn.is_some() && member.watcher.is_idling();
        self.members
            .iter()
            .map(move |member| (member.user, &member.watcher, idles(member)))
    }

    /// Closes every connection.
    pub fn leave(&mut self) {
        self.leaving = true;
        for (conn, _) in std::mem::take(&mut self.by_conn) {
            self.reactor.close(conn);
        }
        self.members
            .iter_mut()
            .for_each(|member| member.conn = None);
        self.reactor.waker().wake();
    }

    fn rest_until(&self) -> Option<u64> {
        if !self.requests.borrow().receipts.is_empty() {
            return Some(0);
        }
        let members = self.members.iter().filter_map(|member| {
            let comes_back = member.conn.is_none() && !member.connecting && !self.leaving;
            let stirs = !self.calm && member.conn.is_some() && member.watcher.is_idling();
            (comes_back || stirs).then_some(member.at_ns)
        });
        let more = !self.calm && self.deliveries.len() < super::DELIVERIES_MAX;
        let delivery = more.then_some(self.deliver_ns);
        members.chain(delivery).min()
    }

    fn take_receipts(&mut self) {
        let receipts = std::mem::take(&mut self.requests.borrow_mut().receipts);
        for (number, reply) in receipts {
            let user = self.deliveries[number];
            match reply {
                Reply::Delivered(results) => {
                    for appended in results.into_iter().flatten() {
                        self.receipts.push((user, appended));
                    }
                }
                Reply::Refused(_) => {}
                reply => self
                    .faults
                    .push(format!("a delivery was answered {reply:?}")),
            }
        }
    }

    /// What a client does by itself.
    fn tend(&mut self, number: usize, now_ns: u64) {
        let member = &mut self.members[number];
        if member.at_ns > now_ns {
            return;
        }
        if member.conn.is_none() && !member.connecting && !self.leaving {
            member.connecting = true;
            self.reactor.connect(number as u64, self.server, None);
        } else if member.conn.is_some() && member.watcher.is_idling() && !self.calm {
            member.watcher.stir();
            member.at_ns = now_ns + 1 + self.rng.below(STIR_NS_MAX);
            self.send(number);
        }
    }

    fn handle(&mut self, completion: Completion) {
        match completion {
            Completion::Connected { token, result } => self.connected(token as usize, result.ok()),
            Completion::Received { conn, data } => {
                let Some(&number) = self.by_conn.get(&conn) else {
                    return;
                };
                let watcher = &mut self.members[number].watcher;
                watcher.handle_input(&data, &mut self.rng);
                self.faults.append(&mut watcher.faults);
                if watcher.ended {
                    self.lose(conn);
                } else {
                    self.send(number);
                }
            }
            Completion::Hangup { conn, .. } => self.lose(conn),
            Completion::Unsent {
                conn,
                error: Some(_),
                ..
            } => self.lose(conn),
            Completion::Unsent { conn, rest, .. } => {
                if let Some(&number) = self.by_conn.get(&conn) {
                    self.members[number].owed = rest;
                    self.reactor.watch_writable(conn);
                }
            }
            Completion::Writable { conn } => {
                if let Some(&number) = self.by_conn.get(&conn) {
                    let owed = std::mem::take(&mut self.members[number].owed);
                    self.reactor.send(conn, owed);
                    self.send(number);
                }
            }
            Completion::Accepted { .. } => {}
        }
    }

    fn connected(&mut self, number: usize, conn: Option<Conn>) {
        let member = &mut self.members[number];
        member.connecting = false;
        let Some(conn) = conn else {
            return self.come_back_later(number);
        };
        if self.leaving {
            return self.reactor.close(conn);
        }
        member.watcher = Watcher::new(&user(member.user));
        member.owed = Bytes::new();
        member.conn = Some(conn);
        member.at_ns = self.reactor.now_ns() + 1 + self.rng.below(STIR_NS_MAX);
        self.by_conn.insert(conn, number);
        self.reactor.read(conn, true);
    }

    fn lose(&mut self, conn: Conn) {
        self.reactor.close(conn);
        if let Some(number) = self.by_conn.remove(&conn) {
            self.members[number].conn = None;
            self.come_back_later(number);
        }
    }

    fn come_back_later(&mut self, number: usize) {
        self.members[number].at_ns = self.reactor.now_ns() + 1 + self.rng.below(RETURN_NS_MAX);
    }

    /// Sends what the client has to say, unless it still owes something.
    fn send(&mut self, number: usize) {
        let member = &mut self.members[number];
        if let Some(conn) = member.conn
            && member.owed.is_empty()
        {
            let output = member.watcher.take_output();
            self.reactor.send(conn, output.into());
        }
    }
}
