//! The study of attacks: what others feel while one client does its worst, on Ensign, Dovecot and
//! Cyrus, under the same load generator, each attack after a fresh start.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::peers;
use super::prepared::Figures;
use super::relative;
use crate::base::Base;
use crate::install::Profile;
use crate::{packages, paths, shell};

/// How much of everything, as the load generator takes it.
pub(super) struct Sizes {
    /// Idlers, workers and users for the other roles.
    users: usize,
    arguments: &'static [&'static str],
    attacks: &'static [&'static str],
    foreign: &'static [Foreign],
    /// All attacks against one server, without a fresh start for each.
    at_once: bool,
}

/// Another server, and what it is called.
struct Foreign {
    name: &'static str,
    title: &'static str,
    package: &'static str,
}

const FOREIGN: [Foreign; 2] = [
    Foreign {
        name: "dovecot",
        title: "Dovecot",
        package: "dovecot-core",
    },
    Foreign {
        name: "cyrus",
        title: "Cyrus + idled",
        package: "cyrus-common",
    },
];

/// All attacks of `loadgen hostile`, in its order.
const ATTACKS: [&str; 18] = [
    "list",
    "view",
    "store",
    "copy",
    "expunge",
    "select",
    "search",
    "envelope",
    "guess",
    "cold-login",
    "capability",
    "literal",
    "unread",
    "subscribe",
    "match",
    "rename",
    "lmtp",
    "slow-reader",
];
/// Attacks on what only Ensign has.
const OWN: [&str; 2] = ["subscribe", "match"];

/// The study.
pub(super) const FULL: Sizes = Sizes {
    users: 1200,
    arguments: &[
        "--quiet-seconds",
        "20",
        "--attack-seconds",
        "20",
        "--after-seconds",
        "1",
        "--settle-seconds",
        "1",
        "--patience-seconds",
        "60",
    ],
    attacks: &ATTACKS,
    foreign: &FOREIGN,
    at_once: false,
};

/// Its small twin.
pub(super) const TINY: Sizes = Sizes {
    users: 200,
    arguments: &[
        "--idlers",
        "50",
        "--workers",
        "3",
        "--deliverers",
        "2",
        "--quiet-seconds",
        "1",
        "--attack-seconds",
        "1",
        "--after-seconds",
        "0",
        "--settle-seconds",
        "0",
        "--messages",
        "2000",
        "--mailbox-count",
        "100",
        "--large-bytes",
        "300000",
        "--connections",
        "20",
        "--requests",
        "400",
        "--strict",
    ],
    attacks: &ATTACKS,
    foreign: &[],
    at_once: true,
};

/// Runs the study, or only the named servers' part of it; the others' earlier runs stay in `out`.
pub(super) fn run(sizes: &Sizes, only: &[String], out: &Path) -> Result<()> {
    let wanted = |name: &str| only.is_empty() || only.iter().any(|one| one == name);
    let mut clean = true;
    if wanted("ensign") {
        println!("-- Ensign");
        clean = ensign(sizes, &out.join("ensign"))?;
    }
    for foreign in sizes.foreign {
        if wanted(foreign.name) {
            println!("-- {}", foreign.title);
            other(foreign, sizes, &out.join(foreign.name))
                .with_context(|| format!("cannot measure {}", foreign.title))?;
        }
    }
    write_table(sizes, out)?;
    if !clean {
        bail!("under attack Ensign missed, doubled, disordered or refused something");
    }
    Ok(())
}

fn ensign(sizes: &Sizes, out: &Path) -> Result<bool> {
    let base = Base::fresh(paths::target().join("hostile"), Profile::current())?;
    base.set("local.store.notifyplugin.renamemailbox.enable", "1")?;
    let count = sizes.users.to_string();
    base.import(&shell::capture(
        base.sbin("loadgen").args(["users", "--count", &count]),
    )?)?;
    let costly: String = (0..20).map(|at| format!("cold{at}:secret\n")).collect();
    let list = base.folder().join("run/costly");
    fs::write(&list, costly)?;
    shell::capture(base.sbin("msguser").arg("import").arg(&list))?;
    let together = [sizes.attacks];
    let each: Vec<&[&str]> = sizes.attacks.chunks(1).collect();
    let mut clean = true;
    for attacks in if sizes.at_once { &together[..] } else { &each } {
        let ports = base.start_anywhere()?;
        let ens = shell::capture(base.sbin("configutil").args(["-o", "ens.port"]))?;
        let pid = base.running()?.context("the server ended at once")?;
        let address = [ports.imap.to_string(), ports.lmtp.to_string()];
        let pid = pid.as_raw_nonzero().to_string();
        let ens = format!("127.0.0.1:{}", ens.trim());
        let own = ["--server-pid", &pid, "--ens", &ens];
        let folder = match attacks {
            [one] => out.join(one),
            _ => out.to_owned(),
        };
        clean &= attack(sizes, &address, attacks, &own, &folder)?;
        base.stop()?;
    }
    Ok(clean)
}

