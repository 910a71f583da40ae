//! `enpd`, the event notification broker; `start-msg ens` starts it.
#![expect(
    clippy::disallowed_methods,
    reason = "nobody waits for the main thread; signals end its sleep"
)]

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Parser;
use ens::access::{Access, AccessError};
use ens::arguments::enpd::Cli;
use ens::belongings::Belongings;
use ens::broker::{BrokerConfig, SubscriptionLimits};
use ens::confinement;
use ens::control::{self, Control};
use ens::frame::PROTOCOL;
use ens::handover::{Giving, Shards};
use ens::ready::Ready;
use ens::server::{self, Options, Running};
use ens::site;
use ens::statistics::Statistics;
use reactor::rights::calls::Group;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tls::certificates::Certificates;
use tracing_subscriber::EnvFilter;

/// How often signals are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS_A_SECOND: u64 = 10;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Files and sockets that this process makes are its user's alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let filter = ens::trace::filter("info,async_nats=off", |name| std::env::var(name).ok());
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let access = Access::from_env();
    if let Some(address) = cli.check_access {
        return check(address, access);
    }
    let mut ready = Ready::from_env();
    match access
        .map_err(Into::into)
        .and_then(|access| serve(&cli, access, &mut ready))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ready.failed("enpd", &*error);
            ExitCode::FAILURE
        }
    }
}

/// Exit code 0 is allowed, 1 is denied, 2 is a rule that can't be read.
fn check(address: IpAddr, access: Result<Access, AccessError>) -> ExitCode {
    match access {
        Ok(access) => {
            let verdict = access.verdict(address);
            let word = if verdict.allowed { "allowed" } else { "denied" };
            println!("{address}: {word} ({})", verdict.because);
            ExitCode::from(u8::from(!verdict.allowed))
        }
        Err(error) => {
            eprintln!("enpd: {error}");
            ExitCode::from(2)
        }
    }
}

fn serve(cli: &Cli, access: Access, ready: &mut Ready) -> Result<(), Box<dyn std::error::Error>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let mut options = options(cli, access);
    options.site = site(cli)?;
    let is_of_site = options.site.is_some();
    let mut successor = match (cli.take_over, &cli.control) {
        (true, Some(path)) => Some(control::ask(path, options.shards)?),
        _ => None,
    };
    if let Some(successor) = &mut successor {
        ready.tell(successor.supervisor());
    }
    let mut certificates = certificates(cli)?;
    let mut bound = server::bind(options)?;
    let control = cli.control.as_deref().map(Control::bind).transpose()?;
    reactor::listen::forget_inherited();
    let mut sockets = bound.copies()?;
    sockets.extend(control.as_ref().map(Control::copy).transpose()?);
    if let Some(certificates) = &certificates {
        bound = bound.with_certificates(certificates.config());
    }
    let written: Vec<&Path> = [&cli.socket, &cli.control, &cli.refreshed]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
        .collect();
    // What is not shown is not reached.
    let shown = certificates.as_ref().and(cli.certificates.as_deref());
    let shown = shown.map(confinement::with_targets_of_links);
    let mut reach = confinement::reach_of_broker(&written, shown.unwrap_or_default());
    if is_of_site {
        confinement::reach_hosts(&mut reach);
    }
    confinement::confine_files(!cli.no_landlock, &reach)?;
    confinement::say_of_rings(!cli.no_restricted_rings);
    // From here on there will be other threads.
    reactor::rights::give_up()?;
    if let Some(successor) = &mut successor {
        successor.end_when_given_up(ready)?;
        let coming = (0..bound.shards()).map(|_| successor.coming());
        let coming = coming.collect::<std::io::Result<_>>()?;
        bound = bound.following(successor.secret(), coming);
    }
    let secret = bound.secret();
    let broker = bound.start()?;
    broker.listening().iter().for_each(|line| ready.line(line));
    let sockets_named = cli.socket.is_some() || control.is_some();
    let (asked, answers) = (control.is_some(), cli.refreshed.is_some());
    let mut calls = confinement::calls_of_broker(sockets_named, asked, answers);
    calls.extend(is_of_site.then_some(Group::Connecting));
    confinement::confine_calls(!cli.no_seccomp, &calls)?;
    let shards = || Shards::new(vec![broker.mesh()]);
    let belongings = Belongings {
        tls: certificates.as_ref().map(Certificates::config),
        site: broker.leaving().cloned(),
    };
    if let Some(successor) = successor {
        let take_over = |memory: &[u8]| {
            belongings.take_over(memory);
            Ok(())
        };
        let (connections, ()) = successor.take(ready, &shards(), take_over)?;
        tracing::info!(connections, "this process has taken over");
        ready.line(&format!("{connections} connections taken over"));
    }
    let giving = Giving::new(control::FORMAT, shards(), sockets)
        .with_secret(Some(secret))
        .with_kept(Box::new(belongings));
    giving.tell(ready.ready());
    if let Some(control) = &control {
        // Clients don't need it, and may be there already.
        if let Err(error) = control.serve(Arc::new(giving), broker.site().cloned()) {
            tracing::error!("no other process can take over: {error}");
        }
    }
    run(cli, &broker, &mut signals, certificates.as_mut());
    broker.stop();
    Ok(())
}

