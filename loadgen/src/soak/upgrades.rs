//! Upgrades of the server while sessions churn: `start-msg upgrade`, one after the other, of which
//! some lose the new process at a moment that is drawn.

use std::fs;
use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use reactor::Rng;
use rustix::process::{Pid, Signal, kill_process};

/// The longest time until the new process is killed, while it is not known how long upgrades take.
const KILLED_WITHIN_MS: u64 = 3000;
/// Between two upgrades, at most.
const PAUSE_MS: u64 = 500;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Upgrades {
    /// The server's base directory.
    pub base: PathBuf,
    /// Upgrades that are let be.
    pub whole: usize,
    /// Upgrades whose new process is killed.
    pub killed: usize,
    /// Seed of the moments.
    pub seed: u64,
}

/// What became of them.
#[derive(Clone, Debug, Default)]
pub struct Upgraded {
    /// How long those took that succeeded and were let be, in milliseconds.
    pub whole_ms: Vec<u64>,
    /// New processes that were killed before they had taken over: the old one went on.
    pub killed: usize,
    /// Those that had taken over before they could be killed, and were let be.
    pub too_late: usize,
    /// What was wrong.
    pub faults: Vec<String>,
}

/// Upgrades under way.
pub(super) struct Running {
    thread: JoinHandle<Upgraded>,
    is_over: Arc<AtomicBool>,
}

impl Upgrades {
    /// The process that serves at the moment.
    pub fn pid(&self) -> Option<u32> {
        let text = fs::read_to_string(self.base.join("run/imapd.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    pub(super) fn start(&self) -> std::io::Result<Running> {
        let is_over = Arc::new(AtomicBool::new(false));
        let (plan, over) = (self.clone(), is_over.clone());
        let thread = Builder::new().name("upgrades".into()).spawn(move || {
            let upgraded = plan.run();
            over.store(true, Ordering::SeqCst);
            upgraded
        })?;
        Ok(Running { thread, is_over })
    }

    fn run(&self) -> Upgraded {
        let (mut rng, mut done) = (Rng::new(self.seed), Upgraded::default());
        let (mut whole, mut killed) = (self.whole, self.killed);
        while whole + killed > 0 {
            // The first tells how long they take.
            let knows = !done.whole_ms.is_empty() || whole == 0;
            let kills = knows && rng.below((whole + killed) as u64) < killed as u64;
            let within_ms = done.median_ms().unwrap_or(KILLED_WITHIN_MS).max(1);
            let outcome = match kills {
                true => self.kill_one(rng.below(within_ms), &mut done),
                false => self.let_one_be(&mut done),
            };
            done.faults.extend(outcome.err());
            if kills {
                killed -= 1;
            } else {
                whole -= 1;
            }
            std::thread::sleep(Duration::from_millis(rng.below(PAUSE_MS)));
        }
        done
    }

    fn command(&self) -> Result<Child, String> {
        let mut command = Command::new(self.base.join("sbin/start-msg"));
        command.arg("upgrade").stdin(Stdio::null());
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        piped.spawn().map_err(|error| format!("start-msg: {error}"))
    }

    fn let_one_be(&self, done: &mut Upgraded) -> Result<(), String> {
        let before = self.pid();
        let began = Instant::now();
        let child = self.command()?;
        let output = child.wait_with_output();
        let output = output.map_err(|error| format!("start-msg: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("an upgrade failed: {}", said.trim()));
        }
        if self.pid() == before {
            return Err("an upgrade left the process id as it was".into());
        }
        done.whole_ms.push(began.elapsed().as_millis() as u64);
        Ok(())
    }

    /// Kills the new process after a time, unless it is the service by then.
    fn kill_one(&self, after_ms: u64, done: &mut Upgraded) -> Result<(), String> {
        let before = self.pid();
        let mut child = self.command()?;
        let pid = child.stdout.take().and_then(new_process);
        let pid = pid.ok_or("start-msg upgrade names no process")?;
        std::thread::sleep(Duration::from_millis(after_ms));
        // Who has taken over is written down before it is too late to kill it.
        let is_service = self.pid() == Some(pid.as_raw_nonzero().get().cast_unsigned());
        if !is_service {
            let _ = kill_process(pid, Signal::KILL);
        }
        let output = child.wait_with_output();
        let output = output.map_err(|error| format!("start-msg: {error}"))?;
        match (output.status.success(), is_service) {
            (true, _) => done.too_late += 1,
            (false, false) if self.pid() == before => done.killed += 1,
            _ => {
                let said = String::from_utf8_lossy(&output.stderr);
                return Err(format!("an upgrade that was cut off: {}", said.trim()));
            }
        }
        Ok(())
    }
}

/// The number in `Upgrading imap server .... NUMBER`; what follows is read by nobody.
fn new_process(output: impl Read + Send + 'static) -> Option<Pid> {
    let (mut reader, mut line) = (BufReader::new(output), String::new());
    std::io::BufRead::read_line(&mut reader, &mut line).ok()?;
    let drained = move || drop(std::io::copy(&mut reader, &mut std::io::sink()));
    Builder::new().name("output".into()).spawn(drained).ok()?;
    let number = line.split_whitespace().last()?.parse().ok()?;
    Pid::from_raw(number)
}

impl Running {
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    pub fn end(self) -> Upgraded {
        self.thread.join().unwrap_or_else(|_| Upgraded {
            faults: vec!["the upgrades have failed".into()],
            ..Upgraded::default()
        })
    }
}

impl Upgraded {
    /// How long those took that were let be.
    fn median_ms(&self) -> Option<u64> {
        let mut sorted = self.whole_ms.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len().saturating_sub(1) / 2).copied()
    }

    /// In words.
    pub fn note(&self) -> String {
        format!(
            "{} ms the median, {} ms the longest; {} more lost the new process, {} were too late \
             for that",
            self.median_ms().unwrap_or(0),
            self.whole_ms.iter().max().unwrap_or(&0),
            self.killed,
            self.too_late
        )
    }
}
