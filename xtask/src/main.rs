//! Project tasks: `cargo xtask demo | test | install | package | results | crash | campaign |
//! instructions | docs`.
//!
//! In reading order: [`paths`] and [`shell`] are the ground; [`install`] lays out a base directory,
//! [`base`] runs the server in one, [`packages`] installs what others' programs need, [`count`]
//! counts what passed; [`demo`], [`package`], [`crash`], [`campaign`], [`instructions`], [`page`],
//! [`docs`], [`results`] and [`check`] use these.

mod base;
mod campaign;
mod check;
mod count;
mod crash;
mod demo;
mod docs;
mod install;
mod instructions;
mod logrotate;
mod package;
mod packages;
mod page;
mod paths;
mod results;
mod shell;
mod units;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", version, about = "Ensign's project tasks")]
struct Options {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build, start a server, idle thousands of clients on it, deliver mail, print how soon each
    /// was told; then leave the server running to try by hand, until Ctrl-C
    Demo(demo::Options),
    /// Everything that must hold: style, tests, simulation, crashes, real clients
    Test(check::Options),
    /// Build and lay out a base directory; what stands in it of configuration and mail is kept
    Install {
        /// The base directory
        #[arg(long)]
        prefix: PathBuf,
        /// Whom the services run as; root makes this user if there is none
        #[arg(long, default_value = "ensign")]
        user: String,
        /// Build without optimisation
        #[arg(long, conflicts_with = "release")]
        debug: bool,
        /// Build with optimisation (what happens without --debug too)
        #[arg(long)]
        release: bool,
    },
    /// Build, and make a Debian package below the target folder
    Package(package::Options),
    /// Measure, and leave a folder with figures below results/
    Results(results::Options),
    /// Kill the server with SIGKILL in bursts of mail and check that it kept every promise
    Crash(crash::Options),
    /// Look for faults for as long as one likes
    Campaign(campaign::Options),
    /// Write those pages of docs/ that are made from tables in the code
    Docs,
    /// Count the instructions of the pure benches, and compare with benches/instructions.toml
    Instructions(instructions::Options),
}

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = shell::end_in_good_order().and_then(|()| run(options.task));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("xtask: {failure:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does the task; tells whether what it checks holds.
fn run(task: Task) -> anyhow::Result<bool> {
    match task {
        Task::Test(options) => return Ok(check::run(&options)),
        Task::Instructions(options) => return instructions::run(&options),
        Task::Campaign(options) => return campaign::run(&options),
        Task::Demo(options) => demo::run(&options),
        Task::Install {
            prefix,
            user,
            debug,
            release: _,
        } => {
            let profile = if debug {
                install::Profile::Debug
            } else {
                install::Profile::Release
            };
            install::run(&prefix, profile, &user)
        }
        Task::Package(options) => package::run(&options),
        Task::Results(options) => results::run(&options),
        Task::Crash(options) => crash::run(&options),
        Task::Docs => docs::write(&paths::root()),
    }?;
    Ok(true)
}
