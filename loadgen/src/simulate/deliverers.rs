//! Deliverers: LMTP clients that hand in messages, are slow, and lose their connections around the
//! final dot.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use reactor::rng::Stream;
use reactor::sim::SimReactor;
use reactor::{Completion, Conn, Reactor, Rng};

use super::talk::{Fate, Handed, Talk, Verdict};

/// Who was turned away or has lost the connection comes back after less than this.
const RETURN_NS_MAX: u64 = 500_000_000;
/// Between two messages of a connection there is less than this.
const PAUSE_NS_MAX: u64 = 1_500_000_000;
/// A slow one does not read for less than this.
const DEAF_NS_MAX: u64 = 3_000_000_000;
/// Bytes of a message that goes to the store in pieces: more than two, or the first is just full.
const LARGE_BYTES: [u64; 2] = [140_000, 65_300];
/// So many of these in a run.
const LARGE_MAX: usize = 6;
/// Messages handed in while the world is active.
const MESSAGES_MAX: usize = 150;

struct Deliverer {
    conn: Option<Conn>,
    connecting: bool,
    /// When it does something next: connect, begin a message, or read on.
    at_ns: u64,
    deaf: bool,
    talk: Talk,
    owed: Bytes,
    /// Messages that were accepted since all is calm.
    accepted: usize,
}

/// The actor.
pub struct Deliverers {
    reactor: SimReactor,
    server: SocketAddr,
    rng: Rng,
    deliverers: Vec<Deliverer>,
    by_conn: BTreeMap<Conn, usize>,
    /// Who reads mail, besides those who only get it.
    readers: usize,
    messages: usize,
    large_left: usize,
    /// What was handed in, with what came of it.
    pub handed: Vec<Handed>,
    /// What they found wrong.
    pub faults: Vec<String>,
    calm: bool,
    leaving: bool,
    completions: Vec<Completion>,
}

/// The name of somebody who only gets mail, by number: nobody takes it out again.
pub fn addressee(number: usize) -> String {
    format!("d{number}")
}

/// How many of these there are.
pub const ADDRESSEES: usize = 3;

impl Deliverers {
    /// So many; `readers` users read their mail. Large messages only where they don't take ages.
    pub fn new(
        seed: u64,
        reactor: SimReactor,
        server: SocketAddr,
        (count, readers): (usize, usize),
        large: bool,
    ) -> Self {
        let mut rng = Rng::stream(seed ^ 0x0DE1_1BE2, Stream::Workload);
        let deliverers = (0..count)
            .map(|_| Deliverer {
                conn: None,
                connecting: false,
                at_ns: rng.below(RETURN_NS_MAX),
                deaf: false,
                talk: Talk::default(),
                owed: Bytes::new(),
                accepted: 0,
            })
            .collect();
        Self {
            reactor,
            server,
            rng,
            deliverers,
            by_conn: BTreeMap::new(),
            readers,
            messages: 0,
            large_left: if large { LARGE_MAX } else { 0 },
            handed: Vec::new(),
            faults: Vec::new(),
            calm: false,
            leaving: false,
            completions: Vec::new(),
        }
    }

    /// From now on nobody breaks off or is slow, and mail goes to addressees only.
    pub fn calm(&mut self) {
        self.calm = true;
        self.reactor.waker().wake();
    }

    /// Liveness: everybody has delivered something since all is calm.
    pub fn waiting(&self) -> Vec<String> {
        let each = self.deliverers.iter().enumerate();
        let idle = each.filter(|(_, deliverer)| deliverer.accepted == 0);
        idle.map(|(number, _)| format!("deliverer {number} delivers nothing any more"))
            .collect()
    }

    /// Closes every connection.
    pub fn leave(&mut self) {
        self.leaving = true;
        for (conn, number) in std::mem::take(&mut self.by_conn) {
            self.reactor.close(conn);
            self.deliverers[number].conn = None;
            self.break_off(number);
        }
        self.reactor.waker().wake();
    }

    /// One turn.
    pub fn turn(&mut self) {
        self.reactor.waker().announce_sleep();
        let until_ns = self
            .deliverers
            .iter()
            .filter_map(|it| self.due_ns(it))
            .min();
        let mut completions = std::mem::take(&mut self.completions);
        self.reactor.turn(until_ns, &mut completions);
        for completion in completions.drain(..) {
            self.handle(completion);
        }
        self.completions = completions;
        let now_ns = self.reactor.now_ns();
        for number in 0..self.deliverers.len() {
            let due = self.due_ns(&self.deliverers[number]);
            if due.is_some_and(|at_ns| at_ns <= now_ns) {
                self.tend(number, now_ns);
            }
        }
    }

    fn due_ns(&self, deliverer: &Deliverer) -> Option<u64> {
        let comes = deliverer.conn.is_none() && !deliverer.connecting && !self.leaving;
        let more = self.calm || self.messages < MESSAGES_MAX;
        let begins = deliverer.conn.is_some() && deliverer.talk.is_idle() && more;
        (comes || begins || deliverer.deaf).then_some(deliverer.at_ns)
    }

