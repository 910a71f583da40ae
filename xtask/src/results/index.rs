//! `results/README.md`: each study in a sentence, with its picture, the figures of its newest run,
//! and what got worse; and the figures of the project's own README.
//!
//! In reading order: [`figure`] (a figure, how it is shown, which of two is worse), [`tables`] (the
//! reports), [`worse`] (two runs), [`front`] (the README).

mod figure;
pub(super) mod front;
pub(super) mod tables;
mod worse;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Study, pictures};
use figure::Figure;
use tables::{Cell, Row};

const HEAD: &str = "\
# Results

What Ensign does, measured. Each study has a folder a run, with its machine, kernel, commit, exact
command, tables, raw histograms (HdrHistogram log) and pictures; here are the picture and the few
figures of its newest run, and the command that repeats it. `cargo xtask results --index` writes
this page.

How to read the figures: *DATA end* is when the last byte of a message has been sent, *250* is when
the server says that it is durable, *EXISTS* is when an idle client has read that it is there. p50
is the median, p99 what one in a hundred exceeds. An EXISTS that comes before its 250 counts as
1 µs. Where another server stands beside Ensign, × says how many times as good Ensign's figure is,
and the other's own is in brackets.
";

/// A run of a study: its folder's name and its report.
pub(super) struct Run {
    pub(super) name: String,
    pub(super) report: String,
}

impl Run {
    pub(super) fn day(&self) -> &str {
        self.name.get(..10).unwrap_or(&self.name)
    }
}

/// Writes the index of what lies in the folder.
pub(super) fn write(folder: &Path, studies: &[Study]) -> Result<()> {
    let text = text(folder, studies)?;
    fs::write(folder.join("README.md"), text).context("cannot write the index of results")
}

pub(super) fn text(folder: &Path, studies: &[Study]) -> Result<String> {
    let mut measured = Vec::new();
    for study in studies {
        let runs = runs(folder, study.name)?;
        if !runs.is_empty() {
            measured.push((study, runs));
        }
    }
    let mut text = HEAD.to_owned();
    text.push_str(&got_worse(&measured)?);
    for (study, runs) in &measured {
        section(&mut text, folder, study, runs)?;
    }
    let is_known = |run: &str| {
        studies
            .iter()
            .any(|study| number(run, study.name).is_some())
    };
    let mut others: Vec<String> = fs::read_dir(folder)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|run| run.starts_with("20") && !is_known(run))
        .collect();
    others.sort();
    if !others.is_empty() {
        let links = others.iter().map(|run| format!("[{run}]({run}/)"));
        let links: Vec<String> = links.collect();
        writeln!(
            text,
            "\nOf studies that are no longer repeated: {}.",
            links.join(", ")
        )?;
    }
    let missing = studies
        .iter()
        .filter(|study| measured.iter().all(|it| it.0.name != study.name));
    let missing: Vec<String> = missing
        .map(|it| format!("`{}` ({})", it.name, it.about))
        .collect();
    if !missing.is_empty() {
        writeln!(text, "\nNot run yet: {}.", missing.join("; "))?;
    }
    Ok(text)
}

/// A study's runs, the newest first: folders `DATE-NAME`, or `DATE-NAME-NUMBER` if there were
/// several on a day.
pub(super) fn runs(folder: &Path, name: &str) -> Result<Vec<Run>> {
    let runs = fs::read_dir(folder)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut runs: Vec<(String, u32, String)> = runs
        .filter_map(|run| Some((run.get(..10)?.to_owned(), number(&run, name)?, run)))
        .collect();
    runs.sort_by(|one, other| other.cmp(one));
    let read = |(_, _, name): (String, u32, String)| {
        let report = fs::read_to_string(folder.join(&name).join("README.md"))
            .with_context(|| format!("cannot read the report of {name}"))?;
        Ok(Run { name, report })
    };
    runs.into_iter().map(read).collect()
}

/// The how-manieth run of a study on its day a folder is, from 1; none if it is of another study.
pub(super) fn number(run: &str, name: &str) -> Option<u32> {
    let rest = run.get(10..)?.strip_prefix('-')?.strip_prefix(name)?;
    match rest.strip_prefix('-') {
        None => rest.is_empty().then_some(1),
        Some(number) => number.parse().ok(),
    }
}

