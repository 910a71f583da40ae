//! A foreign server in a folder of its own: started, and surely ended.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::base::wait_until_listening;
use crate::shell;

/// How long a server may take to end in good order.
const ENDS_WITHIN: Duration = Duration::from_secs(15);
/// How long its other processes may take after that.
const REST_WITHIN: Duration = Duration::from_secs(2);
/// Between two looks at them.
const PAUSE: Duration = Duration::from_millis(50);

/// A folder that is gone when this is dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// An empty folder.
    pub(super) fn fresh(path: PathBuf) -> Result<Self> {
        if path.exists() {
            fs::remove_dir_all(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes a folder in it that belongs to a user.
    pub(super) fn folder_of(&self, user: &str, name: &str) -> Result<()> {
        fs::create_dir_all(self.0.join(name))?;
        self.give(user)
    }

    /// Gives everything in it to a user.
    pub(super) fn give(&self, user: &str) -> Result<()> {
        shell::run(
            Command::new("chown")
                .args(["-R", &format!("{user}:")])
                .arg(&self.0),
        )
    }

    /// Writes a file in it; `BASE` in the text becomes the folder.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        let base = self.0.to_str().context("the folder's path is no text")?;
        fs::write(&path, text.replace("BASE", base))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server that runs, with a process group of its own. Dropping it ends all its processes.
pub(super) struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts the program in a folder, and waits until it listens on all ports.
    pub(super) fn start(mut program: Command, folder: &Folder, ports: &[u16]) -> Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let said = folder.path().join("said");
        let output = File::create(&said)?;
        let child = program
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot run {program:?}"))?;
        let daemon = Self { child };
        let name = program.get_program().to_string_lossy().into_owned();
        for &port in ports {
            wait_until_listening(&name, port).with_context(|| {
                let said = fs::read_to_string(&said).unwrap_or_default();
                format!("it said: {}", said.trim())
            })?;
        }
        Ok(daemon)
    }

    /// The process whose descendants are the server.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it in good order, if it will.
    pub(super) fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else {
            bail!("{} is no process", self.child.id());
        };
        if self.child.try_wait()?.is_none() {
            kill_process(group, Signal::TERM)?;
        }
        let until = Instant::now() + ENDS_WITHIN;
        while self.child.try_wait()?.is_none() && Instant::now() < until {
            std::thread::sleep(PAUSE);
        }
        // The group is there until the last of its processes is gone.
        let until = Instant::now() + REST_WITHIN;
        while kill_process_group(group, Signal::CONT).is_ok() && Instant::now() < until {
            std::thread::sleep(PAUSE);
        }
        let _ = kill_process_group(group, Signal::KILL);
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
