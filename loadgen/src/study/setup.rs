//! Sessions connect, log in, select and idle.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use reactor::uring::{Options, Uring};

use super::returning::{Again, Returning, is_unavailable};
use super::{Run, SECOND_NS, Study, StudyError};
use crate::account::Account;
use crate::client::{Client, ClientEvent};
use crate::deliverer::Result as Delivery;
use crate::fleet::{Fleet, Heard};
use crate::measure::now_ns;
use crate::oracle::{Faults, Oracle};
use crate::progress::Progress;

/// How set-up went.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Sessions that idle.
    pub sessions: usize,
    /// How long it took.
    pub took_ns: u64,
    /// Server CPU, in microseconds.
    pub server_cpu_us: u64,
    /// The load generator's, in microseconds.
    pub own_cpu_us: u64,
    /// The longest that a shard of the server looked at nothing new; 0 if it did not say.
    pub longest_turn_ns: u64,
    /// Who was told that the server can't now, and came again.
    pub again: Again,
}

/// How sessions came.
pub(super) struct Brought {
    /// How often they had to come again.
    pub again: Again,
    /// How many are not there, as nobody got in any more.
    pub refused: usize,
}

/// Who comes again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Whoever was told that the server can't now. Anything else ends the run.
    Unavailable,
    /// Whoever failed.
    All,
}

/// CPU while everybody idles, in percent of one core.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// For so long.
    pub seconds: u64,
    /// The server.
    pub server: f64,
    /// The load generator.
    pub own: f64,
    /// Everything on this host, with the kernel's own.
    pub all: f64,
}

/// A server that takes no more CPU than this in a second is quiet, in microseconds.
const QUIET_CPU_US: u64 = 20_000;
/// A server that is never quiet is not waited for.
const QUIET_LOOKS_MAX: usize = 60;

