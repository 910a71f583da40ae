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

/// A run's folder, and what its curve is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curve {
    name: String,
    folder: PathBuf,
}

impl FromStr for Curve {
    type Err = String;

    /// `NAME=FOLDER`
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (name, folder) = text
            .split_once('=')
            .ok_or_else(|| format!("{text} is not NAME=FOLDER"))?;
        Ok(Self {
            name: name.into(),
            folder: folder.into(),
        })
    }
}

/// Draws one measure of all runs.
///
/// # Errors
/// If a run lacks the measure, or a file can't be read or written.
pub fn draw(out: &Path, measure: &str, curves: &[Curve]) -> Result<()> {
    let mut histograms = Vec::new();
    for curve in curves {
        let file = curve.folder.join(folder::LOG);
        let times = read(&fs::read(&file)?, &folder::tag(measure))
            .ok_or_else(|| Error::other(format!("{} has no {measure}", file.display())))?;
        histograms.push((curve.name.clone(), times));
    }
    let borrowed: Vec<_> = histograms
        .iter()
        .map(|(name, times)| (name.clone(), times))
        .collect();
    plot::percentiles(out, &borrowed)
}

/// The histogram with that tag.
fn read(log: &[u8], tag: &str) -> Option<Histogram<u64>> {
    IntervalLogIterator::new(log).find_map(|entry| {
        let Ok(LogEntry::Interval(interval)) = entry else {
            return None;
        };
        if interval.tag()?.as_str() != tag {
            return None;
        }
        let bytes = STANDARD.decode(interval.encoded_histogram()).ok()?;
        Deserializer::new().deserialize(&mut bytes.as_slice()).ok()
    })
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
        assert_eq!(
            "x=runs/x".parse::<Curve>().map(|it| it.folder),
            Ok(PathBuf::from("runs/x"))
        );
    }
}
