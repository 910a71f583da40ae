//! SIGKILL in the middle of bursts of mail, and the promises that must hold afterwards.
//!
//! Each round delivers over several LMTP connections at once while an IMAP session reads, flags and
//! expunges; then the server is killed at a random point and started again. What it had said before
//! is the measure: [`ledger`] keeps it, [`burst`] makes it, [`imap`] reads back.

mod burst;
pub mod imap;
mod ledger;
pub mod lmtp;
pub mod loss;
mod message;

use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use fastrand::Rng;

use crate::base::{Base, Ports};
use crate::install::{self, Profile};
use crate::paths;
use burst::Heard;
use imap::Imap;
use ledger::Ledger;

/// How many mailboxes the deliveries go to.
const USERS: usize = 8;
/// Everybody's password.
const PASSWORD: &str = "round-and-round";

/// `cargo xtask crash`
#[derive(Args)]
pub struct Options {
    /// How often to kill the server
    #[arg(long, default_value_t = 50)]
    pub rounds: u32,
    /// Seed of every random choice; the moment of the kill still depends on the machine
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Builds, then kills as often as asked; an error tells every promise that was broken.
pub fn run(options: &Options) -> Result<()> {
    install::build(Profile::current())?;
    rounds(options)
}

/// The rounds, against what was built before.
pub fn rounds(options: &Options) -> Result<()> {
    let begun = Instant::now();
    let base = Base::fresh(paths::target().join("crash"), Profile::current())?;
    let users: Vec<String> = (0..USERS).map(|n| format!("crash{n}")).collect();
    let lines: String = users
        .iter()
        .map(|user| format!("{user}:{PASSWORD}\n"))
        .collect();
    base.import(&lines)?;
    let mut ports = base.start_anywhere()?;
    let mut rng = Rng::with_seed(options.seed);
    let mut ledger = Ledger::new(&users);
    for round in 1..=options.rounds {
        let heard = burst::until_killed(&base, ports, &mut ledger, round, &mut rng)
            .with_context(|| format!("round {round}, before the kill"))?;
        ports = base
            .start()
            .with_context(|| format!("round {round}: no start after the kill"))?;
        let accepted = heard.accepted.len();
        check(ports, &mut ledger, heard).with_context(|| format!("round {round}"))?;
        println!("round {round}: {accepted} deliveries accepted before the kill, all kept");
    }
    base.stop()?;
    println!(
        "{}; {:.1} s",
        ledger.summary(),
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Reads every mailbox after a restart and settles it with what had been promised.
fn check(ports: Ports, ledger: &mut Ledger, heard: Heard) -> Result<()> {
    ledger.promise(heard.accepted, heard.in_doubt);
    let mut complaints = Vec::new();
    for user in ledger.users() {
        let mut imap = Imap::login(ports.imap, &user, PASSWORD)?;
        let snapshot = imap.snapshot()?;
        let unread = ledger.unread(&user, &snapshot);
        for (uid, text) in imap.bodies(&unread)? {
            if !message::is_whole(&text) {
                complaints.push(format!("{user}: the message with UID {uid} is not whole"));
            }
        }
        complaints.extend(ledger.settle(&user, &snapshot));
        imap.logout()?;
    }
    if !complaints.is_empty() {
        bail!(
            "{} promises were broken:\n{}",
            complaints.len(),
            complaints.join("\n")
        );
    }
    Ok(())
}
