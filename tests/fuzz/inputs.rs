//! Where libFuzzer is not at hand: a target over its seeds and its corpus, every truncation of the
//! seeds, and reproducible mutations of all of them.

#[path = "mutate.rs"]
pub mod mutate;

use std::path::{Path, PathBuf};

use mutate::{Rng, mutated};

/// Mutations of all inputs of a target together, and of one seed at the least.
const MUTATIONS: usize = 30_000;
const MUTATIONS_OF_A_SEED: usize = 100;
/// Mutations of one input that a campaign found, at the least.
const MUTATIONS_OF_A_FIND: usize = 10;

/// The files of a folder, by name; none if it is not there.
fn files(folder: PathBuf) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| std::fs::read(path).expect("a readable input"))
        .collect()
}

/// Valid inputs, written by hand.
pub fn seeds(folder: &str, target: &str) -> Vec<Vec<u8>> {
    let seeds = files(Path::new(folder).join("seeds").join(target));
    assert!(seeds.len() >= 3, "few seeds for {target} in {folder}");
    seeds
}

/// Runs a target of the fuzz package in the folder; what it panics at is printed.
pub fn run(folder: &str, name: &str, target: fn(&[u8])) {
    run_some(folder, name, target, MUTATIONS);
}

/// As [`run`], with fewer mutations: for targets that need files.
pub fn run_some(folder: &str, name: &str, target: fn(&[u8]), mutations: usize) {
    run_seeds(folder, name, target, &seeds(folder, name), mutations);
}

/// As [`run_some`], over seeds that the test makes.
pub fn run_seeds(folder: &str, name: &str, target: fn(&[u8]), seeds: &[Vec<u8>], mutations: usize) {
    let check = |input: &[u8]| {
        let outcome = std::panic::catch_unwind(|| target(input));
        assert!(outcome.is_ok(), "{name}: b\"{}\"", input.escape_ascii());
    };
    // What campaigns found: inputs that reach something new, and those that once failed.
    let found = files(Path::new(folder).join("corpus").join(name));
    for seed in seeds {
        (0..=seed.len()).for_each(|end| check(&seed[..end]));
    }
    found.iter().for_each(|input| check(input));
    let all: Vec<&Vec<u8>> = seeds.iter().chain(&found).collect();
    let share = mutations / all.len();
    for (number, input) in all.iter().enumerate() {
        let least = match number < seeds.len() {
            true => MUTATIONS_OF_A_SEED,
            false => MUTATIONS_OF_A_FIND,
        };
        let mut rng = Rng(number as u64);
        for _ in 0..share.max(least) {
            let other = all[rng.below(all.len())];
            check(&mutated(input, other, &mut rng));
        }
    }
}
