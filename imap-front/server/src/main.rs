//! `imapd`, started by `start-msg`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use admin::Base;
use clap::Parser;
use server::ready::Ready;
use server::run::Server;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How often the user directory is looked at for changes.
const USERS_EVERY: Duration = Duration::from_secs(1);

#[derive(Parser)]
#[command(version, about = "The IMAP and LMTP server; start it with start-msg")]
struct Cli {
    /// Base directory; by default the one this program lies in.
    #[arg(long)]
    base: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let mut ready = Ready::from_env();
    let base = match cli
        .base
        .map_or_else(Base::of_this_program, |root| Ok(Base::new(root)))
    {
        Ok(base) => base,
        Err(error) => {
            ready.failed(&error);
            return ExitCode::FAILURE;
        }
    };
    // Taken before anything is started, so that no signal is missed.
    let mut signals = match Signals::new([SIGTERM, SIGINT, SIGHUP]) {
        Ok(signals) => signals,
        Err(error) => {
            ready.failed(&error);
            return ExitCode::FAILURE;
        }
    };
    let server = match Server::start(&base, &mut ready) {
        Ok(server) => server,
        Err(error) => {
            ready.failed(&error);
            return ExitCode::FAILURE;
        }
    };
    ready.ready();
    loop {
        match signals.pending().next() {
            Some(SIGHUP) => server.refresh(),
            Some(_) => break,
            None => {
                std::thread::sleep(USERS_EVERY / 10);
                server.refresh();
            }
        }
    }
    server.stop();
    ExitCode::SUCCESS
}
