//! The quiet population: idlers, workers, deliverers, and one who logs in anew. Each does what it
//! does at a steady rate; times run from when a thing was due, so that waiting is not hidden.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reactor::uring::{Options, Uring};

use super::Plan;
use super::measures::{Kind, Measures, Phase};
use crate::client::{Client, ClientEvent, Credentials};
use crate::deliverer::{Deliverer, Result as Delivery};
use crate::fleet::{Fleet, Heard};
use crate::measure::now_ns;
use crate::oracle::{Faults, Oracle};
use crate::plan;
use crate::wire::{From, Until, Wire};

/// Between two commands of a worker.
const COMMAND_EVERY_NS: u64 = 100_000_000;
/// Between two messages of a deliverer.
const DELIVER_EVERY_NS: u64 = 40_000_000;
/// Between two logins.
const LOGIN_EVERY_NS: u64 = 250_000_000;
/// Users who log in anew, one after the other.
pub const LOGIN_USERS: u32 = 50;
/// Bytes of a message.
const MESSAGE_BYTES: usize = 1024;
/// Messages in a worker's mailbox.
const WORKER_MESSAGES: usize = 30;
/// Sessions being set up at a time.
const CONCURRENCY: usize = 128;
/// Between two tries to come back.
const PAUSE: Duration = Duration::from_millis(50);
/// What a worker does, in turn.
const COMMANDS: [&str; 8] = [
    "NOOP",
    "FETCH 1:20 (UID FLAGS ENVELOPE)",
    "UID SEARCH UNSEEN",
    "STORE 3 +FLAGS.SILENT (\\Flagged)",
    "STATUS INBOX (MESSAGES UNSEEN)",
    "FETCH 2 (BODY.PEEK[])",
    "STORE 3 -FLAGS.SILENT (\\Flagged)",
    "LIST \"\" \"*\"",
];

