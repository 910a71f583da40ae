//! The fuzz bodies over their seeds, every truncation of these, and reproducible mutations.

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, unused_imports, reason = "each test uses a part")]
mod fuzz;

use fuzz::mutate::{Rng, mutated};
use fuzz::targets;

/// Mutations of each seed.
const ROUNDS: u64 = 2000;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/");
    let mut paths: Vec<_> = std::fs::read_dir(format!("{folder}{target}"))
        .expect("the target has seeds")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 5, "few seeds for {target}");
    paths
        .into_iter()
        .map(|path| std::fs::read(path).expect("a readable seed"))
        .collect()
}

/// Runs one target; what it panics at is printed.
fn run(name: &str, target: fn(&[u8])) {
    let seeds = seeds(name);
    let check = |input: &[u8]| {
        let outcome = std::panic::catch_unwind(|| target(input));
        assert!(outcome.is_ok(), "{name}: b\"{}\"", input.escape_ascii());
    };
    for seed in &seeds {
        (0..=seed.len()).for_each(|end| check(&seed[..end]));
    }
    for (number, seed) in seeds.iter().enumerate() {
        let mut rng = Rng(number as u64);
        for _ in 0..ROUNDS {
            let other = &seeds[rng.below(seeds.len())];
            check(&mutated(seed, other, &mut rng));
        }
    }
}

#[test]
fn imap_command() {
    run("imap_command", targets::imap_command);
}

#[test]
fn mutf7() {
    run("mutf7", targets::mutf7);
}

#[test]
fn sequence_set() {
    run("sequence_set", targets::sequence_set);
}

#[test]
fn mime() {
    run("mime", targets::mime);
}

#[test]
fn lmtp() {
    run("lmtp", targets::lmtp);
}

#[test]
fn session() {
    run("session", targets::session);
}

#[test]
fn search() {
    run("search", targets::search);
}

/// Seeds are what their folder says: valid input, so that mutations start from the interesting
/// side.
#[test]
fn command_seeds_are_valid() {
    for seed in seeds("imap_command") {
        let parsed = proto::imap::parse::parse_command(&seed);
        assert!(parsed.is_ok(), "{}: {parsed:?}", seed.escape_ascii());
    }
}
