//! The stage of real clients: installs them, starts a server with a user for each, runs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::{Count, packages};
use crate::base::Base;
use crate::install::Profile;
use crate::{paths, shell};

/// Everybody's password.
const PASSWORD: &str = "open-sesame";

/// Runs every driver of `tests/clients` against a fresh server.
pub fn run() -> Result<Count> {
    packages::install()?;
    let base = Base::fresh(folder().join("base"), Profile::Release)?;
    let drivers = shell::capture(runner().arg("--list"))?;
    let users: String = drivers
        .lines()
        .map(|name| format!("{name}:{PASSWORD}\n"))
        .collect();
    base.import(&users)?;
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
        .args(["--password", PASSWORD, "--logs"])
        .arg(&logs);
    let mut count = Count::default();
    let good = shell::watch(&mut command, |line| count += Count::of_clients(line))?;
    if good && count.passed == 0 || !good && count.failed == 0 {
        bail!("the clients' runner broke off");
    }
    base.stop()?;
    Ok(count)
}

/// Everything of the clients' that can lie below the target folder lies here.
pub fn folder() -> PathBuf {
    paths::target().join("clients")
}

/// The Python of the clients' own environment.
pub fn python() -> PathBuf {
    folder().join("venv/bin/python")
}

/// Where the drivers are.
pub fn drivers() -> PathBuf {
    paths::root().join("tests/clients")
}

/// Where npm's packages are.
pub fn node() -> PathBuf {
    folder().join("node")
}

fn runner() -> Command {
    let mut command = Command::new(python());
    command
        .arg(drivers().join("run.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NODE_PATH", node().join(Path::new("node_modules")));
    command
}
