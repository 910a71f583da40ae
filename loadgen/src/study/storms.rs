//! What a server must survive: everybody speaks at once, is deaf at once, leaves and comes back at
//! once, or loses the server.

use std::process::Command;

use super::returning::Again;
use super::setup::Patience;
use super::{Run, SECOND_NS, StudyError};
use crate::account::Account;
use crate::client::ClientEvent;
use crate::fleet::Heard;
use crate::measure::now_ns;

/// Sessions that act before what came of it is looked at: about what a listener's backlog takes.
const AT_A_TIME: usize = 4096;
/// Sessions that connect at a time in a storm: many more than all backlogs take.
const CONNECTING_MAX: usize = 65_536;
/// The same with TLS: a server has shaken hands with all of them long before it cuts the last.
const SHAKING_MAX: usize = 16_384;
/// How often memory is looked at.
const LOOK_NS: u64 = SECOND_NS / 2;

/// A storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Every session ends its IDLE at once, and idles again.
    Done,
    /// No client reads what it is sent while each mailbox gets a message; then all read again.
    Deaf,
    /// Everybody leaves at once; then everybody comes back at once.
    Leave,
    /// The server is restarted by `--restart-command`, and everybody comes back at once.
    Restart,
}

/// How a storm went.
#[derive(Clone, Debug)]
pub struct Storm {
    /// Which.
    pub kind: Kind,
    /// How long until everything was as before.
    pub took_ns: u64,
    /// Server CPU until then, in microseconds; after a restart that of the new server since it
    /// began, if `--server-pid-file` names it.
    pub server_cpu_us: Option<u64>,
    /// The load generator's CPU, in microseconds.
    pub own_cpu_us: u64,
    /// How long it took after a restart until everybody had lost the server and that was back.
    pub down_ns: Option<u64>,
    /// The server's user memory in bytes: before, at most, and after it has come to rest.
    pub bytes: Option<[u64; 3]>,
    /// What was left of it when everybody had left.
    pub empty_bytes: Option<u64>,
    /// How often sessions had to come again.
    pub again: Again,
    /// Sessions that are not back, though they came again and again.
    pub refused: usize,
    /// Sessions that did not hear of a message in time.
    pub unheard: usize,
    /// The longest turn of a shard, in nanoseconds; 0 if the server did not say.
    pub longest_turn_ns: u64,
}