/// What its threads share.
pub struct Population<'a> {
    plan: &'a Plan,
    phase: AtomicU8,
    stop: AtomicBool,
    busy: AtomicUsize,
    ready: AtomicUsize,
    measures: Mutex<Measures>,
    oracle: Mutex<Oracle>,
    /// For each idler's mailbox: when the oldest message that it has not heard of was sent.
    sent: Mutex<BTreeMap<usize, (u64, Phase)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Population<'a> {
    /// Nobody is there yet.
    pub fn new(plan: &'a Plan) -> Self {
        let watched = (0..plan.idlers as u32).collect();
        Self {
            plan,
            phase: AtomicU8::new(0),
            stop: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
            ready: AtomicUsize::new(0),
            measures: Mutex::default(),
            oracle: Mutex::new(Oracle::new(plan.idlers, watched)),
            sent: Mutex::default(),
        }
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        1 + self.plan.workers + self.plan.deliverers + 1
    }

    /// Waits until all are there.
    ///
    /// # Errors
    /// If they don't come.
    pub fn wait_ready(&self, within: Duration) -> Result<(), String> {
        let until = now_ns() + within.as_nanos() as u64;
        while self.ready.load(Ordering::SeqCst) < self.threads() {
            if now_ns() > until {
                let refusals = lock(&self.measures).refusals.clone();
                return Err(format!("the population can't come in: {refusals:?}"));
            }
            std::thread::sleep(PAUSE);
        }
        lock(&self.measures).refusals.clear();
        Ok(())
    }

    /// From now on what becomes due belongs to a phase, or nothing becomes due.
    pub fn enter(&self, phase: Option<Phase>) {
        let number = phase.map_or(0, |phase| phase as u8);
        self.phase.store(number, Ordering::SeqCst);
    }

    /// Waits until nothing is under way and all have heard of everything. What is not done then
    /// counts as having taken all this time.
    pub fn drain(&self, phase: Phase, patience: Duration) {
        self.enter(None);
        let began = now_ns();
        let done = || self.busy.load(Ordering::SeqCst) == 0 && lock(&self.oracle).behind() == 0;
        while !done() && now_ns() - began < patience.as_nanos() as u64 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let now = now_ns();
        for (_, (at, _)) in std::mem::take(&mut *lock(&self.sent)) {
            lock(&self.measures).add(phase, Kind::Notification, now - at);
        }
        for _ in 0..self.busy.load(Ordering::SeqCst) {
            let mut measures = lock(&self.measures);
            measures.add(phase, Kind::Command, now - began);
            measures.refuse("not done when the wait ended");
        }
    }

    /// Ends all threads.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// What was felt, and the oracle's verdict.
    pub fn verdict(self) -> (Measures, Faults) {
        let oracle = self
            .oracle
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let measures = self
            .measures
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        (measures, oracle.verdict())
    }

    fn until(&self) -> Until<'_> {
        Until {
            stop: &self.stop,
            patience: self.plan.patience,
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits until the next thing is due; gives when, and in which phase. None at the end.
    fn due(&self, next_ns: &mut u64, every_ns: u64) -> Option<(u64, Phase)> {
        loop {
            if self.stopped() {
                return None;
            }
            let now = now_ns();
            let Some(phase) = Phase::of(self.phase.load(Ordering::SeqCst)) else {
                *next_ns = now + every_ns;
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            if *next_ns <= now {
                let at = *next_ns;
                *next_ns += every_ns;
                self.busy.fetch_add(1, Ordering::SeqCst);
                return Some((at, phase));
            }
            std::thread::sleep(Duration::from_nanos((*next_ns - now).min(20_000_000)));
        }
    }

    fn done(&self, due: (u64, Phase), kind: Kind) {
        lock(&self.measures).add(due.1, kind, now_ns().saturating_sub(due.0));
        self.busy.fetch_sub(1, Ordering::SeqCst);
    }

    fn refuse(&self, who: &str, error: &dyn std::fmt::Display) {
        if !self.stopped() {
            lock(&self.measures).refuse(format!("{who}: {error}"));
        }
        std::thread::sleep(PAUSE);
    }

    /// Tries until it succeeds or all end.
    fn insist<T>(&self, who: &str, mut attempt: impl FnMut() -> std::io::Result<T>) -> Option<T> {
        while !self.stopped() {
            match attempt() {
                Ok(done) => return Some(done),
                Err(error) => self.refuse(who, &error),
            }
        }
        None
    }

    fn logged_in(&self, user: u32) -> std::io::Result<Wire<'_>> {
        let mut wire = Wire::connect(self.plan.imap, From::Population, self.until())?;
        let name = plan::user(&self.plan.users, user);
        wire.login(&name, &self.plan.password)?;
        Ok(wire)
    }

    /// A worker's life: its own mailbox, and a command ten times a second.
    pub fn work(&self, number: usize) {
        let user = (self.plan.idlers + number) as u32;
        let open = || {
            let mut wire = self.logged_in(user)?;
            wire.must("SELECT INBOX")?;
            Ok(wire)
        };
        let fill = || {
            let mut wire: Wire<'_> = open()?;
            for _ in 0..WORKER_MESSAGES {
                wire.append("INBOX", &super::message(MESSAGE_BYTES))?;
            }
            wire.must("NOOP")?;
            Ok(wire)
        };
        let Some(mut wire) = self.insist("worker", fill) else {
            return;
        };
        self.ready.fetch_add(1, Ordering::SeqCst);
        let mut next_ns = 0;
        for command in COMMANDS.iter().cycle().skip(number) {
            let Some(due) = self.due(&mut next_ns, COMMAND_EVERY_NS) else {
                return;
            };
            while let Err(error) = wire.must(command) {
                self.refuse(&format!("worker, {command}"), &error);
                match self.insist("worker", open) {
                    Some(again) => wire = again,
                    None => return,
                }
            }
            self.done(due, Kind::Command);
        }
    }

    /// The life of who logs in anew, each time as another user.
    pub fn log_in(&self) {
        self.ready.fetch_add(1, Ordering::SeqCst);
        let first = (self.plan.idlers + self.plan.workers) as u32;
        let mut next_ns = 0;
        for number in (0..LOGIN_USERS).cycle() {
            let Some(due) = self.due(&mut next_ns, LOGIN_EVERY_NS) else {
                return;
            };
            let Some(mut wire) = self.insist("login", || self.logged_in(first + number)) else {
                return;
            };
            self.done(due, Kind::Login);
            // Whether it takes leave in good order is nobody's business.
            let _ = wire.command("LOGOUT");
        }
    }

    /// A deliverer's life: mailboxes of its own share of the idlers. The first one connects anew
    /// for each message.
    pub fn deliver(&self, number: usize) {
        let mut rng = reactor::Rng::new(self.plan.seed ^ number as u64);
        let share = self.plan.idlers.div_ceil(self.plan.deliverers);
        let first = number * share;
        let count = share.min(self.plan.idlers.saturating_sub(first));
        let connect = || Lmtp::connect(self.plan, self.until());
        let Some(mut lmtp) = self.insist("deliverer", connect) else {
            return;
        };
        self.ready.fetch_add(1, Ordering::SeqCst);
        let mut next_ns = 0;
        while let Some(due) = self.due(&mut next_ns, DELIVER_EVERY_NS) {
            if count == 0 {
                self.done(due, Kind::Delivery);
                continue;
            }
            let mailbox = first + rng.below(count as u64) as usize;
            let mut fresh = number == 0;
            loop {
                if std::mem::take(&mut fresh) {
                    match self.insist("deliverer", connect) {
                        Some(again) => lmtp = again,
                        None => return,
                    }
                }
                match self.deliver_one(&mut lmtp, mailbox, due.1) {
                    Ok(()) => break,
                    Err(error) => self.refuse("deliverer", &error),
                }
                if self.stopped() {
                    return;
                }
                fresh = true;
            }
            self.done(due, Kind::Delivery);
        }
    }

    fn deliver_one(
        &self,
        lmtp: &mut Lmtp<'_>,
        mailbox: usize,
        phase: Phase,
    ) -> std::io::Result<()> {
        let to = plan::user(&self.plan.recipients, mailbox as u32);
        lmtp.deliver(&to, || {
            lock(&self.oracle).delivering(mailbox);
            lock(&self.sent).entry(mailbox).or_insert((now_ns(), phase));
        })?;
        lock(&self.oracle).delivered(mailbox);
        Ok(())
    }

    /// The idlers' life, all on one reactor.
    ///
    /// # Errors
    /// If there is no io_uring.
    pub fn idle(&self) -> std::io::Result<()> {
        let options = Options {
            receive_buffers: 512,
            receive_buffer_bytes: 2048,
            seed: self.plan.seed,
            ..Options::for_connections(self.plan.idlers * 2 + 64)
        };
        let mut fleet = Fleet::new(Uring::new(options, vec![])?);
        let credentials = Rc::new(Credentials::new(&self.plan.users, &self.plan.password));
        let mut waiting: Vec<usize> = (0..self.plan.idlers).rev().collect();
        let mut exists: BTreeMap<usize, u32> = BTreeMap::new();
        let (mut coming, mut there, mut told) = (0usize, 0usize, false);
        let mut heard = Vec::new();
        while !self.stopped() {
            while coming < CONCURRENCY
                && let Some(number) = waiting.pop()
            {
                let client = Client::new(&credentials, number as u32);
                fleet.add_session(number, client, self.plan.imap);
                coming += 1;
            }
            fleet.turn(now_ns() + 20_000_000, &mut heard);
            for (at, heard) in heard.drain(..) {
                let Heard::Session(number, event) = heard else {
                    continue;
                };
                let is_there = lock(&self.oracle).is_there(number);
                match event {
                    ClientEvent::Exists(count) if is_there => self.notified(number, count, at),
                    ClientEvent::Exists(count) => {
                        exists.insert(number, count);
                    }
                    ClientEvent::Idling => {
                        let count = exists.remove(&number).unwrap_or(0);
                        lock(&self.oracle).began(number, count);
                        (coming, there) = (coming - 1, there + 1);
                    }
                    ClientEvent::Failed(why) => {
                        lock(&self.oracle).left(number);
                        fleet.leave(number);
                        lock(&self.sent).remove(&number);
                        lock(&self.measures).refuse(format!("idler: {why}"));
                        match is_there {
                            true => there -= 1,
                            false => coming = coming.saturating_sub(1),
                        }
                        waiting.insert(0, number);
                    }
                    _ => {}
                }
            }
            if there == self.plan.idlers && !std::mem::replace(&mut told, true) {
                self.ready.fetch_add(1, Ordering::SeqCst);
            }
        }
        fleet.close_all();
        Ok(())
    }

    fn notified(&self, number: usize, count: u32, at: u64) {
        lock(&self.oracle).heard(number, count);
        if let Some((sent, phase)) = lock(&self.sent).remove(&number) {
            lock(&self.measures).add(phase, Kind::Notification, at.saturating_sub(sent));
        }
    }
}

