//! Brokers of several hosts that are one site over a cluster of NATS servers: what that costs, and
//! whether every loss is told.
//!
//! In reading order: [`hosts`] (a NATS server and a broker a host), [`network`] (hosts that are
//! namespaces, joined by cables that can be cut), [`judge`] (what each subscriber must have heard
//! or been told), [`clients`] and [`members`] (who publishes and who hears), [`faults`] (what
//! breaks), [`storm`] (rounds of faults and calm, each judged); [`findings`], [`measures`] and
//! [`kills`] (what is measured), [`report`], [`study`].

pub mod clients;
pub mod faults;
pub mod findings;
pub mod hosts;
pub mod judge;
pub mod kills;
pub mod measures;
pub mod members;
pub mod network;
pub mod report;
pub mod storm;
pub mod study;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use hosts::{Hosts, Programs};
use network::Network;
use storm::{Found, Plan};

/// Hosts of a site.
const HOSTS: usize = 3;

/// `loadgen site`
#[derive(clap::Args)]
pub struct Args {
    /// How long, in seconds; the last round goes on to its end.
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// Of faults and events.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Only faults that are told at once: of a broker that dies without a word others hear late.
    #[arg(long)]
    pub brief: bool,
    /// All hosts are on loopback, and there are no cables: this needs no root.
    #[arg(long)]
    pub loopback: bool,
    /// The broker; by default the one beside this program.
    #[arg(long)]
    pub enpd: Option<PathBuf>,
    /// The NATS server.
    #[arg(long, default_value = "nats-server")]
    pub nats_server: PathBuf,
    /// Keep what the programs said, in this folder.
    #[arg(long)]
    pub logs: Option<PathBuf>,
}

/// The program of that name beside this one.
///
/// # Errors
/// If nobody knows where this one is.
pub fn beside(name: &str) -> io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

impl Args {
    /// Runs it; gives whether nothing was wrong.
    ///
    /// # Errors
    /// If a host can't be made, or a program dies by itself.
    pub fn run(&self) -> io::Result<bool> {
        let enpd = self.enpd.clone().map_or_else(|| beside("enpd"), Ok)?;
        let programs = Programs {
            enpd,
            nats: self.nats_server.clone(),
        };
        let own = tempfile::tempdir()?;
        let folder = self.logs.as_deref().unwrap_or(own.path());
        std::fs::create_dir_all(folder)?;
        let network = match self.loopback {
            true => None,
            false => Some(Network::new(HOSTS)?),
        };
        let mut hosts = Hosts::new(HOSTS, programs, folder, network, &[])?;
        hosts.start_all()?;
        let plan = Plan {
            lasts: Duration::from_secs(self.seconds),
            seed: self.seed,
            is_brief: self.brief,
        };
        let found = storm::run(&mut hosts, &plan)?;
        tell(&found);
        Ok(found.wrong.is_empty())
    }
}

fn tell(found: &Found) {
    let faults: Vec<String> = found
        .faults
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    println!("{} rounds: {}", found.rounds, faults.join(", "));
    println!(
        "{} events heard, {} told as missed, {} missed and told without a number; of the pool {} \
         given to one member, {} lost and told; all heard each other again within {:.1} s",
        found.counts.heard,
        found.counts.missed,
        found.counts.unknown,
        found.pool.given,
        found.pool.lost,
        found.healed.as_secs_f64(),
    );
    for wrong in &found.wrong {
        eprintln!("loadgen: {wrong}");
    }
}
