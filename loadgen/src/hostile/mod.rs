//! What one client can do to the others: attacks, one at a time, beside a quiet population that is
//! judged by an oracle.
//!
//! In reading order: [`Plan`], [`attacks`] (what an attacker does), [`population`] (who should not
//! feel it), [`measures`] (what they felt), [`report`].

pub mod args;
pub mod attacks;
pub mod enp;
pub mod measures;
pub mod population;
pub mod report;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::oracle::Faults;
use crate::processes::Server;
use attacks::{Attack, Stage};
use measures::{Measures, Phase};
use population::Population;

/// How long the population may take to come in.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Between two looks at the server's memory.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Messages of a large mailbox.
    pub messages: u32,
    /// Mailboxes with long names.
    pub mailboxes: u32,
    /// Bytes of a large message.
    pub message_bytes: usize,
    /// Connections of an attack that needs many.
    pub connections: usize,
    /// What an attacker asks for, over all its connections.
    pub requests: usize,
}

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// IMAP server.
    pub imap: SocketAddr,
    /// LMTP server.
    pub lmtp: SocketAddr,
    /// Event broker, if there is one.
    pub ens: Option<SocketAddr>,
    /// User names, with `%d`: idlers first, then workers, those who log in, and attackers.
    pub users: String,
    /// Users whose passwords are costly to verify and who were never there.
    pub cold_users: String,
    /// Everybody's password.
    pub password: String,
    /// Addresses for LMTP, with `%d`.
    pub recipients: String,
    /// Idling sessions, a mailbox each.
    pub idlers: usize,
    /// Sessions that work.
    pub workers: usize,
    /// LMTP connections that deliver.
    pub deliverers: usize,
    /// How long nobody attacks.
    pub quiet: Duration,
    /// How long an attack may last.
    pub attack: Duration,
    /// How long the population goes on after it.
    pub after: Duration,
    /// How long the server may settle before its memory is read.
    pub settle: Duration,
    /// How long anything may take.
    pub patience: Duration,
    /// Sizes of the attacks.
    pub sizes: Sizes,
    /// The server's processes.
    pub server: Server,
    /// Seed of the population's choices.
    pub seed: u64,
}

/// What came of one attack.
#[derive(Clone, Debug)]
pub struct Findings {
    /// Which.
    pub attack: Attack,
    /// What the attacker saw.
    pub outcome: String,
    /// How long it went on.
    pub took: Duration,
    /// What the population felt.
    pub measures: Measures,
    /// The oracle's verdict.
    pub faults: Faults,
    /// The server's memory of its own in the quiet phase, at the worst, and at the end, in bytes;
    /// zeros if the server is not known.
    pub memory: [u64; 3],
}

impl Findings {
    /// Whether the attacker could do nothing of what it was to do: nothing was learnt then.
    pub fn did_nothing(&self) -> bool {
        self.outcome.contains(attacks::NOTHING_DONE)
    }
}

impl Plan {
    /// The first user who attacks.
    fn first_attacker(&self) -> u32 {
        (self.idlers + self.workers) as u32 + population::LOGIN_USERS
    }

    /// Brings the population in, lets it be, and attacks.
    ///
    /// # Errors
    /// If the population can't come in, or the attack can't be prepared.
    pub fn run(&self, attack: Attack) -> Result<Findings, String> {
        let stop = AtomicBool::new(false);
        let stage = Stage::new(self, &stop);
        let mut prepared = attack
            .prepare(&stage)
            .map_err(|error| format!("{attack}: {error}"))?;
        let population = Population::new(self);
        let memory = Arc::new(AtomicU64::new(0));
        let looking = AtomicBool::new(true);
        let (mut outcome, mut took) = (String::new(), Duration::ZERO);
        let mut seen = [0; 3];
        thread::scope(|scope| {
            self.send_in(scope, &population);
            // What the attacker works on this host must not look like the server's.
            if self.server.go_first() == 0 {
                println!(
                    "the server can't be put before its load in the scheduler (/proc/PID/autogroup)"
                );
            }
            population
                .wait_ready(READY_WITHIN)
                .inspect_err(|_| population.stop())?;
            thread::sleep(self.settle);
            seen[0] = self.memory();
            scope.spawn(|| self.watch_memory(&memory, &looking));
            population.enter(Some(Phase::Quiet));
            thread::sleep(self.quiet);
            population.drain(Phase::Quiet, self.patience);
            population.enter(Some(Phase::Attack));
            let began = Instant::now();
            outcome = self.attack(&stage, &mut prepared, attack);
            took = began.elapsed();
            thread::sleep(self.after);
            population.drain(Phase::Attack, self.patience);
            looking.store(false, Ordering::Relaxed);
            drop(prepared);
            thread::sleep(self.settle);
            seen[1] = memory.load(Ordering::Relaxed).max(seen[0]);
            seen[2] = self.memory();
            population.stop();
            Ok::<(), String>(())
        })?;
        let (measures, faults) = population.verdict();
        Ok(Findings {
            attack,
            outcome,
            took,
            measures,
            faults,
            memory: seen,
        })
    }

    fn send_in<'s>(&'s self, scope: &'s thread::Scope<'s, '_>, population: &'s Population<'_>) {
        scope.spawn(|| {
            if let Err(error) = population.idle() {
                eprintln!("loadgen: the idlers: {error}");
            }
        });
        for number in 0..self.workers {
            scope.spawn(move || population.work(number));
        }
        for number in 0..self.deliverers {
            scope.spawn(move || population.deliver(number));
        }
        scope.spawn(|| population.log_in());
    }

    /// Attacks until that is done or its time is over; gives what the attacker saw.
    fn attack<'a>(
        &self,
        stage: &Stage<'a>,
        prepared: &mut attacks::Prepared<'a>,
        attack: Attack,
    ) -> String {
        thread::scope(|scope| {
            let attacker = scope.spawn(|| {
                stage.be_nice();
                attack.run(stage, prepared)
            });
            let until = Instant::now() + self.attack;
            while !attacker.is_finished() && Instant::now() < until {
                thread::sleep(Duration::from_millis(10));
            }
            stage.stop.store(true, Ordering::Relaxed);
            match attacker.join() {
                Ok(Ok(text)) => text,
                Ok(Err(error)) => format!("broke off: {error}"),
                Err(_) => "the attacker panicked".into(),
            }
        })
    }

    fn memory(&self) -> u64 {
        self.server.resident().unwrap_or(0)
    }

    fn watch_memory(&self, most: &AtomicU64, looking: &AtomicBool) {
        while looking.load(Ordering::Relaxed) {
            most.fetch_max(self.memory(), Ordering::Relaxed);
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// A message of about so many bytes.
fn message(bytes: usize) -> Vec<u8> {
    let mut text = String::from(
        "From: loadgen@localhost\r\nTo: you@localhost\r\nSubject: a message\r\n\
         Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n\r\n",
    );
    while text.len() < bytes {
        text.push_str("All work and no play makes a dull message, line after line.\r\n");
    }
    text.into_bytes()
}
