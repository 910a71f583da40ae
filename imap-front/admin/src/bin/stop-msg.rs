//! `stop-msg [-f] [SERVICE …]`: stops services and waits until they are gone.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;
use std::time::Duration;

use admin::Base;
use admin::arguments::stop_msg::Arguments;
use admin::command::{self, DONE, USAGE};
use admin::service::{self, HA, NAMES, Service, ServiceError, WATCHER};
use clap::Parser;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    command::run("stop-msg", |base| stop(base, &arguments))
}

fn stop(base: &Base, arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    let names: Vec<&OsStr> = arguments.services.iter().map(OsString::as_os_str).collect();
    let names: Vec<&OsStr> = names.into_iter().filter(|name| *name != HA).collect();
    if let Err(reason) = service::check_names(names.iter().copied()) {
        command::complain(format_args!("stop-msg: {reason}"));
        return Ok(USAGE);
    }
    let all = names.is_empty();
    // First who would start the others again, then in the order opposite to that of starting.
    let order = NAMES.iter().rev().filter(|name| **name != WATCHER.name);
    for name in std::iter::once(&WATCHER.name).chain(order) {
        let name = OsStr::new(name);
        if !all && !names.contains(&name) {
            continue;
        }
        match Service::named(name) {
            Some(service) => stop_one(base, service, arguments, all)?,
            None if all => {}
            None => command::say("the store ends with the imap server; stop-msg imap"),
        }
    }
    Ok(DONE)
}

fn stop_one(
    base: &Base,
    service: &'static Service,
    arguments: &Arguments,
    all: bool,
) -> Result<(), Box<dyn Error>> {
    let within = Duration::from_secs(arguments.timeout);
    let name = service.name;
    let stopped = service::stop(base, service, arguments.force, within, |pid| {
        command::begin(format_args!("Stopping {name} server {pid} ... "));
    });
    match stopped {
        Ok(()) => command::say("done"),
        Err(ServiceError::NotRunning(_)) if all && service != &service::IMAP => {}
        Err(ServiceError::NotRunning(_)) => {
            command::say(format_args!("{name} server is not running"))
        }
        Err(error) => {
            command::say("");
            return Err(error.into());
        }
    }
    Ok(())
}