impl Run<'_> {
    pub(super) fn storm(&mut self, kind: Kind) -> Result<Storm, StudyError> {
        self.settle();
        let study = self.study;
        study.longest_turn_ns()?;
        let mut before = study.account()?;
        let own_before_us = before.own_cpu_us;
        let bytes = before.server_bytes;
        self.peak = before;
        let mut storm = Storm {
            kind,
            took_ns: 0,
            server_cpu_us: None,
            own_cpu_us: 0,
            down_ns: None,
            bytes: None,
            empty_bytes: None,
            again: Again::default(),
            refused: 0,
            unheard: 0,
            longest_turn_ns: 0,
        };
        let began = now_ns();
        match kind {
            Kind::Done => self.everybody_speaks()?,
            Kind::Deaf => storm.unheard = self.everybody_is_deaf(&mut storm)?,
            Kind::Leave => {
                storm.empty_bytes = self.everybody_leaves()?;
                self.everybody_comes(&mut storm)?;
            }
            Kind::Restart => {
                self.restart()?;
                storm.down_ns = Some(now_ns() - began);
                before = study.account()?;
                self.everybody_comes(&mut storm)?;
            }
        }
        storm.took_ns = now_ns() - began;
        storm.longest_turn_ns = study.longest_turn_ns()?;
        let after = study.account()?;
        storm.server_cpu_us = after.server_cpu_us.checked_sub(before.server_cpu_us);
        storm.own_cpu_us = after.own_cpu_us - own_before_us;
        self.look();
        self.settle();
        // Memory is given back when things are quiet.
        self.listen_for(3 * SECOND_NS);
        let rest = study.account()?.server_bytes;
        let peak = self.peak.server_bytes;
        storm.bytes = match (bytes, peak, rest) {
            (Some(before), Some(peak), Some(after)) => Some([before, peak, after]),
            _ => None,
        };
        Ok(storm)
    }

    /// Notes the server's memory if it has never been as much in this storm.
    fn look(&mut self) {
        if let Ok(now) = Account::take(&self.study.server)
            && now.server_bytes > self.peak.server_bytes
        {
            self.peak = now;
        }
    }

    /// Waits until so many sessions idle anew.
    fn wait_idling(
        &mut self,
        count: usize,
        since: &mut Vec<(u64, Heard)>,
    ) -> Result<(), StudyError> {
        let (mut idling, mut last, mut looked) = (0, now_ns(), now_ns());
        while idling < count {
            since.extend(self.listen(now_ns() + SECOND_NS / 10));
            for (at, heard) in since.drain(..) {
                match heard {
                    Heard::Session(_, ClientEvent::Idling) => (idling, last) = (idling + 1, at),
                    Heard::Session(number, ClientEvent::Failed(why)) => {
                        return Err(StudyError::Refused(format!("session {number}: {why}")));
                    }
                    _ => {}
                }
            }
            if now_ns() - looked > LOOK_NS {
                self.look();
                looked = now_ns();
            }
            if now_ns() - last > self.study.patience_ns() {
                return Err(StudyError::TimedOut("for sessions to idle again"));
            }
        }
        Ok(())
    }

    fn everybody_speaks(&mut self) -> Result<(), StudyError> {
        let (mut speaking, mut heard) = (0, Vec::new());
        for number in 0..self.study.sessions {
            speaking += usize::from(self.fleet.end_idle(number));
            if number % AT_A_TIME == AT_A_TIME - 1 {
                heard.extend(self.listen(now_ns()));
            }
        }
        self.wait_idling(speaking, &mut heard)
    }

    /// Gives how many heard nothing.
    fn everybody_is_deaf(&mut self, storm: &mut Storm) -> Result<usize, StudyError> {
        for number in 0..self.study.sessions {
            self.fleet.read(number, false);
        }
        self.fleet.flush();
        self.sweep_mailboxes(self.study.sweep_recipients)?;
        self.look();
        for number in 0..self.study.sessions {
            self.fleet.read(number, true);
            if number % AT_A_TIME == AT_A_TIME - 1 {
                self.listen(now_ns());
            }
        }
        let unheard = self.wait_heard();
        storm.again.cut = self.not_there().len();
        self.everybody_comes(storm)?;
        Ok(unheard)
    }

    fn not_there(&self) -> Vec<usize> {
        let all = 0..self.study.sessions;
        all.filter(|number| !self.oracle.is_there(*number))
            .collect()
    }

    /// Gives the server's memory once it has come to rest.
    fn everybody_leaves(&mut self) -> Result<Option<u64>, StudyError> {
        for number in 0..self.study.sessions {
            self.fleet.leave(number);
            self.oracle.left(number);
            if number % AT_A_TIME == AT_A_TIME - 1 {
                self.fleet.flush();
            }
        }
        self.fleet.flush();
        self.look();
        self.settle();
        self.listen_for(3 * SECOND_NS);
        Ok(self.study.account()?.server_bytes)
    }

    fn connecting_max(&self) -> usize {
        match self.study.security {
            None => CONNECTING_MAX,
            Some(_) => SHAKING_MAX,
        }
    }

    /// Everybody who is not there connects at once.
    fn everybody_comes(&mut self, storm: &mut Storm) -> Result<(), StudyError> {
        let brought = self.bring(self.not_there(), self.connecting_max(), Patience::All)?;
        storm.again.add(brought.again);
        storm.refused = brought.refused;
        Ok(())
    }

    /// Runs the command that restarts the server, and sees everybody lose it.
    fn restart(&mut self) -> Result<(), StudyError> {
        let failed = |error| StudyError::Io("can't restart the server", error);
        let command = self.study.restart_command.as_deref().unwrap_or("false");
        let mut child = Command::new("sh")
            .args(["-c", command])
            .spawn()
            .map_err(failed)?;
        let until = now_ns() + self.study.patience_ns();
        let mut status = None;
        let is_there = |run: &Self| {
            let mut all = 0..run.study.sessions;
            all.any(|number| run.oracle.is_there(number))
        };
        while status.is_none() || is_there(self) {
            self.listen_for(SECOND_NS / 10);
            if status.is_none() {
                status = child.try_wait().map_err(failed)?;
            }
            if now_ns() > until {
                // Not left behind.
                let _ = child.kill();
                let _ = child.wait();
                return Err(StudyError::TimedOut("for the server's restart"));
            }
        }
        match status.is_some_and(|status| status.success()) {
            true => Ok(()),
            false => Err(StudyError::Refused(format!("{command}: it failed"))),
        }
    }
}
