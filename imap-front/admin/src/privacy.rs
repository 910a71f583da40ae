//! What lies in a base directory is its owner's: mail, logs, passwords and sockets.
//!
//! `data/`, `log/`, `run/` and `config/` have mode 0700, the files in them 0600; where `config/` is
//! root's and the services are somebody else's, that user's group may read it (`service_user`).
//! Every program that
//! writes there begins with [`keep_private`]; at start [`check`] mends what an older version, an
//! unpacked backup or an administrator has left open. Sockets are left alone: who may connect is
//! their own matter.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use crate::Base;

/// Bits of a mode that are not its owner's.
const OTHERS: u32 = 0o077;
/// Those of them by which a group may read files and enter folders.
const GROUP_READS: u32 = 0o050;

/// Why what lies in a base directory can't be kept private.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} can be read by others (mode {mode:o}) and that can't be changed: {cause}; \
     chmod go= it, or chown it to the user that runs the server",
    path.display()
)]
pub struct PrivacyError {
    path: PathBuf,
    mode: u32,
    cause: io::Error,
}

/// Files and folders that this process makes are its owner's alone.
pub fn keep_private() {
    rustix::process::umask(Mode::from_raw_mode(OTHERS));
}

/// Takes from others what they may do with the folders of a base directory and what lies in them.
/// Gives what was open to them: the folder or file, and its mode.
///
/// # Errors
/// If a mode can't be changed.
pub fn check(base: &Base) -> Result<Vec<(PathBuf, u32)>, PrivacyError> {
    let mut mended = Vec::new();
    let config = base.msg_conf();
    let config = config.parent().unwrap_or(base.root()).to_owned();
    for folder in [base.data(), base.log(), base.run(), config] {
        check_below(&folder, &mut mended)?;
    }
    Ok(mended)
}

fn check_below(path: &Path, mended: &mut Vec<(PathBuf, u32)>) -> Result<(), PrivacyError> {
    // What is not there, or goes meanwhile, is nobody's to read.
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let kind = metadata.file_type();
    if kind.is_symlink() || kind.is_socket() {
        return Ok(());
    }
    let mode = metadata.permissions().mode() & 0o7777;
    // What is root's to write and this user's group's to read is not open to others.
    let is_shared = metadata.uid() != rustix::process::geteuid().as_raw()
        && metadata.gid() == rustix::process::getegid().as_raw();
    let others = if is_shared {
        OTHERS & !GROUP_READS
    } else {
        OTHERS
    };
    if mode & others != 0 {
        fs::set_permissions(path, Permissions::from_mode(mode & !others)).map_err(|cause| {
            PrivacyError {
                path: path.to_owned(),
                mode,
                cause,
            }
        })?;
        mended.push((path.to_owned(), mode));
    }
    if kind.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            check_below(&entry.path(), mended)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_open_to_others_is_closed_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let base = Base::new(folder.path());
        for name in ["config", "data/db", "log", "run", "lib"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let files = [base.users(), base.data().join("db/0.jnl")];
        for file in &files {
            fs::write(file, "").unwrap();
            fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap();
        }
        for name in ["config", "data", "data/db", "log", "run", "lib"] {
            let folder = folder.path().join(name);
            fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        }
        let socket = base.run().join("lmtp");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();

        let mended = check(&base).unwrap();
        assert_eq!(mended.len(), 7, "{mended:?}");
        assert!(mended.contains(&(base.users(), 0o644)));
        for name in ["config", "data", "data/db", "log", "run"] {
            assert_eq!(mode(&folder.path().join(name)), 0o700, "{name}");
        }
        for file in &files {
            assert_eq!(mode(file), 0o600);
        }
        assert_eq!(mode(&folder.path().join("lib")), 0o755, "no secrets there");
        assert_eq!(mode(&socket), 0o666, "its own matter");
        assert_eq!(check(&base).unwrap(), []);
    }
}
