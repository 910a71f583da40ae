//! `cargo xtask results`: the studies behind every figure, each leaving a folder in `results/`.

mod active;
mod batches;
mod brokers;
mod hostile;
mod index;
mod kernel;
mod logins;
mod peers;
mod pictures;
mod prepared;
mod scaling;
mod server;
mod site;
mod soak;
mod tls;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use clap::Args;

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

/// What the load generator is told.
type Words = Vec<String>;

/// What is loaded.
enum Kind {
    /// A fresh server with so many users, and the same in small: arguments of the twin.
    Server(u32, &'static [&'static str]),
    /// Event brokers, one after the other.
    Brokers,
    /// IMAP servers, one after the other.
    Peers,
    /// IMAP servers under attack, one after the other.
    Hostile,
    /// IMAP servers that are asked, one after the other.
    Active,
    /// A fresh server, for long.
    Soak,
    /// Fresh servers, and a report made of several runs or options of its own.
    Own(fn(&Options, &Path) -> Result<()>),
}

const TINY_CROWD: &[&str] = &[
    "--sessions",
    "200",
    "--mailboxes",
    "one",
    "--deliveries",
    "5",
    "--baseline-sendloop",
    "3",
];
const TINY_BURST: &[&str] = &[
    "--sessions",
    "100",
    "--deliveries",
    "0",
    "--burst-seconds",
    "1",
];
const TINY_MILLION: &[&str] = &[
    "--sessions",
    "500",
    "--idle-seconds",
    "1",
    "--deliveries",
    "10",
    "--sweep",
    "20",
    "--storm",
    "done,deaf,leave,restart",
];

const TINY_TWO_MILLION: &[&str] = &[
    "--sessions",
    "500",
    "--idle-seconds",
    "1",
    "--deliveries",
    "10",
    "--sweep",
    "20",
];

/// Users of the small twins.
const TINY_USERS: u32 = 500;

