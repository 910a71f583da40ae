//! `cargo xtask instructions`: how many instructions a round of each pure bench takes, counted by
//! callgrind, against the figures of `benches/instructions.toml`. Unlike times they hardly depend
//! on what else the machine does.

mod baseline;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::count::Count;
use crate::packages;
use crate::shell;
use baseline::{Baseline, Figures, Verdict};

/// The benches that are made of pure cases.
const BENCHES: [&str; 4] = ["commands", "matcher", "parked", "tail"];
/// Rounds counted of each case.
const ROUNDS: u64 = 200;
/// The function of `benches` in which rounds are counted, as callgrind looks for it.
const COUNTED: &str = "--toggle-collect=*counted_rounds*";

/// `cargo xtask instructions`
#[derive(Args)]
pub struct Options {
    /// Make these the figures to compare with
    #[arg(long)]
    update: bool,
}

/// Counts, prints, and compares or updates; tells whether no case takes more than it may.
pub fn run(options: &Options) -> Result<bool> {
    if options.update {
        let now = count()?;
        now.write()?;
        println!("wrote {} cases", now.cases.len());
        return Ok(true);
    }
    Ok(compare()?.failed == 0)
}

/// The stage of `cargo xtask test`: each case is one that passes or fails.
pub fn compare() -> Result<Count> {
    let before = Baseline::read()?;
    let now = count()?;
    let differing = before.differing(&now);
    let mut count = Count::default();
    for (case, instructions) in &now.cases {
        let verdict = before.verdict(case, *instructions);
        println!("{case:32} {instructions:>9}   {verdict}");
        let fails = verdict.fails() && (differing.is_empty() || verdict == Verdict::Unknown);
        count += Count::one(!fails);
    }
    for case in before
        .cases
        .keys()
        .filter(|case| !now.cases.contains_key(*case))
    {
        println!("{case:32}             has figures but is no bench: update them");
        count += Count::one(false);
    }
    if !differing.is_empty() {
        println!("not compared, for these differ from where the figures were counted:");
        differing.iter().for_each(|line| println!("  {line}"));
    }
    if count.failed > 0 {
        println!("if this is meant to be: cargo xtask instructions --update");
    }
    Ok(count)
}

/// Counts all cases.
fn count() -> Result<Baseline> {
    packages::debian_one("valgrind")?;
    let mut cases = Figures::new();
    for executable in build()? {
        let listed = shell::capture(Command::new(&executable).arg("--cases"))?;
        for case in listed.lines() {
            let instructions = count_case(&executable, case)
                .with_context(|| format!("cannot count the instructions of {case}"))?;
            cases.insert(case.to_owned(), instructions);
        }
    }
    Baseline::here(cases)
}

/// Builds the benches as for measuring, and finds them.
fn build() -> Result<Vec<PathBuf>> {
    let mut command = shell::cargo(&["bench", "-p", "benches", "--no-run"]);
    command.arg("--message-format=json-render-diagnostics");
    for bench in BENCHES {
        command.args(["--bench", bench]);
    }
    // What the compiler complains goes to the terminal.
    let messages = shell::capture(command.stderr(Stdio::inherit()))?;
    let mut executables = Vec::new();
    for line in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(line)
            .with_context(|| format!("cargo's message is no JSON: {line}"))?;
        if let Some(path) = message["executable"].as_str() {
            executables.push(path.into());
        }
    }
    if executables.len() != BENCHES.len() {
        bail!(
            "cargo built {} of the benches {BENCHES:?}",
            executables.len()
        );
    }
    Ok(executables)
}

/// Instructions a round.
fn count_case(executable: &Path, case: &str) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            COUNTED,
        ])
        .arg(executable)
        .args(["--count", case, &ROUNDS.to_string()]);
    let output = command.output().context("cannot run valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("valgrind ended with {}: {said}", output.status);
    }
    match collected(&said) {
        Some(instructions) if instructions > 0 => Ok(instructions / ROUNDS),
        _ => bail!("callgrind counted nothing with {COUNTED}: {said}"),
    }
}

/// The sum in callgrind's closing lines: `==123== Collected : 65113`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::collected;

    #[test]
    fn callgrinds_sum_is_found() {
        let said =
            "==7== Events    : Ir\n==7== Collected : 65113\n==7== \n==7== I   refs: 65,113\n";
        assert_eq!(collected(said), Some(65113));
        assert_eq!(collected("==7== Collected : \n"), None);
        assert_eq!(collected("valgrind: no such file\n"), None);
    }
}
