//! `run/PROGRAM.pid`: which process a service is. It stays for as long as the service is meant to
//! run. The first line is the process id; the second, `BOOT START`, is the boot (its random id) and
//! when the process started (clock ticks after boot), since a number may be another process's after
//! a crash or a power loss.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use rustix::process::Pid;

use super::Service;
use crate::Base;
use crate::files::in_place;

/// The 20th field after the name in `/proc/PID/stat` (proc(5): field 22, `starttime`).
const START_FIELD: usize = 19;
/// What the kernel adds to the name of a program whose file is gone.
const DELETED: &str = " (deleted)";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Where a service's process id is.
pub(super) fn path(base: &Base, service: &Service) -> PathBuf {
    base.run().join(format!("{}.pid", service.program))
}

/// Writes which process the service is.
///
/// # Errors
/// If the file can't be written.
pub(super) fn write(base: &Base, service: &Service, pid: u32) -> io::Result<()> {
    let identity = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .and_then(identity);
    let text = format!("{pid}\n{}\n", identity.unwrap_or_default());
    let mut file = in_place().truncate(true).open(path(base, service))?;
    file.write_all(text.as_bytes())
}

/// The service's process id, if it runs.
///
/// # Errors
/// If the file can't be read.
pub fn running(base: &Base, service: &Service) -> io::Result<Option<Pid>> {
    let text = match fs::read_to_string(path(base, service)) {
        Ok(text) => text,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(cause),
    };
    let mut lines = text.lines().map(str::trim);
    let pid = lines.next().and_then(|line| line.parse().ok());
    let written = lines.next().filter(|line| !line.is_empty());
    let is_same = |pid: &Pid| written.is_none_or(|line| identity(*pid).as_deref() == Some(line));
    Ok(pid
        .and_then(Pid::from_raw)
        .filter(|pid| is_program(base, service, *pid))
        .filter(is_same))
}

/// Whether the file in `lib/` is another one by now than the one that runs as the service.
///
/// # Errors
/// If the service's file can't be read.
pub fn is_replaced(base: &Base, service: &Service) -> io::Result<bool> {
    let Some(pid) = running(base, service)? else {
        return Ok(false);
    };
    let program = fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero()))?;
    Ok(program
        .as_os_str()
        .as_encoded_bytes()
        .ends_with(DELETED.as_bytes()))
}

/// Tells a process from all others, of this boot and of earlier ones.
fn identity(pid: Pid) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name, in parentheses, may contain blanks.
    let (_, rest) = stat.rsplit_once(')')?;
    let start = rest.split_whitespace().nth(START_FIELD)?;
    let boot = fs::read_to_string(BOOT_ID).ok()?;
    Some(format!("{} {start}", boot.trim()))
}

fn is_program(base: &Base, service: &Service, pid: Pid) -> bool {
    let Ok(program) = fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero())) else {
        return false;
    };
    let Ok(root) = base.root().canonicalize() else {
        return false;
    };
    let ours = root.join("lib").join(service.program);
    // An installation may have replaced the file of a running program.
    let mut replaced = ours.clone().into_os_string();
    replaced.push(DELETED);
    program == ours || program.as_os_str() == replaced
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::IMAP;

    #[test]
    fn a_process_of_the_same_number_and_program_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let base = Base::new(folder.path());
        for below in ["run", "lib"] {
            fs::create_dir(folder.path().join(below)).unwrap();
        }
        let copy = folder.path().join("lib/imapd");
        fs::copy("/bin/sleep", &copy).unwrap();
        let mut child = std::process::Command::new(&copy).arg("60").spawn().unwrap();
        write(&base, &IMAP, child.id()).unwrap();
        let file = path(&base, &IMAP);
        let text = fs::read_to_string(&file).unwrap();
        let found = || {
            running(&base, &IMAP)
                .unwrap()
                .map(|pid| pid.as_raw_nonzero().get())
        };
        assert_eq!(found(), Some(child.id().cast_signed()), "{text}");
        let other_start = text.trim_end().to_owned() + "1\n";
        let other_boot = text.replacen("\n", "\n0", 1);
        for other in [other_start, other_boot] {
            fs::write(&file, &other).unwrap();
            assert_eq!(found(), None, "{other}");
        }
        fs::write(&file, format!("{}\n", child.id())).unwrap();
        assert!(found().is_some(), "a file of an earlier release");
        child.kill().unwrap();
        child.wait().unwrap();
        fs::write(&file, &text).unwrap();
        assert_eq!(found(), None);
    }
}
