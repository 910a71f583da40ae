//! `refresh [SERVICE …]`: makes running services read their configuration again.

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use admin::arguments::refresh::Arguments;
use admin::command::{self, DONE, FAILED, USAGE};
use admin::service::Service;
use admin::service_user::ServiceUser;
use admin::{Base, Config, service};
use clap::Parser;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    command::run("refresh", |base| refresh(base, &arguments))
}

fn refresh(base: &Base, arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    if let Err(reason) = service::check_names(arguments.services.iter().map(OsString::as_os_str)) {
        command::complain(format_args!("refresh: {reason}"));
        return Ok(USAGE);
    }
    // The server would keep what it has; the administrator should hear of it here.
    let config = Config::load(base)?;
    if let Some(user) = ServiceUser::of(&config)? {
        user.let_read_config(base)?;
    }
    let all = arguments.services.is_empty();
    let mut code = DONE;
    for service in [&service::ENS, &service::IMAP] {
        let asked = arguments.services.iter().any(|name| name == service.name);
        if asked || all && has_something_to_read(base, &config, service)? {
            let refreshed = match service::refresh(base, service) {
                Ok(refreshed) => refreshed,
                // The other one is refreshed all the same.
                Err(error) => {
                    command::complain(format_args!("refresh: {}: {error}", service.name));
                    code = FAILED;
                    continue;
                }
            };
            let pid = refreshed.pid;
            command::say(format_args!("Refreshing {} server {pid}", service.name));
            for why in refreshed.refused {
                command::complain(format_args!("refresh: {}: {why}", service.name));
                code = FAILED;
            }
        }
    }
    Ok(code)
}

/// Of the broker these are certificates.
fn has_something_to_read(
    base: &Base,
    config: &Config,
    service: &Service,
) -> Result<bool, Box<dyn Error>> {
    if service == &service::IMAP {
        return Ok(true);
    }
    let speaks_tls = service.is_enabled(config) && config.count("ens.sslport") != 0;
    Ok(speaks_tls && service::running(base, service)?.is_some())
}
