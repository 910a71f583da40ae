//! `simulate`: the whole server in a deterministic world, from a seed.

use std::ops::Range;
use std::process::ExitCode;

use clap::Parser;
use loadgen::simulate::{Mutant, Outcome, run};

#[derive(Parser)]
#[command(
    version,
    about = "Runs the server in a simulated world and judges what its clients see"
)]
struct Cli {
    /// One seed.
    #[arg(required_unless_present = "seeds")]
    seed: Option<u64>,
    /// A range of seeds, `FROM..TO`; each runs twice and must leave the same trace.
    #[arg(long, value_parser = range)]
    seeds: Option<Range<u64>>,
    /// Plant a bug: the run should find it.
    #[arg(long, value_enum, default_value = "none")]
    mutant: Mutant,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (seeds, twice) = match (cli.seeds, cli.seed) {
        (Some(seeds), _) => (seeds, true),
        (None, seed) => {
            let seed = seed.unwrap_or_default();
            (seed..seed + 1, false)
        }
    };
    let mut failed = 0;
    for seed in seeds {
        let outcome = run(seed, cli.mutant);
        if !twice {
            println!("{outcome}");
        }
        let again = twice.then(|| run(seed, cli.mutant).trace);
        if let Some(faults) = faults(&outcome, again) {
            failed += 1;
            println!("seed {seed}: {faults}");
        }
    }
    println!("{failed} seeds failed");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What is wrong with a run, if anything is.
fn faults(outcome: &Outcome, again: Option<u64>) -> Option<String> {
    if again.is_some_and(|trace| trace != outcome.trace) {
        return Some("two runs differ".into());
    }
    let first = outcome.faults.first()?;
    Some(format!(
        "{} faults, the first: {first}",
        outcome.faults.len()
    ))
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("give FROM..TO")?;
    let number = |text: &str| text.parse().map_err(|_| format!("{text} is no number"));
    Ok(number(from)?..number(to)?)
}
