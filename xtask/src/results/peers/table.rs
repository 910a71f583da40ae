//! The servers side by side, from the reports of their runs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::{CROWD, EACH, Peer, Sizes, loadgen};
use crate::packages;
use crate::results::{Words, index, relative};
use crate::shell;

/// Which of two figures is the better one.
#[derive(Clone, Copy)]
enum Better {
    Less,
    More,
    /// Not compared.
    Neither,
}

/// A row: which run's measure, its p50 (0) or p99 (1), and what it is called here.
struct Row {
    run: &'static str,
    measure: &'static str,
    place: usize,
    better: Better,
    name: &'static str,
}

const fn row(
    run: &'static str,
    measure: &'static str,
    place: usize,
    better: Better,
    name: &'static str,
) -> Row {
    Row {
        run,
        measure,
        place,
        better,
        name,
    }
}

const LAST: &str = "crowd: 250 → last EXISTS";
const FAULTS: &str = "misses / doubles / disorders";

const ROWS: [Row; 19] = [
    row(
        EACH,
        "set-up (connect, LOGIN, SELECT, IDLE)",
        0,
        Better::More,
        "sessions set up",
    ),
    row(
        EACH,
        "set-up: server CPU a session",
        0,
        Better::Less,
        "server CPU a session set up",
    ),
    row(
        EACH,
        "server user memory a parked session",
        0,
        Better::Less,
        "user memory a session",
    ),
    row(
        EACH,
        "server memory a parked session, all",
        0,
        Better::Less,
        "PSS a session",
    ),
    row(
        EACH,
        "250 → EXISTS",
        0,
        Better::Neither,
        "250 → EXISTS, p50",
    ),
    row(EACH, "250 → EXISTS", 1, Better::Less, "250 → EXISTS, p99"),
    row(
        EACH,
        "DATA end → EXISTS",
        0,
        Better::Less,
        "DATA end → EXISTS, p50",
    ),
    row(
        EACH,
        "DATA end → EXISTS",
        1,
        Better::Less,
        "DATA end → EXISTS, p99",
    ),
    row(
        EACH,
        "DATA end → 250",
        0,
        Better::Less,
        "DATA end → 250, p50",
    ),
    row(
        EACH,
        "DATA end → 250",
        1,
        Better::Less,
        "DATA end → 250, p99",
    ),
    row(
        EACH,
        "not heard in time",
        0,
        Better::Neither,
        "not heard in time",
    ),
    row(
        CROWD,
        "crowd: 250 → first EXISTS",
        0,
        Better::Neither,
        "crowd: 250 → first EXISTS, p50",
    ),
    row(
        CROWD,
        LAST,
        0,
        Better::Less,
        "crowd: 250 → last EXISTS, p50",
    ),
    row(
        CROWD,
        LAST,
        1,
        Better::Less,
        "crowd: 250 → last EXISTS, slowest",
    ),
    row(
        CROWD,
        "not heard in time",
        0,
        Better::Neither,
        "crowd: not heard in time",
    ),
    row(
        EACH,
        "durable deliveries",
        0,
        Better::More,
        "durable deliveries, 16 connections",
    ),
    row(
        EACH,
        "burst: server CPU a delivery",
        0,
        Better::Less,
        "server CPU a delivery",
    ),
    row(
        EACH,
        FAULTS,
        0,
        Better::Neither,
        "misses / doubles / disorders, burst and all",
    ),
    row(
        CROWD,
        FAULTS,
        0,
        Better::Neither,
        "crowd: misses / doubles / disorders",
    ),
];

/// The rows whose ratios the index of results shows, and what they are called there.
const RATIOS: [(&str, &str); 4] = [
    (
        "crowd: 250 → last EXISTS, p50",
        "one delivery to a crowd, to the last: sooner",
    ),
    ("DATA end → EXISTS, p50", "DATA end → EXISTS: sooner"),
    (
        "durable deliveries, 16 connections",
        "durable deliveries a second: more",
    ),
    ("user memory a session", "memory a session: less"),
];

