//! Starting, stopping and refreshing one service of a base directory.
//!
//! `start-msg` makes a pipe, and starts itself once more in a session of its own (so that no
//! terminal can end the server), which becomes the service's program. It writes a line for each
//! port and `ready` into the pipe whose number `ENSIGN_READY_FD` gives, or `error: ` and why, or
//! `failed: ` and which part can't serve.
#![expect(
    clippy::disallowed_methods,
    reason = "commands wait for programs by the machine's clock"
)]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal, setsid};

use super::pid_file::{self, running};
use super::{Service, WATCHER, environment, refreshed};
use crate::files::{Lock, in_place};
use crate::service_user::{ServiceUser, ServiceUserError};
use crate::{Base, Config};

/// The environment variable that tells the server where to report.
pub const READY_FD: &str = "ENSIGN_READY_FD";
/// The argument by which `start-msg` knows that it is to become the server.
pub const LAUNCH: &str = "--launch";
/// Longest complaint of the server that is repeated, in bytes.
const COMPLAINT_BYTES_MAX: u64 = 4096;
/// How long a service may take to read its configuration again, and between two looks.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const ANSWER_LOOK: Duration = Duration::from_millis(20);

/// Why a service can't be started, stopped or refreshed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// It runs.
    #[error("{0} server is already running, pid {1}")]
    Running(&'static str, i32),
    /// It doesn't.
    #[error("{0} server is not running")]
    NotRunning(&'static str),
    /// Another command is at work.
    #[error("another start-msg, stop-msg or refresh is at work in this base directory")]
    Busy,
    /// The server said why it can't start.
    #[error("{0} server did not start: {1}")]
    Refused(&'static str, String),
    /// It ended without a word.
    #[error("{name} server ended before it was ready ({status}); {} says:{said}", log.display())]
    Ended {
        /// The service.
        name: &'static str,
        /// How it ended.
        status: std::process::ExitStatus,
        /// Where its output is.
        log: PathBuf,
        /// The output's last line.
        said: String,
    },
    /// It takes too long.
    #[error("{name} server {pid} was not ready after {seconds} s and was killed")]
    NotReady {
        /// The service.
        name: &'static str,
        /// Its process id.
        pid: u32,
        /// How long was waited.
        seconds: u64,
    },
    /// It takes too long.
    #[error("{name} server {pid} still runs after {seconds} s; stop-msg -f kills it")]
    StillRuns {
        /// The service.
        name: &'static str,
        /// Its process id.
        pid: i32,
        /// How long was waited.
        seconds: u64,
    },
    /// It was told to read its configuration again, and says nothing.
    #[error(
        "{name} server {pid} has not said within {seconds} s that it has read its configuration \
         again; see its log"
    )]
    NoAnswer {
        /// The service.
        name: &'static str,
        /// Its process id.
        pid: i32,
        /// How long was waited.
        seconds: u64,
    },
    /// The configuration.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The user that it is to run as.
    #[error(transparent)]
    User(#[from] ServiceUserError),
    /// The system refused something.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: String,
        /// Why it failed.
        cause: io::Error,
    },
}

pub(super) fn system<E: Into<io::Error>>(
    what: impl Into<String>,
) -> impl FnOnce(E) -> ServiceError {
    let what = what.into();
    move |cause| ServiceError::System {
        what,
        cause: cause.into(),
    }
}

fn output_file(base: &Base, service: &Service) -> PathBuf {
    base.log().join(format!("{}.out", service.program))
}

/// Nobody else starts or stops the service meanwhile.
pub(super) fn lock(base: &Base, service: &Service) -> Result<Lock, ServiceError> {
    fs::create_dir_all(base.run()).map_err(system(format!("{}", base.run().display())))?;
    Lock::take(&pid_file::path(base, service))
        .map_err(system(format!("run/{}.pid.lock", service.program)))?
        .ok_or(ServiceError::Busy)
}

