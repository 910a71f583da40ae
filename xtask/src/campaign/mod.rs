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
use crate::{packages, shell};

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
    /// Back up many messages while mail comes, restore them, and compare all
    BusyBackup {
        /// How many there are
        #[arg(long, default_value_t = 200_000)]
        messages: u32,
        /// How many come a second meanwhile
        #[arg(long, default_value_t = 500)]
        rate: u32,
    },
    /// Import a site of Dovecot's, from its files and over IMAP, and compare all that clients see
    Import {
        /// Who has mail there
        #[arg(long, default_value_t = 100)]
        users: u32,
        /// How much they have in all
        #[arg(long, default_value_t = 50_000)]
        messages: u32,
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
        Campaign::Backup { seeds } => test(
            "what_was_backed_up_is_what_is_restored",
            &[("ENSIGN_BACKUP_SEEDS", *seeds)],
        ),
        Campaign::BusyBackup { messages, rate } => test(
            "a_backup_is_made_while_mail_comes",
            &[
                ("ENSIGN_BACKUP_MESSAGES", *messages),
                ("ENSIGN_BACKUP_RATE", *rate),
            ],
        ),
        Campaign::Import { users, messages } => {
            packages::debian_one("dovecot")?;
            test(
                "a_site_of_many_users_moves",
                &[
                    ("ENSIGN_IMPORT_USERS", *users),
                    ("ENSIGN_IMPORT_MESSAGES", *messages),
                ],
            )
        }
        Campaign::Site(options) => site::run(options),
        Campaign::Proxies { minutes } => {
            install::build(Profile::current())?;
            let count = proxies::run(&mut Failures::default(), Some(*minutes))?;
            Ok(count.failed == 0)
        }
        Campaign::Damage(options) => damage::run(options),
    }
}

/// A test of the server, with other sizes than every day's.
fn test(name: &str, sizes: &[(&str, u32)]) -> Result<bool> {
    let mut command = shell::cargo(&["test", "-p", "server", "--test", "sockets"]);
    command.args(["--", name, "--nocapture"]);
    for (variable, size) in sizes {
        command.env(variable, size.to_string());
    }
    Ok(command.status()?.success())
}

/// The simulation of these seeds.
pub fn simulate(first: u32, end: u32) -> Result<()> {
    let seeds = format!("{first}..{end}");
    let profile = Profile::current();
    install::build(profile)?;
    shell::run(Command::new(profile.folder().join("simulate")).args(["--seeds", &seeds]))
}
