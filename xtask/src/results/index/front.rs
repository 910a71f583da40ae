//! The picture and the figures of the project's README, from the newest runs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::{Cell, Run, runs, tables, times};

/// Where they stand in it.
const BEGIN: &str = "<!-- from here to the end of the figures: cargo xtask results --index -->\n";
const END: &str = "<!-- the end of the figures -->\n";

/// What stands there. `[[study; measure; column]]` is a figure of the newest run, as people read
/// it, and `[[study; measure; column; times]]` how many times as good as another server's it is;
/// `[[study]]` is the run's folder. A line with a figure that no run has is left out.
const TEXT: &str = "\
[![From the end of a message's DATA until an idle client has read that it is there: Ensign, \
Dovecot, Dovecot hibernating, Cyrus](results/[[peers]]/single.svg)](results/[[peers]]/)

| 1,000 idle clients, the same load for all | Ensign | than Dovecot | \
than Dovecot, hibernating | than Cyrus |
|---|---|---|---|---|
| a message for one of them: it has heard, from the end of DATA | \
[[peers; DATA end → EXISTS, p50; Ensign]] | \
[[peers; DATA end → EXISTS, p50; Dovecot; times]] times sooner | \
[[peers; DATA end → EXISTS, p50; Dovecot, hibernating; times]] times sooner | \
[[peers; DATA end → EXISTS, p50; Cyrus + idled; times]] times sooner |
| a message for all, in one mailbox: the last has heard, from its 250 | \
[[peers; crowd: 250 → last EXISTS, p50; Ensign]] | \
[[peers; crowd: 250 → last EXISTS, p50; Dovecot; times]] times sooner | \
[[peers; crowd: 250 → last EXISTS, p50; Dovecot, hibernating; times]] times sooner | \
[[peers; crowd: 250 → last EXISTS, p50; Cyrus + idled; times]] times sooner |
| durable deliveries | [[peers; durable deliveries, 16 connections; Ensign]] | \
[[peers; durable deliveries, 16 connections; Dovecot; times]] times more | \
[[peers; durable deliveries, 16 connections; Dovecot, hibernating; times]] times more | \
[[peers; durable deliveries, 16 connections; Cyrus + idled; times]] times more |
| memory a client | [[peers; user memory a session; Ensign]] | \
[[peers; user memory a session; Dovecot; times]] times less | \
[[peers; user memory a session; Dovecot, hibernating; times]] times less | \
[[peers; user memory a session; Cyrus + idled; times]] times less |

| Ensign alone, on two cores, its load beside it | | `cargo xtask results` |
|---|---|---|
| a million idle clients, memory each; over TLS 1.3 | \
[[million; server user memory a parked session; p50]]; [[tls; server user memory; value]] | \
`million`, `tls` |
| CPU while they idle, of one core | [[million; idle: server CPU, of one core; p50]] | `million` |
| connect, LOGIN, SELECT, IDLE | [[million; set-up (connect, LOGIN, SELECT, IDLE); p50]] | \
`million` |
| from durable until one of the million has read it, p50; p99 | \
[[million; 250 → EXISTS; p50]]; [[million; 250 → EXISTS; p99]] | `million` |
| notifications missed / doubled / out of order | \
[[million; misses / doubles / disorders; p50]] | `million` |
| two million idle clients, memory each | \
[[two-million; server user memory a parked session; p50]] | `two-million` |
| durable deliveries, beside 10,000 idle clients | \
[[batches; durable deliveries; p50]] | `batches` |
| faults in [[soak; churn; p50]] of churn, 50,000 clients under an oracle | \
[[soak; faults; p50]] | `soak` |
| one event for 10,000 subscribers of the broker: the last has it | \
[[brokers; publish → last of the crowd, p50; enpd]]; \
[[brokers; publish → last of the crowd, p50; nats; times]] times sooner than NATS, \
[[brokers; publish → last of the crowd, p50; redis; times]] than Redis | `brokers` |
| memory a quiet subscriber | [[brokers; memory a quiet subscriber; enpd]]; \
[[brokers; memory a quiet subscriber; nats; times]] times less than NATS, \
[[brokers; memory a quiet subscriber; redis; times]] than Redis | `brokers` |
";

