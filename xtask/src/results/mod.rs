//! `cargo xtask results`: the studies behind every figure, each leaving a folder in `results/`.

mod brokers;
mod index;
mod peers;

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use clap::Args;

use crate::base::{Base, Ports};
use crate::install::{self, Profile};
use crate::{paths, shell};

/// One study.
struct Study {
    name: &'static str,
    about: &'static str,
    kind: Kind,
    arguments: &'static [&'static str],
    /// Measures of the report that go into the index.
    headlines: &'static [&'static str],
}

/// What is loaded.
enum Kind {
    /// A fresh server with so many users.
    Server(u32),
    /// Event brokers, one after the other.
    Brokers,
    /// IMAP servers, one after the other.
    Peers,
}

/// All studies, in the order in which they run.
const STUDIES: [Study; 6] = [
    Study {
        name: "single",
        about: "10,000 idle sessions, a mailbox each; 200 deliveries one after the other",
        kind: Kind::Server(10_000),
        arguments: &["--sessions", "10000", "--deliveries", "200"],
        headlines: &[
            "set-up (connect, LOGIN, SELECT, IDLE)",
            "server user memory a parked session",
            "250 → EXISTS",
            "DATA end → 250",
            "misses / doubles / disorders",
        ],
    },
    Study {
        name: "crowd",
        about: "10,000 idle sessions in one mailbox, next to a bare send loop",
        kind: Kind::Server(10_000),
        arguments: &[
            "--sessions",
            "10000",
            "--mailboxes",
            "one",
            "--deliveries",
            "50",
            "--rate",
            "2",
            "--baseline-sendloop",
            "15",
        ],
        headlines: &[
            "crowd against the bare send loop",
            "the same, first → last",
            "server CPU a notification",
        ],
    },
    Study {
        name: "burst",
        about: "10,000 idle sessions; as many durable deliveries as 16 LMTP connections take",
        kind: Kind::Server(10_000),
        arguments: &[
            "--sessions",
            "10000",
            "--deliveries",
            "0",
            "--burst-seconds",
            "10",
            "--lmtp-connections",
            "16",
        ],
        headlines: &["durable deliveries", "burst: DATA end → 250"],
    },
    Study {
        name: "many",
        about: "20,000 idle sessions, a mailbox each; memory and set-up",
        kind: Kind::Server(20_000),
        arguments: &["--sessions", "20000", "--deliveries", "200"],
        headlines: &[
            "set-up (connect, LOGIN, SELECT, IDLE)",
            "server user memory a parked session",
            "250 → EXISTS",
        ],
    },
    Study {
        name: "brokers",
        about: "enpd, nats-server and redis-server: one subscriber, 10,000, memory, throughput",
        kind: Kind::Brokers,
        arguments: &["--subscribers", "10000"],
        headlines: &[
            "publish → one subscriber, p50",
            "publish → last of the crowd, p50",
            "server CPU a notification",
            "memory a quiet subscriber",
            "publishes a second, 10 subscribers",
        ],
    },
    Study {
        name: "peers",
        about: "1,000 idle sessions; how many times as good as Dovecot / it hibernating / Cyrus",
        kind: Kind::Peers,
        arguments: &[],
        headlines: &[
            "one delivery to a crowd, to the last: sooner",
            "DATA end → EXISTS: sooner",
            "durable deliveries a second: more",
            "memory a session: less",
        ],
    },
];

/// `cargo xtask results`
#[derive(Args)]
pub struct Options {
    /// The studies to run; all, if none is named
    pub names: Vec<String>,
    /// Print the studies and run none
    #[arg(long)]
    pub list: bool,
    /// Of the study of peers, measure only these servers, and keep the others' runs of the day
    #[arg(long, value_name = "NAME")]
    pub peer: Vec<String>,
    /// Run the small twins of those studies that have one, below the target folder: they show that
    /// the studies work, and their figures mean nothing
    #[arg(long)]
    pub tiny: bool,
}

/// Runs the named studies.
pub fn run(options: &Options) -> Result<()> {
    if options.list {
        for study in &STUDIES {
            println!("{:8} {}", study.name, study.about);
        }
        return Ok(());
    }
    for name in &options.names {
        if STUDIES.iter().all(|study| study.name != name) {
            bail!("there is no study {name}; --list prints those that are");
        }
    }
    install::build(Profile::Release)?;
    if options.tiny {
        return twins();
    }
    for study in &STUDIES {
        if options.names.is_empty() || options.names.iter().any(|name| name == study.name) {
            let folder = paths::root()
                .join("results")
                .join(format!("{}-{}", today()?, study.name));
            println!("== {}: {}", study.name, study.about);
            match study.kind {
                Kind::Server(users) => one(study, users, &folder)?,
                Kind::Brokers => brokers::run(study.arguments, relative(&folder))?,
                Kind::Peers => peers::run(&peers::FULL, &options.peer, &folder)?,
            }
        }
    }
    index::write(&paths::root().join("results"), &STUDIES)
}

/// Runs the studies' small twins.
pub fn twins() -> Result<()> {
    let folder = paths::target().join("results-tiny");
    peers::run(&peers::TINY, &[], &folder.join("peers"))
}

/// Runs one study against a server of its own, started on a store whose users had all been there
/// before: what a new user's mailbox costs is not what a session costs.
fn one(study: &Study, users: u32, folder: &Path) -> Result<()> {
    let base = Base::fresh(paths::target().join("results"), Profile::Release)?;
    let count = users.to_string();
    base.import(&shell::capture(
        base.sbin("loadgen").args(["users", "--count", &count]),
    )?)?;
    let ports = base.start_anywhere()?;
    let addresses = |load: &mut Command, Ports { imap, lmtp }: &Ports| {
        load.arg("idle")
            .args(["--imap", &imap.to_string(), "--lmtp", &lmtp.to_string()])
            .current_dir(paths::root());
    };
    let mut visit = base.sbin("loadgen");
    addresses(&mut visit, &ports);
    visit.args(["--sessions", &count, "--deliveries", "0"]);
    shell::capture(&mut visit)?;
    base.stop()?;
    let ports = base.start_anywhere()?;
    let mut load = base.sbin("loadgen");
    addresses(&mut load, &ports);
    load.args(study.arguments)
        .arg("--out")
        .arg(relative(folder));
    if let Some(server) = base.running()? {
        load.args(["--server-pid", &server.as_raw_nonzero().to_string()]);
    }
    shell::run(&mut load)?;
    base.stop()
}

/// A path below the checkout without the checkout's own, which would stand in the report.
fn relative(folder: &Path) -> &Path {
    folder.strip_prefix(paths::root()).unwrap_or(folder)
}

/// The date as `YYYY-MM-DD`, in UTC.
fn today() -> Result<String> {
    let days = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 86_400;
    Ok(date(days))
}

/// The civil date so many days after 1970-01-01, by the proleptic Gregorian calendar.
fn date(days: u64) -> String {
    // Counted from 0000-03-01, so that a leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_become_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_780), "2026-11-23");
    }
}
