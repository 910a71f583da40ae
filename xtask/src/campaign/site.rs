//! `cargo xtask campaign site`: brokers of three hosts that are one site; the hosts are network
//! namespaces.

use std::process::{Command, Stdio};

use anyhow::Result;
use clap::Args;

use crate::install::{self, Profile};
use crate::packages;

/// `cargo xtask campaign site`
#[derive(Args)]
pub struct Options {
    /// How long
    #[arg(long, default_value_t = 20)]
    minutes: u64,
    /// Of faults and events
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What the stage runs: rounds begin within so many seconds, with faults of this seed.
const BRIEF: &str = "--seconds 15 --seed 1 --brief";

/// Runs it; tells whether each event was heard once and in order, or told as missed.
pub fn run(options: &Options) -> Result<bool> {
    let words = format!("--seconds {} --seed {}", options.minutes * 60, options.seed);
    load(&words)
}

/// Some rounds, for every day. None if this machine makes no network namespaces.
pub fn brief() -> Result<Option<bool>> {
    packages::site()?;
    let tried = Command::new("unshare")
        .args(["--net", "ip", "link", "set", "lo", "up"])
        .stderr(Stdio::null())
        .status();
    if !tried.is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    load(BRIEF).map(Some)
}

fn load(words: &str) -> Result<bool> {
    packages::site()?;
    let profile = Profile::current();
    install::build(profile)?;
    let mut loadgen = Command::new(profile.folder().join("loadgen"));
    let status = loadgen.arg("site").args(words.split(' ')).status()?;
    Ok(status.success())
}
