//! What the server, the load generator and the kernel take, each by itself.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use crate::measure;
use crate::processes::Server;

/// How long the server may take to write its statistics.
const STATISTICS_WITHIN: Duration = Duration::from_secs(10);

/// One moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    /// The server's user memory in bytes, if the server is known.
    pub server_bytes: Option<u64>,
    /// The same with files and shared memory.
    pub server_all_bytes: Option<u64>,
    /// The load generator's user memory in bytes.
    pub own_bytes: u64,
    /// Memory of the host that is available, in bytes.
    pub available_bytes: u64,
    /// The server's CPU time until now, in microseconds.
    pub server_cpu_us: u64,
    /// The load generator's.
    pub own_cpu_us: u64,
    /// Everybody's, with the kernel's own.
    pub all_cpu_us: u64,
}

impl Account {
    /// Now.
    ///
    /// # Errors
    /// If the server can't be looked at.
    pub fn take(server: &Server) -> io::Result<Self> {
        let own = [std::process::id()];
        let memory = server.is_known().then(|| server.memory()).transpose()?;
        Ok(Self {
            server_bytes: memory.map(|memory| memory.user),
            server_all_bytes: memory.map(|memory| memory.all),
            own_bytes: measure::memory(&own)?,
            available_bytes: available_bytes(),
            server_cpu_us: server.cpu_us()?,
            own_cpu_us: measure::cpu_us(&own)?,
            all_cpu_us: all_cpu_us(),
        })
    }

    /// Bytes by which the server has grown since.
    pub fn server_growth(&self, before: &Self) -> Option<f64> {
        Some(self.server_bytes? as f64 - before.server_bytes? as f64)
    }

    /// The same with files and shared memory.
    pub fn server_all_growth(&self, before: &Self) -> Option<f64> {
        Some(self.server_all_bytes? as f64 - before.server_all_bytes? as f64)
    }

    /// Bytes by which the kernel has grown since: what is not available any more, and is neither
    /// the server's nor ours. Other programs count as kernel.
    pub fn kernel_growth(&self, before: &Self) -> Option<f64> {
        let gone = before.available_bytes as f64 - self.available_bytes as f64;
        let own = self.own_bytes as f64 - before.own_bytes as f64;
        Some(gone - own - self.server_growth(before)?)
    }
}

/// MemAvailable of /proc/meminfo.
fn available_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Time that the host's cores were busy: all of the first line of /proc/stat but idle and iowait,
/// in ticks of 10 ms.
fn all_cpu_us() -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let fields = line.split_whitespace().skip(1).enumerate();
    let busy = fields.filter(|(place, _)| !matches!(place, 3 | 4 | 8 | 9));
    busy.filter_map(|(_, field)| field.parse::<u64>().ok())
        .sum::<u64>()
        * 10_000
}

/// Asks a server for its statistics, with SIGUSR1, and reads them.
///
/// # Errors
/// If the server does not write the file.
pub fn statistics(pid: u32, file: &Path) -> io::Result<String> {
    let changed = |file: &Path| -> Option<SystemTime> { fs::metadata(file).ok()?.modified().ok() };
    let before = changed(file);
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    kill_process(pid, Signal::USR1)?;
    let until = Instant::now() + STATISTICS_WITHIN;
    while changed(file) == before || changed(file).is_none() {
        if Instant::now() > until {
            return Err(io::Error::other("the server wrote no statistics"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::read_to_string(file)
}

/// The longest turn of a server's shards since its statistics were asked for the last time, in
/// nanoseconds.
pub fn longest_turn_ns(statistics: &str) -> u64 {
    let turns = statistics.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        (words.next()? == "LongestTurnNs").then(|| words.next()?.parse().ok())?
    });
    turns.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_is_accounted_for() {
        let before = Account::take(&Server::default()).expect("readable");
        assert!(before.available_bytes > 0 && before.own_bytes > 0 && before.all_cpu_us > 0);
        assert_eq!(before.server_growth(&before), None);
    }

    #[test]
    fn the_longest_turn_of_all_shards() {
        let text = "0 Open 7\n0 LongestTurnNs 12\n1 LongestTurnNs 40\n1 Open 99\n";
        assert_eq!(longest_turn_ns(text), 40);
    }
}