fn got_worse(measured: &[(&Study, Vec<Run>)]) -> Result<String> {
    let mut text = String::from(
        "\n## What got worse\n\nEach study's newest run against the one before it: what is worse \
         by more than 10 %. Runs of different days are no pairs:\nthe machine's own speed varies \
         by half from day to day, its disk's by more, and it may be another machine.\n\n",
    );
    let mut rows = String::new();
    let mut same = Vec::new();
    for (study, runs) in measured {
        let [now, before, ..] = runs.as_slice() else {
            continue;
        };
        let worse = worse::measures(study, &before.report, &now.report);
        if worse.is_empty() {
            same.push(format!("`{}`", study.name));
        }
        let apart = worse::apart(before, now);
        for it in worse {
            writeln!(
                rows,
                "| [{}](#{}) | {} | {} | {} | {} | {apart} |",
                study.name, study.name, it.measure, it.before, it.now, it.by,
            )?;
        }
    }
    if rows.is_empty() {
        text.push_str("Nothing.\n");
    } else {
        text.push_str("| study | measure | before | now | worse by | the runs |\n");
        text.push_str("|---|---|---|---|---|---|\n");
        text.push_str(&rows);
    }
    if !same.is_empty() {
        writeln!(text, "\nNothing of {}.", same.join(", "))?;
    }
    Ok(text)
}

/// One study.
fn section(text: &mut String, folder: &Path, study: &Study, runs: &[Run]) -> Result<()> {
    let [now, earlier @ ..] = runs else {
        return Ok(());
    };
    let (name, run) = (study.name, &now.name);
    writeln!(text, "\n## {name}\n\n{}.\n", sentence(study.about))?;
    if let Some(picture) = pictures::telling(study, &folder.join(run)) {
        writeln!(
            text,
            "<a href=\"{run}/\"><img src=\"{run}/{picture}\" width=\"640\" \
             alt=\"{name}, {}\"></a>\n",
            now.day()
        )?;
    }
    figures(text, study, &now.report)?;
    writeln!(text, "\n```\ncargo xtask results {name}\n```\n")?;
    let links = earlier
        .iter()
        .map(|run| format!("[{}]({}/)", run.day(), run.name));
    let links: Vec<String> = links.collect();
    write!(text, "Run: [{}]({run}/).", now.day())?;
    if !links.is_empty() {
        write!(text, " Before: {}.", links.join(", "))?;
    }
    text.push('\n');
    Ok(())
}

