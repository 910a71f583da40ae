//! What the kernel tells of the process, by the names that Prometheus has for it.

use super::{Metric, counter, gauge};

/// Which build it is.
pub const BUILD: Metric = gauge("ensign_build_info", &["version"], "1; which version runs");
/// When it began.
pub const START_TIME: Metric = gauge(
    "process_start_time_seconds",
    &[],
    "when the process began, in seconds since 1970",
);
/// CPU.
pub const CPU: Metric = counter(
    "process_cpu_seconds",
    &[],
    "seconds of CPU time that the process has used",
);
/// Memory.
pub const RESIDENT: Metric = gauge(
    "process_resident_memory_bytes",
    &[],
    "bytes of memory that the process has",
);
/// Descriptors.
pub const OPEN_FDS: Metric = gauge(
    "process_open_fds",
    &[],
    "open files, without connections, which are in tables of the rings",
);
/// Their limit.
pub const MAX_FDS: Metric = gauge(
    "process_max_fds",
    &[],
    "open files that there may be, and connections a ring",
);

pub(super) const ALL: &[&Metric] = &[&BUILD, &START_TIME, &CPU, &RESIDENT, &OPEN_FDS, &MAX_FDS];
