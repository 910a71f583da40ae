//! The pictures of old runs, drawn again from the data that lie beside them.

use std::fs;
use std::io::{Error, Result};
use std::path::Path;

use hdrhistogram::Histogram;

use super::folder::{LOG, PLOT, README, tag};
use super::{curves, plot, units};
use crate::soak;

/// Draws again what lies in a folder and below it. Tells how many pictures that are.
///
/// # Errors
/// If a file can't be read or written.
pub fn redraw(folder: &Path) -> Result<usize> {
    let mut drawn = 0;
    let mut names: Vec<_> = fs::read_dir(folder)?.collect::<Result<_>>()?;
    names.sort_by_key(fs::DirEntry::file_name);
    for entry in names {
        if entry.file_type()?.is_dir() {
            drawn += redraw(&entry.path())?;
        }
    }
    let report = fs::read_to_string(folder.join(README)).unwrap_or_default();
    if let Ok(log) = fs::read(folder.join(LOG)) {
        let times = curves::all(&log);
        let named = times.iter().map(|(tag, times)| (name(&report, tag), times));
        let named: Vec<(String, &Histogram<u64>)> = named.collect();
        plot::percentiles(&folder.join(PLOT), &title(&report), &named)?;
        drawn += 1;
    }
    if let Ok(text) = fs::read_to_string(folder.join(soak::report::MEMORY)) {
        let series = soak::memory::Series::parse(&text)
            .ok_or_else(|| Error::other(format!("{}: not as expected", folder.display())))?;
        soak::report::draw(folder, &series)?;
        drawn += 1;
    }
    Ok(drawn)
}

/// A report's title, as it would be written today.
fn title(report: &str) -> String {
    let title = report.lines().find_map(|line| line.strip_prefix("# "));
    let title = title.unwrap_or("Times by percentile");
    let grouped = |word: &str| match word.parse() {
        Ok(number) => units::count(number),
        Err(_) => word.to_owned(),
    };
    let words: Vec<String> = title.split(' ').map(grouped).collect();
    let title = words.join(" ");
    let title = title.replace(", Each mailbox", ", a mailbox each");
    title.replace(", One mailbox", ", all in one mailbox")
}

/// The measure that has the tag: as the report's table has it, or else as names mostly are.
fn name(report: &str, wanted: &str) -> String {
    let mut rows = report.lines().filter_map(|line| {
        let name = line.strip_prefix('|')?.split('|').next()?.trim();
        (tag(name) == wanted).then(|| name.to_owned())
    });
    rows.next().unwrap_or_else(|| {
        wanted
            .replace("---", " → ")
            .replace("--", ": ")
            .replace('-', " ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;
    use crate::report::folder;

    const REPORT: &str = "# 10000 sessions, Each mailbox\n\n| measure | p50 |\n|---|---|\n\
                          | command → OK, reading | 3 µs |\n";

    #[test]
    fn names_are_those_of_the_table() {
        assert_eq!(
            name(REPORT, "command---OK--reading"),
            "command → OK, reading"
        );
        assert_eq!(name(REPORT, "enpd--one-subscriber"), "enpd: one subscriber");
        assert_eq!(name("", "250---EXISTS"), "250 → EXISTS");
        assert_eq!(title(REPORT), "10,000 sessions, a mailbox each");
    }

    #[test]
    fn a_run_is_drawn_again() {
        let top = tempfile::tempdir().expect("a folder");
        let run = top.path().join("run");
        fs::create_dir(&run).expect("made");
        let mut times = measure::histogram();
        times.record(4711).expect("within bounds");
        let log = folder::log(&[("command → OK, reading".to_owned(), &times)]);
        fs::write(run.join(LOG), log.expect("in memory")).expect("written");
        fs::write(run.join(README), REPORT).expect("written");
        let memory = "seconds,sessions,messages,server_bytes,own_bytes\n0,1,2,3,4\n30,1,2,3,4\n";
        fs::write(run.join(soak::report::MEMORY), memory).expect("written");
        assert_eq!(redraw(top.path()).expect("drawn"), 2);
        let drawn = fs::read_to_string(run.join(PLOT)).expect("there");
        assert!(drawn.contains("a mailbox each"));
        assert!(run.join("memory.svg").exists());
    }
}
