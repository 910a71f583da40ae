//! How long each command took.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use comfy_table::Table;

use super::{Args, Findings};
use crate::report::Report;

/// One row a command: median, worst, and what was wrong or refused.
pub fn table(found: &Findings) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["measure", "median", "worst", ""]);
    for one in &found.commands {
        let milliseconds = |us: u64| format!("{:.2} ms", us as f64 / 1e3);
        let (median, worst) = (one.times.value_at_quantile(0.5), one.times.max());
        let (median, worst) = match one.times.is_empty() {
            true => ("–".into(), "–".into()),
            false => (milliseconds(median), milliseconds(worst)),
        };
        let note = one.refused.as_ref().or(one.wrong.as_ref());
        table.add_row([
            one.name.to_owned(),
            median,
            worst,
            note.cloned().unwrap_or_default(),
        ]);
    }
    let appended = format!("{:.0} / s", found.appended);
    table.add_row(["APPEND, 200 in a pipeline", &appended, "", ""]);
    table
}

/// Writes a results folder.
///
/// # Errors
/// If a file can't be written.
pub fn write(folder: &Path, args: &Args, found: &Findings) -> std::io::Result<()> {
    let named = |one: &super::Finding| !one.times.is_empty();
    let report = Report {
        title: format!("A mailbox of {} messages is asked", found.mailbox.messages),
        body: format!("{}\n\n{}", table(found), notes(args)),
        histograms: found
            .commands
            .iter()
            .filter(|one| named(one))
            .map(|one| (one.name.to_owned(), &one.times))
            .collect(),
    };
    report.write(folder)?;
    let mut csv = String::from("measure,value,unit\n");
    for one in found.commands.iter().filter(|one| named(one)) {
        // Commas part the cells.
        let name = one.name.replace(',', "");
        let _ = writeln!(csv, "{name},{},µs", one.times.value_at_quantile(0.5));
    }
    let _ = writeln!(csv, "APPEND 200 in a pipeline,{:.0},/ s", found.appended);
    let _ = writeln!(csv, "wrong answers,{},", found.faults().count());
    fs::write(folder.join("figures.csv"), csv)
}

fn notes(args: &Args) -> String {
    format!(
        "From the command's first byte to its tagged response, {} times after one that is not \
         counted; the client reads all and counts what comes.",
        args.rounds
    )
}
