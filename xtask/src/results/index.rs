//! `results/README.md`: every study's newest headlines, and where they come from.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Study;

const HEAD: &str = "\
# Results

One folder a run, written by `cargo xtask results [NAME…]`: machine, kernel, commit, exact command,
table, raw histograms (HdrHistogram log), plot. Below are the headlines of each study's newest run.
Figures vary from run to run; compare within one.

| study | measure | p50 or value | p99 | run |
|---|---|---|---|---|
";

/// Writes the index of what lies in the folder.
pub(super) fn write(folder: &Path, studies: &[Study]) -> Result<()> {
    let mut text = HEAD.to_owned();
    for study in studies {
        let Some(run) = newest(folder, study.name)? else {
            continue;
        };
        let report = fs::read_to_string(folder.join(&run).join("README.md"))
            .with_context(|| format!("cannot read the report of {run}"))?;
        for measure in study.headlines {
            if let Some([value, p99]) = figures(&report, measure) {
                let name = study.name;
                writeln!(
                    text,
                    "| {name} | {measure} | {value} | {p99} | [{run}]({run}/) |"
                )?;
            }
        }
    }
    text.push_str("\nThe studies:\n\n");
    for study in studies {
        writeln!(text, "* `{}`: {}", study.name, study.about)?;
    }
    fs::write(folder.join("README.md"), text).context("cannot write the index of results")
}

/// The newest folder `DATE-NAME`.
fn newest(folder: &Path, name: &str) -> Result<Option<String>> {
    let mut runs: Vec<String> = fs::read_dir(folder)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|run| run.get(10..).and_then(|rest| rest.strip_prefix('-')) == Some(name))
        .collect();
    runs.sort();
    Ok(runs.pop())
}

/// The first two figures of a measure's row in a report's table.
pub(super) fn figures<'a>(report: &'a str, measure: &str) -> Option<[&'a str; 2]> {
    report.lines().find_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        (cells.next()? == measure).then_some([cells.next()?, cells.next()?])
    })
}

#[cfg(test)]
mod tests {
    use super::figures;

    #[test]
    fn figures_are_found_in_a_table() {
        let report = "# Run\n\n| measure | p50 | p99 |\n|---|---|---|\n| pace   | 4 µs | 9 µs |\n";
        assert_eq!(figures(report, "pace"), Some(["4 µs", "9 µs"]));
        assert_eq!(figures(report, "place"), None);
    }
}
