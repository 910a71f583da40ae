//! Why there is no io_uring, in words: the kernel says EPERM, ENOSYS, ENOMEM or EMFILE for causes
//! that an administrator mends in different places.

use std::fs;
use std::io;

/// What may be the cause, as the kernel shows it.
#[derive(Clone, Debug, Default)]
struct Facts {
    /// `kernel.io_uring_disabled`: 1 for all but some, 2 for all.
    disabled: Option<u8>,
    /// A seccomp filter is in force.
    filtered: bool,
    /// Soft limit of locked memory, as text.
    memlock: String,
    /// Soft limit of open files, as text.
    nofile: String,
}

impl Facts {
    fn of_this_process() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (status, limits) = (read("/proc/self/status"), read("/proc/self/limits"));
        let limit = |name: &str| {
            let line = limits.lines().find_map(|line| line.strip_prefix(name));
            let soft = line.and_then(|rest| rest.split_whitespace().next());
            soft.unwrap_or("unknown").to_owned()
        };
        let seccomp = status
            .lines()
            .find_map(|line| line.strip_prefix("Seccomp:"));
        Self {
            disabled: read("/proc/sys/kernel/io_uring_disabled")
                .trim()
                .parse()
                .ok(),
            filtered: seccomp.is_some_and(|mode| mode.trim() == "2"),
            memlock: limit("Max locked memory"),
            nofile: limit("Max open files"),
        }
    }
}

/// The error with its cause and what to do, as far as they can be told.
pub(super) fn explained(error: io::Error) -> io::Error {
    let code = error.raw_os_error().unwrap_or(0);
    match cause(code, &Facts::of_this_process()) {
        Some(cause) => io::Error::new(error.kind(), format!("{error}: {cause}")),
        None => error,
    }
}

fn cause(code: i32, facts: &Facts) -> Option<String> {
    let memlock = || {
        format!(
            "locked memory is limited to {} bytes (ulimit -l, LimitMEMLOCK=)",
            facts.memlock
        )
    };
    Some(match (code, facts.disabled) {
        (libc::EPERM, Some(2)) => {
            "kernel.io_uring_disabled is 2: nobody may use io_uring; set it to 0 with sysctl".into()
        }
        (libc::EPERM, Some(1)) => "kernel.io_uring_disabled is 1: set it to 0, or name a group of \
                                   this user's in kernel.io_uring_group"
            .into(),
        (libc::EPERM | libc::ENOSYS | libc::EACCES, _) if facts.filtered => {
            "a seccomp filter denies it: let the container or unit have io_uring_setup, \
             io_uring_enter and io_uring_register (container/seccomp.json of Ensign's sources is a \
             profile that does; podman and docker take it by --security-opt seccomp=FILE)"
                .into()
        }
        (libc::ENOSYS, _) => "this kernel has no io_uring".into(),
        (libc::ENOMEM, _) => memlock(),
        (libc::EMFILE, _) => format!(
            "open files are limited to {} (ulimit -n, LimitNOFILE=)",
            facts.nofile
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_named() {
        let facts = Facts {
            memlock: "65536".into(),
            nofile: "100".into(),
            ..Facts::default()
        };
        let disabled = |value| Facts {
            disabled: Some(value),
            ..facts.clone()
        };
        let filtered = Facts {
            filtered: true,
            disabled: Some(0),
            ..facts.clone()
        };
        for (code, facts, expected) in [
            (libc::EPERM, &disabled(2), "io_uring_disabled is 2"),
            (libc::EPERM, &disabled(1), "io_uring_group"),
            (libc::EPERM, &filtered, "seccomp"),
            (libc::ENOSYS, &filtered, "seccomp"),
            (libc::ENOSYS, &facts, "no io_uring"),
            (libc::ENOMEM, &facts, "65536 bytes (ulimit -l"),
            (libc::EMFILE, &facts, "limited to 100 (ulimit -n"),
        ] {
            let text = cause(code, facts).expect("a cause");
            assert!(text.contains(expected), "{text}");
        }
        assert_eq!(cause(libc::EINVAL, &facts), None);
    }

    #[test]
    fn this_process_has_limits() {
        let facts = Facts::of_this_process();
        assert!(facts.nofile.parse::<u64>().is_ok() || facts.nofile == "unlimited");
        let error = explained(io::Error::from_raw_os_error(libc::EMFILE));
        assert!(error.to_string().contains(&facts.nofile), "{error}");
    }
}