    /// What a deliverer does by itself.
    fn tend(&mut self, number: usize, now_ns: u64) {
        let deliverer = &mut self.deliverers[number];
        deliverer.at_ns = now_ns + 1 + self.rng.below(PAUSE_NS_MAX);
        let Some(conn) = deliverer.conn else {
            deliverer.connecting = true;
            return self.reactor.connect(number as u64, self.server, None);
        };
        if std::mem::take(&mut deliverer.deaf) {
            return self.reactor.read(conn, true);
        }
        self.begin(number);
        self.send(number);
    }

    fn begin(&mut self, number: usize) {
        let subject = format!("message-{}-of-{number}.", self.messages);
        self.messages += 1;
        let calm = self.calm;
        let count = 1 + self.rng.below(3) as usize;
        let users = (0..count).map(|_| match self.rng.below(6) {
            0 if !calm => super::crowd::user(self.rng.below(self.readers as u64) as usize),
            1 if !calm => "nobody".to_owned(),
            _ => addressee(self.rng.below(ADDRESSEES as u64) as usize),
        });
        let users: Vec<String> = users.collect();
        let large = !calm && self.large_left > 0 && self.rng.chance(1, 4);
        self.large_left -= usize::from(large);
        let fate = match calm {
            true => Fate::Quits,
            false => Fate::draw(&mut self.rng),
        };
        let (bytes, fate) = match (large, self.rng.chance(1, 2)) {
            (true, true) => (LARGE_BYTES[0], fate),
            (true, false) => (LARGE_BYTES[1] + self.rng.below(1_500), Fate::BeforeTheDot),
            (false, _) => (40, fate),
        };
        let bytes = bytes as usize;
        let pipelined = self.rng.chance(1, 2);
        let talk = &mut self.deliverers[number].talk;
        talk.begin(subject, users, bytes, fate, pipelined);
    }

    fn handle(&mut self, completion: Completion) {
        match completion {
            Completion::Connected { token, result } => self.connected(token as usize, result.ok()),
            Completion::Received { conn, data } => {
                if let Some(&number) = self.by_conn.get(&conn) {
                    self.heard(number, conn, &data);
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
                    self.deliverers[number].owed = rest;
                    self.reactor.watch_writable(conn);
                }
            }
            Completion::Writable { conn } => {
                if let Some(&number) = self.by_conn.get(&conn) {
                    let owed = std::mem::take(&mut self.deliverers[number].owed);
                    self.reactor.send(conn, owed);
                    self.send(number);
                }
            }
            Completion::Accepted { .. } => {}
        }
    }

    fn connected(&mut self, number: usize, conn: Option<Conn>) {
        let deliverer = &mut self.deliverers[number];
        deliverer.connecting = false;
        let Some(conn) = conn else {
            return self.come_back_later(number);
        };
        if self.leaving {
            return self.reactor.close(conn);
        }
        deliverer.talk = Talk::default();
        deliverer.owed = Bytes::new();
        deliverer.deaf = false;
        deliverer.conn = Some(conn);
        self.by_conn.insert(conn, number);
        self.reactor.read(conn, true);
    }

    fn heard(&mut self, number: usize, conn: Conn, data: &[u8]) {
        let deliverer = &mut self.deliverers[number];
        let was_idle = deliverer.talk.is_idle();
        deliverer.talk.handle_input(data);
        self.faults.append(&mut deliverer.talk.faults);
        self.note(number);
        let deliverer = &mut self.deliverers[number];
        if deliverer.talk.ended {
            return self.lose(conn);
        }
        let now_ns = self.reactor.now_ns();
        if std::mem::take(&mut deliverer.talk.turns_deaf) {
            deliverer.deaf = true;
            deliverer.at_ns = now_ns + 1 + self.rng.below(DEAF_NS_MAX);
            self.reactor.read(conn, false);
        } else if deliverer.talk.is_idle() && !was_idle {
            deliverer.at_ns = now_ns + 1 + self.rng.below(PAUSE_NS_MAX);
        }
        self.send(number);
    }

    /// Notes what became of messages.
    fn note(&mut self, number: usize) {
        let deliverer = &mut self.deliverers[number];
        for handed in deliverer.talk.handed.drain(..) {
            let accepted = self.calm && handed.verdict == Verdict::Accepted;
            deliverer.accepted += usize::from(accepted);
            self.handed.push(handed);
        }
    }

    /// A connection is gone; what becomes of the message that was under way is not known, or it is.
    fn break_off(&mut self, number: usize) {
        self.deliverers[number].talk.handle_end();
        self.note(number);
        self.deliverers[number].deaf = false;
    }

    fn lose(&mut self, conn: Conn) {
        self.reactor.close(conn);
        if let Some(number) = self.by_conn.remove(&conn) {
            self.deliverers[number].conn = None;
            self.break_off(number);
            self.come_back_later(number);
        }
    }

    fn come_back_later(&mut self, number: usize) {
        self.deliverers[number].at_ns = self.reactor.now_ns() + 1 + self.rng.below(RETURN_NS_MAX);
    }

    /// Sends what it has to say, unless it still owes something; and breaks off if it wants to.
    fn send(&mut self, number: usize) {
        let deliverer = &mut self.deliverers[number];
        let Some(conn) = deliverer.conn else {
            return;
        };
        if deliverer.owed.is_empty() {
            let output = std::mem::take(&mut deliverer.talk.output);
            if !output.is_empty() {
                self.reactor.send(conn, output.into());
            }
            if std::mem::take(&mut deliverer.talk.breaks_off) {
                self.lose(conn);
            }
        }
    }
}
