//! The stage of real clients: installs them, starts a server with a user for each, runs them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::failures::Failures;
use crate::base::Base;
use crate::count::Count;
use crate::install::{self, Profile};
use crate::packages::{self, drivers, folder, node, python};
use crate::shell;

/// Everybody's password.
const PASSWORD: &str = "open-sesame";

const NO_TLS: &str = "the server has a certificate and does not listen for TLS";

/// Runs every driver of `tests/clients` against a fresh server.
pub fn run(failures: &mut Failures) -> Result<Count> {
    packages::install()?;
    let base = Base::fresh(folder().join("base"), Profile::current())?;
    let drivers = shell::capture(runner().arg("--list"))?;
    let users: String = drivers
        .lines()
        .map(|name| format!("{name}:{PASSWORD}\n"))
        .collect();
    base.import(&users)?;
    install::certify(&admin::Base::new(base.folder()))?;
    let ports = base.start_anywhere()?;
    let logs = folder().join("logs");
    let mut command = runner();
    command
        .args([
            "--imap",
            &ports.imap.to_string(),
            "--lmtp",
            &ports.lmtp.to_string(),
        ])
        .args(["--imaps", &ports.imaps.context(NO_TLS)?.to_string()])
        .args(["--password", PASSWORD, "--logs"])
        .arg(&logs);
    let mut count = Count::default();
    let good = shell::watch(&mut command, |line| {
        count += Count::of_clients(line);
        failures.look(line);
    })?;
    if good && count.passed == 0 || !good && count.failed == 0 {
        bail!("the clients' runner broke off");
    }
    base.stop()?;
    Ok(count)
}

fn runner() -> Command {
    let mut command = Command::new(python());
    command
        .arg(drivers().join("run.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NODE_PATH", node().join(Path::new("node_modules")));
    command
}
