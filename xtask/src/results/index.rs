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
            if let Some([value, p99]) = headline(&report, measure) {
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

/// The newest folder `DATE-NAME`, or `DATE-NAME-NUMBER` if there were several on a day.
fn newest(folder: &Path, name: &str) -> Result<Option<String>> {
    let runs = fs::read_dir(folder)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(runs
        .filter_map(|run| Some((run.get(..10)?.to_owned(), number(&run, name)?, run)))
        .max()
        .map(|(_, _, run)| run))
}

/// The how-manieth run of a study on its day a folder is, from 1; none if it is of another study.
pub(super) fn number(run: &str, name: &str) -> Option<u32> {
    let rest = run.get(10..)?.strip_prefix('-')?.strip_prefix(name)?;
    match rest.strip_prefix('-') {
        None => rest.is_empty().then_some(1),
        Some(number) => number.parse().ok(),
    }
}

/// What the index says of a measure. A table whose columns are of several servers gives them all,
/// with their names.
fn headline(report: &str, measure: &str) -> Option<[String; 2]> {
    let cells = |line: &str| -> Option<Vec<String>> {
        let inner = line.strip_prefix('|')?.trim_end().strip_suffix('|')?;
        Some(
            inner
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect(),
        )
    };
    let mut header = Vec::new();
    for line in report.lines() {
        let Some(row) = cells(line) else {
            header.clear();
            continue;
        };
        if header.is_empty() {
            header = row;
        } else if row[0] == measure {
            let two = row.get(1..3)?;
            if matches!(header[2].as_str(), "p99" | "") {
                return Some([two[0].clone(), two[1].clone()]);
            }
            let servers = header.iter().zip(&row).skip(1);
            let named = servers.filter(|(name, _)| !name.starts_with("against"));
            let named: Vec<String> = named
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            return Some([named.join(", "), String::new()]);
        }
    }
    None
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
    use super::{figures, headline, number};

    #[test]
    fn columns_of_several_servers_are_named() {
        let report = "# R\n\n| measure | enpd | nats | against the better |\n|---|---|---|---|\n\
                      | pace | 7 µs | 11 µs | 0.6 × |\n";
        let expected = ["enpd 7 µs, nats 11 µs".to_owned(), String::new()];
        assert_eq!(headline(report, "pace"), Some(expected));
        let report =
            "| measure | p50 | p99 | note |\n|---|---|---|---|\n| pace | 4 µs | 9 µs | |\n";
        assert_eq!(
            headline(report, "pace"),
            Some(["4 µs".into(), "9 µs".into()])
        );
    }

    #[test]
    fn runs_of_one_day_are_numbered() {
        assert_eq!(number("2026-11-26-soak", "soak"), Some(1));
        assert_eq!(number("2026-11-26-soak-12", "soak"), Some(12));
        assert_eq!(number("2026-11-26-soak-old", "soak"), None);
        assert_eq!(number("2026-11-26-soaking", "soak"), None);
    }

    #[test]
    fn figures_are_found_in_a_table() {
        let report = "# Run\n\n| measure | p50 | p99 |\n|---|---|---|\n| pace   | 4 µs | 9 µs |\n";
        assert_eq!(figures(report, "pace"), Some(["4 µs", "9 µs"]));
        assert_eq!(figures(report, "place"), None);
    }
}
