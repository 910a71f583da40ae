//! `cargo xtask campaign fuzz`: libFuzzer over each target of the fuzz packages, one at a time.
//!
//! The compiler's own coverage pass is asked for by flags, so the stable toolchain will do; without
//! `unsafe` in what is fuzzed there is nothing for a sanitizer to see.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{paths, shell};

/// Each has `fuzz_targets`, `seeds` and, after a campaign, `corpus`.
const PACKAGES: [&str; 7] = [
    "imap-front/proto/fuzz",
    "imap-front/admin/fuzz",
    "imap-front/store/fuzz",
    "imap-front/monitor/fuzz",
    "imap-front/server/fuzz",
    "engine/ens/fuzz",
    "engine/tls/fuzz",
];
/// Coverage of edges in counters of a byte, and of comparisons.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1";
/// With a target named, build scripts and macros are built without these flags.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
/// Longest input in bytes.
const INPUT_BYTES_MAX: u32 = 4096;
/// An input that takes longer is a find.
const INPUT_SECONDS_MAX: u32 = 10;
/// Memory beyond which an input is a find.
const MEMORY_MIB_MAX: u32 = 1024;
/// Inputs of a target that are kept in the checkout, their bytes, and those of one input.
const CORPUS_FILES_MAX: usize = 128;
const CORPUS_BYTES_MAX: u64 = 32 * 1024;
const FIND_BYTES_MAX: u64 = 1024;

/// `cargo xtask campaign fuzz`
#[derive(Args)]
pub struct Options {
    /// Inputs to try for each target
    #[arg(long, default_value_t = 1_000_000)]
    executions: u64,
    /// Only these targets
    #[arg(long = "target")]
    targets: Vec<String>,
    /// End a target after so long, however many inputs were tried
    #[arg(long)]
    seconds: Option<u64>,
    /// Put the smallest inputs that reach what was reached into the package's corpus
    #[arg(long)]
    keep: bool,
}

/// A target of a package.
struct Target {
    package: &'static str,
    name: String,
}

/// What a target's run came to.
#[derive(Default)]
struct Outcome {
    executions: u64,
    edges: u64,
    finds: Vec<PathBuf>,
}

/// Runs the campaign; tells whether no input failed.
pub fn run(options: &Options) -> Result<bool> {
    let targets = targets(&options.targets)?;
    let mut lines = Vec::new();
    let mut good = true;
    for package in PACKAGES {
        let own: Vec<&Target> = targets.iter().filter(|t| t.package == package).collect();
        if own.is_empty() {
            continue;
        }
        build(package)?;
        for target in own {
            println!("\n== {} ==", target.name);
            let outcome = fuzz(target, options)?;
            good &= outcome.finds.is_empty();
            if options.keep {
                keep(target)?;
            }
            lines.push(format!(
                "{:16} {:>12} executions {:>6} edges {:>3} finds",
                target.name,
                outcome.executions,
                outcome.edges,
                outcome.finds.len()
            ));
            for find in outcome.finds {
                lines.push(format!("  {}", find.display()));
            }
        }
    }
    println!("\n{}", lines.join("\n"));
    Ok(good)
}

/// The targets asked for, or all.
fn targets(names: &[String]) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for package in PACKAGES {
        let folder = paths::root().join(package).join("fuzz_targets");
        for file in sorted(&folder)? {
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            let name = name.into_owned();
            targets.push(Target { package, name });
        }
    }
    for name in names {
        if !targets.iter().any(|target| target.name == *name) {
            let known: Vec<&str> = targets.iter().map(|target| &*target.name).collect();
            bail!("there is no target {name}; there are {}", known.join(", "));
        }
    }
    if !names.is_empty() {
        targets.retain(|target| names.contains(&target.name));
    }
    Ok(targets)
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<PathBuf>>>()?;
    files.sort();
    Ok(files)
}

/// Where everything of a campaign lies that is not kept.
fn folder() -> PathBuf {
    paths::target().join("fuzz")
}

fn build(package: &str) -> Result<()> {
    let mut cargo = shell::cargo(&["build", "--release", "--bins", "--target", TRIPLE]);
    cargo
        .current_dir(paths::root().join(package))
        .env("CARGO_TARGET_DIR", folder())
        .env("RUSTFLAGS", FLAGS);
    shell::run(&mut cargo)
}

/// The program of a target, which goes on with what earlier runs found.
fn program(target: &Target) -> Result<Command> {
    let program = folder().join(TRIPLE).join("release").join(&target.name);
    let mut command = Command::new(program);
    command.args([
        format!("-max_len={INPUT_BYTES_MAX}"),
        format!("-timeout={INPUT_SECONDS_MAX}"),
        format!("-rss_limit_mb={MEMORY_MIB_MAX}"),
    ]);
    Ok(command)
}

