//! The study of TLS: a million sessions over it; and, by turns with plain text on the same store,
//! sessions with a mailbox each while others reconnect, and a crowd.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::prepared::{Figures, Prepared, thousands};
use super::{Words, relative};
use crate::shell;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Sessions over TLS.
    sessions: u32,
    /// Sessions of each run that is held against plain text.
    few: u32,
    /// Sessions that reconnect beside them, and how often.
    reconnecting: u32,
    rounds: u32,
    /// Runs of each kind, by turns.
    pairs: usize,
    deliveries: usize,
    crowds: usize,
    /// Seconds that the server may settle, and is watched while it idles.
    rest_s: u64,
    /// Processor time for handshakes, in milliseconds.
    handshakes_ms: u64,
}

/// The study.
pub(super) const FULL: Sizes = Sizes {
    sessions: 1_000_000,
    few: 10_000,
    reconnecting: 5000,
    rounds: 10,
    pairs: 3,
    deliveries: 500,
    crowds: 30,
    rest_s: 10,
    handshakes_ms: 4000,
};

/// Its small twin.
pub(super) const TINY: Sizes = Sizes {
    sessions: 500,
    few: 200,
    reconnecting: 100,
    rounds: 2,
    pairs: 1,
    deliveries: 10,
    crowds: 3,
    rest_s: 0,
    handshakes_ms: 20,
};

/// What is held against plain text: a measure, and which of the two runs it is of.
const AGAINST: [(&str, Kind); 16] = [
    ("set-up", Kind::Each),
    ("set-up server CPU", Kind::Each),
    ("server user memory", Kind::Each),
    ("250 → EXISTS p50", Kind::Each),
    ("250 → EXISTS p99", Kind::Each),
    ("DATA end → EXISTS p50", Kind::Each),
    ("reconnecting", Kind::Each),
    ("reconnecting: server CPU", Kind::Each),
    ("reconnecting: unavailable", Kind::Each),
    ("reconnecting: cut", Kind::Each),
    ("reconnecting: 250 → EXISTS p50", Kind::Each),
    ("reconnecting: 250 → EXISTS p99", Kind::Each),
    ("reconnecting: 250 → EXISTS max", Kind::Each),
    ("crowd: 250 → last EXISTS p50", Kind::Crowd),
    ("crowd: first → last EXISTS p50", Kind::Crowd),
    ("notification server CPU", Kind::Crowd),
];

/// A run that is held against plain text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A mailbox each.
    Each,
    /// All in one.
    Crowd,
}

/// The runs of one kind: in plain text, and over TLS.
type Pairs = [Vec<Figures>; 2];

/// Runs the study, with no more than so many sessions; tables and each run's own folder go to
/// `out`.
pub(super) fn run(sizes: &Sizes, up_to: Option<u32>, out: &Path) -> Result<()> {
    let most = up_to.unwrap_or(u32::MAX);
    let sizes = &Sizes {
        sessions: sizes.sessions.min(most),
        few: sizes.few.min(most),
        reconnecting: sizes.reconnecting.min(most),
        ..*sizes
    };
    fs::create_dir_all(out)?;
    let users = sizes.sessions.max(sizes.few + sizes.reconnecting);
    let prepared = Prepared::fresh(users)?;
    let [chain, key] = prepared.certify()?;
    let mut shake = prepared.loadgen();
    shake.arg("shake").arg("--chain").arg(chain);
    shake.arg("--key").arg(key);
    shake.args(["--milliseconds", &sizes.handshakes_ms.to_string()]);
    let handshakes: f64 = shell::capture(&mut shake)?.trim().parse()?;
    let mut pairs: [Pairs; 2] = Default::default();
    for number in 1..=sizes.pairs {
        for (kind, pairs) in [Kind::Each, Kind::Crowd].into_iter().zip(&mut pairs) {
            for (tls, runs) in [false, true].into_iter().zip(pairs) {
                let words = words(kind, tls, sizes);
                let name = if tls { "tls" } else { "plain" };
                let folder = format!("{kind:?}-{name}-{number}").to_lowercase();
                println!("-- {folder}");
                runs.push(load(&prepared, &words, &out.join(folder))?);
            }
        }
    }
    println!("-- {} sessions", sizes.sessions);
    let million = load(&prepared, &million(sizes), &out.join("sessions"))?;
    let machine = shell::capture(prepared.loadgen().arg("machine"))?;
    let text = report(sizes, &machine, handshakes, &million, &pairs)?;
    fs::write(out.join("README.md"), text).context("cannot write the report")?;
    let all = pairs.iter().flatten().flatten().chain([&million]);
    if all.into_iter().any(|run| run.get("faults") != Some(0.0)) {
        bail!(
            "news were missed, doubled or disordered: see {}",
            out.display()
        );
    }
    Ok(())
}

/// How soon clients hear in plain text and over TLS, quiet and while others reconnect, from all
/// runs of a kind that lie in the study's folder.
pub(super) fn pictures(out: &Path) -> Vec<Words> {
    let mut curves = Vec::new();
    for (measure, beside) in [
        ("DATA end → EXISTS", ""),
        (
            "reconnecting: DATA end → EXISTS",
            ", while others reconnect",
        ),
    ] {
        for (name, title) in [("plain", "plain text"), ("tls", "TLS 1.3")] {
            let runs = (1..).map(|number| out.join(format!("each-{name}-{number}")));
            let runs = runs.take_while(|run| run.join("latency.hlog").exists());
            let runs: Vec<String> = runs
                .map(|run| relative(&run).display().to_string())
                .collect();
            if !runs.is_empty() {
                curves.push(format!("{title}{beside}={}={measure}", runs.join(",")));
            }
        }
    }
    if curves.is_empty() {
        return Vec::new();
    }
    let title = "From the end of DATA until an idle client has read EXISTS: plain text and TLS";
    let file = relative(&out.join("latency.svg")).display().to_string();
    let fixed = [
        "plot",
        "--measure",
        "DATA end → EXISTS",
        "--title",
        title,
        "--out",
        &file,
    ];
    let mut words: Words = fixed.map(str::to_owned).into();
    words.extend(curves);
    vec![words]
}

