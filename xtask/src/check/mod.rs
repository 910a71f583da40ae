//! `cargo xtask test`: everything that must hold, in stages; what is cheap comes first.

mod beside;
mod clients;
pub mod failures;
mod monitor;
pub mod proxies;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use self::beside::Beside;
use self::failures::Failures;
use crate::count::Count;
use crate::install::{self, Profile};
use crate::{campaign, crash, demo, instructions, packages, page, results, shell};

/// Rounds of the crash test.
const CRASH_ROUNDS: u32 = 50;
/// Rounds of killing everything and starting it again.
const KILL_ROUNDS: u32 = 4;
/// Stages that run beside all from this one on: of one, servers mostly wait until they have
/// settled, the other counts what does not depend on time. What is waited for their ends is their
/// own time.
const BESIDE: [&str; 2] = ["results", "instructions"];
const BESIDE_FROM: &str = "simulate";
/// Tests that run at a time, for each core: those of real servers mostly wait.
const TESTS_A_CORE: usize = 2;
/// Stages that need what others have made, and install it.
const NEEDS_PACKAGES: [&str; 4] = ["monitor", "clients", "proxies", "site"];
/// Seeds of the simulation, as `simulate` takes them.
const SEEDS: (u32, u32) = (0, 200);

/// `cargo xtask test`
#[derive(Args)]
pub struct Options {
    /// Neither install anything nor run the real clients
    #[arg(long)]
    quick: bool,
    /// Run only these stages
    #[arg(value_parser = names())]
    stages: Vec<String>,
}

impl Options {
    fn wants(&self, stage: &str) -> bool {
        let named = self.stages.iter().any(|name| name == stage);
        (named || self.stages.is_empty()) && !(self.quick && NEEDS_PACKAGES.contains(&stage))
    }
}

/// One stage: what it is called, and what it counts.
struct Stage {
    name: &'static str,
    run: fn(&mut Failures) -> Result<Count>,
}

/// How a stage went.
struct Outcome {
    name: &'static str,
    took: Duration,
    count: Count,
    /// What was said of failures.
    failures: Vec<String>,
}

/// All stages, in order.
const STAGES: [Stage; 15] = [
    Stage {
        name: "fmt",
        run: fmt,
    },
    Stage {
        name: "clippy",
        run: clippy,
    },
    Stage {
        name: "doc",
        run: doc,
    },
    Stage {
        name: "test",
        run: test,
    },
    Stage {
        name: "simulate",
        run: simulate,
    },
    Stage {
        name: "page",
        run: |_| page::run(),
    },
    Stage {
        name: "demo",
        run: show,
    },
    Stage {
        name: "crash",
        run: crashes,
    },
    Stage {
        name: "kill",
        run: kills,
    },
    Stage {
        name: "monitor",
        run: monitor::run,
    },
    Stage {
        name: "clients",
        run: clients::run,
    },
    Stage {
        name: "proxies",
        run: |failures| proxies::run(failures, None),
    },
    Stage {
        name: "site",
        run: |_| site(),
    },
    Stage {
        name: "results",
        run: twins,
    },
    Stage {
        name: "instructions",
        run: |_| instructions::compare(),
    },
];

fn names() -> Vec<&'static str> {
    STAGES.iter().map(|stage| stage.name).collect()
}

