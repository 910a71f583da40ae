//! Whole brokers, their publishers and subscribers in a simulated world: connections break, clients
//! stop reading, the broker restarts. Three oracles judge: agreement (what is heard was published,
//! matches, in its publisher's order, once; and a pool hears it once), liveness (within a time far
//! shorter than any keep-alive) and resources (nothing is left over).

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod clients;
mod run;

use std::panic::catch_unwind;

use std::ops::Range;

/// In four parts, for two cores.
#[test]
fn seeds_below_50() {
    check(0..50);
}

#[test]
fn seeds_from_50() {
    check(50..100);
}

#[test]
fn seeds_from_100() {
    check(100..150);
}

#[test]
fn seeds_from_150() {
    check(150..200);
}

/// Seeds that are run twice.
const REPEATED: u64 = 10;

/// Every seed agrees in time and leaves nothing, and repeats.
fn check(seeds: Range<u64>) {
    let (mut failed, mut lagged) = (Vec::new(), 0);
    for seed in seeds.clone() {
        let again = seed < seeds.start + REPEATED;
        match catch_unwind(|| (run::run(seed), again.then(|| run::run(seed)))) {
            Ok((first, second)) => {
                assert_eq!(second.unwrap_or(first), first, "seed {seed} must repeat");
                lagged += first.1;
            }
            Err(_) => failed.push(seed),
        }
    }
    assert!(failed.is_empty(), "seeds {failed:?} failed");
    assert!(lagged > 0, "nobody was ever too slow");
}
