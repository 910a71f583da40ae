//! The command lines of the programs of this crate, a file each: what a program takes, and what is
//! told of it in its help, its man page and its completions.

pub mod authhost;
pub mod configure;
pub mod configutil;
pub mod msguser;
pub mod refresh;
pub mod start_msg;
pub mod stop_msg;
pub mod watcher;

use clap::{Command, CommandFactory as _};

/// All of them.
pub fn commands() -> Vec<Command> {
    let mut commands = vec![
        authhost::Arguments::command(),
        configure::Arguments::command(),
        configutil::Arguments::command(),
        msguser::Arguments::command(),
        refresh::Arguments::command(),
        start_msg::Arguments::command(),
        stop_msg::Arguments::command(),
        watcher::Arguments::command(),
    ];
    commands.extend(crate::tools::commands());
    commands
}
