//! A folder and what lies beneath it, reached through no link: who imports may read more than whose
//! mail it is, who may put a link there at any time. The system looks at each part of a path as it
//! opens it, so that nothing can be put in its place between a look and the opening.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, openat2};

/// Bytes of a file: of a message, or of what stands beside messages.
pub(super) const FILE_BYTES_MAX: u64 = 256 << 20;
/// How often something is opened again that was being moved meanwhile.
const TRIES: usize = 10;

/// The folder. It may have been linked to itself: its path is the administrator's.
pub struct Root {
    dir: OwnedFd,
    path: PathBuf,
}

/// Something in a folder.
pub(super) struct Found {
    /// Its path, beneath the root.
    pub path: PathBuf,
    pub name: String,
    pub is_folder: bool,
}

impl Root {
    /// Opens it.
    ///
    /// # Errors
    /// If it is not there, or can't be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let found = File::open(path)?;
        match found.metadata()?.is_dir() {
            true => Ok(Self {
                dir: found.into(),
                path: path.to_owned(),
            }),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// A path as people read it.
    pub fn shown(&self, path: &Path) -> PathBuf {
        self.path.join(path)
    }

    fn at(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let path = match path.as_os_str().is_empty() {
            true => Path::new("."),
            false => path,
        };
        let flags = flags | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        for _ in 1..TRIES {
            match openat2(&self.dir, path, flags, Mode::empty(), resolve) {
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                opened => return Ok(opened?),
            }
        }
        Ok(openat2(&self.dir, path, flags, Mode::empty(), resolve)?)
    }

    /// Whether a path is that of a folder.
    pub(super) fn is_folder(&self, path: &Path) -> bool {
        self.at(path, OFlags::PATH | OFlags::DIRECTORY).is_ok()
    }

    /// Opens a file, and nothing else that may be there.
    pub(super) fn file(&self, path: &Path) -> io::Result<File> {
        let file = File::from(self.at(path, OFlags::RDONLY | OFlags::NONBLOCK)?);
        let found: fs::Metadata = file.metadata()?;
        if !found.is_file() || found.len() > FILE_BYTES_MAX {
            let what = "it is no file, or too large";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(file)
    }

    /// Calls `each` with all that is in a folder.
    pub(super) fn list(
        &self,
        path: &Path,
        mut each: impl FnMut(Found) -> io::Result<()>,
    ) -> io::Result<()> {
        let folder = self.at(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        for entry in Dir::new(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let below = path.join(OsStr::from_bytes(name));
            let is_folder = match entry.file_type() {
                FileType::Directory => true,
                // Not all file systems say what it is.
                FileType::Unknown => self.is_folder(&below),
                _ => false,
            };
            each(Found {
                path: below,
                name: String::from_utf8_lossy(name).into_owned(),
                is_folder,
            })?;
        }
        Ok(())
    }
}