/// What is drawn: the run, its measure, the drawing's name and title.
const PLOTS: [(&str, &str, &str, &str); 3] = [
    (
        EACH,
        "DATA end → EXISTS",
        "single.svg",
        "From the end of a message's DATA until an idle client has read that it is there",
    ),
    (
        CROWD,
        LAST,
        "crowd.svg",
        "One message for all, who watch one mailbox: from its 250 until the last has heard",
    ),
    (
        EACH,
        "burst: DATA end → 250",
        "burst.svg",
        "16 connections deliver as fast as they can: from the end of DATA to the durable 250",
    ),
];

const NOTES: &str = "\
In brackets: how many times the better Ensign's figure is. A crowd is all sessions in one mailbox.
Memory is the growth over all processes of a server while the sessions come, a while after the last
did: user memory is what is theirs alone (`Pss_Anon`), PSS counts files and shared memory too. A
server's CPU is that of all its processes, user and system. An EXISTS that comes with the 250 or
before it counts as 1 µs. Times are of those who heard; who does not hear of a delivery within the
time is counted as \"not heard in time\", and as a miss if nothing was heard at the end either.

The kernel's limit of inotify instances (`fs.inotify.max_user_instances`) is raised to 8,192 while
Dovecot runs, which would poll every 30 s beyond it.

Every run follows a fresh start, on a store that all users have visited. All servers have plain
passwords, plain text, and one load generator on the same cores. Each one's folder here holds its
configuration, where `BASE` is its own, its commands, commit, tables, raw histograms and plots. A
column may be of a run of its own, on the same day (`--peer NAME`).";

/// One column: the server, and the reports of its runs.
struct Column<'a> {
    peer: &'a Peer,
    each: String,
    crowd: String,
}

impl Column<'_> {
    fn cell(&self, row: &Row) -> Option<&str> {
        let report = if row.run == EACH {
            &self.each
        } else {
            &self.crowd
        };
        index::figures_of(report, row.measure).map(|figures| figures[row.place])
    }

    fn number(&self, row: &Row) -> Option<f64> {
        self.cell(row)?.split(' ').next()?.parse().ok()
    }
}

/// What lies in the folder.
fn columns<'a>(sizes: &'a Sizes, out: &Path) -> Vec<Column<'a>> {
    let column = |peer: &'a Peer| {
        let read = |run| fs::read_to_string(out.join(peer.name).join(run).join("README.md"));
        let (each, crowd) = (read(EACH).ok()?, read(CROWD).ok()?);
        Some(Column { peer, each, crowd })
    };
    sizes.peers.iter().filter_map(column).collect()
}

/// Writes the table of all runs that lie in the folder, and the plots.
pub(super) fn write(sizes: &Sizes, out: &Path) -> Result<()> {
    let columns = columns(sizes, out);
    let (ours, others) = columns.split_first().context("no server was measured")?;
    let mut text = format!(
        "# IMAP servers side by side, {} idle sessions\n\n```\ncargo xtask results peers\n```\n\n",
        sizes.sessions
    );
    text.push_str(machine(&ours.each));
    text.push('\n');
    for column in others {
        if let Some(package) = column.peer.package {
            let version = packages::version(package)?;
            writeln!(text, "| {} | {version} |", column.peer.title)?;
        }
    }
    text.push_str("\n| measure |");
    for column in &columns {
        write!(text, " {} |", column.peer.title)?;
    }
    writeln!(text, "\n|---{}|", "|---".repeat(columns.len()))?;
    for row in &ROWS {
        write!(text, "| {} | {} |", row.name, ours.cell(row).unwrap_or("–"))?;
        for column in others {
            let cell = column.cell(row).unwrap_or("–");
            let ratio = ratio(ours, column, row).map(|ratio| format!(" ({ratio})"));
            write!(text, " {cell}{} |", ratio.unwrap_or_default())?;
        }
        text.push('\n');
    }
    text.push_str(&ratios(&columns)?);
    writeln!(text, "\n{NOTES}")?;
    for ((.., name, title), words) in PLOTS.iter().zip(pictures(sizes, out)) {
        shell::run(loadgen().args(words))?;
        writeln!(text, "\n![{title}]({name})")?;
    }
    fs::write(out.join("README.md"), text).context("cannot write the table")
}

