//! `start-msg [SERVICE …]`: starts services and waits until they serve.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::process::{Command, ExitCode};
use std::time::Duration;

use admin::arguments::start_msg::Arguments;
use admin::command::{self, DONE, FAILED, USAGE};
use admin::service::{self, HA, NAMES, Progress, STORE, Service, UPGRADE, WATCHER};
use admin::{Base, Config};
use clap::Parser;

/// The argument of `imapd` to serve a store that has lost something.
const ACCEPT_LOSS: &str = "--accept-loss";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == service::LAUNCH)
    {
        let name = arguments.next().unwrap_or_default();
        let rest: Vec<OsString> = arguments.collect();
        return command::run("start-msg", |base| match Service::named(&name) {
            Some(service) => Err(service::launch(base, service, &rest).into()),
            None => Err("only a service can be launched".into()),
        });
    }
    let arguments = Arguments::parse();
    command::run("start-msg", |base| match &arguments.exec {
        Some(name) => exec(base, name, arguments.accept_loss),
        None => start(base, arguments),
    })
}

fn exec(base: &Base, name: &OsStr, accept_loss: bool) -> Result<u8, Box<dyn Error>> {
    let service = Service::named(name).filter(|service| service != &&WATCHER);
    let Some(service) = service else {
        command::complain("start-msg: a supervisor starts ens or imap");
        return Ok(USAGE);
    };
    let config = Config::load(base)?;
    if !service.is_enabled(&config) {
        return Err(disabled(service, &config).into());
    }
    let mut arguments = service.arguments(base, &config);
    arguments.extend((accept_loss && service == &service::IMAP).then(|| ACCEPT_LOSS.into()));
    Err(service::exec(base, service, &arguments)?.into())
}

fn start(base: &Base, arguments: Arguments) -> Result<u8, Box<dyn Error>> {
    let Arguments {
        mut services,
        timeout,
        accept_loss,
        or_refresh,
        ..
    } = arguments;
    if services.iter().any(|name| name == UPGRADE) {
        return upgrade(base, &services, Duration::from_secs(timeout), or_refresh);
    }
    let ha = services.iter().any(|name| name == HA);
    services.retain(|name| name != HA);
    if let Err(reason) = service::check_names(services.iter().map(OsString::as_os_str)) {
        command::complain(format_args!("start-msg: {reason}"));
        return Ok(USAGE);
    }
    let config = Config::load(base)?;
    let within = Duration::from_secs(timeout);
    let all = services.is_empty();
    let mut code = DONE;
    keep_access(base)?;
    if all {
        for service in [&service::ENS, &service::IMAP] {
            service::forget_dead(base, service)?;
        }
    }
    for name in NAMES {
        let name = OsStr::new(name);
        if !all && !services.iter().any(|asked| asked == name) {
            continue;
        }
        let Some(service) = Service::named(name) else {
            start_store(base, &config, accept_loss)?;
            continue;
        };
        if !service.is_enabled(&config) {
            if !all || service == &service::IMAP {
                command::complain(format_args!("start-msg: {}", disabled(service, &config)));
            }
            code = if all { code } else { FAILED };
            continue;
        }
        if all && service::running(base, service)?.is_some() && service != &service::IMAP {
            continue;
        }
        let mut flags = service.arguments(base, &config);
        if service == &WATCHER {
            command::say("Connecting to watcher ...");
            command::say("Launching watcher ...");
            flags.extend(ha.then(|| "--ha".into()));
        }
        flags.extend((accept_loss && service == &service::IMAP).then(|| ACCEPT_LOSS.into()));
        match start_one(base, service, &flags, within) {
            Ok(true) => {}
            Ok(false) => code = FAILED,
            // Mail doesn't need the broker.
            Err(error) if all && service == &service::ENS => {
                command::complain(format_args!("start-msg: {error}"));
                code = FAILED;
            }
            Err(error) => return Err(error),
        }
    }
    if ha && WATCHER.is_enabled(&config) && service::running(base, &WATCHER)?.is_none() {
        return Err("the watcher has given up; see log/watcher.out".into());
    }
    Ok(code)
}