/// The inputs that a target starts from: its working corpus first, which grows.
fn inputs(target: &Target) -> Result<Vec<PathBuf>> {
    let working = folder().join("corpus").join(&target.name);
    fs::create_dir_all(&working)?;
    let package = paths::root().join(target.package);
    let kept = ["seeds", "corpus"].map(|kind| package.join(kind).join(&target.name));
    let kept = kept.into_iter().filter(|folder| folder.is_dir());
    Ok(std::iter::once(working).chain(kept).collect())
}

fn fuzz(target: &Target, options: &Options) -> Result<Outcome> {
    let found = folder().join("found").join(&target.name);
    fs::create_dir_all(&found)?;
    let log = folder().join(format!("{}.log", target.name));
    let mut command = program(target)?;
    command
        .args([
            format!("-runs={}", options.executions),
            format!("-artifact_prefix={}/", found.display()),
            "-print_final_stats=1".into(),
        ])
        .args(options.seconds.map(|s| format!("-max_total_time={s}")))
        .args(inputs(target)?)
        .stderr(fs::File::create(&log)?);
    let status = command
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    let said = fs::read(&log)?;
    let mut outcome = read(&String::from_utf8_lossy(&said));
    outcome.finds = sorted(&found)?;
    if !status.success() && outcome.finds.is_empty() {
        bail!("{} ended with {status}; see {}", target.name, log.display());
    }
    Ok(outcome)
}

/// Executions and edges, from what libFuzzer said.
fn read(said: &str) -> Outcome {
    let mut outcome = Outcome::default();
    for line in said.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("stat::number_of_executed_units:") => {
                outcome.executions = words.next().and_then(|n| n.parse().ok()).unwrap_or(0);
            }
            // `#123 NEW cov: 45 ft: …`
            Some(number) if number.starts_with('#') => {
                let edges = words.skip_while(|word| *word != "cov:").nth(1);
                outcome.edges = edges.and_then(|n| n.parse().ok()).unwrap_or(outcome.edges);
                let number = number[1..].parse().unwrap_or(0);
                outcome.executions = outcome.executions.max(number);
            }
            _ => {}
        }
    }
    outcome
}

/// Puts the smallest inputs that reach all that is reached into the package's corpus, as far as
/// there is room; inputs that once failed stay.
fn keep(target: &Target) -> Result<()> {
    let merged = folder().join("merged").join(&target.name);
    if merged.is_dir() {
        fs::remove_dir_all(&merged)?;
    }
    fs::create_dir_all(&merged)?;
    let mut command = program(target)?;
    let log = fs::File::create(folder().join(format!("{}.merge.log", target.name)))?;
    command
        .args(["-merge=1", "-max_len=1024"])
        .arg(&merged)
        .args(inputs(target)?)
        .stderr(log);
    shell::run(&mut command)?;
    let corpus = paths::root().join(target.package).join("corpus");
    let corpus = corpus.join(&target.name);
    fs::create_dir_all(&corpus)?;
    for file in sorted(&corpus)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("found-") {
            fs::remove_file(&file)?;
        }
    }
    let mut sized = sorted(&merged)?
        .into_iter()
        .map(|file| Ok((fs::metadata(&file)?.len(), file)))
        .collect::<Result<Vec<(u64, PathBuf)>>>()?;
    sized.sort();
    // Of too many, some of each size.
    let step = sized.len().div_ceil(CORPUS_FILES_MAX).max(1);
    let mut room = CORPUS_BYTES_MAX;
    for (size, file) in sized.into_iter().step_by(step) {
        if size > room.min(FIND_BYTES_MAX) {
            break;
        }
        room -= size;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let name: String = name.chars().take(12).collect();
        fs::copy(&file, corpus.join(format!("found-{name}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libfuzzer_says_is_read() {
        let said = "INFO: Running\n#2\tINITED cov: 40 ft: 50 corp: 1/1b\n\
            #4096\tpulse  cov: 812 ft: 2300 corp: 99/4Kb exec/s: 2000 rss: 30Mb\n";
        let outcome = read(said);
        assert_eq!((outcome.executions, outcome.edges), (4096, 812));
        let ended = format!("{said}stat::number_of_executed_units: 5000\n");
        assert_eq!(read(&ended).executions, 5000);
    }

    #[test]
    fn every_target_has_seeds_or_makes_them() {
        for target in targets(&[]).expect("the packages are there") {
            let package = paths::root().join(target.package);
            let seeds = package.join("seeds").join(&target.name);
            assert!(
                target.package == "engine/ens/fuzz" || seeds.is_dir(),
                "{} has no seeds",
                target.name
            );
        }
        assert!(targets(&["nothing".into()]).is_err());
    }
}
