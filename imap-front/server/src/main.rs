//! `imapd`, started by `start-msg`.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use admin::{Base, Config};
use clap::Parser;
use ens::ready::Ready;
use server::log::Log;
use server::run::Server;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How often signals and the user directory are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Every so many looks memory is given back, if there is any.
const TIDY_EVERY: u64 = 10;

#[derive(Parser)]
#[command(version, about = "The IMAP and LMTP server; start it with start-msg")]
struct Cli {
    /// Base directory; by default the one this program lies in.
    #[arg(long)]
    base: Option<PathBuf>,
    /// Recover and check the store, and end.
    #[arg(long)]
    recover: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut ready = Ready::from_env();
    if cli.recover {
        return match recover(cli.base) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("imapd: {error}");
                ExitCode::FAILURE
            }
        };
    }
    match serve(cli.base, &mut ready) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ready.failed("imapd", &*error);
            ExitCode::FAILURE
        }
    }
}

fn recover(base: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    let base = base.map_or_else(Base::of_this_program, |root| Ok(Base::new(root)))?;
    let config = Config::load(&base)?;
    Server::recover(&base, &config).map_err(Into::into)
}

fn serve(base: Option<PathBuf>, ready: &mut Ready) -> Result<(), Box<dyn Error>> {
    let base = base.map_or_else(Base::of_this_program, |root| Ok(Base::new(root)))?;
    let config = Config::load(&base)?;
    let log = Log::start(&config)?;
    // Taken before anything is started, so that no signal is missed.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let mut server = Server::start(&base, &config, ready)?;
    ready.ready();
    let mut looks = 0u64;
    loop {
        match signals.pending().next() {
            Some(SIGHUP) => match Config::load(&base) {
                Ok(config) => {
                    log.refresh(&config);
                    server.refresh(&config);
                }
                Err(error) => tracing::error!("{error}; what was known before is kept"),
            },
            Some(_) => break,
            None => {
                std::thread::sleep(LOOK_EVERY);
                looks += 1;
                server.refresh_users();
                if looks.is_multiple_of(TIDY_EVERY) {
                    server.tidy_memory();
                }
            }
        }
    }
    server.stop();
    Ok(())
}