/// Writes the figures of the runs below a folder into a README.
pub(in crate::results) fn write(readme: &Path, results: &Path) -> Result<()> {
    let text = fs::read_to_string(readme).context("cannot read the README")?;
    fs::write(readme, with_figures(&text, results)?).context("cannot write the README")
}

/// The README with the figures of the newest runs.
fn with_figures(readme: &str, results: &Path) -> Result<String> {
    let places = readme.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let Some((before, after)) = places else {
        bail!("the README has no place for figures: {BEGIN}{END}");
    };
    let figures = fill(TEXT, results)?;
    Ok(format!("{before}{BEGIN}\n{figures}\n{END}{after}"))
}

/// The text with its figures, without the lines that lack one.
fn fill(text: &str, results: &Path) -> Result<String> {
    let mut filled = String::new();
    'lines: for line in text.lines() {
        let mut rest = line;
        let mut full = String::new();
        while let Some((before, after)) = rest.split_once("[[") {
            let (name, after) = after.split_once("]]").context("a figure has no end")?;
            let Some(figure) = figure(name, results)? else {
                continue 'lines;
            };
            full.push_str(before);
            full.push_str(&figure);
            rest = after;
        }
        filled.push_str(&full);
        filled.push_str(rest);
        filled.push('\n');
    }
    Ok(filled)
}

fn figure(name: &str, results: &Path) -> Result<Option<String>> {
    let parts: Vec<&str> = name.split("; ").collect();
    let mut runs = runs(results, parts[0])?;
    if runs.is_empty() {
        return Ok(None);
    }
    let newest = runs.swap_remove(0);
    Ok(match parts[1..] {
        [] => Some(newest.name),
        [measure, column] => cell(&newest, measure, column).map(|(cell, _)| cell.shown()),
        [measure, column, "times"] => {
            let found = cell(&newest, measure, column);
            found.and_then(|(cell, own)| times(measure, &cell, Some(&own)))
        }
        _ => bail!("{name} is no figure"),
    })
}

/// A measure's cell in a column, and that of the row's first column.
fn cell(run: &Run, measure: &str, column: &str) -> Option<(Cell, Cell)> {
    let row = tables::rows(&run.report, measure).into_iter().next()?;
    let found = row.cells.iter().find(|cell| cell.column == column)?;
    Some((found.clone(), row.cells[0].clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths;

    #[test]
    fn figures_are_those_of_the_newest_run() {
        let folder = tempfile::tempdir().expect("a folder");
        for (run, ours, theirs) in [
            ("2026-11-24-peers", "9000 µs", "18000 µs (2.0 ×)"),
            ("2026-11-26-peers", "4535 µs", "60030975 µs (13237 ×)"),
        ] {
            let run = folder.path().join(run);
            fs::create_dir(&run).expect("made");
            let report = format!(
                "# R\n\n| measure | Ensign | Cyrus + idled |\n|---|---|---|\n\
                 | pace | {ours} | {theirs} |\n"
            );
            fs::write(run.join("README.md"), report).expect("written");
        }
        let text = "a [[peers; pace; Ensign]], [[peers; pace; Cyrus + idled; times]] times\n\
                    b [[peers; place; Ensign]]\nc [[million; pace; p50]]\n[[peers]]/x\n";
        let filled = fill(text, folder.path()).expect("well-formed");
        assert_eq!(filled, "a 4.54 ms, 13,237 times\n2026-11-26-peers/x\n");
        let readme = format!("# E\n\n{BEGIN}old{END}\nend\n");
        let new = with_figures(&readme, folder.path()).expect("there is a place");
        assert!(!new.contains("old") && new.starts_with("# E\n\n<!--"));
        assert!(new.ends_with("figures -->\n\nend\n"));
        assert_eq!(with_figures(&new, folder.path()).expect("again"), new);
        assert!(with_figures("# E\n", folder.path()).is_err());
    }

    #[test]
    fn the_readme_has_the_figures_of_the_newest_runs() {
        let root = paths::root();
        let readme = fs::read_to_string(root.join("README.md")).expect("there is a README");
        let expected = with_figures(&readme, &root.join("results")).expect("there is a place");
        assert!(readme == expected, "run `cargo xtask results --index`");
    }
}
