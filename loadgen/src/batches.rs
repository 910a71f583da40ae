//! How many operations an Ensign server's store put into each commit, from its statistics; and what
//! a plain file does at the same sizes.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use reactor::Rng;

use crate::measure::now_ns;

/// The plain file's name in its folder.
const FILE: &str = "plainfile";
/// The plain file's size is bounded.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Commits by size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batches {
    /// The most operations of a step, commits, operations in them.
    steps: Vec<[u64; 3]>,
    /// How long the writer was busy, in nanoseconds.
    pub busy_ns: u64,
    /// How long it wrote and synced, in nanoseconds.
    pub commit_ns: u64,
}

impl Batches {
    /// From the server's statistics; none if they say nothing of a store.
    pub fn of(statistics: &str) -> Option<Self> {
        let mut found = Self::default();
        for line in statistics.lines() {
            let Some((name, value)) = line
                .strip_prefix("store ")
                .and_then(|it| it.split_once(' '))
            else {
                continue;
            };
            let value = value.parse().ok()?;
            if let Some(max) = name.strip_prefix("CommitsOf") {
                found.steps.push([max.parse().ok()?, value, 0]);
            } else if name.starts_with("OperationsOf") {
                // It follows its commits.
                found.steps.last_mut()?[2] = value;
            } else if name == "BusyNs" {
                found.busy_ns = value;
            } else if name == "CommitNs" {
                found.commit_ns = value;
            }
        }
        (!found.steps.is_empty()).then_some(found)
    }

    /// What came after `before`.
    pub fn since(&self, before: &Self) -> Self {
        let steps = self.steps.iter().zip(&before.steps);
        Self {
            steps: steps
                .map(|(now, then)| [now[0], now[1] - then[1], now[2] - then[2]])
                .collect(),
            busy_ns: self.busy_ns - before.busy_ns,
            commit_ns: self.commit_ns - before.commit_ns,
        }
    }

    /// Commits.
    pub fn commits(&self) -> u64 {
        self.steps.iter().map(|step| step[1]).sum()
    }

    /// Operations a commit.
    pub fn mean(&self) -> f64 {
        let operations: u64 = self.steps.iter().map(|step| step[2]).sum();
        operations as f64 / self.commits().max(1) as f64
    }

    /// Such as `1: 3 %, 2–4: 97 %`.
    pub fn shares(&self) -> String {
        let all = self.commits().max(1) as f64;
        let seen = self.steps.iter().filter(|step| step[1] > 0);
        let shares = seen.map(|step| {
            let from = step[0] / 2 + 1;
            let sizes = if from >= step[0] {
                step[0].to_string()
            } else {
                format!("{from}–{}", step[0])
            };
            format!("{sizes}: {:.0} %", step[1] as f64 / all * 100.0)
        });
        shares.collect::<Vec<_>>().join(", ")
    }

    /// A size by the commits' distribution: a step by its share, and in it the mean, rounded up as
    /// often as its fraction says.
    fn draw(&self, rng: &mut Rng) -> u64 {
        let mut place = rng.below(self.commits().max(1));
        for [_, commits, operations] in &self.steps {
            if place < *commits {
                return (operations + rng.below(*commits)) / commits;
            }
            place -= commits;
        }
        1
    }
}

/// What a plain file did.
#[derive(Clone, Copy, Debug)]
pub struct PlainFile {
    /// Records that are durable.
    pub records: u64,
    /// In so many groups, each with an fdatasync.
    pub commits: u64,
    /// How long it took.
    pub took_ns: u64,
}

impl PlainFile {
    /// Durable records a second.
    pub fn rate(&self) -> f64 {
        self.records as f64 / (self.took_ns.max(1) as f64 / 1e9)
    }
}

/// Appends records of so many bytes to a file in a folder, in groups whose sizes are drawn from
/// what the store did, with an fdatasync each. Ends after `ns` nanoseconds or a gibibyte.
///
/// # Errors
/// If the file can't be written.
pub fn plain_file(
    folder: &Path,
    sizes: &Batches,
    record_bytes: usize,
    ns: u64,
    seed: u64,
) -> io::Result<PlainFile> {
    let path = folder.join(FILE);
    let outcome = append(&path, sizes, record_bytes, ns, seed);
    fs::remove_file(&path)?;
    outcome
}

fn append(
    path: &Path,
    sizes: &Batches,
    record_bytes: usize,
    ns: u64,
    seed: u64,
) -> io::Result<PlainFile> {
    let mut file = File::create(path)?;
    let mut rng = Rng::new(seed);
    let mut group = Vec::new();
    let (mut records, mut commits, mut bytes) = (0, 0, 0);
    let began = now_ns();
    while now_ns() - began < ns && bytes < FILE_BYTES_MAX {
        let size = sizes.draw(&mut rng).max(1);
        group.resize(size as usize * record_bytes, b'm');
        file.write_all(&group)?;
        file.sync_data()?;
        records += size;
        commits += 1;
        bytes += group.len() as u64;
    }
    let took_ns = now_ns() - began;
    Ok(PlainFile {
        records,
        commits,
        took_ns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: &str = "0 Open 7\nstore Commits 1\nstore CommitsOf1 1\nstore OperationsOf1 1\n\
                        store CommitsOf2 0\nstore OperationsOf2 0\nstore CommitsOf4 0\n\
                        store OperationsOf4 0\nstore BusyNs 5\nstore CommitNs 4\n";
    const NOW: &str = "store CommitsOf1 2\nstore OperationsOf1 2\nstore CommitsOf2 0\n\
                       store OperationsOf2 0\nstore CommitsOf4 3\nstore OperationsOf4 10\n\
                       store BusyNs 15\nstore CommitNs 10\n";

    fn seen() -> Batches {
        let [now, then] = [NOW, THEN].map(|text| Batches::of(text).expect("of a store"));
        now.since(&then)
    }

    #[test]
    fn sizes_are_read_from_statistics() {
        let seen = seen();
        assert_eq!((seen.commits(), seen.busy_ns, seen.commit_ns), (4, 10, 6));
        assert_eq!(seen.shares(), "1: 25 %, 3–4: 75 %");
        assert!((seen.mean() - 11.0 / 4.0).abs() < 1e-9);
        assert_eq!(Batches::of("0 Open 7\n"), None);
    }

    #[test]
    fn a_plain_file_has_the_same_sizes() {
        let seen = seen();
        let mut rng = Rng::new(7);
        let sum: u64 = (0..4000).map(|_| seen.draw(&mut rng)).sum();
        assert!((10_700..11_300).contains(&sum), "{sum}");
        let plain = plain_file(&std::env::temp_dir(), &seen, 10, 1_000_000, 7).expect("writes");
        assert!(plain.records >= plain.commits && plain.commits > 0 && plain.rate() > 0.0);
    }
}
