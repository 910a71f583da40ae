//! The study of a client that has woken up: flags, envelopes, structures, headers, searches, sorted
//! and threaded lists of one mailbox, on Ensign, Dovecot and Cyrus, warm, one after the other.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::peers;
use super::prepared::Figures;
use super::relative;
use crate::{packages, shell};

/// How much of everything.
pub(super) struct Sizes {
    /// Messages of the mailboxes.
    messages: &'static [u32],
    rounds: u32,
    peers: &'static [Peer],
}

/// A server, what it is called, and the package that tells its version.
struct Peer {
    name: &'static str,
    title: &'static str,
    package: Option<&'static str>,
}

const PEERS: [Peer; 3] = [
    Peer {
        name: "ensign",
        title: "Ensign",
        package: None,
    },
    Peer {
        name: "dovecot",
        title: "Dovecot",
        package: Some("dovecot-core"),
    },
    Peer {
        name: "cyrus",
        title: "Cyrus",
        package: Some("cyrus-common"),
    },
];

/// The study.
pub(super) const FULL: Sizes = Sizes {
    messages: &[20_000, 200_000],
    rounds: 9,
    peers: &PEERS,
};

/// Its small twin, which needs no package.
pub(super) const TINY: Sizes = Sizes {
    messages: &[1200],
    rounds: 2,
    peers: PEERS.split_at(1).0,
};

/// Runs the study, or only the named servers' part of it; the others' earlier runs stay in `out`.
pub(super) fn run(sizes: &Sizes, only: &[String], up_to: Option<u32>, out: &Path) -> Result<()> {
    let wanted = |peer: &&Peer| only.is_empty() || only.iter().any(|one| one == peer.name);
    let wanted: Vec<&Peer> = sizes.peers.iter().filter(wanted).collect();
    if wanted.iter().any(|peer| peer.package.is_some()) {
        packages::peers()?;
    }
    let fits = |messages: &&u32| up_to.is_none_or(|most| **messages <= most);
    let messages: Vec<u32> = sizes.messages.iter().filter(fits).copied().collect();
    let mut clean = true;
    for peer in wanted {
        println!("-- {}", peer.title);
        for &messages in &messages {
            let folder = out.join(peer.name).join(messages.to_string());
            let right = measure(peer, messages, sizes.rounds, &folder)
                .with_context(|| format!("cannot measure {}", peer.title))?;
            clean &= right || peer.package.is_some();
        }
    }
    write_table(sizes, &messages, out)?;
    if !clean {
        bail!("Ensign's answers were wrong: see {}", out.display());
    }
    Ok(())
}

/// Tells whether all answers were right.
fn measure(peer: &Peer, messages: u32, rounds: u32, out: &Path) -> Result<bool> {
    let mut server = match peer.package {
        None => peers::ensign(peer.name, 1)?,
        Some(_) => peers::foreign(peer.name, 1)?,
    };
    let address = server.start()?;
    let mut load = peers::loadgen();
    load.args(["active", "--imap", &address.imap])
        .args(["--messages", &messages.to_string()])
        .args(["--rounds", &rounds.to_string(), "--out"])
        .arg(relative(out));
    let status = shell::status(&mut load)?;
    server.stop()?;
    for (name, text) in server.configuration() {
        fs::write(out.join(name), text)?;
    }
    match status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => bail!("loadgen ended with {status}"),
    }
}

const NOTES: &str = "\
Medians, each command asked again and again after a time that is not counted: all caches are warm.
In brackets: how many times as fast Ensign is. A dash: the server refused it, or does not have it.
Each server's folders hold the command, all times and the raw histograms.";

fn write_table(sizes: &Sizes, all: &[u32], out: &Path) -> Result<()> {
    let mut text = String::from(
        "# What a client asks for that has woken up\n\n```\ncargo xtask results active\n```\n\n",
    );
    let first = out
        .join(PEERS[0].name)
        .join(all.first().context("there is no such size")?.to_string());
    let report = fs::read_to_string(first.join("README.md")).context("Ensign was not measured")?;
    text.push_str(peers::machine(&report));
    text.push('\n');
    let measured: Vec<&Peer> = sizes
        .peers
        .iter()
        .filter(|peer| out.join(peer.name).exists())
        .collect();
    for peer in &measured {
        if let Some(package) = peer.package {
            writeln!(text, "| {} | {} |", peer.title, packages::version(package)?)?;
        }
    }
    for messages in all {
        let read = |peer: &&Peer| Figures::read(&out.join(peer.name).join(messages.to_string()));
        let figures: Vec<Figures> = measured.iter().map(read).collect::<Result<_>>()?;
        let titles: Vec<&str> = measured.iter().map(|peer| peer.title).collect();
        let thousands = super::prepared::thousands(f64::from(*messages));
        writeln!(text, "\n| {thousands} messages | {} |", titles.join(" | "))?;
        writeln!(text, "|---{}|", "|---".repeat(titles.len()))?;
        let own = figures.first().context("Ensign was not measured")?;
        for (name, value, unit) in &own.0 {
            if name == "wrong answers" {
                continue;
            }
            write!(text, "| {name} | {} |", shown(*value, unit))?;
            for other in &figures[1..] {
                write!(text, " {} |", against(*value, other.get(name), unit))?;
            }
            text.push('\n');
        }
    }
    writeln!(text, "\n{NOTES}")?;
    fs::write(out.join("README.md"), text).context("cannot write the table")
}

fn shown(value: f64, unit: &str) -> String {
    match unit {
        "µs" => format!("{:.2} ms", value / 1e3),
        _ => format!("{value:.0} {unit}"),
    }
}

/// Another's figure, and how many times as fast our own is.
fn against(own: f64, other: Option<f64>, unit: &str) -> String {
    let Some(other) = other else {
        return "–".into();
    };
    let times = if unit == "µs" {
        other / own
    } else {
        own / other
    };
    format!("{} ({times:.1} ×)", shown(other, unit))
}

#[cfg(test)]
mod tests {
    use super::against;

    #[test]
    fn what_takes_longer_and_what_does_less_a_second_is_slower() {
        assert_eq!(against(2000.0, Some(5000.0), "µs"), "5.00 ms (2.5 ×)");
        assert_eq!(against(3000.0, Some(150.0), "/ s"), "150 / s (20.0 ×)");
        assert_eq!(against(1.0, None, "µs"), "–");
    }
}