fn load(prepared: &Prepared, words: &str, out: &Path) -> Result<Figures> {
    let words: Vec<&str> = words.split(' ').collect();
    prepared.load(&words, out)
}

/// What the load generator is told, without the server's address.
fn words(kind: Kind, tls: bool, sizes: &Sizes) -> String {
    let few = sizes.few;
    let mut words = match kind {
        Kind::Each => format!(
            "--sessions {few} --deliveries {} --rate 200 --reconnecting {} --reconnect-rounds {}",
            sizes.deliveries, sizes.reconnecting, sizes.rounds
        ),
        Kind::Crowd => format!(
            "--sessions {few} --mailboxes one --deliveries {} --rate 4",
            sizes.crowds
        ),
    };
    words.push_str(&format!(
        " --lmtp-connections 1 --setup-concurrency 256 --settle-seconds {}",
        sizes.rest_s.min(2)
    ));
    if tls {
        words.push_str(" --tls implicit");
    }
    words
}

fn million(sizes: &Sizes) -> String {
    let (sessions, rest, deliveries) = (sizes.sessions, sizes.rest_s, sizes.deliveries);
    format!(
        "--tls implicit --sessions {sessions} --setup-concurrency 1024 --idle-seconds {rest} \
         --deliveries {deliveries} --sweep 20 --message-bytes 300 --patience-seconds 120 \
         --settle-seconds {rest}"
    )
}

fn report(
    sizes: &Sizes,
    machine: &str,
    handshakes: f64,
    million: &Figures,
    pairs: &[Pairs; 2],
) -> Result<String> {
    let mut text = format!(
        "# TLS\n\n```\ncargo xtask results tls\n```\n\n{}\n\n## {} sessions, a mailbox each, over \
         TLS 1.3\n\n| measure | value | |\n|---|---|---|\n",
        machine.trim_end(),
        thousands(f64::from(sizes.sessions)),
    );
    let mut row = |name: &str, value: &str| writeln!(text, "| {name} | {value} | |");
    row("sessions over TLS", &thousands(f64::from(sizes.sessions)))?;
    for measure in [
        "server user memory",
        "load generator memory",
        "kernel memory",
        "set-up took",
        "set-up",
        "set-up server CPU",
        "set-up load generator CPU",
        "idle server CPU",
        "sweep",
        "sweep: not heard in time",
    ] {
        if let Some(value) = million.shown(measure) {
            row(measure, &value)?;
        }
    }
    let faults = million.shown("faults").unwrap_or_default();
    row("misses, doubles and disorders", &faults)?;
    let name = "handshakes a second, server's side, one core";
    row(name, &thousands(handshakes))?;
    write!(
        text,
        "\n`loadgen idle {}`: [its own report](sessions/). The handshakes are counted by `loadgen \
         shake`, in processor time of the server's code alone: no kernel, no other end.\n\n\
         ## Against plain text: {} sessions\n\nBy turns, each after a fresh start of the server on \
         the same store; medians of {}.\n\n\
         ![Plain text and TLS, quiet and while others reconnect](latency.svg)\n\n\
         | measure | plain | TLS | against plain |\n|---|---|---|---|\n",
        self::million(sizes),
        thousands(f64::from(sizes.few)),
        sizes.pairs,
    )?;
    for (measure, kind) in AGAINST {
        let [plain, tls] = &pairs[kind as usize];
        if let (Some(plain), Some(tls)) = (median(plain, measure), median(tls, measure)) {
            let unit = unit(&pairs[kind as usize][0], measure);
            let ratio = match plain > 0.0 {
                true => format!("{:.2} ×", tls / plain),
                false => String::new(),
            };
            let [plain, tls] = [plain, tls].map(|value| {
                let text = format!("{} {unit}", thousands(value));
                text.trim_end().to_owned()
            });
            writeln!(text, "| {measure} | {plain} | {tls} | {ratio} |")?;
        }
    }
    text.push_str("\n```\n");
    for kind in [Kind::Each, Kind::Crowd] {
        writeln!(text, "loadgen idle {}", words(kind, true, sizes))?;
    }
    text.push_str(
        "```\n\nThose who reconnect have a thread of their own. Each run's report, raw histograms \
         (HdrHistogram log) and plot: its folder.\n",
    );
    Ok(text)
}

/// The middle one, or the lower of the middle two, of what the runs found.
fn median(runs: &[Figures], measure: &str) -> Option<f64> {
    let mut values: Vec<f64> = runs.iter().filter_map(|run| run.get(measure)).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

fn unit<'a>(runs: &'a [Figures], measure: &str) -> &'a str {
    let found = runs.first().and_then(|run| run.unit(measure));
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Figures, median};

    #[test]
    fn a_median_is_of_what_is_there() {
        let runs = [3.0, 9.0, 1.0].map(|value| Figures(vec![("a".into(), value, "s".into())]));
        assert_eq!(median(&runs, "a"), Some(3.0));
        assert_eq!(median(&runs[..2], "a"), Some(3.0));
        assert_eq!(median(&runs, "b"), None);
    }
}