/// Runs the stages and closes with a line for each and one for all; tells whether all passed.
pub fn run(options: &Options) -> bool {
    install::run_what_is_tested();
    let mut done = Vec::new();
    if !options.quick
        && let Err(failure) = packages::debian()
    {
        // Stages that need what is missing fail, and say so.
        println!("packages are missing: {failure:#}");
    }
    let mut beside = Vec::new();
    for stage in STAGES.iter().filter(|stage| options.wants(stage.name)) {
        if shell::interrupted() {
            break;
        }
        println!("\n== {} ==", stage.name);
        let begun = Instant::now();
        if stage.name == BESIDE_FROM {
            let wanted = BESIDE.into_iter().filter(|guest| options.wants(guest));
            beside.extend(wanted.map(|guest| (guest, Beside::start(guest))));
        }
        let guest = beside.iter().position(|(guest, _)| *guest == stage.name);
        let mut failures = Failures::default();
        let count = match guest.map(|guest| beside.swap_remove(guest).1) {
            Some(guest) => guest.and_then(|guest| guest.end(&mut failures)),
            None => (stage.run)(&mut failures),
        };
        let count = count.unwrap_or_else(|failure| {
            let failure = format!("error: {} failed: {failure:#}", stage.name);
            println!("{failure}");
            failures.look(&failure);
            Count::one(false)
        });
        done.push(Outcome {
            name: stage.name,
            took: begun.elapsed(),
            count,
            failures: if count.failed == 0 {
                Vec::new()
            } else {
                failures.lines()
            },
        });
    }
    close(&done)
}

/// Prints what failed and the summary, its last line the sum; tells whether nothing failed.
fn close(done: &[Outcome]) -> bool {
    for outcome in done.iter().filter(|outcome| !outcome.failures.is_empty()) {
        println!("\n== failures of {} ==", outcome.name);
        outcome.failures.iter().for_each(|line| println!("{line}"));
    }
    println!();
    let mut sum = Count::default();
    for Outcome {
        name, took, count, ..
    } in done
    {
        println!("{name:12} {:7.1} s   {count}", took.as_secs_f64());
        sum += *count;
    }
    println!("\n{sum}");
    sum.failed == 0
}

fn fmt(_: &mut Failures) -> Result<Count> {
    shell::run(&mut shell::cargo(&["fmt", "--all", "--check"]))?;
    Ok(Count::ONE)
}

fn clippy(_: &mut Failures) -> Result<Count> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    shell::run(&mut shell::cargo(&arguments))?;
    Ok(Count::ONE)
}

fn doc(_: &mut Failures) -> Result<Count> {
    let arguments = ["doc", "--workspace", "--no-deps"];
    shell::run(shell::cargo(&arguments).env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Count::ONE)
}

fn test(failures: &mut Failures) -> Result<Count> {
    let mut count = Count::default();
    let mut command = shell::cargo(&["test", "--workspace", "--no-fail-fast"]);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    command.env("RUST_TEST_THREADS", (cores * TESTS_A_CORE).to_string());
    let good = shell::watch(&mut command, |line| {
        count += Count::of_cargo_test(line);
        failures.look(line);
    })?;
    if !good && count.failed == 0 {
        bail!("the tests did not build, or one of their processes died");
    }
    Ok(count)
}

fn simulate(_: &mut Failures) -> Result<Count> {
    let (first, end) = SEEDS;
    campaign::simulate(first, end)?;
    Ok(Count {
        passed: end - first,
        failed: 0,
    })
}

fn show(_: &mut Failures) -> Result<Count> {
    demo::show(&demo::Options {
        once: true,
        sessions: 500,
        deliveries: 100,
    })?;
    Ok(Count::ONE)
}

fn twins(_: &mut Failures) -> Result<Count> {
    results::twins()?;
    Ok(Count::ONE)
}

fn crashes(_: &mut Failures) -> Result<Count> {
    crash::rounds(&crash::Options {
        rounds: CRASH_ROUNDS,
        seed: 1,
    })?;
    Ok(Count {
        passed: CRASH_ROUNDS,
        failed: 0,
    })
}

fn kills(_: &mut Failures) -> Result<Count> {
    campaign::kill::rounds(KILL_ROUNDS, Profile::current())?;
    crash::loss::check(Profile::current())?;
    Ok(Count {
        passed: KILL_ROUNDS + 1,
        failed: 0,
    })
}

/// Hosts of a site, while cables are cut and servers die. Nothing is counted where there can be no
/// hosts.
fn site() -> Result<Count> {
    Ok(match campaign::site::brief()? {
        Some(good) => Count::one(good),
        None => {
            println!("site is skipped: this machine makes no network namespaces");
            Count::default()
        }
    })
}
