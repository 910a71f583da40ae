//! Putting another version of a running service in its place, without dropping anybody.
//!
//! The new process asks the running one for all connections (`--take-over`). Until it has them the
//! old one serves; whatever happens to the new one before, the old one goes on. The new one says
//! `committed` into its pipe before there is no way back: from then on it is the service, and
//! nobody ends it. Why it has none of it is said by either of both, in a line that begins with
//! `error: `: then it is ended, whatever it hangs in, as it may have the store.
#![expect(
    clippy::disallowed_methods,
    reason = "commands wait for programs by the machine's clock"
)]

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::pid_file::{self, running};
use super::process::{end, ended, lock, open_pipe, service_user, spawn, system, wait_gone};
use super::{Progress, Service, ServiceError};
use crate::Base;

/// The argument of the service's program.
const TAKE_OVER: &str = "--take-over";
/// How long a process that nobody waits for may take to end by itself.
const ENDS_WITHIN: Duration = Duration::from_secs(4);
/// How long one that is the service may take until it says that it serves.
const SERVES_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Starts the program in `lib/` and waits until it has taken over from the one that runs. `tell`
/// hears the process id, then what the new process reports.
///
/// # Errors
/// If none runs, or the new one can't be started or can't take over: the old one serves then.
pub fn upgrade(
    base: &Base,
    service: &'static Service,
    arguments: &[std::ffi::OsString],
    within: Duration,
    mut tell: impl FnMut(Progress<'_>),
) -> Result<(), ServiceError> {
    let _lock = lock(base, service)?;
    let file = pid_file::path(base, service);
    let name = format!("{}", file.display());
    let before = running(base, service).map_err(system(name.clone()))?;
    let before = before.ok_or(ServiceError::NotRunning(service.name))?;
    let program = base.program(service.program);
    fs::metadata(&program).map_err(system(format!("{}", program.display())))?;
    let user = service_user(base, service)?;
    let old = pidfd_open(before, PidfdFlags::empty()).map_err(system("pidfd_open"))?;
    let (reader, writer) = open_pipe(user.as_ref())?;
    let mut all = arguments.to_vec();
    all.push(TAKE_OVER.into());
    let spawned = spawn(base, service, &all, &writer);
    let what = format!("can't start the {} server", service.name);
    let child = spawned.map_err(system(what))?;
    drop(writer);
    tell(Progress::Pid(child.id()));
    let taking = Taking {
        base,
        service,
        before,
        old,
        child,
        report: Report::of(reader),
        is_committed: false,
    };
    taking.wait(within, tell)
}

/// A process that is about to take over.
struct Taking<'a> {
    base: &'a Base,
    service: &'static Service,
    before: Pid,
    /// The process before.
    old: OwnedFd,
    child: Child,
    report: Report,
    is_committed: bool,
}

impl Taking<'_> {
    fn wait(
        mut self,
        within: Duration,
        mut tell: impl FnMut(Progress<'_>),
    ) -> Result<(), ServiceError> {
        let mut until = Instant::now() + within;
        loop {
            match self.report.next(until).map_err(system("its report"))? {
                Heard::Line(line) if line == "ready" => return Ok(()),
                Heard::Line(line) if line == "committed" => {
                    self.is_committed = true;
                    self.note(self.child.id())?;
                    until = Instant::now() + SERVES_WITHIN;
                }
                Heard::Line(line) => match line.strip_prefix("error: ") {
                    Some(why) => return Err(self.refused(why)),
                    None => match line.strip_prefix("failed: ") {
                        Some(why) => tell(Progress::Failed(why)),
                        None => tell(Progress::Line(&line)),
                    },
                },
                Heard::End => {
                    return Err(ended(self.base, self.service, &mut self.child));
                }
                // It is the service, and has only not said so.
                Heard::Nothing if self.is_committed => return Ok(()),
                Heard::Nothing => return self.give_up(within),
            }
        }
    }

    fn note(&self, pid: u32) -> Result<(), ServiceError> {
        let file = pid_file::path(self.base, self.service);
        pid_file::write(self.base, self.service, pid).map_err(system(format!("{}", file.display())))
    }

    /// The old process goes on.
    fn refused(mut self, why: &str) -> ServiceError {
        end(&mut self.child);
        let noted = match self.is_committed {
            true => self.note(self.before.as_raw_nonzero().get().cast_unsigned()),
            false => Ok(()),
        };
        let refused = ServiceError::Refused(self.service.name, why.to_owned());
        noted.err().unwrap_or(refused)
    }

    /// It takes too long. It can't commit once nobody would hear that, and ends. Whether it had
    /// committed before is told by the old one, which is gone then.
    fn give_up(mut self, within: Duration) -> Result<(), ServiceError> {
        drop(self.report);
        let until = Instant::now() + ENDS_WITHIN;
        let waiting = system("waiting for the server");
        let has_ended = loop {
            match self.child.try_wait() {
                Err(error) => return Err(waiting(error)),
                Ok(Some(_)) => break true,
                Ok(None) if Instant::now() > until => break false,
                Ok(None) => std::thread::sleep(LOOK_EVERY),
            }
        };
        let pid = self.child.id();
        if !has_ended {
            if wait_gone(&self.old, Duration::ZERO).map_err(waiting)? {
                let file = pid_file::path(self.base, self.service);
                let noted = pid_file::write(self.base, self.service, pid);
                return noted.map_err(system(format!("{}", file.display())));
            }
            end(&mut self.child);
        }
        Err(ServiceError::NotReady {
            name: self.service.name,
            pid,
            seconds: within.as_secs(),
        })
    }
}

/// What comes through the pipe.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Line(String),
    /// Nobody has the other end any more.
    End,
    /// The time is over.
    Nothing,
}

/// The lines of a pipe, each waited for so long and no longer.
struct Report {
    pipe: File,
    bytes: VecDeque<u8>,
}

impl Report {
    fn of(reader: OwnedFd) -> Self {
        Self {
            pipe: reader.into(),
            bytes: VecDeque::new(),
        }
    }

    fn next(&mut self, until: Instant) -> io::Result<Heard> {
        loop {
            if let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.bytes.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line[..end]);
                return Ok(Heard::Line(line.into_owned()));
            }
            let left = until.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut ends = [PollFd::new(&self.pipe, PollFlags::IN)];
            match poll(&mut ends, Some(&timeout)) {
                Ok(0) => return Ok(Heard::Nothing),
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(cause) => return Err(cause.into()),
            }
            let mut some = [0; 4096];
            match self.pipe.read(&mut some)? {
                0 => return Ok(Heard::End),
                count => self.bytes.extend(&some[..count]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_are_heard_as_they_come() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let (mut report, mut writer) = (Report::of(reader), File::from(writer));
        let soon = || Instant::now() + Duration::from_millis(10);
        assert_eq!(report.next(soon()).unwrap(), Heard::Nothing);
        writer.write_all(b"one\ntwo\nth").unwrap();
        for line in ["one", "two"] {
            assert_eq!(report.next(soon()).unwrap(), Heard::Line(line.into()));
        }
        assert_eq!(report.next(soon()).unwrap(), Heard::Nothing);
        writer.write_all(b"ree\n").unwrap();
        assert_eq!(report.next(soon()).unwrap(), Heard::Line("three".into()));
        drop(writer);
        assert_eq!(report.next(soon()).unwrap(), Heard::End);
    }
}
