//! One folder a run.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2Serializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use sha2::{Digest, Sha256};

use super::plot;

/// The raw times.
pub(super) const LOG: &str = "latency.hlog";

/// The report, and the picture of the times.
pub(super) const README: &str = "README.md";
pub(super) const PLOT: &str = "latency.svg";
/// What the report says of them.
const PICTURE: &str = "
![The times by percentile](latency.svg)

Raw histograms (HdrHistogram log, V2): `latency.hlog`.
";

/// What a folder holds.
pub struct Report<'a> {
    /// The heading.
    pub title: String,
    /// The table, and whatever follows it.
    pub body: String,
    /// The raw times.
    pub histograms: Vec<(String, &'a Histogram<u64>)>,
}

impl Report<'_> {
    /// Writes `README.md` and, if there are times, `latency.hlog` and `latency.svg` into the
    /// folder, made if need be.
    ///
    /// # Errors
    /// If a file can't be written.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join(README), self.readme())?;
        if self.has_times() {
            fs::write(folder.join(LOG), log(&self.histograms)?)?;
            plot::percentiles(&folder.join(PLOT), &self.title, &self.histograms)?;
        }
        Ok(())
    }

    fn has_times(&self) -> bool {
        self.histograms.iter().any(|(_, times)| !times.is_empty())
    }

    fn readme(&self) -> String {
        let command: Vec<String> = std::env::args()
            .enumerate()
            .map(|(at, word)| {
                if at == 0 {
                    "loadgen".into()
                } else {
                    quoted(word)
                }
            })
            .collect();
        format!(
            "# {}\n\n```\n{}\n```\n\n{}\n\n{}\n{}",
            self.title,
            command.join(" "),
            machine(),
            self.body,
            if self.has_times() { PICTURE } else { "" },
        )
    }
}

/// A word as a shell takes it.
fn quoted(word: String) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// Machine, kernel, commit, lock file, as a table.
pub fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = read("/proc/meminfo");
    let memory = memory
        .lines()
        .next()
        .unwrap_or_default()
        .replace("MemTotal:", "");
    let commit = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .map_or("unknown".into(), |output| {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        });
    let lock = fs::read("Cargo.lock").map_or("none".into(), |bytes| {
        let hash = Sha256::digest(&bytes);
        hash.iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    });
    format!(
        "| | |\n|---|---|\n| machine | {model}, {cores} cores, {} |\n| kernel | {} |\n\
         | lists of TCP connections | {} |\n| commit | {commit} |\n\
         | Cargo.lock | sha256 {lock}… |\n| open files | {} a process |",
        memory.trim(),
        read("/proc/sys/kernel/osrelease").trim(),
        // Of the first network namespace, if this one has none of its own: with a minus.
        read("/proc/sys/net/ipv4/tcp_ehash_entries")
            .trim()
            .trim_start_matches('-'),
        reactor::uring::open_files_max(),
    )
}

/// The name under which a measure stands in the log.
pub(super) fn tag(measure: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    measure.chars().map(plain).collect()
}

pub(super) fn log(histograms: &[(String, &Histogram<u64>)]) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut serializer = V2Serializer::new();
    let failed = |error: &dyn std::fmt::Debug| std::io::Error::other(format!("{error:?}"));
    let mut log = IntervalLogWriterBuilder::new()
        .with_start_time(SystemTime::now())
        .begin_log_with(&mut bytes, &mut serializer)
        .map_err(|error| failed(&error))?;
    for (name, times) in histograms {
        let name = tag(name);
        let tag = Tag::new(&name);
        log.write_histogram(times, Duration::ZERO, Duration::from_secs(1), tag)
            .map_err(|error| failed(&error))?;
    }
    drop(log);
    bytes.flush()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_command_can_be_pasted() {
        for (word, expected) in [
            ("--out", "--out"),
            ("a b && c", "'a b && c'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
            ("enpd:enp@127.0.0.1:1#2", "'enpd:enp@127.0.0.1:1#2'"),
        ] {
            assert_eq!(quoted(word.to_owned()), expected);
        }
    }
}
