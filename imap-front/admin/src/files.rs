//! Files that are written whole or not at all, by one writer at a time.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Holds a file's writer lock until dropped. The lock is on a file of its own (`NAME.lock`),
/// because the file itself is replaced by each write.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock of `path`.
    ///
    /// # Errors
    /// If the lock file can't be made.
    pub fn wait(path: &Path) -> io::Result<Self> {
        let file = lock_file(path)?;
        file.lock()?;
        Ok(Self { _file: file })
    }

    /// The lock of `path`, or none if somebody has it.
    ///
    /// # Errors
    /// If the lock file can't be made.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = lock_file(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(cause)) => Err(cause),
        }
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    let lock = beside(path, ".lock");
    let file = in_place().truncate(false).mode(0o600).open(&lock)?;
    give_as_folder(&file, &lock)?;
    Ok(file)
}

/// For a file that may lie in another user's folder: a link there leads nowhere else, and a pipe
/// makes nobody wait.
pub(crate) const FOREIGN: i32 = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .bits()
    .cast_signed();

/// For writing such a file.
pub fn in_place() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).write(true).custom_flags(FOREIGN);
    options
}

/// What root makes in another user's folder is that user's; what it makes in a folder of its own
/// that a group may read, the group may read. Others' files are left alone: their owner is known.
fn give_as_folder(file: &File, path: &Path) -> io::Result<()> {
    let own = file.metadata()?;
    let Some(folder) = path.parent().and_then(|folder| fs::metadata(folder).ok()) else {
        return Ok(());
    };
    let is_fresh = own.uid() == 0 && own.len() == 0 && own.nlink() == 1;
    if !is_fresh || !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    if folder.uid() != own.uid() || folder.gid() != own.gid() {
        std::os::unix::fs::fchown(file, Some(folder.uid()), Some(folder.gid()))?;
    }
    if folder.uid() == own.uid() && folder.gid() != own.gid() {
        let mode = own.mode() & 0o7777 | folder.mode() & 0o040;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Replaces `path` with what `fill` writes: a temporary file beside it, synced, renamed, and the
/// folder synced. An existing file's mode and, where permitted, its owner are kept; a new file gets
/// `mode`, and is as its folder is.
///
/// # Errors
/// If any step fails, or `fill` does; then `path` is as it was.
pub fn replace(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = beside(path, ".new");
    let written = write_temporary(path, &temporary, mode, fill);
    let done = written.and_then(|()| fs::rename(&temporary, path));
    if done.is_err() {
        // What failed is worth telling; that the left-over could not be removed is not.
        let _ = fs::remove_file(&temporary);
        return done;
    }
    sync_folder(path)
}

fn write_temporary(
    path: &Path,
    temporary: &Path,
    mode: u32,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let file = in_place().truncate(true).mode(mode).open(temporary)?;
    give_as_folder(&file, temporary)?;
    if let Ok(present) = fs::metadata(path) {
        file.set_permissions(fs::Permissions::from_mode(present.mode() & 0o7777))?;
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (present.uid(), present.gid()) {
            // Only root may give files away; others keep the new file as theirs.
            let _ = std::os::unix::fs::fchown(&file, Some(present.uid()), Some(present.gid()));
        }
    }
    let mut writer = BufWriter::with_capacity(64 * 1024, file);
    fill(&mut writer)?;
    writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(suffix);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_write_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, 0o600, |to| to.write_all(b"first")).unwrap();
        let failed = replace(&path, 0o600, |to| {
            to.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_lock_excludes_others_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let first = Lock::wait(&path).unwrap();
        assert!(Lock::take(&path).unwrap().is_none());
        drop(first);
        assert!(Lock::take(&path).unwrap().is_some());
    }
}