/// Forgets that a service was meant to run, if it doesn't: all were killed, or the power went. Else
/// the watcher, which is started first, would start again what is about to be started. A service
/// that somebody starts or stops at the moment is left to them.
///
/// # Errors
/// If its process id file can't be read or removed.
pub fn forget_dead(base: &Base, service: &Service) -> Result<(), ServiceError> {
    let _lock = match lock(base, service) {
        Err(ServiceError::Busy) => return Ok(()),
        lock => lock?,
    };
    let file = pid_file::path(base, service);
    let failed = || system(format!("{}", file.display()));
    if running(base, service).map_err(failed())?.is_some() {
        return Ok(());
    }
    match fs::remove_file(&file) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(failed()(cause)),
        _ => Ok(()),
    }
}

/// Becomes the program, in a session of its own. Returns only if that fails.
pub fn launch(base: &Base, service: &Service, arguments: &[OsString]) -> ServiceError {
    if let Err(cause) = setsid() {
        return system("a session of its own")(cause);
    }
    let user = service_user(base, service);
    if let Err(error) = user.and_then(|user| become_service_user(base, service, user)) {
        return error;
    }
    let program = base.program(service.program);
    let failed = Command::new(&program)
        .args(arguments)
        .current_dir(base.root())
        .exec();
    system(format!("can't run {}", program.display()))(failed)
}

/// Gives up what root may do, if the service has a user of its own.
fn become_service_user(
    base: &Base,
    service: &Service,
    user: Option<ServiceUser>,
) -> Result<(), ServiceError> {
    if let Some(user) = user {
        user.become_it()?;
        user.reaches(&base.program(service.program))?;
    }
    Ok(())
}

/// Whom a service becomes: nobody else, if it is the watcher, which starts the others again.
pub(super) fn service_user(
    base: &Base,
    service: &Service,
) -> Result<Option<ServiceUser>, ServiceError> {
    if service == &WATCHER {
        return Ok(None);
    }
    Ok(ServiceUser::of(&Config::load(base)?)?)
}

/// Nothing of the service runs, and the folders that it needs are there and its user's. Gives the
/// file for its process id. For somebody who has the lock.
fn make_way(
    base: &Base,
    service: &Service,
    user: Option<&ServiceUser>,
) -> Result<PathBuf, ServiceError> {
    let file = pid_file::path(base, service);
    if let Some(pid) = running(base, service).map_err(system(format!("{}", file.display())))? {
        let pid = pid.as_raw_nonzero().get();
        return Err(ServiceError::Running(service.name, pid));
    }
    for folder in [base.log(), base.data()] {
        fs::create_dir_all(&folder).map_err(system(format!("{}", folder.display())))?;
    }
    if let Some(user) = user {
        user.take_over(base)?;
    }
    Ok(file)
}

/// Becomes the program, in the session of a supervisor. Returns only if that fails.
///
/// # Errors
/// If the service runs already.
pub fn exec(
    base: &Base,
    service: &Service,
    arguments: &[OsString],
) -> Result<io::Error, ServiceError> {
    let lock = lock(base, service)?;
    let user = service_user(base, service)?;
    let file = make_way(base, service, user.as_ref())?;
    pid_file::write(base, service, std::process::id())
        .map_err(system(format!("{}", file.display())))?;
    drop(lock);
    let variables = environment::variables(base);
    become_service_user(base, service, user)?;
    Ok(Command::new(base.program(service.program))
        .envs(variables.map_err(system("config/ens.env"))?)
        .args(arguments)
        .current_dir(base.root())
        .exec())
}

