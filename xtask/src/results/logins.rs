//! The study of storms of logins: a restart forgets which passwords were right, and everybody comes
//! back at once. By each way to log in.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::prepared::{Figures, Prepared, thousands};
use super::server::{ISSUER_FILE, People};
use crate::shell;

/// How many sessions there are of each way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Whose login takes microseconds.
    cheap: u32,
    /// Those of SCRAM.
    scram: u32,
    /// Whose password is checked by a verifier: milliseconds.
    verifier: u32,
    /// Whose password is hashed as passwords should be: tens of milliseconds.
    costly: u32,
    /// Processor time for verifications of each way, in milliseconds.
    verifications_ms: u64,
    settle_s: u64,
}

/// The study.
pub(super) const FULL: Sizes = Sizes {
    cheap: 100_000,
    scram: 1_000_000,
    // More than may wait for a check: the others are told to come again.
    verifier: 5000,
    costly: 500,
    verifications_ms: 4000,
    settle_s: 2,
};

/// Its small twin.
pub(super) const TINY: Sizes = Sizes {
    cheap: 200,
    scram: 200,
    verifier: 50,
    costly: 10,
    verifications_ms: 20,
    settle_s: 0,
};

/// A way to log in.
struct Way {
    /// What `loadgen verify` calls it.
    name: &'static str,
    about: &'static str,
    scheme: &'static str,
    auth: &'static str,
    /// Its clients wait for no answer behind the login.
    pipelined: bool,
    /// Clients that are on their way in at a time, at the set-up: no more than may wait for the
    /// threads that check passwords. In the storm all come, and who finds no room comes again.
    at_once: u32,
    options: &'static [(&'static str, &'static str)],
    sessions: fn(&Sizes) -> u32,
}

impl Way {
    /// What its folder is called.
    fn folder(&self) -> &'static str {
        match self.auth {
            "oauthbearer" => self.auth,
            _ if self.pipelined => "pipelined",
            _ => self.scheme,
        }
    }
}

const WAYS: [Way; 6] = [
    Way {
        name: "SCRAM-SHA-256",
        about: "AUTHENTICATE SCRAM-SHA-256",
        scheme: "keys",
        auth: "scram",
        pipelined: false,
        at_once: 1024,
        // From the first moment on: what auto finds takes a look at all users.
        options: &[("service.imap.scram", "yes")],
        sessions: |sizes| sizes.scram,
    },
    Way {
        name: "SCRAM-SHA-256",
        about: "the same, with SELECT and IDLE sent behind the login, without waiting",
        scheme: "keys",
        auth: "scram",
        pipelined: true,
        at_once: 1024,
        options: &[("service.imap.scram", "yes")],
        sessions: |sizes| sizes.cheap,
    },
    Way {
        name: "OAUTHBEARER",
        about: "AUTHENTICATE OAUTHBEARER, tokens signed by Ed25519",
        scheme: "ssha256",
        auth: "oauthbearer",
        pipelined: false,
        at_once: 1024,
        options: &[("oauth.keys", ISSUER_FILE)],
        sessions: |sizes| sizes.cheap,
    },
    Way {
        name: "{SSHA256}",
        about: "PLAIN, a salted hash that is cheap to guess against",
        scheme: "ssha256",
        auth: "plain",
        pipelined: false,
        at_once: 1024,
        options: &[],
        sessions: |sizes| sizes.cheap,
    },
    Way {
        name: "by the verifier",
        about: "PLAIN, checked against SCRAM's verifier",
        scheme: "verifier",
        auth: "plain",
        pipelined: false,
        at_once: 64,
        options: &[],
        sessions: |sizes| sizes.verifier,
    },
    Way {
        name: "{ARGON2ID}",
        about: "PLAIN, no verifier",
        scheme: "argon2id",
        auth: "plain",
        pipelined: false,
        at_once: 64,
        // Otherwise the server learns verifiers at the first logins.
        options: &[("service.imap.scram", "no")],
        sessions: |sizes| sizes.costly,
    },
];

