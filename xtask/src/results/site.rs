//! The study of brokers of several hosts that are one site over a cluster of NATS servers.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::relative;
use crate::install::{self, Profile};
use crate::{packages, shell};

/// The study.
pub(super) const FULL: &[&str] = &["--subscribers", "9000", "--flood", "1000000"];

/// Its small twin.
pub(super) const TINY: &[&str] = &[
    "--subscribers",
    "90",
    "--rounds",
    "3",
    "--singles",
    "50",
    "--flood",
    "2000",
    "--subscriptions",
    "5000",
    "--turns",
    "1",
];

/// Runs the study with brokers as packages hold them; the load generator's report is the study's.
pub(super) fn run(sizes: &[&str], before: Option<&Path>, out: &Path) -> Result<()> {
    packages::site()?;
    let mut command = Command::new(Profile::current().folder().join("loadgen"));
    command
        .current_dir(crate::paths::root())
        .args(["brokers", "--hosts", "3"])
        .args(sizes);
    if Profile::current() == Profile::Release {
        command
            .arg("--enpd")
            .arg(relative(&install::packaged_broker()?));
    }
    if let Some(before) = before {
        command.arg("--before").arg(before);
    }
    shell::run(command.arg("--out").arg(relative(out)))
}