fn sentence(about: &str) -> String {
    let mut letters = about.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// The figures of a report: a table for all rows that have the same columns.
fn figures(text: &mut String, study: &Study, report: &str) -> Result<()> {
    let mut tables: Vec<(Vec<String>, String)> = Vec::new();
    for measure in study.headlines {
        for row in tables::rows(report, measure) {
            let columns = columns(&row);
            let of = row
                .of
                .iter()
                .map(|of| format!(", {of}"))
                .collect::<String>();
            let mut cells: Vec<String> = row
                .cells
                .iter()
                .map(|it| shown(measure, it, &row))
                .collect();
            cells.resize(columns.len(), String::new());
            let line = format!("| {measure}{of} | {} |\n", cells.join(" | "));
            match tables.iter_mut().find(|(its, _)| *its == columns) {
                Some((_, rows)) => rows.push_str(&line),
                None => tables.push((columns, line)),
            }
        }
    }
    for (place, (columns, rows)) in tables.iter().enumerate() {
        if place > 0 {
            text.push('\n');
        }
        let names: Vec<String> = columns.iter().map(|it| title(it)).collect();
        writeln!(text, "| | {} |", names.join(" | "))?;
        write!(text, "|---|{}\n{rows}", "---|".repeat(names.len()))?;
    }
    Ok(())
}

/// A row's columns; where there are percentiles a row may have one figure alone.
fn columns(row: &Row) -> Vec<String> {
    let own: Vec<String> = row.cells.iter().map(|cell| cell.column.clone()).collect();
    match own.as_slice() {
        [one] if one == "p50" => vec!["p50".into(), "p99".into()],
        _ => own,
    }
}

fn title(column: &str) -> String {
    match column {
        "p50" => "figure, or p50".into(),
        "value" => "figure".into(),
        "enpd" => "Ensign (enpd)".into(),
        "enpd spinning" => "Ensign, spinning".into(),
        "nats" => "NATS".into(),
        "redis" => "Redis".into(),
        _ => column.into(),
    }
}

/// A cell: another server's with how many times as good Ensign's figure is.
fn shown(measure: &str, cell: &Cell, row: &Row) -> String {
    let mut text = cell.shown();
    if cell.is_others() {
        let own = row.cells.iter().find(|cell| !cell.is_others());
        if let Some(times) = times(measure, cell, own) {
            text = format!("{times} × ({text})");
        }
    }
    if let Some(note) = row.note.as_deref().filter(|_| text.ends_with(", growing")) {
        text = format!("{text} ({note})");
    }
    text
}

/// How many times as good Ensign's figure is as another's.
fn times(measure: &str, cell: &Cell, own: Option<&Cell>) -> Option<String> {
    if let Some(times) = &cell.times {
        let number: f64 = times.parse().ok()?;
        let text = super::prepared::thousands(number.round());
        return Some(if number < 100.0 { times.clone() } else { text });
    }
    let figure = |cell: &Cell| -> Option<Figure> { cell.figure() };
    let times = figure(own?)?.times(measure, &figure(cell)?)?;
    Some(match times {
        it if it < 10.0 => format!("{it:.1}"),
        it => super::prepared::thousands(it.round()),
    })
}

/// The first two figures of a measure's row in a report's table.
pub(super) fn figures_of<'a>(report: &'a str, measure: &str) -> Option<[&'a str; 2]> {
    report.lines().find_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        (cells.next()? == measure).then_some([cells.next()?, cells.next()?])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths;
    use crate::results::{Kind, STUDIES};

    const STUDY: Study = Study {
        name: "brokers",
        about: "brokers side by side",
        kind: Kind::Brokers,
        arguments: &[],
        headlines: &["pace, p50", "pace", "memory at the end"],
    };
    const MACHINE: &str = "| | |\n|---|---|\n| machine | m, 2 cores, 9 kB |\n\n";

    fn index(runs: &[(&str, String)]) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        for (run, tables) in runs {
            let run = folder.path().join(run);
            fs::create_dir(&run).expect("made");
            fs::write(run.join("README.md"), format!("# R\n\n{MACHINE}{tables}")).expect("written");
            fs::write(run.join("latency.svg"), "").expect("written");
        }
        text(folder.path(), &[STUDY]).expect("written")
    }

    #[test]
    fn a_study_has_a_sentence_a_picture_figures_and_its_command() {
        let table = "| measure | enpd | nats | against the better |\n|---|---|---|---|\n\
                     | pace, p50 | 75071 µs | 147327 µs | 0.51 × |\n";
        let text = index(&[
            ("2026-11-24-brokers", table.into()),
            ("2026-11-20-old", "".into()),
        ]);
        for expected in [
            "## brokers\n\nBrokers side by side.\n",
            "<img src=\"2026-11-24-brokers/latency.svg\"",
            "| | Ensign (enpd) | NATS |\n",
            "| pace, p50 | 75.1 ms | 2.0 × (147 ms) |\n",
            "\ncargo xtask results brokers\n",
            "no longer repeated: [2026-11-20-old](2026-11-20-old/)",
            "Nothing.\n",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }

    #[test]
    fn what_got_worse_and_what_grows_is_said() {
        let table = |pace: u32, memory: &str| {
            format!(
                "| measure | p50 | p99 | note |\n|---|---|---|---|\n\
                 | pace | {pace} µs | 900 µs | |\n\
                 | memory at the end | {memory} | | +9 KiB a minute |\n"
            )
        };
        let text = index(&[
            ("2026-11-24-brokers", table(400, "90.0 MiB, flat")),
            ("2026-11-26-brokers-2", table(1100, "192.0 MiB, growing")),
            ("2026-11-26-brokers", table(5, "5.0 MiB, flat")),
        ]);
        for expected in [
            "| [brokers](#brokers) | pace | 5 µs | 1.10 ms | 220.0 × | the same day |\n",
            "| memory at the end | 192.0 MiB, growing (+9 KiB a minute) |  |\n",
            "| pace | 1.10 ms | 900 µs |\n",
            "Run: [2026-11-26](2026-11-26-brokers-2/). Before: [2026-11-26](2026-11-26-brokers/), \
             [2026-11-24](2026-11-24-brokers/).\n",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
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
        assert_eq!(figures_of(report, "pace"), Some(["4 µs", "9 µs"]));
        assert_eq!(figures_of(report, "place"), None);
    }

    #[test]
    fn the_index_is_of_the_runs_that_are_there() {
        let folder = paths::root().join("results");
        let there = fs::read_to_string(folder.join("README.md")).expect("there is an index");
        let expected = text(&folder, &STUDIES).expect("runs are readable");
        assert!(there == expected, "run `cargo xtask results --index`");
    }
}
