//! `imapd`, started by `start-msg`.
#![expect(
    clippy::disallowed_methods,
    reason = "nobody waits for the main thread; signals end its sleep"
)]

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use admin::idle::Facts;
use admin::privacy::{self, PrivacyError};
use admin::service::{self, refreshed};
use admin::service_user::{ServiceUser, ServiceUserError};
use admin::status::Status;
use admin::{Base, Config};
use clap::Parser;
use ens::ready::Ready;
use rustix::process::Pid;
use server::arguments::imapd::Cli;
use server::handover;
use server::log::Log;
use server::ports::Ports;
use server::run::{Origin, Server};
use server::{broker, certificates, confinement, notify, panics, tokens};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

/// How often signals and the user directory are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Every so many looks memory is given back, if there is any.
const TIDY_EVERY: u64 = 10;

/// Something else to do than to serve.
type Errand = Box<dyn FnOnce(&Base, &Cli) -> Result<(), Box<dyn Error>>>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    privacy::keep_private();
    let base = match &cli.base {
        Some(root) => Ok(Base::new(root)),
        None => Base::of_this_program(),
    };
    let errand: Option<Errand> = match &cli {
        Cli { recover: true, .. } => Some(Box::new(recover)),
        Cli { check: true, .. } => {
            // Which process that is the service user can't tell, if root has started it.
            let running = base.as_ref().ok().and_then(running_server);
            Some(Box::new(move |base, _| check(base, running)))
        }
        _ => None,
    };
    if let Err(error) = base.as_ref().map_or(Ok(()), become_service_user) {
        Ready::from_env().failed("imapd", &error);
        return ExitCode::FAILURE;
    }
    let outcome = match (&base, errand, cli.try_plugin) {
        (Err(error), _, _) => Err(error.to_string()),
        (Ok(base), _, Some(number)) => match notify::try_plug_in(base, number) {
            Ok(()) => return ExitCode::from(notify::SURVIVED),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        },
        (Ok(base), Some(errand), None) => errand(base, &cli).map_err(|error| error.to_string()),
        (Ok(base), None, None) => return run(base, &cli),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("imapd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// If root has started this program by itself and not through start-msg. A configuration that can't
/// be read is told by who needs it next.
fn become_service_user(base: &Base) -> Result<(), ServiceUserError> {
    match Config::load(base) {
        Ok(config) => ServiceUser::assume(base, &config),
        Err(_) => Ok(()),
    }
}

fn running_server(base: &Base) -> Option<Pid> {
    service::running(base, &service::IMAP).ok().flatten()
}

fn run(base: &Base, cli: &Cli) -> ExitCode {
    let mut ready = Ready::from_env();
    match serve(base, cli, &mut ready) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ready.failed("imapd", &*error);
            ExitCode::FAILURE
        }
    }
}

/// What is found goes to the log as well as to whoever reads the output.
fn recover(base: &Base, cli: &Cli) -> Result<(), Box<dyn Error>> {
    let config = Config::load(base)?;
    let _log = Log::start(&config)?;
    make_private(base)?;
    let lost = Server::recover(base, &config, cli.accept_loss)
        .inspect_err(|error| tracing::error!("recovery: {error}"))?;
    if let Some(lost) = lost {
        println!("  {lost}");
    }
    Ok(())
}

/// A line for each condition, with what to type for those that are not met.
fn check(base: &Base, running: Option<Pid>) -> Result<(), Box<dyn Error>> {
    ens::output::end_when_nobody_reads();
    let config = Config::load(base)?;
    let mut out = std::io::stdout();
    // Files, whoever has read them last: a renewal that nobody told the server of is good, too.
    for line in certificates::described(&config) {
        writeln!(out, "{line}")?;
    }
    if let Some(line) = tokens::described(&config) {
        writeln!(out, "{line}")?;
    }
    if let Some(status) = running.and_then(|pid| Status::of(base, pid)) {
        write!(out, "The running server:\n{}", status.conditions)?;
        for line in status.differences(&config) {
            writeln!(out, "{line}")?;
        }
        for line in broker::described_site(base, &config) {
            writeln!(out, "{line}")?;
        }
        return verdict(status.idle);
    }
    let plug_ins = 0..config.plug_ins().len();
    let mut facts = Facts::looked_up(&config);
    let trial = |number| notify::trial(base, number).err();
    facts.not_loaded = plug_ins.map(trial).collect();
    for line in broker::described_site(base, &config) {
        writeln!(out, "{line}")?;
    }
    let conditions = admin::idle::conditions(&config, facts);
    for condition in &conditions {
        writeln!(out, "{condition}")?;
    }
    verdict(conditions.iter().all(|condition| condition.met))
}

