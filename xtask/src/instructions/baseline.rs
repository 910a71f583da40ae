//! The figures to compare with, and where they were counted.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{paths, shell};

/// By how much a case may grow, in percent.
const TOLERANCE_PERCENT: u64 = 10;
/// What a count may vary by whatever it is: a hash table's random keys, for one.
const TOLERANCE_INSTRUCTIONS: u64 = 16;

const HEAD: &str = "\
# Instructions that one round of each pure bench takes, counted by callgrind; written by
# `cargo xtask instructions --update`. Counts depend on the compiler, on the C library and on the
# processor, by whose features it picks its routines: elsewhere they are printed and not compared.
";

/// Instructions a round, by case.
pub type Figures = BTreeMap<String, u64>;

/// Figures, and what they depend on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// `rustc --version`, `cpu`, `libc`.
    pub counted_with: BTreeMap<String, String>,
    /// The figures.
    pub cases: Figures,
}

/// How a case does against its figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// About as before.
    Same,
    /// Fewer than before by more than the tolerance.
    Better(u64),
    /// More than before by more than the tolerance.
    Worse(u64),
    /// There is no figure.
    Unknown,
}

impl Baseline {
    /// The file in the checkout.
    pub fn read() -> Result<Self> {
        let path = path();
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not as expected", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut table: toml::Table = toml::from_str(text)?;
        let mut part = |name| {
            table
                .remove(name)
                .with_context(|| format!("it has no [{name}]"))
        };
        Ok(Self {
            counted_with: part("counted_with")?.try_into()?,
            cases: part("instructions")?.try_into()?,
        })
    }

    /// Writes the file in the checkout.
    pub fn write(&self) -> Result<()> {
        let path = path();
        fs::write(&path, self.text()).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Figures that were counted here.
    pub fn here(cases: Figures) -> Result<Self> {
        let rustc = shell::capture(Command::new("rustc").arg("--version"))?;
        let libc = shell::capture(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
        let cpus = fs::read_to_string("/proc/cpuinfo").context("cannot read /proc/cpuinfo")?;
        let model = cpus.lines().find(|line| line.starts_with("model name"));
        let model = model.and_then(|line| line.split_once(':'));
        let cpu = model.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
        let facts = [("rustc", rustc.trim()), ("cpu", cpu), ("libc", libc.trim())];
        let facts = facts.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Self {
            counted_with: facts.into(),
            cases,
        })
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}\n[counted_with]\n");
        // Writing to a string can't fail.
        for (name, value) in &self.counted_with {
            let _ = writeln!(text, "{name} = {value:?}");
        }
        text.push_str("\n[instructions]\n");
        for (case, instructions) in &self.cases {
            let _ = writeln!(text, "{case:?} = {instructions}");
        }
        text
    }

    /// What else the counts of `now` were made with, a line each.
    pub fn differing(&self, now: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, value) in &now.counted_with {
            let before = self.counted_with.get(name).map_or("", String::as_str);
            if before != value {
                lines.push(format!("{name}: {before:?} then, {value:?} now"));
            }
        }
        lines
    }

    /// How a case does.
    pub fn verdict(&self, case: &str, now: u64) -> Verdict {
        let Some(&before) = self.cases.get(case) else {
            return Verdict::Unknown;
        };
        let tolerance = (before * TOLERANCE_PERCENT / 100).max(TOLERANCE_INSTRUCTIONS);
        if now > before + tolerance {
            Verdict::Worse(before)
        } else if now + tolerance < before {
            Verdict::Better(before)
        } else {
            Verdict::Same
        }
    }
}

impl Verdict {
    /// Whether it is one that fails.
    pub fn fails(self) -> bool {
        matches!(self, Self::Worse(_) | Self::Unknown)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("as before"),
            Self::Better(before) => write!(f, "BETTER: {before} before; update the figures"),
            Self::Worse(before) => {
                write!(
                    f,
                    "WORSE: {before} before, {TOLERANCE_PERCENT} % more is allowed"
                )
            }
            Self::Unknown => f.write_str("NEW: has no figure; update them"),
        }
    }
}

fn path() -> PathBuf {
    paths::root().join("benches/instructions.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(rustc: &str, cases: &[(&str, u64)]) -> Baseline {
        let case = |(name, count): &(&str, u64)| ((*name).to_owned(), *count);
        Baseline {
            counted_with: [("rustc".to_owned(), rustc.to_owned())].into(),
            cases: cases.iter().map(case).collect(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let written = baseline(
            "rustc \"1\" (a\\b)",
            &[("parse/idle", 7), ("tail/after/1", 8)],
        );
        let read = Baseline::parse(&written.text()).expect("it was written well");
        assert_eq!(read, written);
    }

    #[test]
    fn growth_beyond_the_tolerance_is_worse() {
        let before = baseline("1", &[("large", 1000), ("small", 20)]);
        assert_eq!(before.verdict("large", 1100), Verdict::Same);
        assert_eq!(before.verdict("large", 1101), Verdict::Worse(1000));
        assert_eq!(before.verdict("large", 900), Verdict::Same);
        assert_eq!(before.verdict("large", 899), Verdict::Better(1000));
        assert_eq!(before.verdict("small", 36), Verdict::Same);
        assert_eq!(before.verdict("small", 37), Verdict::Worse(20));
        assert_eq!(before.verdict("other", 1), Verdict::Unknown);
        assert!(Verdict::Unknown.fails() && !Verdict::Better(9).fails());
    }

    #[test]
    fn another_compiler_is_named() {
        let (before, now) = (baseline("1", &[]), baseline("2", &[]));
        assert_eq!(before.differing(&now), [r#"rustc: "1" then, "2" now"#]);
        assert!(before.differing(&before).is_empty());
    }
}
