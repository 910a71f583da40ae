//! `cargo xtask campaign site`: brokers of three hosts that are one site; the hosts are network
//! namespaces.

use std::process::Command;

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

/// Runs it; tells whether each event was heard once and in order, or told as missed.
pub fn run(options: &Options) -> Result<bool> {
    packages::site()?;
    let profile = Profile::current();
    install::build(profile)?;
    let words = format!(
        "site --seconds {} --seed {}",
        options.minutes * 60,
        options.seed
    );
    let mut loadgen = Command::new(profile.folder().join("loadgen"));
    Ok(loadgen.args(words.split(' ')).status()?.success())
}
