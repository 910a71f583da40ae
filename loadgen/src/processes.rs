//! A server's processes: named one by one, or as trees whose members come and go.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use crate::measure;

/// How far a server goes before its load: as `nice`, for the groups by which Linux schedules
/// sessions.
const GROUP_NICE: &str = "-10";

/// Who the server is.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// Single processes.
    pub pids: Vec<u32>,
    /// Files that hold the number of a process, which may be another after a restart.
    pub pid_files: Vec<PathBuf>,
    /// Processes that count with all their descendants.
    pub trees: Vec<u32>,
}

/// Memory of all processes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Their own: proportional and anonymous, `Pss_Anon` in `/proc/PID/smaps_rollup`.
    pub user: u64,
    /// With their part of files and shared memory: `Pss`.
    pub all: u64,
}

impl Server {
    /// Whether any process was named.
    pub fn is_known(&self) -> bool {
        !(self.pids.is_empty() && self.pid_files.is_empty() && self.trees.is_empty())
    }

    /// The first process that was named.
    pub fn first(&self) -> Option<u32> {
        let named = self.pids.first().copied();
        named.or_else(|| pid_in(self.pid_files.first()?).ok())
    }

    /// Memory as it is now.
    ///
    /// # Errors
    /// If a process that was named is not there or may not be looked at.
    pub fn memory(&self) -> Result<Memory> {
        let user = self.sum(&measure::memory)?;
        let all = self.sum(&measure::memory_with_files)?;
        Ok(Memory { user, all })
    }

    /// CPU time until now, user and system, in microseconds, with that of children that ended.
    ///
    /// # Errors
    /// If a process that was named is not there.
    pub fn cpu_us(&self) -> Result<u64> {
        self.sum(&measure::cpu_us)
    }

    /// Anonymous memory that is resident now, in bytes; shared pages count with each process.
    ///
    /// # Errors
    /// If a process that was named is not there or may not be looked at.
    pub fn resident(&self) -> Result<u64> {
        self.sum(&measure::resident)
    }

    /// Has the server's sessions go before others in the scheduler, as far as that is permitted:
    /// where each session is a group (sched(7), autogroup), threads of a load generator give way
    /// only to each other, however nice they are. Gives how many processes were asked.
    pub fn go_first(&self) -> usize {
        let named = self.pid_files.iter().filter_map(|file| pid_in(file).ok());
        let all = self.pids.iter().chain(&self.trees).copied().chain(named);
        let below = descendants(&self.trees).unwrap_or_default();
        let first = |pid: &u32| fs::write(format!("/proc/{pid}/autogroup"), GROUP_NICE).is_ok();
        all.chain(below).filter(first).count()
    }

    fn sum(&self, value: &dyn Fn(&[u32]) -> Result<u64>) -> Result<u64> {
        let mut sum = value(&self.pids)?;
        for file in &self.pid_files {
            sum += value(&[pid_in(file)?])?;
        }
        for &root in &self.trees {
            sum += value(&[root])?;
        }
        for pid in descendants(&self.trees)? {
            match value(&[pid]) {
                Ok(more) => sum += more,
                // It ended meanwhile; what it took is its parent's account now.
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sum)
    }
}

fn pid_in(file: &Path) -> Result<u32> {
    let text = fs::read_to_string(file)?;
    // What follows the number tells it from others.
    let first = text.lines().next().unwrap_or_default();
    first
        .trim()
        .parse()
        .map_err(|_| ErrorKind::InvalidData.into())
}

fn is_gone(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// Children, children's children and so on, without the roots.
fn descendants(roots: &[u32]) -> Result<BTreeSet<u32>> {
    let mut found = BTreeSet::new();
    if roots.is_empty() {
        return Ok(found);
    }
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse::<u32>().ok());
        if let Some(pid) = pid
            && let Ok(fields) = measure::stat(pid)
            && let Some(Ok(parent)) = fields.get(1).map(|field| field.parse::<u32>())
        {
            parents.push((pid, parent));
        }
    }
    let mut fresh = roots.to_vec();
    while let Some(above) = fresh.pop() {
        for &(pid, parent) in &parents {
            if parent == above && !roots.contains(&pid) && found.insert(pid) {
                fresh.push(pid);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_tree_counts_its_children() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .spawn()
            .expect("there is cat");
        let here = std::process::id();
        assert!(
            descendants(&[here])
                .expect("readable")
                .contains(&child.id())
        );
        let of = |pids: &[u32], trees: &[u32]| Server {
            pids: pids.to_vec(),
            trees: trees.to_vec(),
            pid_files: vec![],
        };
        let tree = of(&[], &[child.id()]);
        let memory = tree.memory().expect("readable");
        assert!(tree.is_known() && memory.all >= memory.user);
        tree.cpu_us().expect("readable");
        child.kill().expect("it runs");
        child.wait().expect("it ran");
        assert!(tree.memory().is_err(), "a root must be there");
        assert!(!of(&[], &[]).is_known());
    }
}
