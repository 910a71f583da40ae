//! Running other programs.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::paths;

/// How often a program that runs is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long to wait before another try of something that needs the network.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Cargo, in the checkout.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(paths::root());
    command
}

/// Somebody has pressed Ctrl-C, or asks this process to end.
static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on Ctrl-C doesn't end this process at once: the program that runs is ended, and what
/// was started is stopped on the way out. A second one ends it.
pub fn end_in_good_order() -> Result<()> {
    let flag = INTERRUPTED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, flag.clone())?;
        signal_hook::flag::register(signal, flag.clone())?;
    }
    Ok(())
}

/// Whether to end.
pub fn interrupted() -> bool {
    INTERRUPTED
        .get()
        .is_some_and(|flag| flag.load(Ordering::SeqCst))
}

/// Runs a program to its end; an error unless it succeeds, or if somebody presses Ctrl-C.
pub fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("{} ended with {status}", name(command));
    }
    Ok(())
}

/// Runs a program to its end, unless somebody presses Ctrl-C: then it is ended.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    loop {
        if let Some(status) = child.try_wait()? {
            if interrupted() {
                bail!("interrupted");
            }
            return Ok(status);
        }
        if interrupted() {
            // It may have ended by the same Ctrl-C.
            let _ = child.kill();
            child.wait()?;
            bail!("interrupted");
        }
        sleep(LOOK_EVERY);
    }
}

/// Runs a program, passes what it says on line by line, its complaints among the rest, and shows
/// each line to `look`. Tells whether it succeeded.
pub fn watch(command: &mut Command, mut look: impl FnMut(&str)) -> Result<bool> {
    let (output, input) = std::io::pipe()?;
    command.stdout(input.try_clone()?).stderr(input);
    let spawned = command.spawn();
    // The last ends for writing, but for the program's: so the output ends with it.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = spawned.with_context(|| format!("cannot run {command:?}"))?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        look(&line);
    }
    Ok(child.wait()?.success())
}

/// Runs a program and returns its standard output; an error, with what it complained, unless it
/// succeeds.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} ended with {}: {}",
            name(command),
            output.status,
            complaint.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Tries something that needs the network up to three times.
pub fn retry(what: &str, mut attempt: impl FnMut() -> Result<()>) -> Result<()> {
    for left in (0..3).rev() {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(failure) if left == 0 => {
                return Err(failure.context(format!("{what} failed three times; is it reachable?")));
            }
            Err(failure) => {
                eprintln!("{what}: {failure:#}; trying again");
                sleep(RETRY_PAUSE);
            }
        }
    }
    unreachable!("the last attempt returns")
}

/// Whether a program is to be found on PATH or where only root's PATH looks.
pub fn found(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}
