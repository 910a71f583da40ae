//! The study of durable deliveries next to a plain file with an fdatasync for each of as large
//! groups, on the same disk in the same run.

use std::path::Path;

use anyhow::{Result, bail};

use super::prepared::Prepared;
use super::relative;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Users, and idle sessions.
    pub(super) sessions: u32,
    /// Seconds of the burst, and of the plain file.
    pub(super) burst_s: u64,
    /// Seconds that the server may settle.
    pub(super) settle_s: u64,
}

/// The study.
pub(super) const FULL: Sizes = Sizes {
    sessions: 10_000,
    burst_s: 10,
    settle_s: 2,
};

/// Its small twin.
pub(super) const TINY: Sizes = Sizes {
    sessions: 100,
    burst_s: 1,
    settle_s: 0,
};

/// Runs the study; the load generator's report is the study's.
pub(super) fn run(sizes: &Sizes, out: &Path) -> Result<()> {
    let prepared = Prepared::fresh(sizes.sessions)?;
    let data = prepared.data();
    let words = format!(
        "--sessions {} --deliveries 0 --burst-seconds {} --lmtp-connections 16 \
         --settle-seconds {} --plain-file {}",
        sizes.sessions,
        sizes.burst_s,
        sizes.settle_s,
        relative(&data).display(),
    );
    let words: Vec<&str> = words.split(' ').collect();
    let figures = prepared.load(&words, out)?;
    if figures.get("faults") != Some(0.0) {
        bail!("the server missed, doubled or disordered news");
    }
    if figures.get("deliveries a record").is_none() {
        bail!("the store did not say how large its commits were");
    }
    Ok(())
}