/// A deliverer's connection.
struct Lmtp<'a> {
    wire: Wire<'a>,
    machine: Deliverer,
    number: u64,
}

impl<'a> Lmtp<'a> {
    fn connect(plan: &Plan, until: Until<'a>) -> std::io::Result<Self> {
        let mut lmtp = Self {
            wire: Wire::connect(plan.lmtp, From::Population, until)?,
            machine: Deliverer::default(),
            number: now_ns(),
        };
        lmtp.wait_for(Delivery::Ready, || {})?;
        Ok(lmtp)
    }

    /// Delivers a message; `sending` is called when its data leaves.
    fn deliver(&mut self, to: &str, sending: impl FnMut()) -> std::io::Result<()> {
        self.number += 1;
        self.machine
            .deliver(&[to.to_owned()], MESSAGE_BYTES, self.number);
        self.wait_for(Delivery::Delivered, sending)
    }

    fn wait_for(&mut self, wanted: Delivery, mut sending: impl FnMut()) -> std::io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let output = self.machine.take_output();
            self.wire.send(&output)?;
            let count = self.wire.receive(&mut buffer)?;
            let mut results = Vec::new();
            self.machine.handle_input(&buffer[..count], &mut results);
            for result in results {
                match result {
                    Delivery::Refused(why) => return Err(std::io::Error::other(why)),
                    Delivery::DataSent => sending(),
                    result if result == wanted => return Ok(()),
                    _ => {}
                }
            }
        }
    }
}
