//! Many seeds of the whole server, each twice; and the planted bugs, each of which must be found.

use loadgen::simulate::{Mutant, run};

const SEEDS: u64 = 200;
/// Some bugs show in few worlds.
const PLANTED_SEEDS: u64 = 1000;

#[test]
fn every_seed_agrees_and_repeats() {
    for seed in 0..SEEDS {
        let outcome = run(seed, Mutant::None);
        assert_eq!(outcome.faults, Vec::<String>::new(), "{outcome}");
        assert_eq!(outcome.trace, run(seed, Mutant::None).trace, "seed {seed}");
    }
}

#[test]
fn planted_bugs_are_found() {
    for mutant in Mutant::ALL {
        let found = (0..PLANTED_SEEDS).any(|seed| !run(seed, mutant).faults.is_empty());
        assert!(found, "{mutant:?} lives");
    }
}
