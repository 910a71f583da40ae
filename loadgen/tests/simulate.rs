//! Many seeds of the whole server, each twice; and the planted bugs, each of which must be found.

use loadgen::simulate::{Mutant, run, run_with_handovers};

const SEEDS: u64 = 200;
/// Worlds with handovers.
const HANDOVER_SEEDS: u64 = 60;
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

#[test]
fn another_process_takes_over_and_nobody_notices() {
    let mut counts = [0, 0];
    for seed in 0..HANDOVER_SEEDS {
        let outcome = run_with_handovers(seed);
        assert_eq!(outcome.faults, Vec::<String>::new(), "{outcome}");
        let again = run_with_handovers(seed);
        assert_eq!(outcome.trace, again.trace, "seed {seed}");
        for (sum, count) in counts.iter_mut().zip(outcome.handovers) {
            *sum += count;
        }
    }
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
}
