//! `cargo xtask campaign`: long searches for faults, which leave their finds behind.

mod fuzz;

use anyhow::Result;
use clap::{Args, Subcommand};

/// `cargo xtask campaign`
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    campaign: Campaign,
}

#[derive(Subcommand)]
enum Campaign {
    /// Feed every parser of bytes from outside with inputs that are led by coverage
    Fuzz(fuzz::Options),
}

/// Runs a campaign; tells whether it found nothing.
pub fn run(options: &Options) -> Result<bool> {
    match &options.campaign {
        Campaign::Fuzz(options) => fuzz::run(options),
    }
}
