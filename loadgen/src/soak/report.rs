//! The table of a soak; the folder with everything that a number can be traced to.

use std::fs;
use std::path::Path;

use comfy_table::Table;
use hdrhistogram::Histogram;

use super::faults::KINDS;
use super::memory::{Sample, Series, Trend};
use super::{Findings, Plan};
use crate::report::{Report, plot, units};

/// Memory over time, as numbers and drawn.
pub(crate) const MEMORY: &str = "memory.csv";
const MEMORY_PLOT: &str = "memory.svg";

/// Writes a run's folder.
///
/// # Errors
/// If a file can't be written.
pub fn write(folder: &Path, plan: &Plan, findings: &Findings) -> std::io::Result<()> {
    let mut body = table(plan, findings).to_string();
    for fault in &findings.faults.texts {
        body.push_str(&format!("\n\n* {fault}"));
    }
    body.push_str("\n\n![User memory over time](memory.svg)\n\nMemory over time: `memory.csv`.");
    let times = histograms(findings).into_iter();
    let report = Report {
        title: format!(
            "{} sessions of {} mailboxes, {:.1} minutes of churn",
            units::count(plan.sessions),
            units::count(plan.mailboxes),
            plan.churn_ns as f64 / 60e9
        ),
        body,
        histograms: times.map(|(name, times)| (name.into(), times)).collect(),
    };
    report.write(folder)?;
    fs::write(folder.join(MEMORY), findings.memory.csv())?;
    draw(folder, &findings.memory)
}

/// All histograms with their names.
fn histograms(findings: &Findings) -> [(&'static str, &Histogram<u64>); 7] {
    let times = &findings.times;
    [
        ("250 or OK → EXISTS", &times.heard_durable),
        ("DATA or APPEND end → EXISTS", &times.heard),
        ("DATA end → 250", &times.durable),
        ("intended start → 250", &times.intended),
        ("command → OK, reading", &times.reads),
        ("command → OK, durable", &times.writes),
        ("LOGIN → OK", &times.logins),
    ]
}

/// The findings as rows: what, p50, p99, max, other.
pub fn table(plan: &Plan, findings: &Findings) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["measure", "p50", "p99", "max", "note"]);
    let counts = &findings.counts;
    let mut row = |name: &str, value: String, note: String| {
        table.add_row([name, &value, "", "", &note]);
    };
    let minutes = format!("{:.1} minutes", plan.churn_ns as f64 / 60e9);
    row("churn", minutes, String::new());
    let note = format!("set up in {:.1} s", findings.setup_s);
    row("sessions", findings.idling.to_string(), note);
    let note = format!(
        "{} logged out, {} broke off, {:.0} a second together",
        counts.logouts, counts.breaks, plan.reconnect_rate
    );
    row("connections made", counts.connects.to_string(), note);
    let note = format!("{:.1} a second asked for", plan.command_rate);
    row("commands", counts.commands.to_string(), note);
    let note = format!(
        "{:.1} a second asked for, {} left out; {} appended, {} expunged",
        plan.rate, counts.full, counts.appended, counts.expunged
    );
    row("deliveries", counts.delivered.to_string(), note);
    let samples = &findings.memory.samples;
    let held = [samples.first(), samples.last()].map(|s| s.map_or(0, |s| s.messages));
    let note = format!("{} when churn began", held[0]);
    row("messages at the end", held[1].to_string(), note);
    let note = format!(
        "{} skipped, because the mailbox changed meanwhile",
        counts.audits_skipped
    );
    row(
        "listings held against view and model",
        counts.audits.to_string(),
        note,
    );
    let note = "within 5 s of a change, and at the end".to_owned();
    row(
        "idling views held against the model",
        counts.idle_checks.to_string(),
        note,
    );
    let note = "SEARCH, STATUS, SELECT".to_owned();
    row(
        "answers held against the model",
        counts.answers_checked.to_string(),
        note,
    );
    for (who, value) in [
        ("server", (|sample| sample.server) as fn(&Sample) -> u64),
        ("own", |sample| sample.own),
    ] {
        let (value, note) = memory(&findings.memory, value);
        row(&format!("{who} user memory at the end"), value, note);
    }
    if let Some(upgraded) = &findings.upgraded {
        let count = upgraded.whole_ms.len().to_string();
        row("upgrades", count, upgraded.note());
    }
    let cpu = findings.server_cpu_us as f64 / plan.churn_ns as f64 * 1000.0;
    row(
        "server CPU",
        format!("{cpu:.2} cores"),
        "while sessions churned".into(),
    );
    for (name, times) in histograms(findings) {
        let value = |percent| format!("{} µs", times.value_at_percentile(percent));
        let note = format!("{} times", times.len());
        let max = format!("{} µs", times.max());
        table.add_row([name, &value(50.0), &value(99.0), &max, &note]);
    }
    let kinds = KINDS
        .iter()
        .filter(|(kind, _)| findings.faults.count(*kind) > 0);
    let kinds: Vec<String> = kinds
        .map(|(kind, name)| format!("{} {name}", findings.faults.count(*kind)))
        .collect();
    let total = findings.faults.total().to_string();
    table.add_row(["faults", &total, "", "", &kinds.join(", ")]);
    table
}

fn memory(series: &Series, value: impl Fn(&Sample) -> u64) -> (String, String) {
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / (1 << 20) as f64);
    let last = series.samples.last().map_or(0, &value);
    let trend = series.trend(&value);
    let verdict = match trend {
        Some(trend) if trend.is_flat() => ", flat",
        Some(_) => ", growing",
        None => "",
    };
    let note = match trend {
        Some(Trend { per_minute, growth }) => format!(
            "{} at first; {:+.1} KiB a minute from the second third on, {:+.1} %",
            mib(series.samples.first().map_or(0, &value)),
            per_minute / 1024.0,
            growth * 100.0,
        ),
        None => "too short for a trend".into(),
    };
    (mib(last) + verdict, note)
}

/// Draws memory in MiB over minutes.
pub(crate) fn draw(folder: &Path, series: &Series) -> std::io::Result<()> {
    let points = |value: fn(&Sample) -> u64| {
        let samples = series.samples.iter();
        let point = |sample: &Sample| {
            (
                sample.at_s / 60.0,
                value(sample) as f64 / f64::from(1 << 20),
            )
        };
        samples.map(point).collect()
    };
    let lines = vec![
        ("server", points(|sample| sample.server)),
        ("load generator", points(|sample| sample.own)),
    ];
    let seconds = series.samples.last().map_or(0.0, |sample| sample.at_s);
    let title = format!("User memory over {:.0} minutes of churn", seconds / 60.0);
    let axes = ["minutes", "user memory, MiB"];
    plot::series(&folder.join(MEMORY_PLOT), &title, axes, lines)
}