fn options(cli: &Cli, access: Access) -> Options {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Options {
        tcp: (cli.port != 0).then(|| SocketAddr::new(cli.listen, cli.port)),
        tls: (cli.tls_port != 0).then(|| SocketAddr::new(cli.listen, cli.tls_port)),
        unix: cli.socket.clone(),
        shards: cli
            .shards
            .unwrap_or(cores as u16)
            .clamp(1, engine::limits::SHARDS_MAX),
        pending_bytes_max: cli.max_pending.max(1),
        write_timeout_s: cli.write_timeout,
        spin_ns: cli.spin * 1000,
        restricted_rings: !cli.no_restricted_rings,
        broker: BrokerConfig {
            connections_max: cli.max_connections.max(1),
            of_client: SubscriptionLimits {
                count: cli.max_subscriptions,
                bytes: cli.max_subscription_bytes,
            },
            of_all: SubscriptionLimits {
                count: cli.max_all_subscriptions,
                bytes: cli.max_all_subscription_bytes,
            },
            scope: cli.nats_scope,
            ..BrokerConfig::new(access, cli.keepalive)
        },
        ..Options::default()
    }
}

/// The site that it joins, if it joins one.
fn site(cli: &Cli) -> Result<Option<site::Ready>, String> {
    let urls = cli.nats.iter().map(|url| url.trim());
    let urls = urls.filter(|url| !url.is_empty()).map(str::to_owned);
    let urls: Vec<String> = urls.collect();
    if urls.is_empty() {
        return Ok(None);
    }
    let options = site::Options {
        urls,
        site: cli.nats_site.clone(),
        credentials: cli.nats_credentials.clone(),
        ca: cli.nats_ca.clone(),
        certificate: cli.nats_certificate.clone(),
        waiting_bytes_max: cli.nats_pending as usize,
    };
    options.read().map(Some)
}

/// What TLS shows, if it is spoken.
fn certificates(cli: &Cli) -> Result<Option<Certificates>, Box<dyn std::error::Error>> {
    if cli.tls_port == 0 {
        return Ok(None);
    }
    let folder = cli.certificates.clone();
    let folder = folder.ok_or("--tls-port needs --certificates FOLDER")?;
    let oldest = match cli.tls13 {
        true => tls::Version::Tls13,
        false => tls::Version::Tls12,
    };
    let options = tls::Options {
        oldest,
        protocols: vec![PROTOCOL.to_vec()],
        tickets: true,
    };
    let certificates = Certificates::load(folder.clone(), options, None)?;
    if !certificates.offered().load(Ordering::Relaxed) {
        let folder = folder.display();
        tracing::warn!("{folder} holds no certificate: no TLS until a hang-up signal finds one");
    }
    Ok(Some(certificates))
}

/// Until a signal ends it. A hang-up has it read its certificates again; rules are in the
/// environment.
fn run(
    cli: &Cli,
    broker: &Running,
    signals: &mut Signals,
    mut certificates: Option<&mut Certificates>,
) {
    let mut statistics = Statistics::from_env();
    let mut looks = 0;
    loop {
        let pending: Vec<_> = signals.pending().collect();
        if pending.iter().any(|signal| *signal != SIGHUP) {
            return;
        }
        if !pending.is_empty() {
            refresh(cli, certificates.as_deref_mut());
            looks = 0;
        }
        if let Some(certificates) = &certificates {
            look(certificates, looks);
        }
        looks += 1;
        std::thread::sleep(LOOK_EVERY);
        statistics.print_if_due(broker.stats());
    }
}

/// Tells TLS the time once a second, and once a day the log which certificates end soon.
fn look(certificates: &Certificates, looks: u64) {
    if looks.is_multiple_of(LOOKS_A_SECOND) {
        certificates.look();
    }
    if looks.is_multiple_of(LOOKS_A_SECOND * 86_400) {
        for warning in certificates.warnings() {
            tracing::warn!("{warning}");
        }
    }
}

fn refresh(cli: &Cli, certificates: Option<&mut Certificates>) {
    let refused = match certificates.map(|it| it.reload(None)) {
        Some(Err(error)) => {
            tracing::error!("{error}; those known before are kept");
            format!("{error}; those known before are kept\n")
        }
        Some(Ok(_)) => {
            tracing::info!("the certificates were read again");
            String::new()
        }
        None => String::new(),
    };
    let Some(path) = &cli.refreshed else { return };
    // Whole or not at all.
    let written = path.with_extension("written");
    let told = std::fs::write(&written, refused).and_then(|()| std::fs::rename(&written, path));
    if let Err(error) = told {
        tracing::error!("can't write {}: {error}", path.display());
    }
}
