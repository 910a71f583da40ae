//! Tables on the screen; a folder with everything that a number can be traced to.

mod folder;
pub(crate) mod plot;

use std::path::Path;

use comfy_table::Table;
use hdrhistogram::Histogram;

use crate::study::{Findings, Study};

pub use folder::Report;

/// Writes a run's folder.
///
/// # Errors
/// If a file can't be written.
pub fn write(folder: &Path, study: &Study, findings: &Findings) -> std::io::Result<()> {
    let mut body = table(study, findings).to_string();
    for fault in &findings.faults.texts {
        body.push_str(&format!("\n\n* {fault}"));
    }
    let times = histograms(findings).into_iter();
    let report = Report {
        title: format!("{} sessions, {:?} mailbox", study.sessions, study.mailboxes),
        body,
        histograms: times.map(|(name, times, _)| (name.into(), times)).collect(),
    };
    report.write(folder)
}

/// The findings as rows: what, p50, p99, max, other.
pub fn table(study: &Study, findings: &Findings) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["measure", "p50", "p99", "max", "note"]);
    let setup = &findings.setup;
    let seconds = setup.took_ns as f64 / 1e9;
    let note = format!(
        "{} sessions in {seconds:.2} s, {:.0} µs server CPU each",
        setup.sessions,
        setup.server_cpu_us as f64 / setup.sessions.max(1) as f64,
    );
    let rate = format!("{:.0} /s", setup.sessions as f64 / seconds);
    table.add_row([
        "set-up (connect, LOGIN, SELECT, IDLE)",
        &rate,
        "",
        "",
        &note,
    ]);
    if let Some(bytes) = findings.memory_per_session {
        let value = format!("{bytes:.0} B");
        table.add_row([
            "server user memory a parked session",
            &value,
            "",
            "",
            "growth of Pss_Anon",
        ]);
    }
    for (name, times, note) in histograms(findings) {
        let value = |percent| format!("{} µs", times.value_at_percentile(percent));
        let max = format!("{} µs", times.max());
        table.add_row([name, &value(50.0), &value(99.0), &max, &note]);
    }
    if let Some(crowd) = &findings.crowd {
        let value = format!("{:.2} µs", crowd.server_cpu_us);
        table.add_row(["server CPU a notification", &value, "", "", ""]);
        if let Some(baseline) = &findings.baseline {
            let ratio = |ours: &Histogram<u64>, theirs: &Histogram<u64>| {
                let theirs = theirs.value_at_percentile(50.0).max(1);
                format!(
                    "{:.2} ×",
                    ours.value_at_percentile(50.0) as f64 / theirs as f64
                )
            };
            let last = ratio(&crowd.last, &baseline.last);
            let note = "250 → last, against the loop's begin → last";
            table.add_row(["crowd against the bare send loop", &last, "", "", note]);
            let spread = ratio(&crowd.spread, &baseline.spread);
            table.add_row(["the same, first → last", &spread, "", "", ""]);
        }
    }
    if let Some(burst) = &findings.burst {
        let rate = burst.delivered as f64 / (burst.took_ns as f64 / 1e9);
        let note = format!(
            "{} over {} connections, {:.0} µs server CPU each",
            burst.delivered,
            study.lmtp_connections,
            burst.server_cpu_us as f64 / burst.delivered.max(1) as f64,
        );
        let rate = format!("{rate:.0} /s");
        table.add_row(["durable deliveries", &rate, "", "", &note]);
    }
    let faults = &findings.faults;
    let count = format!(
        "{} / {} / {}",
        faults.missed, faults.doubled, faults.disordered
    );
    table.add_row(["misses / doubles / disorders", &count, "", "", ""]);
    table
}

/// All histograms with their names and notes.
fn histograms(findings: &Findings) -> Vec<(&'static str, &Histogram<u64>, String)> {
    let mut all = Vec::new();
    let plain = String::new;
    if let Some(singles) = &findings.singles {
        let note = format!("{} came before or with the 250", singles.before_250);
        all.push(("250 → EXISTS", &singles.after_250, note));
        all.push(("DATA end → EXISTS", &singles.after_data, plain()));
        all.push(("intended start → EXISTS", &singles.intended, plain()));
        all.push(("DATA end → 250", &singles.durable, plain()));
    }
    if let Some(crowd) = &findings.crowd {
        all.push(("crowd: DATA end → 250", &crowd.durable, plain()));
        all.push(("crowd: 250 → first EXISTS", &crowd.first, plain()));
        all.push(("crowd: 250 → last EXISTS", &crowd.last, plain()));
        all.push(("crowd: first → last EXISTS", &crowd.spread, plain()));
    }
    if let Some(baseline) = &findings.baseline {
        all.push(("send loop: begin → end", &baseline.loop_only, plain()));
        all.push(("send loop: begin → last received", &baseline.last, plain()));
        all.push((
            "send loop: first → last received",
            &baseline.spread,
            plain(),
        ));
    }
    if let Some(burst) = &findings.burst {
        all.push(("burst: DATA end → 250", &burst.durable, plain()));
    }
    all
}