fn verdict(idle: bool) -> Result<(), Box<dyn Error>> {
    if !idle {
        return Err("IDLE is not offered".into());
    }
    Ok(writeln!(std::io::stdout(), "IDLE is offered")?)
}

/// Closes to others what is theirs no more to read, and says what was open.
fn make_private(base: &Base) -> Result<(), PrivacyError> {
    for (path, mode) in privacy::check(base)? {
        let path = path.display();
        tracing::warn!("{path} was open to others (mode {mode:o}) and is closed to them now");
    }
    Ok(())
}

/// Reads the configuration again, and says for who asked what could not be taken.
fn refresh(base: &Base, log: &Log, server: &mut Server) {
    let refused = match Config::load(base) {
        Ok(config) => {
            let file = log.refresh(&config);
            let refused = server.refresh(&config);
            file.into_iter().chain(refused).collect()
        }
        Err(error) => {
            let why = format!("{error}; what was known before is kept");
            tracing::error!("{why}");
            vec![why]
        }
    };
    let path = base.refreshed(service::IMAP.program);
    if let Err(error) = refreshed::write(&path, &refused) {
        tracing::error!("can't write {}: {error}", path.display());
    }
}

/// Where store and connections come from.
fn origin(
    base: &Base,
    config: &Config,
    cli: &Cli,
    ready: &mut Ready,
) -> Result<Origin, Box<dyn Error>> {
    if !cli.take_over {
        let accept_loss = cli.accept_loss;
        return Ok(Origin::Files { accept_loss });
    }
    let mail = server::options::shards(config);
    let shards: Vec<u16> = [mail].into_iter().chain(broker::shards(config)).collect();
    let mut successor = handover::ask(base, &shards)?;
    ready.tell(successor.supervisor());
    Ok(Origin::Predecessor(Box::new(successor)))
}

fn serve(base: &Base, cli: &Cli, ready: &mut Ready) -> Result<(), Box<dyn Error>> {
    reactor::memory::return_large();
    reactor::memory::join_when_freed();
    let config = Config::load(base)?;
    let log = Log::start(&config)?;
    panics::log_all();
    make_private(base)?;
    // Taken before anything is started, so that no signal is missed.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
    confinement::confine_files(base, &config)?;
    let mut origin = origin(base, &config, cli, ready)?;
    let ports = Ports::bind(&config, ready)?;
    reactor::listen::forget_inherited();
    // From here on there will be other threads.
    reactor::rights::give_up()?;
    origin.end_when_given_up(ready)?;
    let mut server = Server::start(base, &config, ports, &mut origin, ready)?;
    confinement::confine_calls(&config)?;
    if let Origin::Predecessor(successor) = origin {
        let connections = server.take_over(*successor, ready)?;
        ready.line(&format!("{connections} connections taken over"));
    }
    server.open_door(base, &config, ready);
    tracing::info!(
        target: "imapd", event = %"start", result = %"ok", version = %env!("CARGO_PKG_VERSION"),
        pid = std::process::id(), "the server serves"
    );
    server.tell(ready.ready());
    let mut looks = 0u64;
    loop {
        match signals.pending().next() {
            Some(SIGHUP) => refresh(base, &log, &mut server),
            Some(SIGUSR1) => {
                let path = base.statistics();
                if let Err(error) = server.write_statistics(&path) {
                    tracing::error!("can't write {}: {error}", path.display());
                }
            }
            Some(signal) => {
                tracing::info!(
                    target: "imapd", event = %"stop", result = %"ok", signal, "the server stops"
                );
                break;
            }
            None => {
                std::thread::sleep(LOOK_EVERY);
                looks += 1;
                server.refresh_users();
                server.look_at_brokers();
                if looks.is_multiple_of(TIDY_EVERY) {
                    server.tidy_memory();
                    server.log_trouble();
                    server.look_at_scram();
                    server.look_at_certificates();
                }
                if let Some(plane) = server.failed_plane() {
                    panics::end_process(&plane);
                }
            }
        }
    }
    server.stop();
    Ok(())
}
