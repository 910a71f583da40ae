//! The same measure of several runs in one plot, from their folders.

use std::fs;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use super::{folder, plot};

/// Folders of runs whose times make a curve together, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curve {
    name: String,
    folders: Vec<PathBuf>,
    /// What is drawn, if it isn't what all curves are of.
    measure: Option<String>,
}

impl FromStr for Curve {
    type Err = String;

    /// `NAME=FOLDER,FOLDER`, or `NAME=FOLDER,FOLDER=MEASURE`
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut parts = text.splitn(3, '=');
        let (Some(name), Some(folders)) = (parts.next(), parts.next()) else {
            return Err(format!("{text} is not NAME=FOLDER"));
        };
        Ok(Self {
            name: name.into(),
            folders: folders.split(',').map(PathBuf::from).collect(),
            measure: parts.next().map(str::to_owned),
        })
    }
}

/// Draws one measure of all runs.
///
/// # Errors
/// If a run lacks the measure, or a file can't be read or written.
pub fn draw(out: &Path, title: &str, measure: &str, curves: &[Curve]) -> Result<()> {
    let mut histograms = Vec::new();
    for curve in curves {
        let measure = curve.measure.as_deref().unwrap_or(measure);
        let mut all: Option<Histogram<u64>> = None;
        for folder in &curve.folders {
            let file = folder.join(folder::LOG);
            let times = read(&fs::read(&file)?, &folder::tag(measure))
                .ok_or_else(|| Error::other(format!("{} has no {measure}", file.display())))?;
            all = Some(match all {
                None => times,
                Some(mut all) => {
                    all.add(times).map_err(Error::other)?;
                    all
                }
            });
        }
        histograms.extend(all.map(|times| (curve.name.clone(), times)));
    }
    let borrowed: Vec<_> = histograms
        .iter()
        .map(|(name, times)| (name.clone(), times))
        .collect();
    plot::percentiles(out, title, &borrowed)
}

/// The histogram with that tag.
fn read(log: &[u8], tag: &str) -> Option<Histogram<u64>> {
    let found = all(log).into_iter().find(|(name, _)| name == tag);
    found.map(|(_, times)| times)
}

/// All histograms that have a tag, with it.
pub(super) fn all(log: &[u8]) -> Vec<(String, Histogram<u64>)> {
    let entries = IntervalLogIterator::new(log).filter_map(|entry| {
        let Ok(LogEntry::Interval(interval)) = entry else {
            return None;
        };
        let tag = interval.tag()?.as_str().to_owned();
        let bytes = STANDARD.decode(interval.encoded_histogram()).ok()?;
        let times = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .ok()?;
        Some((tag, times))
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;

    #[test]
    fn what_was_written_is_read_again() {
        let mut times = measure::histogram();
        times.record(4711).expect("within bounds");
        let written = [("a → b".to_owned(), &times), ("c".to_owned(), &times)];
        let log = folder::log(&written).expect("in memory");
        assert_eq!(read(&log, &folder::tag("a → b")), Some(times));
        assert_eq!(read(&log, "d"), None);
        let curve: Curve = "x=runs/1,runs/2=a → b".parse().expect("well-formed");
        assert_eq!(curve.folders, ["runs/1", "runs/2"].map(PathBuf::from));
        assert_eq!(curve.measure.as_deref(), Some("a → b"));
        assert!("x".parse::<Curve>().is_err());
    }
}
