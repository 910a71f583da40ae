//! Brokers and a bus that loses, doubles, delays, parts them and lets them come back. The oracle:
//! each broker hears each event once and in its publisher's order, or is told exactly how many it
//! misses; each event of a pool goes to one member.

#[path = "simulation/hosts.rs"]
mod hosts;
#[path = "simulation/pools.rs"]
mod pools;
#[path = "simulation/run.rs"]
mod run;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::mutant::{Mutant, plant};

#[test]
fn each_event_is_heard_once_in_order_or_told_as_missed() {
    let mut all = run::Seen::default();
    for seed in 0..150 {
        all += run::run(seed);
    }
    // Nothing of this is seldom.
    assert!(all.heard > 20_000, "{all:?}");
    assert!(all.missed > 1_000, "{all:?}");
    assert!(all.unknown > 10, "{all:?}");
    assert!(all.pooled_away > 1_000, "{all:?}");
    assert!(all.handed_on > 10, "{all:?}");
}

#[test]
fn each_event_of_a_pool_is_given_once_or_told_as_lost() {
    let (mut lost, mut ended) = (0, 0);
    for seed in 0..100 {
        let counts = pools::run(seed);
        (lost, ended) = (lost + counts.0, ended + counts.1);
    }
    assert!(lost > 50 && ended > 300, "{lost} lost, {ended} ended");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..5 {
        assert_eq!(run::run(seed), run::run(seed));
    }
}

#[test]
fn planted_bugs_are_found() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut escaped = vec![];
    for mutant in Mutant::ALL {
        plant(Some(mutant));
        let fails = |seed| {
            let all = || _ = (pools::run(seed), run::run(seed));
            catch_unwind(AssertUnwindSafe(all)).is_err()
        };
        if !(0..40).any(fails) {
            escaped.push(mutant);
        }
    }
    plant(None);
    std::panic::set_hook(hook);
    assert!(escaped.is_empty(), "not found: {escaped:?}");
}
