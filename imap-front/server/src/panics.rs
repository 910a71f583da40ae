//! What becomes of a panic: a request's costs that request, a plane's ends the process.
#![expect(
    clippy::disallowed_methods,
    reason = "a process that ends waits for its log, and nobody for it"
)]

use std::backtrace::Backtrace;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

/// The process's exit code when a plane has failed: EX_SOFTWARE of sysexits.h.
const EXIT_CODE: i32 = 70;

/// Every panic of this process gets a line in the log, with its thread and a backtrace.
pub fn log_all() {
    std::panic::set_hook(Box::new(|info| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("without a name");
        let backtrace = Backtrace::force_capture();
        tracing::error!("the thread {name} panicked: {info}\n{backtrace}");
    }));
}

/// Ends the process, as it can't do without a plane that has ended. Its supervisor starts it again;
/// what was acknowledged is durable.
pub fn end_process(plane: &str) -> ! {
    tracing::error!("the plane {plane} has ended; so does this process, to be started again");
    eprintln!("imapd: the plane {plane} has ended; see the log");
    // What sessions did until now is on its way to the log.
    std::thread::sleep(crate::lines::WRITTEN_WITHIN);
    std::process::exit(EXIT_CODE);
}

/// A thread that the process can't do without: a panic in it ends the process as that of a plane
/// does. What it leaves at its end is of no use without it.
///
/// # Errors
/// If the system has no more threads.
pub fn spawn_plane<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new()
        .name(name.into())
        .spawn(move || catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| end_process(name)))
}

/// Does a request's work. None if it panicked, which is logged: the request is to be refused.
pub fn catch<T>(name: &str, work: impl FnOnce() -> T) -> Option<T> {
    // What the work shares with others is either unchanged or behind a lock that is not poisoned.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => Some(outcome),
        Err(_) => {
            tracing::error!("the request {name} has failed and is refused; see the panic before");
            None
        }
    }
}
