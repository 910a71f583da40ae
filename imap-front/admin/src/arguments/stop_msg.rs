//! The command line of `stop-msg`.

use std::ffi::OsString;

use clap::Parser;

/// Stops the services of this base directory and waits until they are gone.
#[derive(Parser)]
#[command(name = "stop-msg", version)]
pub struct Arguments {
    /// Services to stop: watcher, ens, store, imap. Without any, all, disabled ones too.
    pub services: Vec<OsString>,
    /// Kill at once (SIGKILL). What was acknowledged is durable all the same.
    #[arg(short = 'f', long)]
    pub force: bool,
    /// Seconds a service may take to end its sessions.
    #[arg(long, default_value_t = 90)]
    pub timeout: u64,
}
