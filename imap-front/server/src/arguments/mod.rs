//! The command lines of the programs of this crate, a file each.

pub mod imapd;
pub mod reconstruct;

use clap::{Command, CommandFactory as _};

/// All of them.
pub fn commands() -> Vec<Command> {
    vec![imapd::Cli::command(), reconstruct::Cli::command()]
}
