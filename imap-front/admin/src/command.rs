//! What the administrator's command lines have in common.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::Base;

/// Done.
pub const DONE: u8 = 0;
/// Not done, and standard error says why.
pub const FAILED: u8 = 1;
/// The command line makes no sense.
pub const USAGE: u8 = 2;

/// Runs a command in the base directory that holds it. An error is told in one line, after the
/// command's name; that nobody reads the output any more is no error.
pub fn run(name: &str, command: impl FnOnce(&Base) -> Result<u8, Box<dyn Error>>) -> ExitCode {
    crate::privacy::keep_private();
    let done = Base::of_this_program()
        .map_err(Into::into)
        .and_then(|base| command(&base));
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) if is_broken_pipe(&*error) => ExitCode::from(DONE),
        Err(error) => {
            complain(format_args!("{name}: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

/// Prints a line. That nobody reads it any more ends no work: a server is to be started, whether
/// or not somebody looks on.
pub fn say(text: impl fmt::Display) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// The same to standard error.
pub fn complain(text: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints the beginning of a line, which is seen at once.
pub fn begin(text: impl fmt::Display) {
    let mut out = io::stdout();
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|it| it.kind() == io::ErrorKind::BrokenPipe)
}