impl<'a> Run<'a> {
    pub(super) fn new(study: &'a Study) -> Result<Self, StudyError> {
        let bare = if study.sendloop_rounds > 0 {
            study.sessions
        } else {
            0
        };
        let options = Options {
            receive_buffers: 1024,
            receive_buffer_bytes: 2048,
            seed: study.seed,
            ..Options::for_connections(study.sessions + bare + study.lmtp_connections + 64)
        };
        let failed = |error| StudyError::Io("can't set up io_uring", error);
        let reactor = Uring::new(options, vec![]).map_err(failed)?;
        let watched = 0..study.sessions * study.watched_by_each() as usize;
        let watched = watched.map(|session| study.mailbox_of(session)).collect();
        Ok(Self {
            study,
            fleet: Fleet::new(reactor).with_tls(study.tls()?),
            oracle: Oracle::new(study.mailbox_count(), watched),
            heard: Vec::new(),
            credentials: Rc::new(study.credentials()),
            peak: Account::default(),
            number: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos() as u64),
        })
    }

    pub(super) fn set_up(&mut self) -> Result<Setup, StudyError> {
        let study = self.study;
        // What was longest before is forgotten.
        study.longest_turn_ns()?;
        let before = study.account()?;
        let began = now_ns();
        let all = (0..study.sessions).collect();
        let brought = self.bring(all, study.setup_concurrency, Patience::Unavailable)?;
        if let Some(why) = brought
            .again
            .reasons
            .keys()
            .next()
            .filter(|_| brought.refused > 0)
        {
            let count = brought.refused;
            return Err(StudyError::Refused(format!("{count} sessions: {why}")));
        }
        let took_ns = now_ns() - began;
        let after = study.account()?;
        Ok(Setup {
            sessions: study.sessions,
            took_ns,
            server_cpu_us: after.server_cpu_us - before.server_cpu_us,
            own_cpu_us: after.own_cpu_us - before.own_cpu_us,
            longest_turn_ns: study.longest_turn_ns()?,
            again: brought.again,
        })
    }

    /// Has sessions connect, log in, select and idle, so many at a time. Who fails comes again,
    /// later each time, until nobody gets in any more.
    pub(super) fn bring(
        &mut self,
        numbers: Vec<usize>,
        concurrency: usize,
        patience: Patience,
    ) -> Result<Brought, StudyError> {
        let study = self.study;
        let mut progress = Progress::new("sessions", numbers.len(), study.progress);
        let (total, mut started, mut idling) = (numbers.len(), 0, 0);
        let (mut again, mut returning) = (Again::default(), Returning::new(study.seed));
        let mut has_ended = false;
        let mut waiting = numbers;
        // From the lowest on.
        waiting.reverse();
        let mut exists: HashMap<usize, u32> = HashMap::new();
        let mut last = now_ns();
        while idling < total && !(has_ended && started == idling) {
            while started - idling < concurrency
                && !has_ended
                && let Some(number) = returning.next(now_ns()).or_else(|| waiting.pop())
            {
                let client = Client::new(&self.credentials, study.mailbox_of(number));
                self.fleet.add_session(number, client, study.imap);
                started += 1;
            }
            let until = returning.next_ns().unwrap_or(u64::MAX);
            let until = until.clamp(now_ns(), now_ns() + SECOND_NS);
            self.fleet.turn(until, &mut self.heard);
            for (at, heard) in std::mem::take(&mut self.heard) {
                match heard {
                    Heard::Session(number, ClientEvent::Exists(count))
                        if self.oracle.is_there(number) =>
                    {
                        self.oracle.heard(number, count);
                    }
                    Heard::Session(number, ClientEvent::Exists(count)) => {
                        exists.insert(number, count);
                    }
                    Heard::Session(number, ClientEvent::Status(mailbox, count)) => {
                        let watch = study.watch(number, mailbox);
                        match self.oracle.is_there(watch) {
                            true => self.oracle.heard(watch, count),
                            false => drop(exists.insert(watch, count)),
                        }
                    }
                    Heard::Session(number, ClientEvent::Idling) => {
                        for mailbox in 0..study.watched_by_each() {
                            let watch = study.watch(number, mailbox);
                            let count = exists.remove(&watch).unwrap_or(0);
                            self.oracle.began(watch, count);
                        }
                        (idling, last) = (idling + 1, at);
                        returning.is_back(number);
                    }
                    Heard::Session(number, ClientEvent::Failed(why))
                        if patience == Patience::All || is_unavailable(&why) =>
                    {
                        again.count(why);
                        idling -= usize::from(self.oracle.is_there(number));
                        started -= 1;
                        self.oracle.left(number);
                        self.fleet.leave(number);
                        returning.failed(number, at);
                    }
                    Heard::Session(number, ClientEvent::Failed(why)) => {
                        return Err(StudyError::Refused(format!("session {number}: {why}")));
                    }
                    _ => {}
                }
            }
            progress.at(idling, || study.note());
            if now_ns() - last > study.patience_ns() {
                // Some were never answered.
                if has_ended || returning.len() < total - idling {
                    return Err(StudyError::TimedOut("for sessions to idle"));
                }
                (has_ended, last) = (true, now_ns());
            }
        }
        let refused = total - idling;
        Ok(Brought { again, refused })
    }

    /// Lets what is still moving come to rest: for some seconds, and then until the server does
    /// next to nothing.
    pub(super) fn settle(&mut self) {
        self.listen_for(self.study.settle_s * SECOND_NS);
        if !self.study.server.is_known() {
            return;
        }
        for _ in 0..QUIET_LOOKS_MAX {
            let before = self.study.cpu_us();
            self.listen_for(SECOND_NS);
            if self.study.cpu_us() - before <= QUIET_CPU_US {
                return;
            }
        }
    }

    /// Listens for so long.
    pub(super) fn listen_for(&mut self, ns: u64) {
        let until = now_ns() + ns;
        while now_ns() < until {
            self.listen(until);
        }
    }

    /// How much of a core the server takes while everybody idles.
    pub(super) fn idle(&mut self) -> Result<Idle, StudyError> {
        let study = self.study;
        let (before, began) = (study.account()?, now_ns());
        self.listen_for(study.idle_s * SECOND_NS);
        let (after, took_us) = (study.account()?, (now_ns() - began) as f64 / 1e3);
        let percent = |after: u64, before: u64| (after - before) as f64 / took_us * 100.0;
        Ok(Idle {
            seconds: study.idle_s,
            server: percent(after.server_cpu_us, before.server_cpu_us),
            own: percent(after.own_cpu_us, before.own_cpu_us),
            all: percent(after.all_cpu_us, before.all_cpu_us),
        })
    }

    pub(super) fn connect_deliverers(&mut self) -> Result<(), StudyError> {
        let count = self.study.lmtp_connections.max(1);
        for number in 0..count {
            self.fleet.add_deliverer(number, self.study.lmtp);
        }
        let (mut ready, until) = (0, now_ns() + self.study.patience_ns());
        while ready < count {
            self.fleet.turn(until, &mut self.heard);
            for (_, heard) in self.heard.drain(..) {
                match heard {
                    Heard::Deliverer(_, Delivery::Ready) => ready += 1,
                    Heard::Deliverer(_, Delivery::Refused(why)) => {
                        return Err(StudyError::Refused(format!("LMTP: {why}")));
                    }
                    _ => {}
                }
            }
            if now_ns() > until {
                return Err(StudyError::TimedOut("for LMTP connections"));
            }
        }
        Ok(())
    }

    /// One turn; sessions' news go to the oracle, the rest is given back.
    pub(super) fn listen(&mut self, until_ns: u64) -> Vec<(u64, Heard)> {
        self.fleet.turn(until_ns, &mut self.heard);
        let mut rest = Vec::new();
        for (at, heard) in self.heard.drain(..) {
            match heard {
                Heard::Session(number, ClientEvent::Status(mailbox, count)) => {
                    let watch = self.study.watch(number, mailbox);
                    self.oracle.heard(watch, count);
                    rest.push((at, Heard::Session(watch, ClientEvent::Exists(count))));
                }
                Heard::Session(number, ClientEvent::Exists(count)) => {
                    self.oracle.heard(number, count);
                    rest.push((at, Heard::Session(number, ClientEvent::Exists(count))));
                }
                Heard::Session(number, ClientEvent::Failed(why)) => {
                    for mailbox in 0..self.study.watched_by_each() {
                        self.oracle.left(self.study.watch(number, mailbox));
                    }
                    rest.push((at, Heard::Session(number, ClientEvent::Failed(why))));
                }
                heard => rest.push((at, heard)),
            }
        }
        rest
    }

    /// Waits until everyone has heard everything, but not for ever.
    pub(super) fn wait_until_heard(&mut self) {
        let until = now_ns() + self.study.patience_ns();
        while self.oracle.behind() > 0 && now_ns() < until {
            self.listen(now_ns() + SECOND_NS / 10);
        }
    }

    /// Waits until everyone has heard everything, or nothing comes any more; gives the verdict.
    pub(super) fn finish(mut self) -> Faults {
        self.wait_until_heard();
        // What comes twice comes late.
        self.settle();
        self.fleet.close_all();
        self.oracle.verdict()
    }
}
