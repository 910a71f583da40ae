//! Putting another version of a running service in its place, without dropping anybody.
//!
//! The new process asks the running one for all connections (`imapd --take-over`). Until it has
//! them the old one serves; whatever happens to the new one before, the old one goes on.

use std::fs;
use std::time::Duration;

use super::pid_file::{self, running};
use super::process::{lock, open_pipe, service_user, spawn, system, wait_ready};
use super::{Progress, Service, ServiceError};
use crate::Base;

/// The argument of the service's program.
const TAKE_OVER: &str = "--take-over";

/// Starts the program in `lib/` and waits until it has taken over from the one that runs. `tell`
/// hears the process id, then what the new process reports.
///
/// # Errors
/// If none runs, or the new one can't be started or can't take over: the old one serves then.
pub fn upgrade(
    base: &Base,
    service: &Service,
    within: Duration,
    mut tell: impl FnMut(Progress<'_>),
) -> Result<(), ServiceError> {
    let _lock = lock(base, service)?;
    let file = pid_file::path(base, service);
    let name = || format!("{}", file.display());
    if running(base, service).map_err(system(name()))?.is_none() {
        return Err(ServiceError::NotRunning(service.name));
    }
    let program = base.program(service.program);
    fs::metadata(&program).map_err(system(format!("{}", program.display())))?;
    let user = service_user(base, service)?;
    let (reader, writer) = open_pipe(user.as_ref())?;
    let spawned = spawn(base, service, &[TAKE_OVER.into()], &writer);
    let what = format!("can't start the {} server", service.name);
    let mut child = spawned.map_err(system(what))?;
    drop(writer);
    let pid = child.id();
    tell(Progress::Pid(pid));
    wait_ready(base, service, &mut child, reader, within, tell)?;
    pid_file::write(base, service, pid).map_err(system(name()))
}
