//! `stop-msg [-f] [imap]`: stops the server and waits until it is gone.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use admin::Base;
use admin::command::{self, DONE, USAGE};
use admin::service::{self, ServiceError};
use clap::Parser;

/// Stops the services of this base directory and waits until they are gone.
#[derive(Parser)]
#[command(name = "stop-msg")]
struct Arguments {
    /// Services to stop: imap. Without any, all.
    services: Vec<OsString>,
    /// Kill at once (SIGKILL). What was acknowledged is durable all the same.
    #[arg(short = 'f', long)]
    force: bool,
    /// Seconds the server may take to end its sessions.
    #[arg(long, default_value_t = 30)]
    timeout: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    command::run("stop-msg", |base| stop(base, &arguments))
}

fn stop(base: &Base, arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    if let Err(reason) = service::check_names(arguments.services.iter().map(OsString::as_os_str)) {
        eprintln!("stop-msg: {reason}");
        return Ok(USAGE);
    }
    let within = Duration::from_secs(arguments.timeout);
    let stopped = service::stop(base, arguments.force, within, |pid| {
        print!("Stopping imap server {pid} ... ");
        // Whether the wait is seen to begin matters less than that it does.
        let _ = io::stdout().flush();
    });
    match stopped {
        Ok(()) => println!("done"),
        Err(ServiceError::NotRunning) => println!("imap server is not running"),
        Err(error) => {
            println!();
            return Err(error.into());
        }
    }
    Ok(DONE)
}