/// How many times the better ours is.
fn ratio(ours: &Column, other: &Column, row: &Row) -> Option<String> {
    let (ours, other) = (ours.number(row)?, other.number(row)?);
    let ratio = match row.better {
        Better::Less => other / ours,
        Better::More => ours / other,
        Better::Neither => return None,
    };
    let places = if ratio < 10.0 { 1 } else { 0 };
    ratio.is_finite().then(|| format!("{ratio:.places$} ×"))
}

/// The rows for the index: all ratios in one cell.
fn ratios(columns: &[Column]) -> Result<String> {
    let Some((ours, others)) = columns.split_first() else {
        return Ok(String::new());
    };
    if others.is_empty() {
        return Ok(String::new());
    }
    let names: Vec<&str> = others.iter().map(|other| other.peer.title).collect();
    let mut text = format!(
        "\n| times as good as | {} | |\n|---|---|---|\n",
        names.join(" / ")
    );
    for (name, title) in RATIOS {
        let row = ROWS.iter().find(|row| row.name == name);
        let cells: Vec<String> = others
            .iter()
            .map(|other| {
                row.and_then(|row| ratio(ours, other, row))
                    .unwrap_or("–".into())
            })
            .collect();
        writeln!(text, "| {title} | {} | |", cells.join(" / "))?;
    }
    Ok(text)
}

/// The rows about the machine in a run's report.
pub(in crate::results) fn machine(report: &str) -> &str {
    let begin = report.find("| | |").unwrap_or(report.len());
    let rest = &report[begin..];
    &rest[..rest.find("\n\n").unwrap_or(rest.len())]
}

/// What the load generator is told to draw.
pub(in crate::results) fn pictures(sizes: &Sizes, out: &Path) -> Vec<Words> {
    let columns = columns(sizes, out);
    let plot = |(run, measure, name, title): (&str, &str, &str, &str)| {
        let file = relative(&out.join(name)).display().to_string();
        let fixed = [
            "plot",
            "--measure",
            measure,
            "--title",
            title,
            "--out",
            &file,
        ];
        let mut words: Words = fixed.map(str::to_owned).into();
        words.extend(columns.iter().map(|column| {
            let folder = out.join(column.peer.name).join(run);
            format!("{}={}", column.peer.title, relative(&folder).display())
        }));
        words
    };
    PLOTS.map(plot).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::peers::FULL;

    #[test]
    fn ratios_say_how_much_better_ours_is() {
        let report = |crowd, rate| {
            format!(
                "# R\n\n| | |\n|---|---|\n| machine | m |\n\n| a | p50 | p99 |\n\
                 | {LAST} | {crowd} µs | 9 µs |\n| durable deliveries | {rate} /s | |\n"
            )
        };
        let column = |peer, crowd, rate| Column {
            peer,
            each: report(crowd, rate),
            crowd: report(crowd, rate),
        };
        let columns = [
            column(&FULL.peers[0], 10, 3000),
            column(&FULL.peers[1], 500, 1000),
        ];
        let text = ratios(&columns).expect("columns are there");
        assert!(
            text.contains("| one delivery to a crowd, to the last: sooner | 50 × | |"),
            "{text}"
        );
        assert!(
            text.contains("| durable deliveries a second: more | 3.0 × | |"),
            "{text}"
        );
        assert!(machine(&columns[0].each).ends_with("| machine | m |"));
    }

    #[test]
    fn every_ratio_is_of_a_row_and_has_a_name_of_its_own() {
        for (name, title) in RATIOS {
            assert!(ROWS.iter().any(|row| row.name == name), "{name}");
            assert!(ROWS.iter().all(|row| row.name != title), "{title}");
        }
    }
}
