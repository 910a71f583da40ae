//! Sessions connect, log in, select and idle.

use std::time::{SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};
use reactor::uring::{Options, Uring};

use super::{Run, SECOND_NS, Study, StudyError};
use crate::client::{Client, News};
use crate::deliverer::Result as Delivery;
use crate::fleet::{Fleet, Heard};
use crate::measure::now_ns;
use crate::oracle::{Faults, Oracle};
use crate::plan;

/// How set-up went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup {
    /// Sessions that idle.
    pub sessions: usize,
    /// How long it took.
    pub took_ns: u64,
    /// Server CPU, in microseconds.
    pub server_cpu_us: u64,
}

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
        let watched = (0..study.sessions)
            .map(|session| study.mailbox_of(session))
            .collect();
        Ok(Self {
            study,
            fleet: Fleet::new(reactor),
            oracle: Oracle::new(study.mailbox_count(), watched),
            heard: Vec::new(),
            number: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos() as u64),
        })
    }

    pub(super) fn set_up(&mut self) -> Result<Setup, StudyError> {
        let study = self.study;
        let (began, cpu_before) = (now_ns(), study.cpu_us());
        let bar = progress(study, "sessions");
        let (mut started, mut idling) = (0, 0);
        let mut exists = vec![0; study.sessions];
        let mut last = began;
        while idling < study.sessions {
            while started < study.sessions && started - idling < study.setup_concurrency {
                let user = plan::user(&study.users, study.mailbox_of(started));
                let client = Client::new(&user, &study.password);
                self.fleet.add_session(started, client, study.imap);
                started += 1;
            }
            self.fleet.turn(now_ns() + SECOND_NS, &mut self.heard);
            for (at, heard) in self.heard.drain(..) {
                last = at;
                match heard {
                    Heard::Session(number, News::Exists(count)) => exists[number] = count,
                    Heard::Session(number, News::Idling) => {
                        self.oracle.began(number, exists[number]);
                        idling += 1;
                    }
                    Heard::Session(number, News::Failed(why)) => {
                        return Err(StudyError::Refused(format!("session {number}: {why}")));
                    }
                    _ => {}
                }
            }
            bar.set_position(idling as u64);
            if now_ns() - last > study.patience_ns() {
                return Err(StudyError::TimedOut("for sessions to idle"));
            }
        }
        bar.finish_and_clear();
        Ok(Setup {
            sessions: idling,
            took_ns: now_ns() - began,
            server_cpu_us: study.cpu_us() - cpu_before,
        })
    }

    /// Lets what is still moving come to rest.
    pub(super) fn settle(&mut self) {
        let until = now_ns() + self.study.settle_s * SECOND_NS;
        while now_ns() < until {
            self.listen(until);
        }
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
                Heard::Session(number, News::Exists(count)) => {
                    self.oracle.heard(number, count);
                    rest.push((at, Heard::Session(number, News::Exists(count))));
                }
                heard => rest.push((at, heard)),
            }
        }
        rest
    }

    /// Waits until everyone has heard everything, or nothing comes any more.
    pub(super) fn finish(mut self) -> Faults {
        let until = now_ns() + self.study.patience_ns();
        while self.oracle.behind() > 0 && now_ns() < until {
            self.listen(now_ns() + SECOND_NS / 10);
        }
        // What comes twice comes late.
        self.settle();
        self.fleet.close_all();
        self.oracle.verdict()
    }
}

/// A bar on a terminal, nothing elsewhere.
pub(super) fn progress(study: &Study, what: &'static str) -> ProgressBar {
    if !study.progress {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg:>12} {bar:40} {pos}/{len} {per_sec} {eta}");
    let bar = ProgressBar::new(study.sessions as u64).with_message(what);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
