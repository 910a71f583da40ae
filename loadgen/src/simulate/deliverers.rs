//! Deliverers: LMTP clients that hand in messages, are slow, and lose their connections around the
//! final dot.

use std::net::SocketAddr;

use reactor::Rng;
use reactor::rng::Stream;
use reactor::sim::SimReactor;

use super::lines::{Heard, Lines};
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
    /// When it does something next: connect, begin a message, or read on.
    at_ns: u64,
    deaf: bool,
    talk: Talk,
    /// Messages that were accepted since all is calm.
    accepted: usize,
}

/// The actor.
pub struct Deliverers {
    lines: Lines,
    server: SocketAddr,
    rng: Rng,
    deliverers: Vec<Deliverer>,
    /// Who reads mail, besides those who only get it.
    readers: usize,
    messages: usize,
    large_left: usize,
    /// What was handed in, with what came of it.
    pub handed: Vec<Handed>,
    /// What they found wrong.
    pub faults: Vec<String>,
    calm: bool,
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
                at_ns: rng.below(RETURN_NS_MAX),
                deaf: false,
                talk: Talk::default(),
                accepted: 0,
            })
            .collect();
        Self {
            lines: Lines::new(reactor, count),
            server,
            rng,
            deliverers,
            readers,
            messages: 0,
            large_left: if large { LARGE_MAX } else { 0 },
            handed: Vec::new(),
            faults: Vec::new(),
            calm: false,
        }
    }

    /// From now on nobody breaks off or is slow, and mail goes to addressees only.
    pub fn calm(&mut self) {
        self.calm = true;
        self.lines.waker().wake();
    }

    /// Liveness: everybody has delivered something since all is calm, and nobody waits for
    /// something of TLS.
    pub fn waiting(&self) -> Vec<String> {
        let each = self.deliverers.iter().enumerate();
        let idle = each.filter(|(_, deliverer)| deliverer.accepted == 0);
        idle.map(|(number, _)| format!("deliverer {number} delivers nothing any more"))
            .chain(self.lines.waiting())
            .collect()
    }

    /// Closes every connection; nobody comes back.
    pub fn leave(&mut self) {
        for number in 0..self.deliverers.len() {
            if self.lines.is_open(number) {
                self.break_off(number);
            }
        }
        self.lines.leave();
    }

    /// One turn.
    pub fn turn(&mut self) {
        let due = (0..self.deliverers.len()).filter_map(|number| self.due_ns(number));
        let until_ns = due.min();
        self.lines.turn(until_ns);
        while let Some((number, heard)) = self.lines.take_next() {
            self.handle(number, heard);
        }
        self.faults.append(&mut self.lines.faults);
        let now_ns = self.lines.now_ns();
        for number in 0..self.deliverers.len() {
            if self.due_ns(number).is_some_and(|at_ns| at_ns <= now_ns) {
                self.tend(number, now_ns);
            }
        }
    }

    fn due_ns(&self, number: usize) -> Option<u64> {
        let deliverer = &self.deliverers[number];
        let comes = self.lines.may_connect(number);
        let more = self.calm || self.messages < MESSAGES_MAX;
        let begins = self.lines.has_room(number) && deliverer.talk.is_idle() && more;
        (comes || begins || deliverer.deaf).then_some(deliverer.at_ns)
    }

    /// What a deliverer does by itself.
    fn tend(&mut self, number: usize, now_ns: u64) {
        let deliverer = &mut self.deliverers[number];
        deliverer.at_ns = now_ns + 1 + self.rng.below(PAUSE_NS_MAX);
        if std::mem::take(&mut deliverer.deaf) {
            return self.lines.read(number, true);
        }
        if !self.lines.is_open(number) {
            deliverer.talk = Talk::default().with_starttls(self.rng.chance(1, 3));
            return self.lines.connect(number, self.server, None);
        }
        if !self.calm && self.lines.fidget(number, &mut self.rng) {
            return;
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

    fn handle(&mut self, number: usize, heard: Heard) {
        match heard {
            Heard::Connected => {}
            Heard::Text(text) => self.heard(number, &text),
            Heard::Secured => {
                self.deliverers[number].talk.secured();
                self.send(number);
            }
            Heard::Room => self.send(number),
            Heard::Refused => self.come_back_later(number),
            Heard::Lost => {
                self.break_off(number);
                self.come_back_later(number);
            }
        }
    }

    fn heard(&mut self, number: usize, text: &[u8]) {
        let deliverer = &mut self.deliverers[number];
        let was_idle = deliverer.talk.is_idle();
        deliverer.talk.handle_input(text);
        self.faults.append(&mut deliverer.talk.faults);
        self.note(number);
        let deliverer = &mut self.deliverers[number];
        if deliverer.talk.ended {
            return self.lose(number);
        }
        if std::mem::take(&mut deliverer.talk.begins_tls) {
            let own = self.rng.u64();
            return self.lines.begin_tls(number, own);
        }
        let now_ns = self.lines.now_ns();
        if std::mem::take(&mut deliverer.talk.turns_deaf) {
            deliverer.deaf = true;
            deliverer.at_ns = now_ns + 1 + self.rng.below(DEAF_NS_MAX);
            self.lines.read(number, false);
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

    fn lose(&mut self, number: usize) {
        self.lines.close(number);
        self.break_off(number);
        self.come_back_later(number);
    }

    fn come_back_later(&mut self, number: usize) {
        let at_ns = self.lines.now_ns() + 1 + self.rng.below(RETURN_NS_MAX);
        self.deliverers[number].at_ns = at_ns;
    }

    /// Sends what it has to say, unless it still owes something; and breaks off if it wants to.
    fn send(&mut self, number: usize) {
        if !self.lines.has_room(number) {
            return;
        }
        let talk = &mut self.deliverers[number].talk;
        let output = std::mem::take(&mut talk.output);
        self.lines.send(number, output);
        if std::mem::take(&mut talk.breaks_off) {
            self.lose(number);
        }
    }
}
