//! Running a program to its end, within a time.
#![expect(
    clippy::disallowed_methods,
    reason = "a plug-in is tried in a child that is waited for"
)]

use std::io::{self, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often the child is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Bytes of its last words that are kept.
const SAID_BYTES_MAX: u64 = 4096;

/// How a child ended.
#[derive(Debug)]
pub enum Ended {
    /// By itself.
    Itself {
        /// What it wrote to standard error, in one line.
        said: String,
        /// Its exit code or signal.
        status: ExitStatus,
    },
    /// It was killed because its time was over.
    TooLate,
}

/// Runs a command until it ends or its time is over.
///
/// # Errors
/// If it can't be started.
pub fn run(command: &mut Command, within: Duration) -> io::Result<Ended> {
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begun.elapsed() > within {
            child.kill()?;
            child.wait()?;
            return Ok(Ended::TooLate);
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        stderr.take(SAID_BYTES_MAX).read_to_end(&mut said)?;
    }
    let said = String::from_utf8_lossy(&said);
    let words: Vec<&str> = said.split_whitespace().collect();
    Ok(Ended::Itself {
        said: words.join(" "),
        status,
    })
}
