//! Listening sockets that a supervisor opened before it started this program: the protocol of
//! systemd's sd_listen_fds(3), with names.
#![allow(
    unsafe_code,
    reason = "it takes over open descriptors by their numbers"
)]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The first descriptor that is passed on.
const FIRST: RawFd = 3;

/// A socket and the name that its unit gives it.
type Named = (String, OwnedFd);

/// The sockets of a service, each once; none if there was no supervisor that opened any.
pub(crate) fn take(service: &str) -> Vec<OwnedFd> {
    static PASSED: OnceLock<Mutex<Vec<Named>>> = OnceLock::new();
    let passed = PASSED.get_or_init(|| Mutex::new(from_env()));
    let mut passed = passed.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = passed.extract_if(.., |(name, _)| name == service);
    taken.map(|(_, socket)| socket).collect()
}

/// What another process of this service listens on, as it was given.
static GIVEN: Mutex<Vec<Named>> = Mutex::new(Vec::new());

fn given() -> std::sync::MutexGuard<'static, Vec<Named>> {
    GIVEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes a socket that another process has given.
pub(crate) fn add(name: &str, socket: OwnedFd) {
    given().push((name.to_owned(), socket));
}

/// Those of a name for which this holds, each once.
pub(crate) fn take_given(name: &str, is_meant: impl Fn(&OwnedFd) -> bool) -> Vec<OwnedFd> {
    let mut given = given();
    let taken = given.extract_if(.., |(its, socket)| its == name && is_meant(socket));
    taken.map(|(_, socket)| socket).collect()
}

/// Closes those that nobody has taken.
pub(crate) fn forget() {
    given().clear();
}

fn from_env() -> Vec<Named> {
    let variable = |name: &str| std::env::var(name).ok();
    let of_this_process = |pid: String| pid.parse() == Ok(std::process::id());
    if !variable("LISTEN_PID").is_some_and(of_this_process) {
        return vec![];
    }
    let count = variable("LISTEN_FDS").and_then(|count| count.parse::<RawFd>().ok());
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let names = names.split(':').map(str::to_owned);
    let own = |number| {
        // SAFETY: the supervisor opened these for this process and nobody else has them; this runs
        // once.
        let socket = unsafe { OwnedFd::from_raw_fd(number) };
        // Children must not have it. Fails only on a descriptor that isn't open.
        let flags = rustix::io::FdFlags::CLOEXEC;
        let open = rustix::io::fcntl_setfd(&socket, flags).is_ok();
        if !open {
            std::mem::forget(socket);
            return None;
        }
        Some(socket)
    };
    (FIRST..FIRST + count.unwrap_or(0))
        .zip(names)
        .filter_map(|(number, name)| Some((name, own(number)?)))
        .collect()
}