/// Runs the study, with no more than so many sessions; the table and each run's own folder go to
/// `out`.
pub(super) fn run(sizes: &Sizes, up_to: Option<u32>, out: &Path) -> Result<()> {
    fs::create_dir_all(out)?;
    let mut rows = Vec::new();
    let mut rates = String::new();
    let mut machine = String::new();
    for way in &WAYS {
        let sessions = (way.sessions)(sizes).min(up_to.unwrap_or(u32::MAX));
        println!("-- {}: {sessions} sessions", way.about);
        let prepared = Prepared::with(&People {
            count: sessions,
            scheme: way.scheme,
            auth: way.auth,
            options: way.options,
        })?;
        if rates.is_empty() {
            machine = shell::capture(prepared.loadgen().arg("machine"))?;
            let mut verify = prepared.loadgen();
            let ms = sizes.verifications_ms.to_string();
            rates = shell::capture(verify.args(["verify", "--milliseconds", &ms]))?;
        }
        let mut words = format!(
            "--auth {} --sessions {sessions} --setup-concurrency {} --deliveries 0 \
             --storm restart --patience-seconds 180 --settle-seconds {}",
            way.auth, way.at_once, sizes.settle_s
        );
        if way.pipelined {
            words.push_str(" --pipeline");
        }
        let arguments: Vec<&str> = words.split(' ').collect();
        let figures = prepared.load(&arguments, &out.join(way.folder()))?;
        rows.push((way, sessions, words, figures));
        let text = report(&rows, &machine, &rates)?;
        fs::write(out.join("README.md"), text).context("cannot write the report")?;
    }
    let is_sound = |(_, _, _, figures): &Row| {
        let none = |measure: &str| figures.get(measure) == Some(0.0);
        none("faults") && none("storm restart: refused")
    };
    if !rows.iter().all(is_sound) {
        bail!(
            "news were missed, doubled or disordered, or somebody is not back: see {}",
            out.display()
        );
    }
    Ok(())
}

/// A way, its sessions, what the load generator was told, and what it found.
type Row = (&'static Way, u32, String, Figures);

fn report(rows: &[Row], machine: &str, rates: &str) -> Result<String> {
    let mut text = format!(
        "# Storms of logins\n\n```\ncargo xtask results logins\n```\n\n{}\n\n\
         The server is restarted and remembers no password that was right; everybody comes back at \
         once (connect, authenticate, SELECT, IDLE).\n\n\
         | way | verifications a second and core | sessions | set up | back in | of these, nobody \
         there | sessions a second | CPU a session: server; load generator | came again: no room; \
         cut | refused | a million, two cores |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
        machine.trim_end()
    );
    let mut headlines = String::new();
    for (way, sessions, _, figures) in rows {
        let rate = verifications(rates, way.name).context("`loadgen verify` has no such way")?;
        let shown = |measure: &str| figures.shown(measure).unwrap_or_else(|| "–".into());
        let took = figures.get("storm restart").unwrap_or(f64::INFINITY);
        let a_second = f64::from(*sessions) / took;
        writeln!(
            text,
            "| [{}]({}/) | {} | {} | {} | {} | {} | {} | {}; {} | {}; {} | {} | {} |",
            way.about,
            way.folder(),
            thousands(rate.round()),
            thousands(f64::from(*sessions)),
            shown("set-up"),
            shown("storm restart"),
            shown("storm restart: nobody there"),
            thousands(a_second.round()),
            shown("storm restart: server CPU"),
            shown("storm restart: own CPU"),
            shown("storm restart: unavailable"),
            shown("storm restart: cut"),
            shown("storm restart: refused"),
            long(1e6 / a_second),
        )?;
        if way.pipelined {
            continue;
        }
        let rate = thousands(rate.round());
        let name = way.name;
        writeln!(
            headlines,
            "| {name}: verifications a second and core | {rate} | |\n\
             | {name}: everybody was back in | {} | |",
            shown("storm restart")
        )?;
    }
    let remembered = verifications(rates, "remembered").unwrap_or_default();
    write!(
        text,
        "\n| measure | value | |\n|---|---|---|\n{headlines}\n\
         The last column is from the sessions a second, where there were fewer. Verifications are \
         counted by `loadgen verify`, in processor time of the server's functions alone; of a \
         password that was right lately there are {} a second and core. Verifiers are of 10,000 \
         rounds, {{ARGON2ID}} is of 19 MiB and two passes.\n\n```\n",
        thousands(remembered.round())
    )?;
    for (_, _, words, _) in rows {
        writeln!(text, "loadgen idle {words}")?;
    }
    text.push_str("```\n\nEach run's own report: its folder.\n");
    Ok(text)
}

/// From a line `way,verifications a second`.
fn verifications(rates: &str, way: &str) -> Option<f64> {
    let mut lines = rates.lines().filter_map(|line| line.rsplit_once(','));
    let (_, rate) = lines.find(|(name, _)| *name == way)?;
    rate.trim().parse().ok()
}

/// Seconds as people say them.
fn long(seconds: f64) -> String {
    match seconds {
        it if it < 120.0 => format!("{it:.0} s"),
        it if it < 7200.0 => format!("{:.0} min", it / 60.0),
        it => format!("{:.1} h", it / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{long, verifications};

    #[test]
    fn rates_are_found_and_times_are_legible() {
        let rates = "way,verifications a second\n{SSHA256},1000000.5\n{ARGON2ID},23\n";
        assert_eq!(verifications(rates, "{ARGON2ID}"), Some(23.0));
        assert_eq!(verifications(rates, "SCRAM"), None);
        assert_eq!(
            [60.0, 600.0, 40_000.0].map(long),
            ["60 s", "10 min", "11.1 h"]
        );
    }
}
