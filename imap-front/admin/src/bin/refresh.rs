//! `refresh [SERVICE …]`: makes running services read their configuration again.

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use admin::command::{self, DONE, USAGE};
use admin::service_user::ServiceUser;
use admin::{Base, Config, service};
use clap::Parser;

/// Makes the running services read their configuration again. `configutil -m` shows which options
/// take effect so.
#[derive(Parser)]
#[command(name = "refresh", version)]
struct Arguments {
    /// Services to refresh: imap, ens. Without any, those that have something to read.
    services: Vec<OsString>,
}

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
    for service in [&service::ENS, &service::IMAP] {
        let asked = arguments.services.iter().any(|name| name == service.name);
        if asked || all && service == &service::IMAP {
            let pid = service::refresh(base, service)?;
            command::say(format_args!("Refreshing {} server {pid}", service.name));
        }
    }
    Ok(DONE)
}
