//! A stage that runs beside others, in a process of its own: one that doesn't mind that others take
//! time from it, and takes little from those.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, setpriority_process};

use super::failures::Failures;
use crate::count::Count;
use crate::{paths, shell};

/// This program, although the stage `test` may have written another one to where it was.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// How often it is looked whether the process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The priority of the process and its children.
const NICE: i32 = 10;

/// A stage that runs.
pub struct Beside {
    child: Child,
    output: PathBuf,
}

impl Beside {
    /// Starts `cargo xtask test STAGE`.
    pub fn start(stage: &str) -> Result<Self> {
        let output = paths::target().join(format!("{stage}.log"));
        let file =
            File::create(&output).with_context(|| format!("cannot write {}", output.display()))?;
        let child = Command::new(THIS_PROGRAM)
            .args(["test", "--quick", stage])
            .stdin(Stdio::null())
            .stderr(file.try_clone()?)
            .stdout(file)
            .spawn()
            .with_context(|| format!("cannot start the stage {stage}"))?;
        // Those in front go first; without that they take longer.
        let _ = setpriority_process(Some(Pid::from_child(&child)), NICE);
        Ok(Self { child, output })
    }

    /// Waits for its end, prints what it said, shows that to `failures`, and tells how much passed.
    pub fn end(mut self, failures: &mut Failures) -> Result<Count> {
        while self.child.try_wait()?.is_none() {
            if shell::interrupted() {
                bail!("interrupted");
            }
            sleep(LOOK_EVERY);
        }
        let said = fs::read_to_string(&self.output)
            .with_context(|| format!("cannot read {}", self.output.display()))?;
        print!("{said}");
        said.lines().for_each(|line| failures.look(line));
        let sum = said.lines().last().and_then(Count::of_summary);
        sum.context("the stage ended without a sum")
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It has ended already, unless somebody pressed Ctrl-C.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