fn other(foreign: &Foreign, sizes: &Sizes, out: &Path) -> Result<()> {
    packages::peers()?;
    let mut server = peers::foreign(foreign.name, sizes.users)?;
    for one in sizes.attacks.iter().filter(|attack| !OWN.contains(attack)) {
        let address = server.start()?;
        let tree = address.tree.to_string();
        let own = ["--server-tree", &tree, "--cold-users", "load%d"];
        let both = [address.imap, address.lmtp];
        // What is wrong with others is a finding; that it can't be attacked so as well.
        if let Err(failure) = attack(sizes, &both, &[one], &own, &out.join(one)) {
            println!("{one}: {failure:#}");
        }
        server.stop()?;
    }
    fs::create_dir_all(out)?;
    for (name, text) in server.configuration() {
        fs::write(out.join(name), text)?;
    }
    Ok(())
}

/// Runs the load generator; tells whether its oracle found no fault.
fn attack(
    sizes: &Sizes,
    [imap, lmtp]: &[String; 2],
    attacks: &[&str],
    own: &[&str],
    out: &Path,
) -> Result<bool> {
    let mut load = peers::loadgen();
    load.args(["hostile", "--imap", imap, "--lmtp", lmtp])
        .args(own)
        .args(sizes.arguments)
        .arg("--out")
        .arg(relative(out))
        .args(attacks);
    let status = shell::status(&mut load)?;
    match status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => bail!("loadgen ended with {status}"),
    }
}

const NOTES: &str = "\
A cell: by how much the worst time that any member of the population felt (notification, command,
delivery, login) is above the quiet worst of its kind in the same run; in brackets the server's
anonymous memory, quiet and at the worst; and how often a member of the population was refused
something or cut, if it was. A dash: the attack is on what the server does not have, or could not be
prepared. Beside each attack: 1,000 idlers, 10 workers, 4 deliverers, one login after the other. The
attackers run on the same two cores, as threads that give way to others (nice 10), and the server's
session goes before the load generator's (autogroup -10). Each server's folder holds a folder an
attack with its command, table, raw histograms and what the attacker saw.";

fn write_table(sizes: &Sizes, out: &Path) -> Result<()> {
    if sizes.at_once {
        return Ok(());
    }
    let mut text =
        String::from("# One attacker and the others\n\n```\ncargo xtask results hostile\n```\n\n");
    let report = fs::read_to_string(out.join("ensign").join(ATTACKS[0]).join("README.md"))
        .context("Ensign was not measured")?;
    text.push_str(peers::machine(&report));
    text.push('\n');
    let is_measured = |foreign: &&Foreign| out.join(foreign.name).exists();
    let measured: Vec<&Foreign> = sizes.foreign.iter().filter(is_measured).collect();
    for foreign in &measured {
        let version = packages::version(foreign.package)?;
        writeln!(text, "| {} | {version} |", foreign.title)?;
    }
    let titles = measured.iter().map(|one| one.title);
    let titles: Vec<&str> = std::iter::once("Ensign").chain(titles).collect();
    writeln!(text, "\n| attack | {} |", titles.join(" | "))?;
    writeln!(text, "|---{}|", "|---".repeat(titles.len()))?;
    let names = measured.iter().map(|one| one.name);
    let names: Vec<&str> = std::iter::once("ensign").chain(names).collect();
    let mut worst = vec![0.0f64; names.len()];
    for attack in sizes.attacks {
        write!(text, "| {attack} |")?;
        for (name, worst) in names.iter().zip(&mut worst) {
            match Figures::read(&out.join(name).join(attack)) {
                Ok(figures) => {
                    let above = figures.get(&format!("{attack} worst above quiet"));
                    *worst = worst.max(above.unwrap_or(0.0));
                    write!(text, " {} |", cell(attack, &figures))?;
                }
                Err(_) => text.push_str(" – |"),
            }
        }
        text.push('\n');
    }
    text.push_str("\n| over all | worst above quiet | |\n|---|---|---|\n");
    for (title, worst) in titles.iter().zip(&worst) {
        writeln!(
            text,
            "| {title}: worst above quiet | {:.0} ms | |",
            worst / 1e3
        )?;
    }
    writeln!(text, "\n{NOTES}")?;
    fs::write(out.join("README.md"), text).context("cannot write the table")
}

fn cell(attack: &str, figures: &Figures) -> String {
    let get = |name: &str| figures.get(&format!("{attack} {name}")).unwrap_or(0.0);
    let megabytes = |name: &str| get(name) / 1e6;
    let mut text = format!(
        "{:.0} ms ({:.0} → {:.0} MB)",
        get("worst above quiet") / 1e3,
        megabytes("memory quiet"),
        megabytes("memory worst")
    );
    for what in ["refusals", "faults"] {
        if get(what) > 0.0 {
            let _ = write!(text, ", {} {what}", get(what));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_what_is_above_quiet_and_what_was_refused() {
        let figure = |name: &str, value| (format!("list {name}"), value, String::new());
        let figures = Figures(vec![
            figure("worst above quiet", 12_400.0),
            figure("memory quiet", 20e6),
            figure("memory worst", 41e6),
            figure("refusals", 3.0),
            figure("faults", 0.0),
        ]);
        assert_eq!(cell("list", &figures), "12 ms (20 → 41 MB), 3 refusals");
    }
}