/// All studies, in the order in which they run.
const STUDIES: [Study; 15] = [
    Study {
        name: "single",
        about: "10,000 clients idle, a mailbox each; 200 messages come one after the other",
        kind: Kind::Server(10_000, &["--sessions", "500", "--deliveries", "20"]),
        arguments: &[
            "--sessions",
            "10000",
            "--deliveries",
            "200",
            "--idle-seconds",
            "10",
        ],
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
        about: "10,000 clients idle in one mailbox: how soon all have heard of a message, next \
                to a bare send loop",
        kind: Kind::Server(10_000, TINY_CROWD),
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
        about: "10,000 clients idle, and 16 LMTP connections deliver as fast as they can, durably",
        kind: Kind::Server(10_000, TINY_BURST),
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
        name: "million",
        about: "1,000,000 clients idle, a mailbox each: memory, set-up, latency, a message for \
                everybody, and storms: all speak, are deaf, leave, lose the server",
        kind: Kind::Server(1_000_000, TINY_MILLION),
        arguments: &[
            "--sessions",
            "1000000",
            "--setup-concurrency",
            "1024",
            "--idle-seconds",
            "30",
            "--deliveries",
            "500",
            "--sweep",
            "20",
            "--message-bytes",
            "300",
            "--storm",
            "done,deaf,leave,restart",
            "--patience-seconds",
            "120",
        ],
        headlines: &[
            "set-up (connect, LOGIN, SELECT, IDLE)",
            "server user memory a parked session",
            "idle: server CPU, of one core",
            "250 → EXISTS",
            "sweep: mailboxes delivered and told",
            "storm leave: until all is as before",
            "storm leave: came again",
            "storm leave: refused",
            "storm restart: until all is as before",
            "misses / doubles / disorders",
        ],
    },
    Study {
        name: "two-million",
        about: "2,000,000 clients idle, a mailbox each: memory, set-up, a message for everybody",
        kind: Kind::Server(2_000_000, TINY_TWO_MILLION),
        arguments: &[
            "--sessions",
            "2000000",
            "--setup-concurrency",
            "1024",
            "--idle-seconds",
            "30",
            "--deliveries",
            "500",
            "--sweep",
            "20",
            "--message-bytes",
            "300",
            "--patience-seconds",
            "180",
        ],
        headlines: &[
            "set-up (connect, LOGIN, SELECT, IDLE)",
            "server user memory a parked session",
            "kernel memory a connection, both ends",
            "idle: server CPU, of one core",
            "250 → EXISTS",
            "sweep: mailboxes delivered and told",
            "misses / doubles / disorders",
        ],
    },
    Study {
        name: "tls",
        about: "1,000,000 clients idle over TLS 1.3; then 10,000, a crowd, and a storm of \
                handshakes, each against plain text in the same run",
        kind: Kind::Own(|options, folder| tls::run(&tls::FULL, options.up_to, folder)),
        arguments: &[],
        headlines: &[
            "sessions over TLS",
            "server user memory",
            "set-up took",
            "misses, doubles and disorders",
            "handshakes a second, server's side, one core",
            "250 → EXISTS p50",
            "crowd: 250 → last EXISTS p50",
            "reconnecting: 250 → EXISTS p99",
        ],
    },
    Study {
        name: "logins",
        about: "storms of logins: everybody comes back after a restart, by each way to log in",
        kind: Kind::Own(|options, folder| logins::run(&logins::FULL, options.up_to, folder)),
        arguments: &[],
        headlines: &[
            "SCRAM-SHA-256: verifications a second and core",
            "SCRAM-SHA-256: everybody was back in",
            "by the verifier: verifications a second and core",
            "{ARGON2ID}: verifications a second and core",
        ],
    },
    Study {
        name: "brokers",
        about: "the broker enpd next to NATS and Redis: one subscriber, 10,000, memory, throughput",
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
        name: "site",
        about: "brokers of three hosts that are one site, next to NATS alone: from host to host, \
                9,000 subscribers, throughput, a million subscriptions, a server killed",
        kind: Kind::Own(|options, folder| site::run(site::FULL, options.before.as_deref(), folder)),
        arguments: &[],
        headlines: &[
            "publish → subscriber of another host, p50",
            "publish → last subscriber, of three hosts, p50",
            "events a second to another host, 200 B",
            "subscriptions at NATS",
            "memory of nats-server",
            "a server killed: longest silence",
            "a server killed: events missed and not told",
        ],
    },
    Study {
        name: "peers",
        about: "1,000 clients idle: Ensign next to Dovecot, Dovecot hibernating, and Cyrus",
        kind: Kind::Peers,
        arguments: &[],
        headlines: &[
            "DATA end → EXISTS, p50",
            "crowd: 250 → last EXISTS, p50",
            "durable deliveries, 16 connections",
            "user memory a session",
        ],
    },
    Study {
        name: "hostile",
        about: "attacks of one client beside 1,000 idlers, 10 workers and 4 deliverers, on Ensign, \
                Dovecot and Cyrus",
        kind: Kind::Hostile,
        arguments: &[],
        headlines: &[
            "Ensign: worst above quiet",
            "Dovecot: worst above quiet",
            "Cyrus + idled: worst above quiet",
        ],
    },
    Study {
        name: "active",
        about: "a client that has woken up asks: flags, envelopes, searches, sorting of 20,000 and \
                200,000 messages, on Ensign, Dovecot and Cyrus",
        kind: Kind::Active,
        arguments: &[],
        headlines: &[
            "FETCH of 1000: ENVELOPE with flags date size",
            "SEARCH SUBJECT",
            "SORT (DATE)",
            "THREAD REFERENCES",
        ],
    },
    Study {
        name: "soak",
        about: "churn under an oracle: 50,000 clients of 40,000 mailboxes come, idle, act and go",
        kind: Kind::Soak,
        arguments: soak::ARGUMENTS,
        headlines: &[
            "churn",
            "faults",
            "server user memory at the end",
            "250 or OK → EXISTS",
            "command → OK, reading",
        ],
    },
    Study {
        name: "batches",
        about: "durable deliveries, next to a plain file that is synced for as large groups",
        kind: Kind::Own(|_, folder| batches::run(&batches::FULL, folder)),
        arguments: &[],
        headlines: &[
            "durable deliveries",
            "burst: operations a commit",
            "plain file at the same sizes",
            "deliveries against the plain file",
        ],
    },
    Study {
        name: "scaling",
        about: "how figures change: 1,000 to a million clients, 10 to 100,000 in one mailbox, 1 to \
                64 LMTP connections, one core and two",
        kind: Kind::Own(|options, folder| scaling::run(&scaling::FULL, options.up_to, folder)),
        arguments: &[],
        headlines: &[
            "sessions: server user memory",
            "sessions: set-up",
            "sessions: 250 → EXISTS p99",
            "watchers: crowd: 250 → last EXISTS p50",
            "watchers: notification server CPU",
            "connections: durable deliveries",
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
    /// Of the studies of several servers, measure only these servers; the others' runs stay
    #[arg(long, value_name = "NAME")]
    pub peer: Vec<String>,
    /// Replace the last run of the day; without it each run has a folder of its own
    #[arg(long)]
    pub replace: bool,
    /// Write the index of what lies in results/ and the README's figures anew, and run nothing
    #[arg(long)]
    pub index: bool,
    /// Draw the pictures of what lies in results/ anew, and run nothing
    #[arg(long)]
    pub redraw: bool,
    /// No more sessions than this, for a try: of the study of scaling points with more are left
    /// out, and the studies of a server, TLS and logins are run with fewer; of the study of a
    /// client that wakes up, no more messages
    #[arg(long, value_name = "SESSIONS")]
    pub up_to: Option<u32>,
    /// Of the study of a site: an older enpd, with which one without a site is compared
    #[arg(long, value_name = "ENPD")]
    pub before: Option<PathBuf>,
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
    let results = paths::root().join("results");
    if options.redraw {
        redraw(&results)?;
    }
    if options.index || options.redraw {
        return write_index(&results);
    }
    install::build(Profile::current())?;
    if options.tiny {
        return twins();
    }
    for study in &STUDIES {
        if options.names.is_empty() || options.names.iter().any(|name| name == study.name) {
            let folder = folder(study.name, options)?;
            println!("== {}: {}", study.name, study.about);
            match study.kind {
                Kind::Server(users, _) => {
                    let users = options.up_to.map_or(users, |most| most.min(users));
                    server::run(&at_most(study.arguments, users), users, &folder)?;
                }
                Kind::Brokers => brokers::run(study.arguments, relative(&folder))?,
                Kind::Peers => peers::run(&peers::FULL, &options.peer, &folder)?,
                Kind::Hostile => hostile::run(&hostile::FULL, &options.peer, &folder)?,
                Kind::Active => active::run(&active::FULL, &options.peer, options.up_to, &folder)?,
                Kind::Soak => soak::run(study, &folder)?,
                Kind::Own(run) => run(options, &folder)?,
            }
            pictures::draw(study.name, &folder, peers::loadgen)?;
        }
    }
    write_index(&results)
}

fn write_index(results: &Path) -> Result<()> {
    index::write(results, &STUDIES)?;
    index::front::write(&paths::root().join("README.md"), results)
}

/// Draws the pictures of all runs again, from the data that lie beside them.
fn redraw(results: &Path) -> Result<()> {
    let loadgen = || shell::cargo(&["run", "-q", "-p", "loadgen", "--bin", "loadgen", "--"]);
    shell::run(loadgen().arg("redraw").arg(relative(results)))?;
    for study in &STUDIES {
        for run in index::runs(results, study.name)? {
            pictures::draw(study.name, &results.join(run.name), loadgen)?;
        }
    }
    Ok(())
}

/// Arguments of the load generator with no more sessions than there are users.
fn at_most(arguments: &[&str], users: u32) -> Vec<String> {
    let mut arguments: Vec<String> = arguments.iter().map(|&it| it.to_owned()).collect();
    let count = arguments.iter().position(|it| it == "--sessions");
    if let Some(count) = count.and_then(|at| arguments.get_mut(at + 1))
        && count.parse().is_ok_and(|count: u32| count > users)
    {
        *count = users.to_string();
    }
    arguments
}

/// The folder of a run that begins now: one of its own, unless a run of the day is replaced, or
/// a part of it is measured again.
fn folder(name: &str, options: &Options) -> Result<PathBuf> {
    let results = paths::root().join("results");
    let there = std::fs::read_dir(&results)?;
    let there: Vec<String> = there
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let again = options.replace || !options.peer.is_empty();
    Ok(results.join(next(name, &today()?, &there, again)))
}

/// The name of the day's next folder beside those that are there, or of its last one again.
fn next(name: &str, day: &str, there: &[String], again: bool) -> String {
    let runs = there.iter().filter(|run| run.starts_with(day));
    let last = runs.filter_map(|run| index::number(run, name)).max();
    match last {
        None => format!("{day}-{name}"),
        Some(1) if again => format!("{day}-{name}"),
        Some(last) if again => format!("{day}-{name}-{last}"),
        Some(last) => format!("{day}-{name}-{}", last + 1),
    }
}

/// Runs the studies' small twins.
pub fn twins() -> Result<()> {
    let folder = paths::target().join("results-tiny");
    for study in &STUDIES {
        if let Kind::Server(_, tiny @ [_, ..]) = study.kind {
            println!("== the twin of {}", study.name);
            let tiny = at_most(tiny, TINY_USERS);
            server::run(&tiny, TINY_USERS, &folder.join(study.name))?;
        }
    }
    peers::run(&peers::TINY, &[], &folder.join("peers"))?;
    hostile::run(&hostile::TINY, &[], &folder.join("hostile"))?;
    active::run(&active::TINY, &[], None, &folder.join("active"))?;
    batches::run(&batches::TINY, &folder.join("batches"))?;
    tls::run(&tls::TINY, None, &folder.join("tls"))?;
    logins::run(&logins::TINY, None, &folder.join("logins"))?;
    site::run(site::TINY, None, &folder.join("site"))?;
    scaling::run(&scaling::TINY, None, &folder.join("scaling"))
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
    use super::{at_most, date, next};

    #[test]
    fn a_try_has_fewer_sessions() {
        let words = ["--sessions", "10000", "--rate", "99999"];
        assert_eq!(at_most(&words, 20_000), words);
        assert_eq!(
            at_most(&words, 500),
            ["--sessions", "500", "--rate", "99999"]
        );
    }

    #[test]
    fn a_run_never_takes_the_folder_of_another_unless_asked_to() {
        let there = ["2026-11-26-soak", "2026-11-27-soak", "2026-11-27-soak-2"].map(str::to_owned);
        let next = |name: &str, day: &str, again| next(name, day, &there, again);
        assert_eq!(next("soak", "2026-11-27", false), "2026-11-27-soak-3");
        assert_eq!(next("soak", "2026-11-26", false), "2026-11-26-soak-2");
        assert_eq!(next("soak", "2026-11-28", false), "2026-11-28-soak");
        assert_eq!(next("soak", "2026-11-27", true), "2026-11-27-soak-2");
        assert_eq!(next("soak", "2026-11-26", true), "2026-11-26-soak");
        assert_eq!(next("tls", "2026-11-27", false), "2026-11-27-tls");
    }

    #[test]
    fn days_become_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_780), "2026-11-23");
    }
}