/// Starts the service and waits until it is ready. `tell` hears the process id, then what the
/// service reports.
///
/// # Errors
/// If it runs already, can't be started, says that it can't start, or takes longer than `within`.
pub fn start(
    base: &Base,
    service: &Service,
    arguments: &[OsString],
    within: Duration,
    tell: impl FnMut(Progress<'_>),
) -> Result<(), ServiceError> {
    let _lock = lock(base, service)?;
    start_locked(base, service, arguments, within, tell)
}

/// As [`start`], by somebody who has the lock.
pub(super) fn start_locked(
    base: &Base,
    service: &Service,
    arguments: &[OsString],
    within: Duration,
    mut tell: impl FnMut(Progress<'_>),
) -> Result<(), ServiceError> {
    let name = service.name;
    let user = service_user(base, service)?;
    let file = make_way(base, service, user.as_ref())?;
    let program = base.program(service.program);
    if !program.exists() {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        return Err(system(format!("{}", program.display()))(missing));
    }
    let (reader, writer) = open_pipe(user.as_ref())?;
    let spawned = spawn(base, service, arguments, &writer);
    let mut child = spawned.map_err(system(format!("can't start the {name} server")))?;
    drop(writer);
    let pid = child.id();
    pid_file::write(base, service, pid).map_err(system(format!("{}", file.display())))?;
    tell(Progress::Pid(pid));
    let started = wait_ready(base, service, &mut child, reader, within, tell);
    if started.is_err() {
        // The process is gone; a stale number would only confuse.
        let _ = fs::remove_file(&file);
    }
    started
}

/// What the service reports through, and where that is heard.
pub(super) fn open_pipe(user: Option<&ServiceUser>) -> Result<(OwnedFd, OwnedFd), ServiceError> {
    let (reader, writer) = rustix::pipe::pipe().map_err(system("a pipe"))?;
    if let Some(user) = user {
        user.give_open(&writer).map_err(system("a pipe"))?;
    }
    Ok((reader, writer))
}

/// What [`start`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The process exists.
    Pid(u32),
    /// A line of the server's, such as `imap listening on 127.0.0.1:143`.
    Line(&'a str),
    /// A part of it that can't serve, and why; the others do.
    Failed(&'a str),
}

pub(super) fn spawn(
    base: &Base,
    service: &Service,
    arguments: &[OsString],
    writer: &OwnedFd,
) -> io::Result<Child> {
    let output = in_place().append(true).open(output_file(base, service))?;
    // The pipe was made without close-on-exec, so its number is the same in the child.
    let mut command = Command::new(base.root().join("sbin/start-msg"));
    environment::apply(base, &mut command)?;
    command
        .arg(LAUNCH)
        .arg(service.name)
        .args(arguments)
        .env(READY_FD, writer.as_raw_fd().to_string())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
}

fn wait_ready(
    base: &Base,
    service: &Service,
    child: &mut Child,
    reader: OwnedFd,
    within: Duration,
    mut tell: impl FnMut(Progress<'_>),
) -> Result<(), ServiceError> {
    let name = service.name;
    let deadline = Instant::now() + within;
    let (send, lines) = mpsc::channel();
    // Ends when the server closes the pipe; a server that is ready may keep it open, then the
    // thread ends with this process.
    let read = move || {
        for line in BufReader::new(File::from(reader))
            .lines()
            .map_while(Result::ok)
        {
            if send.send(line).is_err() {
                break;
            }
        }
    };
    let reader = std::thread::Builder::new().name("output".into());
    reader
        .spawn(read)
        .map_err(system("can't start a thread to read its output"))?;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) if line == "ready" => return Ok(()),
            Ok(line) => match line.strip_prefix("error: ") {
                Some(reason) => {
                    end(child);
                    return Err(ServiceError::Refused(name, reason.to_owned()));
                }
                None => match line.strip_prefix("failed: ") {
                    Some(reason) => tell(Progress::Failed(reason)),
                    None => tell(Progress::Line(&line)),
                },
            },
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(ended(base, service, child)),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let pid = child.id();
                end(child);
                return Err(ServiceError::NotReady {
                    name,
                    pid,
                    seconds: within.as_secs(),
                });
            }
        }
    }
}

/// That of a server which has ended, or is about to, without a word.
pub(super) fn ended(base: &Base, service: &Service, child: &mut Child) -> ServiceError {
    let log = output_file(base, service);
    match child.wait() {
        Err(cause) => system("waiting for the server")(cause),
        Ok(status) => ServiceError::Ended {
            name: service.name,
            status,
            said: last_line(&log),
            log,
        },
    }
}

