//! Everybody outside of the server: clients that come, idle, act and come back, and deliveries.

use std::net::SocketAddr;

use mail::reply::Appended;
use mail::request::{Body, Target};
use mail::{MailboxName, Reply, Request};
use reactor::rng::Stream;
use reactor::sim::SimReactor;
use reactor::{Reactor, Rng};

use super::backend::{Asker, SharedQueue};
use super::lines::{Heard, Lines};
use super::watcher::Watcher;

/// A client that was thrown out comes back after less than this.
const RETURN_NS_MAX: u64 = 500_000_000;
/// A client does something after idling for less than this.
const STIR_NS_MAX: u64 = 4_000_000_000;

/// A client.
struct Member {
    user: usize,
    /// It watches all its user's mailboxes.
    notifies: bool,
    watcher: Watcher,
    /// When it does something next: connect, or leave IDLE.
    at_ns: u64,
}

/// The actor.
pub struct Crowd {
    lines: Lines,
    /// In plain text at first, and with TLS from the first byte.
    servers: [SocketAddr; 2],
    requests: SharedQueue,
    rng: Rng,
    members: Vec<Member>,
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
        servers: [SocketAddr; 2],
        requests: SharedQueue,
        (members, users): (usize, usize),
    ) -> Self {
        let mut rng = Rng::stream(seed, Stream::Workload);
        requests.borrow_mut().receiver = Some(reactor.waker());
        let lines = Lines::new(reactor, members);
        let members = (0..members)
            .map(|number| Member {
                user: number % users,
                notifies: rng.chance(1, 3),
                watcher: Watcher::new(&user(number % users)),
                at_ns: rng.below(RETURN_NS_MAX),
            })
            .collect();
        Self {
            lines,
            servers,
            requests,
            members,
            users,
            deliver_ns: 0,
            pause_ns: [1_000_000, 30_000_000, 300_000_000][rng.below(3) as usize],
            deliveries: Vec::new(),
            receipts: Vec::new(),
            faults: Vec::new(),
            calm: false,
            rng,
        }
    }

    /// One turn.
    pub fn turn(&mut self) {
        let until_ns = self.rest_until();
        self.lines.turn(until_ns);
        while let Some((number, heard)) = self.lines.take_next() {
            self.handle(number, heard);
        }
        self.faults.append(&mut self.lines.faults);
        self.take_receipts();
        let now_ns = self.lines.now_ns();
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
        let folder = match self.rng.below(2) {
            0 => MailboxName::inbox(),
            _ => MailboxName::new(&format!("f{}", self.rng.below(4))),
        };
        let target = Target {
            user: user(number).into(),
            folder,
        };
        let text = format!("Subject: {}\r\n\r\nhello\r\n", self.deliveries.len());
        let request = Request::Deliver {
            targets: vec![target],
            body: Body::Inline(text.into()),
            submitter: None,
        };
        let asker = Asker::Delivery(self.deliveries.len());
        self.deliveries.push(number);
        self.requests.borrow_mut().submit(asker, request);
    }

    /// Every client with its user and whether it idles.
    pub fn watchers(&self) -> impl Iterator<Item = (usize, &Watcher, bool)> {
        self.members.iter().enumerate().map(|(number, member)| {
            let idles = self.lines.is_open(number) && member.watcher.is_idling();
            (member.user, &member.watcher, idles)
        })
    }

    /// Liveness: who waits for something of TLS.
    pub fn waiting(&self) -> Vec<String> {
        self.lines.waiting()
    }

    /// Closes every connection; nobody comes back.
    pub fn leave(&mut self) {
        self.lines.leave();
    }

    fn rest_until(&self) -> Option<u64> {
        if !self.requests.borrow().receipts.is_empty() {
            return Some(0);
        }
        let members = self.members.iter().enumerate();
        let members = members.filter_map(|(number, member)| {
            let acts = self.lines.may_connect(number) || self.may_stir(number);
            acts.then_some(member.at_ns)
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

    fn may_stir(&self, number: usize) -> bool {
        !self.calm && self.lines.has_room(number) && self.members[number].watcher.is_idling()
    }

    /// What a client does by itself.
    fn tend(&mut self, number: usize, now_ns: u64) {
        if self.members[number].at_ns > now_ns {
            return;
        }
        if self.lines.may_connect(number) {
            self.connect(number);
        } else if self.may_stir(number) {
            self.members[number].at_ns = now_ns + 1 + self.rng.below(STIR_NS_MAX);
            if !self.lines.fidget(number, &mut self.rng) {
                self.members[number].watcher.stir(&mut self.rng);
                self.send(number);
            }
        }
    }

    /// Connects: in plain text, with TLS, or so that TLS begins later.
    fn connect(&mut self, number: usize) {
        let way = self.rng.below(4);
        let compresses = self.rng.chance(1, 3);
        let member = &mut self.members[number];
        member.watcher = Watcher::new(&user(member.user))
            .with_starttls(way == 1)
            .with_compression(compresses)
            .with_notify(member.notifies);
        let tls = (way == 0).then(|| self.rng.u64());
        let server = self.servers[usize::from(way == 0)];
        self.lines.connect(number, server, tls);
    }

    fn handle(&mut self, number: usize, heard: Heard) {
        match heard {
            Heard::Connected => {
                let at_ns = self.lines.now_ns() + 1 + self.rng.below(STIR_NS_MAX);
                self.members[number].at_ns = at_ns;
            }
            Heard::Text(text) => self.heard(number, &text),
            Heard::Secured => {
                self.members[number].watcher.secured();
                self.send(number);
            }
            Heard::Room => self.send(number),
            Heard::Refused | Heard::Lost => self.come_back_later(number),
        }
    }

    fn heard(&mut self, number: usize, text: &[u8]) {
        let watcher = &mut self.members[number].watcher;
        watcher.handle_input(text, &mut self.rng);
        self.faults.append(&mut watcher.faults);
        if watcher.ended {
            self.lines.close(number);
            self.come_back_later(number);
        } else if std::mem::take(&mut watcher.begins_tls) {
            let own = self.rng.u64();
            self.lines.begin_tls(number, own);
        } else {
            if std::mem::take(&mut watcher.begins_compression) {
                let partial = self.rng.chance(1, 2);
                self.lines.begin_compression(number, partial);
            }
            self.send(number);
        }
    }

    fn come_back_later(&mut self, number: usize) {
        let at_ns = self.lines.now_ns() + 1 + self.rng.below(RETURN_NS_MAX);
        self.members[number].at_ns = at_ns;
    }

    /// Sends what the client has to say, unless it still owes something.
    fn send(&mut self, number: usize) {
        if self.lines.has_room(number) {
            let output = self.members[number].watcher.take_output();
            self.lines.send(number, output);
        }
    }
}
