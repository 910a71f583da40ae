//! `start-msg [imap]`: starts the server and waits until it serves.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use admin::command::{self, DONE, FAILED, USAGE};
use admin::service::{self, Progress};
use admin::{Base, Config};
use clap::Parser;

/// Starts the services of this base directory and waits until they serve.
#[derive(Parser)]
#[command(name = "start-msg")]
struct Arguments {
    /// Services to start: imap. Without any, all that are enabled.
    services: Vec<OsString>,
    /// Seconds the server may take until it serves.
    #[arg(long, default_value_t = 300)]
    timeout: u64,
}

fn main() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == service::LAUNCH)
    {
        return command::run("start-msg", |base| Err(service::launch(base).into()));
    }
    let arguments = Arguments::parse();
    command::run("start-msg", |base| start(base, &arguments))
}

fn start(base: &Base, arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    if let Err(reason) = service::check_names(arguments.services.iter().map(OsString::as_os_str)) {
        eprintln!("start-msg: {reason}");
        return Ok(USAGE);
    }
    if !Config::load(base)?.switch("service.imap.enable") {
        eprintln!("start-msg: imap server is disabled; set service.imap.enable to yes");
        return Ok(if arguments.services.is_empty() {
            DONE
        } else {
            FAILED
        });
    }
    print!("Starting imap server .... ");
    io::stdout().flush()?;
    let mut pid_told = false;
    let started = service::start(base, Duration::from_secs(arguments.timeout), |progress| {
        match progress {
            Progress::Pid(pid) => println!("{pid}"),
            Progress::Line(line) => println!("  {line}"),
        }
        pid_told = true;
    });
    if started.is_err() && !pid_told {
        println!("not started");
    }
    started.map(|()| DONE).map_err(Into::into)
}