/// Has programs that lie in `lib/` take over from those that run: that of the imap server unless
/// others are named.
fn upgrade(
    base: &Base,
    words: &[OsString],
    within: Duration,
    or_refresh: bool,
) -> Result<u8, Box<dyn Error>> {
    let names = words.iter().filter(|word| *word != UPGRADE);
    let mut services: Vec<&'static Service> = Vec::new();
    for name in names {
        match Service::named(name).filter(|service| service != &&WATCHER) {
            Some(service) => services.push(service),
            None => {
                command::complain("start-msg: ens and imap can be upgraded");
                return Ok(USAGE);
            }
        }
    }
    if services.is_empty() {
        services.push(&service::IMAP);
    }
    let mut code = DONE;
    for service in services {
        code = code.max(upgrade_one(base, service, within, or_refresh)?);
    }
    Ok(code)
}

fn upgrade_one(
    base: &Base,
    service: &'static Service,
    within: Duration,
    or_refresh: bool,
) -> Result<u8, Box<dyn Error>> {
    if or_refresh && !service::is_replaced(base, service)? {
        let refused = service::refresh(base, service)?.refused;
        refused
            .iter()
            .for_each(|why| command::complain(format_args!("start-msg: {why}")));
        return Ok(if refused.is_empty() { DONE } else { FAILED });
    }
    let arguments = service.arguments(base, &Config::load(base)?);
    command::begin(format_args!("Upgrading {} server .... ", service.name));
    let (mut pid_told, mut complete) = (false, true);
    let upgraded = service::upgrade(base, service, &arguments, within, |progress| {
        complete &= tell(progress);
        pid_told = true;
    });
    if upgraded.is_err() && !pid_told {
        command::say("not upgraded");
    }
    upgraded?;
    Ok(if complete { DONE } else { FAILED })
}

/// Says what a service reports; tells whether that part of it serves.
fn tell(progress: Progress<'_>) -> bool {
    match progress {
        Progress::Pid(pid) => command::say(format_args!("{pid}")),
        Progress::Line(line) => command::say(format_args!("  {line}")),
        Progress::Failed(reason) => {
            command::complain(format_args!("start-msg: {reason}"));
            return false;
        }
    }
    true
}

/// Who starts the broker by hand says in `ENS_ACCESS` who may connect. That holds from now on, also
/// when the watcher starts the broker again.
fn keep_access(base: &Base) -> Result<(), Box<dyn Error>> {
    if let Ok(rules) = std::env::var("ENS_ACCESS")
        && service::environment::keep(base, &rules)?
    {
        command::complain(format_args!(
            "start-msg: ENS_ACCESS is kept in {}",
            base.ens_environment().display()
        ));
    }
    Ok(())
}

fn disabled(service: &Service, config: &Config) -> String {
    if config.switch(service.enable) {
        return "the ens server is a part of imapd; set ens.embedded to no".into();
    }
    format!(
        "{} server is disabled; set {} to yes",
        service.name, service.enable
    )
}

/// Starts a service; tells whether all parts of it serve.
fn start_one(
    base: &Base,
    service: &'static Service,
    flags: &[OsString],
    within: Duration,
) -> Result<bool, Box<dyn Error>> {
    let quiet = service == &WATCHER;
    if !quiet {
        command::begin(format_args!("Starting {} server .... ", service.name));
    }
    let (mut pid_told, mut complete) = (quiet, true);
    let started = service::start(base, service, flags, within, |progress| {
        complete &= quiet || tell(progress);
        pid_told = true;
    });
    if started.is_err() && !pid_told {
        command::say("not started");
    }
    started?;
    Ok(complete)
}

/// The store lives in `imapd`. If that doesn't run, its store is recovered and checked, and if
/// this fails nothing further is started.
fn start_store(base: &Base, config: &Config, accept_loss: bool) -> Result<(), Box<dyn Error>> {
    if !service::IMAP.is_enabled(config) {
        return Ok(());
    }
    let runs = service::running(base, &service::IMAP)?.is_some();
    if !runs {
        command::begin(format_args!("Starting {STORE} server .... "));
        let mut check = Command::new(base.program(service::IMAP.program))
            .arg("--recover")
            .args(accept_loss.then_some(ACCEPT_LOSS))
            .env_remove(service::READY_FD)
            .current_dir(base.root())
            .spawn()?;
        command::say(format_args!("{}", check.id()));
        if !check.wait()?.success() {
            return Err("the store can't be used, so nothing further is started".into());
        }
    }
    command::say(format_args!("checking {STORE} server status ... ready"));
    Ok(())
}
