//! What the administrator's command lines have in common.

use std::error::Error;
use std::io;
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
            eprintln!("{name}: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|it| it.kind() == io::ErrorKind::BrokenPipe)
}
