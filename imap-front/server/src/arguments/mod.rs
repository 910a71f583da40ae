//! The command lines of the programs of this crate, a file each.

pub mod imapd;
pub mod imexpire;
pub mod imquotacheck;
pub mod imsbackup;
pub mod imsimport;
pub mod imsrestore;
pub mod reconstruct;

use clap::{Command, CommandFactory as _};

/// What tools that need no server print of their exit codes.
const EXIT_CODES: &str = "Exit codes: 0 done, 1 not done, 2 usage.";

/// All of them.
pub fn commands() -> Vec<Command> {
    vec![
        imapd::Cli::command(),
        imexpire::Arguments::command(),
        imquotacheck::Arguments::command(),
        imsbackup::Arguments::command(),
        imsimport::Arguments::command(),
        imsrestore::Arguments::command(),
        reconstruct::Cli::command(),
    ]
}
