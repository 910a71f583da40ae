//! The pictures of runs: which one tells a study, and what the load generator is told to draw of
//! those that are of several reports.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::index::tables;
use super::{Study, Words, peers, relative, scaling, tls};
use crate::shell;

/// Bars of figures in a report's table.
struct Bars {
    study: &'static str,
    title: &'static str,
    right: &'static str,
    /// The first column's title in the table, and what ends the names of its rows.
    table: &'static str,
    measures: &'static str,
}

const BARS: [Bars; 3] = [
    Bars {
        study: "logins",
        title: "Verifications a second and core, by how users log in",
        right: "verifications a second and core",
        table: "measure",
        measures: ": verifications a second and core",
    },
    Bars {
        study: "hostile",
        title: "What others feel of one attacker: their worst time above the quiet worst",
        right: "time",
        table: "attack",
        measures: "",
    },
    Bars {
        study: "active",
        title: "What a client asks for in a mailbox of 20,000 messages: medians",
        right: "time",
        table: "20,000 messages",
        measures: "",
    },
];
/// The file of a study's bars.
const FILE: &str = "bars.svg";
/// More would not be looked at.
const GROUPS_MAX: usize = 20;

/// The picture of a run that tells its study, if there is one: its name in the folder.
pub(super) fn telling(study: &Study, folder: &Path) -> Option<String> {
    let best = match study.name {
        "peers" => "single.svg",
        "soak" => "memory.svg",
        _ if BARS.iter().any(|bars| bars.study == study.name) => FILE,
        _ => "latency.svg",
    };
    let there = |name: &&str| folder.join(name).exists();
    if let Some(name) = [best, "latency.svg"].iter().find(|name| there(name)) {
        return Some((*name).to_owned());
    }
    let names = fs::read_dir(folder).ok()?;
    let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.ends_with(".svg")).min()
}

/// Draws what a run of a study has besides its reports' own pictures.
pub(super) fn draw(study: &str, folder: &Path, loadgen: impl Fn() -> Command) -> Result<()> {
    for words in of(study, folder)? {
        shell::run(loadgen().args(words))?;
    }
    Ok(())
}

fn of(study: &str, folder: &Path) -> Result<Vec<Words>> {
    match study {
        "peers" => Ok(peers::pictures(&peers::FULL, folder)),
        "scaling" => scaling::pictures(folder),
        "tls" => Ok(tls::pictures(folder)),
        _ => {
            let report = fs::read_to_string(folder.join("README.md")).unwrap_or_default();
            let bars = BARS.iter().find(|bars| bars.study == study);
            Ok(bars
                .and_then(|bars| words(bars, &report, folder))
                .into_iter()
                .collect())
        }
    }
}

/// Bars of all rows that have figures of the first one's unit.
fn words(bars: &Bars, report: &str, folder: &Path) -> Option<Words> {
    let mut groups = Vec::new();
    let mut unit = None;
    for measure in tables::names(report, bars.table) {
        let Some(name) = measure.strip_suffix(bars.measures) else {
            continue;
        };
        let Some(row) = tables::rows(report, &measure).into_iter().next() else {
            continue;
        };
        let mut group = Vec::new();
        for cell in &row.cells {
            // Behind it may stand what else there is to say.
            let text = cell.text.split(" (").next().unwrap_or_default();
            if let Some(figure) = tables::figure(text)
                && *unit.get_or_insert(figure.1.clone()) == figure.1
                && figure.0 > 0.0
            {
                let column = cell.column.replace(['=', ','], " ");
                group.push(format!("{column}={}", figure.0));
            }
        }
        if !group.is_empty() && groups.len() < GROUPS_MAX {
            groups.push(format!("{name}:{}", group.join(",")));
        }
    }
    let unit = unit.filter(|_| !groups.is_empty())?;
    let file = relative(&folder.join(FILE)).display().to_string();
    let fixed = [
        "bars", "--log", "--title", bars.title, "--right", bars.right,
    ];
    let mut words: Words = fixed.map(str::to_owned).into();
    if ["µs", "B", "%"].contains(&unit.as_str()) {
        words.extend(["--unit".into(), unit]);
    }
    words.extend(["--out".into(), file]);
    words.extend(groups);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(study: &str, report: &str) -> Vec<String> {
        let bars = BARS
            .iter()
            .find(|bars| bars.study == study)
            .expect("one of them");
        let words = words(bars, report, Path::new("run")).expect("there are figures");
        let file = words
            .iter()
            .position(|word| word == "run/bars.svg")
            .expect("a file");
        words[file + 1..].to_vec()
    }

    #[test]
    fn bars_are_of_the_servers_in_the_table() {
        let report = "| attack | Ensign | Dovecot |\n|---|---|---|\n\
                      | list | 12 ms (20 → 41 MB), 3 refusals | 2000 ms (1 → 2 MB) |\n\
                      | view | 7 ms (20 → 41 MB) | – |\n";
        assert_eq!(
            groups("hostile", report),
            ["list:Ensign=12000,Dovecot=2000000", "view:Ensign=7000"]
        );
        let report = "| 20,000 messages | Ensign | Cyrus |\n|---|---|---|\n\
                      | SORT | 2.50 ms | 5.00 ms (2.0 ×) |\n\
                      | STORE | 150 / s | 100 / s (1.5 ×) |\n";
        assert_eq!(groups("active", report), ["SORT:Ensign=2500,Cyrus=5000"]);
        let report = "| measure | value | |\n|---|---|---|\n\
                      | PLAIN: verifications a second and core | 630 | |\n\
                      | PLAIN: everybody was back in | 20 s | |\n";
        assert_eq!(groups("logins", report), ["PLAIN:value=630"]);
    }
}
