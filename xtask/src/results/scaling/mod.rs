//! The study of curves: how figures change with sessions, watchers, connections and cores. Each
//! point is a run of the load generator against a fresh start of the server on one prepared store.
//!
//! In reading order: [`curves`] (what is measured), [`report`] (the tables and charts of it).

mod curves;
mod report;

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use super::prepared::{Figures, Prepared};
use curves::CURVES;
pub(super) use report::pictures;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Users of the store.
    users: u32,
    /// Sessions with a mailbox each.
    each: &'static [usize],
    /// Sessions in one mailbox.
    watchers: &'static [usize],
    /// LMTP connections of a burst.
    connections: &'static [usize],
    /// Shards, a core each.
    shards: &'static [usize],
    /// Sessions of the burst, and of the runs on one and two cores.
    sessions: usize,
    /// Deliveries one after the other.
    deliveries: usize,
    /// Deliveries to a crowd, of at most a tenth of the largest.
    crowds: usize,
    /// Seconds of the burst.
    burst_s: u64,
    /// Seconds that the server may settle, and is watched while it idles.
    rest_s: u64,
}

/// The study.
pub(super) const FULL: Sizes = Sizes {
    users: 1_000_000,
    each: &[1000, 10_000, 100_000, 1_000_000],
    watchers: &[10, 100, 1000, 10_000, 100_000],
    connections: &[1, 4, 16, 64],
    shards: &[1, 2],
    sessions: 10_000,
    deliveries: 200,
    crowds: 30,
    burst_s: 10,
    rest_s: 10,
};

/// Its small twin.
pub(super) const TINY: Sizes = Sizes {
    users: 1000,
    each: &[100, 1000],
    watchers: &[100],
    connections: &[16],
    shards: &[1],
    sessions: 100,
    deliveries: 5,
    crowds: 3,
    burst_s: 1,
    rest_s: 0,
};

/// A run.
struct Point {
    x: usize,
    /// What the load generator was told, without the server's address.
    words: String,
    /// Its folder, in the study's.
    folder: String,
    figures: Figures,
}

/// Runs all points, or those with so many sessions at most; tables, charts and each run's own
/// folder go to `out`.
pub(super) fn run(sizes: &Sizes, up_to: Option<u32>, out: &Path) -> Result<()> {
    fs::create_dir_all(out)?;
    let users = up_to.map_or(sizes.users, |most| most.min(sizes.users));
    let prepared = Prepared::fresh(users)?;
    let mut measured = Vec::new();
    let mut faults = Vec::new();
    for curve in &CURVES {
        let mut points = Vec::new();
        for &x in (curve.xs)(sizes).iter().filter(|x| **x <= users as usize) {
            println!("-- {}: {x}", curve.title);
            if let Some(option) = curve.option {
                prepared.set(option, &x.to_string())?;
            }
            let words = (curve.words)(x, sizes);
            let folder = format!("{}-{x}", curve.name);
            let arguments: Vec<&str> = words.split(' ').collect();
            let figures = prepared.load(&arguments, &out.join(&folder))?;
            if figures.get("faults") != Some(0.0) {
                faults.push(folder.clone());
            }
            points.push(Point {
                x,
                words,
                folder,
                figures,
            });
        }
        measured.push((curve, points));
        // What is there is shown, even if a later run can't be finished.
        report::write(&measured, out)?;
    }
    if !faults.is_empty() {
        bail!(
            "news were missed, doubled or disordered in {}",
            faults.join(", ")
        );
    }
    Ok(())
}