/// Makes sure that a server that will not serve is gone. What it wrote is durable or not there.
pub(super) fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// The last line of a file, with a blank before it; empty if there is none.
fn last_line(path: &std::path::Path) -> String {
    let read = || -> io::Result<String> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(COMPLAINT_BYTES_MAX)))?;
        let mut bytes = Vec::new();
        file.take(COMPLAINT_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    match text.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => format!(" {}", line.trim()),
        None => " nothing".into(),
    }
}

/// Stops the server and waits until it is gone: in good order, or at once if `kill`. `tell` hears
/// its process id before.
///
/// # Errors
/// If it doesn't run, or still runs after `within`.
pub fn stop(
    base: &Base,
    service: &Service,
    kill: bool,
    within: Duration,
    tell: impl FnOnce(i32),
) -> Result<(), ServiceError> {
    let _lock = lock(base, service)?;
    let (name, file) = (service.name, pid_file::path(base, service));
    let running = running(base, service).map_err(system(format!("{}", file.display())))?;
    let Some(pid) = running else {
        let _ = fs::remove_file(&file);
        return Err(ServiceError::NotRunning(name));
    };
    let number = pid.as_raw_nonzero().get();
    tell(number);
    let gone = |cause: rustix::io::Errno| cause == rustix::io::Errno::SRCH;
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(cause) if gone(cause) => None,
        opened => Some(opened.map_err(system("pidfd_open"))?),
    };
    if let Some(process) = process {
        let signal = if kill { Signal::KILL } else { Signal::TERM };
        match pidfd_send_signal(&process, signal) {
            Err(cause) if gone(cause) => {}
            sent => sent.map_err(system(format!("can't signal the {name} server {number}")))?,
        }
        if !wait_gone(&process, within).map_err(system("waiting for the server"))? {
            return Err(ServiceError::StillRuns {
                name,
                pid: number,
                seconds: within.as_secs(),
            });
        }
    }
    fs::remove_file(&file).map_err(system(format!("{}", file.display())))
}

/// Whether the process ended in time.
pub(super) fn wait_gone(process: &OwnedFd, within: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut fds = [PollFd::new(process, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(cause) => return Err(cause.into()),
        }
    }
}

/// What a service says that was told to read its configuration again.
#[derive(Debug)]
pub struct Refreshed {
    /// Its process id.
    pub pid: i32,
    /// What it could not take, a line each.
    pub refused: Vec<String>,
}

/// Makes the service read its configuration again, and waits for what it says of it.
///
/// # Errors
/// If it doesn't run, can't be signalled, or doesn't answer.
pub fn refresh(base: &Base, service: &Service) -> Result<Refreshed, ServiceError> {
    let file = pid_file::path(base, service);
    let pid = running(base, service)
        .map_err(system(format!("{}", file.display())))?
        .ok_or(ServiceError::NotRunning(service.name))?;
    let number = pid.as_raw_nonzero().get();
    let failed = system(format!("can't signal the {} server {number}", service.name));
    let path = base.refreshed(service.program);
    let cannot = || system(format!("{}", path.display()));
    let deadline = Instant::now() + ANSWER_WITHIN;
    // Two who ask at the same time would take each other's answer.
    let _lock = loop {
        match Lock::take(&path).map_err(cannot())? {
            None if Instant::now() < deadline => std::thread::sleep(ANSWER_LOOK),
            None => return Err(ServiceError::Busy),
            Some(lock) => break lock,
        }
    };
    refreshed::expect(&path).map_err(cannot())?;
    kill_process(pid, Signal::HUP).map_err(failed)?;
    while Instant::now() < deadline {
        if let Some(refused) = refreshed::answer(&path).map_err(cannot())? {
            let pid = number;
            return Ok(Refreshed { pid, refused });
        }
        std::thread::sleep(ANSWER_LOOK);
    }
    Err(ServiceError::NoAnswer {
        name: service.name,
        pid: number,
        seconds: ANSWER_WITHIN.as_secs(),
    })
}
