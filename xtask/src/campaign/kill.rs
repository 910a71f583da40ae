//! `cargo xtask campaign kill`: everything is killed, and start-msg alone starts it again.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::base::Base;
use crate::install::Profile;
use crate::{paths, shell};

/// How long a killed process may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(10);
/// The programs of all services.
const PROGRAMS: [&str; 3] = ["watcher", "enpd", "imapd"];

/// Rounds of killing all services of a base and starting them again.
pub fn rounds(rounds: u32, profile: Profile) -> Result<()> {
    let base = Base::fresh(paths::target().join("kill"), profile)?;
    base.set("ens.embedded", "no")?;
    base.take_free_ports()?;
    for round in 1..=rounds {
        let ha: &[&str] = if round % 2 == 0 { &["ha"] } else { &[] };
        shell::capture(base.sbin("start-msg").args(ha))
            .with_context(|| format!("round {round} of {rounds}, start-msg {}", ha.join(" ")))?;
        let mut pids = Vec::new();
        for program in PROGRAMS {
            let pid = pid(&base, program)?;
            test_kill_process(pid)
                .with_context(|| format!("round {round}: start-msg succeeded without {program}"))?;
            pids.push(pid);
        }
        for pid in &pids {
            kill_process(*pid, Signal::KILL)?;
        }
        let until = Instant::now() + GONE_WITHIN;
        while pids.iter().any(|pid| is_alive(*pid)) {
            if Instant::now() > until {
                bail!("a killed process is still there");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        println!("round {round}: started after a kill of everything");
        if shell::interrupted() {
            bail!("interrupted");
        }
    }
    Ok(())
}

fn pid(base: &Base, program: &str) -> Result<Pid> {
    let file = base.folder().join(format!("run/{program}.pid"));
    let text = fs::read_to_string(&file).with_context(|| format!("no {}", file.display()))?;
    let number = text
        .lines()
        .next()
        .and_then(|line| line.trim().parse().ok());
    number
        .and_then(Pid::from_raw)
        .with_context(|| format!("{} has no number", file.display()))
}

/// A dead process whose parent has not noticed is dead too.
fn is_alive(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))
        .is_ok_and(|stat| !stat.contains(") Z "))
}
