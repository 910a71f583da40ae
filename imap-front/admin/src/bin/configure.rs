//! `configure`: makes a base directory ready for its services.

use std::error::Error;
use std::process::ExitCode;

use admin::arguments::configure::Arguments;
use admin::command::{self, DONE};
use admin::service_user::ServiceUser;
use admin::{Base, Config, installation};
use clap::Parser;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    command::run("configure", |base| configure(base, &arguments))
}

fn configure(base: &Base, arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    let user = match &arguments.user {
        Some(name) => name.clone(),
        None => Config::load(base)?.value("service.user").to_owned(),
    };
    installation::make_folders(base)?;
    installation::write_configuration(base, &user)?;
    if let Some(made) = installation::certify(base)? {
        command::say(made);
    }
    if let Some(user) = ServiceUser::of(&Config::load(base)?)? {
        user.take_over(base)?;
    }
    Ok(DONE)
}
