//! What others felt of each attack.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use comfy_table::Table;
use hdrhistogram::Histogram;

use super::measures::{KINDS, Phase};
use super::{Findings, Plan};
use crate::report::Report;

/// One row an attack: by kind the worst and the 99th percentile, quiet and under attack.
pub fn table(found: &[Findings]) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    let mut header = vec!["attack".to_owned()];
    header.extend(
        KINDS
            .iter()
            .map(|(_, name)| format!("{name}: worst, p99 (quiet)")),
    );
    header.extend(["worst above quiet", "memory: quiet, worst, after", "faults"].map(Into::into));
    table.set_header(header);
    for one in found {
        let mut cells = vec![one.attack.to_string()];
        for (kind, _) in KINDS {
            let [quiet, attack] =
                [Phase::Quiet, Phase::Attack].map(|phase| one.measures.times(phase, kind));
            cells.push(format!("{} ({})", shown(attack), shown(quiet)));
        }
        cells.push(milliseconds(one.measures.worst_above_quiet_us()));
        let megabytes = one.memory.map(|bytes| format!("{:.0}", bytes as f64 / 1e6));
        cells.push(format!("{} MB", megabytes.join(", ")));
        cells.push(one.faults.total().to_string());
        table.add_row(cells);
    }
    table
}

fn shown(times: &Histogram<u64>) -> String {
    match times.is_empty() {
        true => "none".into(),
        false => format!(
            "{}, {}",
            milliseconds(times.max()),
            milliseconds(times.value_at_percentile(99.0))
        ),
    }
}

fn milliseconds(us: u64) -> String {
    match us {
        0..100_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

/// What each attacker saw, and what the population was refused.
pub fn notes(found: &[Findings]) -> String {
    let mut text = String::new();
    for one in found {
        let took = one.took.as_secs_f64();
        let _ = writeln!(text, "* {}: {}; {took:.1} s", one.attack, one.outcome);
        for (what, count) in &one.measures.refusals {
            let _ = writeln!(text, "  * the population, {count} ×: {what}");
        }
        for fault in &one.faults.texts {
            let _ = writeln!(text, "  * fault: {fault}");
        }
    }
    text
}

/// Writes a results folder.
///
/// # Errors
/// If a file can't be written.
pub fn write(folder: &Path, plan: &Plan, found: &[Findings]) -> std::io::Result<()> {
    let mut histograms = Vec::new();
    for one in found {
        for (kind, name) in KINDS {
            for (phase, when) in [(Phase::Quiet, "quiet"), (Phase::Attack, "attack")] {
                let times = one.measures.times(phase, kind);
                if !times.is_empty() {
                    histograms.push((format!("{} {name} {when}", one.attack), times));
                }
            }
        }
    }
    let report = Report {
        title: format!(
            "Attacks beside {} idlers, {} workers, {} deliverers",
            plan.idlers, plan.workers, plan.deliverers
        ),
        body: format!("{}\n\n{}\n{NOTES}", table(found), notes(found)),
        histograms,
    };
    report.write(folder)?;
    fs::write(folder.join("figures.csv"), csv(found))
}

/// How it was measured.
const NOTES: &str = "\
Times of commands, deliveries and logins run from when they were due, so that waiting for an earlier
one counts; those of notifications from the end of DATA to EXISTS. What was not done when the wait
ended counts as having taken all of it. \"Worst above quiet\" is the largest difference of a kind's
worst times. The attackers run on the same host, as threads that give way to others (nice 10);
where each session is a group for the scheduler, the server's goes before that of its load
(autogroup -10), as the load of a real server is elsewhere.";

/// The findings for programs: `measure,value,unit`.
fn csv(found: &[Findings]) -> String {
    let mut text = String::from("measure,value,unit\n");
    for one in found {
        let mut add = |name: &str, value: u64, unit: &str| {
            writeln!(text, "{} {name},{value},{unit}", one.attack).expect("it takes everything");
        };
        for (kind, name) in KINDS {
            for (phase, when) in [(Phase::Quiet, "quiet"), (Phase::Attack, "attack")] {
                let times = one.measures.times(phase, kind);
                add(&format!("{name} {when} max"), times.max(), "µs");
                add(
                    &format!("{name} {when} p99"),
                    times.value_at_percentile(99.0),
                    "µs",
                );
            }
        }
        add(
            "worst above quiet",
            one.measures.worst_above_quiet_us(),
            "µs",
        );
        for (bytes, when) in one.memory.into_iter().zip(["quiet", "worst", "after"]) {
            add(&format!("memory {when}"), bytes, "B");
        }
        add("refusals", one.measures.refusals.values().sum(), "");
        add("faults", one.faults.total(), "");
    }
    text
}
