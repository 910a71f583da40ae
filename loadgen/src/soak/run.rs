//! The phases of a run: everybody comes, acts, falls silent, is asked what they know, and leaves.

use std::io::IsTerminal;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};
use reactor::uring::{Options, Uring};
use reactor::{Reactor, Rng};

use super::driver::Driver;
use super::faults::{Kind, Wrong};
use super::mailbox::LOST_NS;
use super::member::{Goal, KEPT};
use super::memory::Series;
use super::upgrades::{Running, Upgrades};
use super::{DEADLINE_NS, Findings, Plan, SECOND_NS, SoakError, Times, sockets};
use crate::measure::cpu_us;

/// Nothing heard for this long means that the server can't be used.
const PATIENCE_NS: u64 = 60 * SECOND_NS;
/// How long a turn waits at most.
const TURN_NS: u64 = SECOND_NS / 100;
/// How often memory is looked at.
const SAMPLE_NS: u64 = 30 * SECOND_NS;
/// A short run is looked at so many times at least.
const SAMPLES_MIN: u64 = 20;
/// How often a line of progress is printed where no line can be redrawn.
const LINE_NS: u64 = 10 * SECOND_NS;
/// How many things are begun in one turn at most: a driver that is late does not make up for it all
/// at once.
const BURST_MAX: usize = 256;
/// Sessions asked at a time, at the end.
const ASKED_MAX: usize = 1024;

struct Run<'a> {
    driver: Driver<'a, Uring>,
    plan: &'a Plan,
    memory: Series,
    bar: Option<ProgressBar>,
    began_ns: u64,
    line_ns: u64,
    second_ns: u64,
}

/// Runs all phases.
pub(super) fn run(plan: &Plan) -> Result<Findings, SoakError> {
    let options = Options {
        receive_buffers: 1024,
        receive_buffer_bytes: 4096,
        seed: plan.seed,
        ..Options::for_connections(plan.sessions + plan.lmtp_connections + 1024)
    };
    let failed = |error| SoakError::Io("can't set up io_uring", error);
    let mut reactor = Uring::new(options, vec![]).map_err(failed)?;
    // The clock of a reactor is that of its last turn.
    reactor.turn(Some(0), &mut Vec::new());
    let mut run = Run::new(plan, reactor);
    let setup_s = run.set_up()?;
    run.fill()?;
    let cpu_before = cpu_us(&plan.pids()).unwrap_or(0);
    let upgrades = plan.upgrades.as_ref().map(Upgrades::start).transpose();
    let upgrades = upgrades.map_err(|error| SoakError::Io("a thread", error))?;
    run.churn(upgrades.as_ref())?;
    // A process that took over has begun to count anew.
    let server_cpu_us = cpu_us(&plan.pids()).unwrap_or(0).saturating_sub(cpu_before);
    let upgraded = upgrades.map(Running::end);
    for fault in upgraded.iter().flat_map(|upgraded| &upgraded.faults) {
        let wrong = Wrong::new(Kind::Dropped, fault.clone());
        run.driver.judge.faults.add("upgrades", &wrong);
    }
    run.fall_silent()?;
    run.ask_everybody()?;
    let idling = run.idling();
    run.count_sockets(idling)?;
    run.leave()?;
    if let Some(bar) = &run.bar {
        bar.finish_and_clear();
    }
    let judge = run.driver.judge;
    Ok(Findings {
        setup_s,
        counts: judge.counts,
        times: judge.times,
        memory: run.memory,
        idling,
        server_cpu_us,
        upgraded,
        faults: judge.faults,
    })
}

