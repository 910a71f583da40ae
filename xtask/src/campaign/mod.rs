//! `cargo xtask campaign`: long searches for faults, which leave their finds behind.

mod damage;
mod fuzz;
pub mod kill;
pub mod site;

use std::process::Command;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::check::failures::Failures;
use crate::check::proxies;
use crate::install::{self, Profile};
use crate::shell;

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
    /// Run the simulation with many seeds
    Simulate {
        /// From 0 to this
        #[arg(long, default_value_t = 10_000)]
        seeds: u32,
    },
    /// Kill everything with SIGKILL and start it again with start-msg alone, every other time `ha`
    Kill {
        /// How often
        #[arg(long, default_value_t = 20)]
        rounds: u32,
    },
    /// Back up random stores, add to the backups, restore them, and compare all
    Backup {
        /// From 0 to this
        #[arg(long, default_value_t = 200)]
        seeds: u32,
    },
    /// Cut cables, kill and stop servers and brokers of a site of three hosts, and judge what each
    /// subscriber has heard and was told
    Site(site::Options),
    /// Have clients idle through HAProxy, nginx and Dovecot, for as long as those may cut them
    Proxies {
        /// How long they hear nothing
        #[arg(long, default_value_t = 29)]
        minutes: u32,
    },
    /// Flip, cut and remove files of a store, start on what is left and read all of it
    Damage(damage::Options),
}

/// Runs a campaign; tells whether it found nothing.
pub fn run(options: &Options) -> Result<bool> {
    match &options.campaign {
        Campaign::Fuzz(options) => fuzz::run(options),
        Campaign::Simulate { seeds } => simulate(0, *seeds).map(|()| true),
        Campaign::Kill { rounds } => {
            install::build(Profile::current())?;
            kill::rounds(*rounds, Profile::current()).map(|()| true)
        }
        Campaign::Backup { seeds } => backup(*seeds),
        Campaign::Site(options) => site::run(options),
        Campaign::Proxies { minutes } => {
            install::build(Profile::current())?;
            let count = proxies::run(&mut Failures::default(), Some(*minutes))?;
            Ok(count.failed == 0)
        }
        Campaign::Damage(options) => damage::run(options),
    }
}

/// The test of the server that backs up and restores, with more stores.
fn backup(seeds: u32) -> Result<bool> {
    let name = "what_was_backed_up_is_what_is_restored";
    let mut command = shell::cargo(&["test", "-p", "server", "--test", "sockets", "--", name]);
    command.env("ENSIGN_BACKUP_SEEDS", seeds.to_string());
    Ok(command.status()?.success())
}

/// The simulation of these seeds.
pub fn simulate(first: u32, end: u32) -> Result<()> {
    let seeds = format!("{first}..{end}");
    let profile = Profile::current();
    install::build(profile)?;
    shell::run(Command::new(profile.folder().join("simulate")).args(["--seeds", &seeds]))
}
