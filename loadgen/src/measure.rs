//! Clock, memory and CPU of processes, histograms.

use std::fs;
use std::time::Duration;

use hdrhistogram::Histogram;

/// CLOCK_MONOTONIC in nanoseconds: the same in all processes of this host.
pub fn now_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Processor time that this thread has taken so far: other work on the machine does not count.
pub fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

/// Microseconds from 1 to a minute, three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are valid")
}

/// Records a time in nanoseconds; below a microsecond counts as one.
pub fn record(histogram: &mut Histogram<u64>, ns: u64) {
    histogram.saturating_record((ns / 1000).max(1));
}

/// User memory of processes: the sum of their proportional anonymous memory, in bytes.
///
/// # Errors
/// If a process is not there or may not be looked at.
pub fn memory(pids: &[u32]) -> std::io::Result<u64> {
    sum_of(pids, "Pss_Anon:")
}

/// The same with their proportional part of files and shared memory.
///
/// # Errors
/// If a process is not there or may not be looked at.
pub fn memory_with_files(pids: &[u32]) -> std::io::Result<u64> {
    sum_of(pids, "Pss:")
}

fn sum_of(pids: &[u32], what: &str) -> std::io::Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        sum += kibibytes(&text, what) * 1024;
    }
    Ok(sum)
}

/// Anonymous memory of processes that is resident: `RssAnon`, which costs little to read.
///
/// # Errors
/// If a process is not there.
pub fn resident(pids: &[u32]) -> std::io::Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
        sum += kibibytes(&text, "RssAnon:") * 1024;
    }
    Ok(sum)
}

fn kibibytes(text: &str, what: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(what));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

/// CPU time of processes and of their children that ended, user and system, in microseconds.
///
/// # Errors
/// If a process is not there.
pub fn cpu_us(pids: &[u32]) -> std::io::Result<u64> {
    let mut ticks = 0;
    for pid in pids {
        let fields = stat(*pid)?;
        for place in 11..=14 {
            ticks += fields
                .get(place)
                .and_then(|field| field.parse::<u64>().ok())
                .unwrap_or(0);
        }
    }
    // USER_HZ is 100 on every Linux architecture in use.
    Ok(ticks * 10_000)
}

/// The fields of `/proc/PID/stat` after the name: state, parent and so on.
pub(crate) fn stat(pid: u32) -> std::io::Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may contain blanks.
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    Ok(rest.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory() {
        let pid = [std::process::id()];
        let own = memory(&pid).expect("readable");
        assert!(own > 4096 && own <= memory_with_files(&pid).expect("readable"));
        cpu_us(&pid).expect("readable");
        assert!(memory(&[u32::MAX]).is_err());
    }

    #[test]
    fn times_are_recorded_in_microseconds() {
        let mut times = histogram();
        record(&mut times, 10);
        record(&mut times, 5_000_000);
        assert_eq!((times.min(), times.max()), (1, 5_003));
    }
}
