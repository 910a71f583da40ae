//! What the kernel knows of this process. What it doesn't tell is left out.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use monitor::sample::Sample;
use monitor::table;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Looks.
pub(super) fn look(started: SystemTime, all: &mut Vec<Sample>) {
    let version = env!("CARGO_PKG_VERSION");
    all.push(Sample::with(&table::BUILD, [version], 1));
    let since = started.duration_since(UNIX_EPOCH).unwrap_or_default();
    all.push(Sample::new(&table::START_TIME, since.as_secs_f64()));
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu_s = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
    all.push(Sample::new(&table::CPU, cpu_s));
    if let Some(bytes) = resident_bytes() {
        all.push(Sample::new(&table::RESIDENT, bytes));
    }
    // Connections are not among them, so they are few.
    if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
        let count = descriptors.count() as u64;
        all.push(Sample::new(&table::OPEN_FDS, count));
    }
    if let Some(max) = getrlimit(Resource::Nofile).current {
        all.push(Sample::new(&table::MAX_FDS, max));
    }
}

/// The second word of `/proc/self/statm`, which counts pages.
fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