/// Where the names of this run's messages begin: mailboxes may hold those of an earlier run.
fn first_id() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs()) << 24
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, reactor: Uring) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let now_ns = reactor.now_ns();
        Self {
            driver: Driver::new(plan, reactor, first_id()),
            plan,
            memory: Series::default(),
            bar,
            began_ns: now_ns,
            line_ns: now_ns,
            second_ns: now_ns,
        }
    }

    /// One turn, and what is to be done now and then.
    fn turn(&mut self, phase: &str, until_ns: u64) -> Result<(), SoakError> {
        let now_ns = self.driver.now_ns();
        self.driver.turn(until_ns.min(now_ns + TURN_NS));
        let now_ns = self.driver.now_ns();
        if now_ns >= self.second_ns + SECOND_NS {
            self.second_ns = now_ns;
            self.driver.check_replies();
            if now_ns > self.driver.heard_ns + PATIENCE_NS {
                let why = format!("it has said nothing for 60 s ({phase})");
                return Err(SoakError::Unusable(why));
            }
            match &self.bar {
                Some(bar) => bar.set_message(self.line(phase)),
                None if now_ns >= self.line_ns + LINE_NS => {
                    self.line_ns = now_ns;
                    eprintln!("{}", self.line(phase));
                }
                None => {}
            }
        }
        Ok(())
    }

    fn line(&self, phase: &str) -> String {
        let judge = &self.driver.judge;
        let memory = self.memory.samples.last();
        let mib = |bytes: Option<u64>| bytes.unwrap_or(0) >> 20;
        format!(
            "{phase} {:.0} s: {} sessions, {} deliveries, {} commands, {} faults, server {} MiB, \
             own {} MiB",
            (self.driver.now_ns() - self.began_ns) as f64 / 1e9,
            self.driver.open,
            judge.counts.delivered,
            judge.counts.commands,
            judge.faults.total(),
            mib(memory.map(|sample| sample.server)),
            mib(memory.map(|sample| sample.own)),
        )
    }

    fn idling(&self) -> usize {
        let members = self.driver.members.iter();
        members.filter(|member| member.is_idling()).count()
    }

    /// Everybody connects, logs in, selects, looks and idles. What goes wrong here ends the run.
    fn set_up(&mut self) -> Result<f64, SoakError> {
        while self.driver.away() > 0 || self.driver.settling > 0 {
            self.turn("set-up", u64::MAX)?;
            if let Some(text) = self.driver.judge.faults.texts.first() {
                return Err(SoakError::Unusable(text.clone()));
            }
        }
        self.driver.judge.adopting = false;
        Ok((self.driver.now_ns() - self.began_ns) as f64 / 1e9)
    }

    /// Every mailbox gets its first messages: a run that begins with empty mailboxes would measure
    /// for long how they fill.
    fn fill(&mut self) -> Result<(), SoakError> {
        let mailboxes = self.plan.mailboxes as u32;
        let mut full = (0..KEPT).flat_map(|_| 0..mailboxes).peekable();
        while full.peek().is_some() || self.driver.delivering() > 0 {
            let now_ns = self.driver.now_ns();
            let room = BURST_MAX.saturating_sub(self.driver.delivering());
            for mailbox in full.by_ref().take(room) {
                if self.driver.judge.mailboxes[mailbox as usize].count() < KEPT {
                    self.driver.deliver_to(mailbox, now_ns);
                }
            }
            self.turn("filling", u64::MAX)?;
        }
        // Doing the same all at once says little of how long it takes later.
        self.driver.judge.times = Times::default();
        self.began_ns = self.driver.now_ns();
        Ok(())
    }

    /// Until the time is over, and all upgrades were done.
    fn churn(&mut self, upgrades: Option<&Running>) -> Result<(), SoakError> {
        let plan = self.plan;
        let began_ns = self.began_ns;
        let mut until_ns = began_ns + plan.churn_ns;
        let sample_ns = SAMPLE_NS.min(plan.churn_ns / SAMPLES_MIN);
        let [mut delivery, mut command, mut leave] =
            [plan.rate, plan.command_rate, plan.reconnect_rate]
                .map(|rate| Pace::new(began_ns, rate));
        let mut look_ns = began_ns;
        let mut rng = Rng::new(plan.seed);
        loop {
            let now_ns = self.driver.now_ns();
            if upgrades.is_some_and(|upgrades| !upgrades.is_over()) {
                until_ns = until_ns.max(now_ns + SECOND_NS);
            }
            if now_ns >= until_ns {
                break;
            }
            if now_ns >= look_ns {
                self.look(now_ns)?;
                look_ns += sample_ns;
            }
            for _ in 0..BURST_MAX {
                let Some(intended_ns) = delivery.due(now_ns, 1) else {
                    break;
                };
                self.driver.deliver(intended_ns);
            }
            for _ in 0..BURST_MAX {
                let commands = 1 + rng.below(4) as u8;
                if command.due(now_ns, u64::from(commands)).is_none() {
                    break;
                }
                self.visit(commands, &mut rng);
            }
            for _ in 0..BURST_MAX {
                if leave.due(now_ns, 1).is_none() {
                    break;
                }
                self.send_away(&mut rng);
            }
            let next_ns = delivery.next_ns.min(command.next_ns).min(leave.next_ns);
            self.turn("churn", next_ns.min(look_ns).min(until_ns))?;
        }
        let now_ns = self.driver.now_ns();
        self.look(now_ns)
    }

    fn look(&mut self, now_ns: u64) -> Result<(), SoakError> {
        let at_s = (now_ns - self.began_ns) as f64 / 1e9;
        let holds = (self.driver.open, self.driver.messages());
        let failed = |error| SoakError::Io("can't read the server's memory", error);
        self.memory
            .look(&self.plan.pids(), at_s, holds)
            .map(drop)
            // The process may have been followed by another one just now.
            .or_else(|error| match self.plan.upgrades.is_some() {
                true => Ok(()),
                false => Err(failed(error)),
            })
    }

    /// Any session that idles, by chance.
    fn any_idling(&self, rng: &mut Rng) -> Option<usize> {
        let members = &self.driver.members;
        let mut drawn = (0..16).map(|_| rng.below(members.len() as u64) as usize);
        drawn.find(|number| members[*number].is_idling())
    }

    /// Some session does something else than to idle.
    fn visit(&mut self, commands: u8, rng: &mut Rng) {
        let Some(number) = self.any_idling(rng) else {
            return;
        };
        let now_ns = self.driver.now_ns();
        let mailbox = self.driver.members[number].mailbox;
        let mailbox = &self.driver.judge.mailboxes[mailbox as usize];
        let unsettled = !mailbox.is_certain() && mailbox.is_quiet(now_ns);
        let goal = if unsettled || rng.chance(1, 8) {
            Goal::Audit
        } else {
            Goal::Visit(commands)
        };
        self.driver.stir(number, goal);
    }

    /// Some session goes, in one of three ways.
    fn send_away(&mut self, rng: &mut Rng) {
        let Some(number) = self.any_idling(rng) else {
            return;
        };
        match rng.below(3) {
            0 => self.driver.stir(number, Goal::Leave),
            1 => self.driver.vanish(number),
            _ => self.driver.stir(number, Goal::Vanish),
        }
    }

    /// What is under way ends, who is away comes back; then nothing happens for longer than events
    /// may take. What idling sessions know now is all that they were told without asking.
    fn fall_silent(&mut self) -> Result<(), SoakError> {
        let patience_ns = self.driver.now_ns() + PATIENCE_NS;
        while self.idling() < self.plan.sessions || self.driver.delivering() > 0 {
            self.turn("falling silent", u64::MAX)?;
            if self.driver.now_ns() > patience_ns {
                let idling = self.idling();
                let text = format!(
                    "{idling} idle of {}, 60 s after the end",
                    self.plan.sessions
                );
                let faults = &mut self.driver.judge.faults;
                faults.add("sessions", &Wrong::new(Kind::Sessions, text));
                break;
            }
        }
        let until_ns = self.driver.now_ns() + LOST_NS.max(DEADLINE_NS) + SECOND_NS;
        // Nobody needs to say anything now.
        while self.driver.now_ns() < until_ns {
            self.turn("silence", until_ns)?;
        }
        for mailbox in 0..self.plan.mailboxes as u32 {
            if self.driver.judge.mailboxes[mailbox as usize].is_certain() {
                self.driver.check_idling(mailbox);
            }
        }
        Ok(())
    }

    /// Everybody is asked what they know, and is held against the model.
    fn ask_everybody(&mut self) -> Result<(), SoakError> {
        self.every("asking", Goal::Audit, |run| {
            run.plan.sessions - run.idling()
        })
    }

    /// Stirs every session that idles, [`ASKED_MAX`] at a time; `busy` tells how many are at it.
    fn every(
        &mut self,
        phase: &str,
        goal: Goal,
        busy: impl Fn(&Self) -> usize,
    ) -> Result<(), SoakError> {
        let patience_ns = self.driver.now_ns() + 5 * PATIENCE_NS;
        let before = busy(self);
        let mut next = 0;
        loop {
            let at_it = busy(self).saturating_sub(before);
            if (next >= self.plan.sessions && at_it == 0) || self.driver.now_ns() > patience_ns {
                return Ok(());
            }
            for _ in at_it..ASKED_MAX {
                if self.driver.members.get(next).is_some_and(|m| m.is_idling()) {
                    self.driver.stir(next, goal);
                }
                next += 1;
            }
            self.turn(phase, u64::MAX)?;
        }
    }

    /// The server holds as many connections as sessions are open.
    fn count_sockets(&mut self, expected: usize) -> Result<(), SoakError> {
        let pids = self.plan.pids();
        let Some(pid) = pids.first() else {
            return Ok(());
        };
        let failed = |error| SoakError::Io("can't read the server's connections", error);
        let open = sockets::open_at(*pid, self.plan.imap.port()).map_err(failed)?;
        if open != expected {
            let text = format!("the server holds {open} connections, expected {expected}");
            let faults = &mut self.driver.judge.faults;
            faults.add("sessions", &Wrong::new(Kind::Sessions, text));
        }
        Ok(())
    }

    /// Everybody logs out, and the server holds no connection any more.
    fn leave(&mut self) -> Result<(), SoakError> {
        self.driver.leaving = true;
        self.every("leaving", Goal::Leave, |run| run.driver.open - run.idling())?;
        let until_ns = self.driver.now_ns() + SECOND_NS;
        while self.driver.now_ns() < until_ns {
            self.driver.turn(until_ns);
        }
        let open = self.driver.open;
        self.count_sockets(open)
    }
}

/// Things at a steady rate.
struct Pace {
    next_ns: u64,
    gap_ns: f64,
}

impl Pace {
    fn new(now_ns: u64, rate: f64) -> Self {
        Self {
            next_ns: now_ns,
            gap_ns: 1e9 / rate,
        }
    }

    /// When the next should have happened, if that is over; the one after it comes `weight` gaps
    /// later.
    fn due(&mut self, now_ns: u64, weight: u64) -> Option<u64> {
        let due_ns = self.next_ns;
        if due_ns > now_ns {
            return None;
        }
        self.next_ns += (self.gap_ns * weight as f64) as u64;
        Some(due_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_kept_over_delays() {
        let mut pace = Pace::new(100, 1e9 / 50.0);
        assert_eq!(pace.due(99, 1), None);
        assert_eq!(pace.due(320, 2), Some(100));
        assert_eq!(pace.due(320, 1), Some(200));
        assert_eq!(pace.due(320, 3), Some(250));
        assert_eq!(pace.due(320, 1), None);
    }
}
