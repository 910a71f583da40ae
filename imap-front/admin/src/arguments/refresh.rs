//! The command line of `refresh`.

use std::ffi::OsString;

use clap::Parser;

/// Makes the running services read their configuration again. `configutil -m` shows which options
/// take effect so. What a service could not take is told, and the exit code is 1.
#[derive(Parser)]
#[command(name = "refresh", version)]
pub struct Arguments {
    /// Services to refresh: imap, ens. Without any, those that have something to read.
    pub services: Vec<OsString>,
}
