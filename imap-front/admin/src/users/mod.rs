//! The user directory `config/users`: one line a user,
//! `name:{SCHEME}hash[:bytes[:messages[:id[:verifier]]]]`.
//!
//! * Names are in lower case; lookups may use any case. `user@domain` is a name of its own.
//! * The optional numbers are the user's own quota; −1 means no limit, nothing the default.
//! * `!` before the hash locks the user: nobody can log in, mail is still taken.
//! * The id, given to each entry that is added, tells it from earlier ones of the same name. Of a
//!   user who was renamed it is `former name#id`: the mail belongs to that.
//! * The verifier is what SCRAM-SHA-256 needs, beside a hash of another scheme.
//! * Blank lines and lines that begin with `#` are comments.
//!
//! A million users cost about 16 MB: the file is indexed, not kept. The file is only ever replaced
//! as a whole, so a server that has it open goes on with what it knows until it looks again.

mod edit;
mod entry;
mod foreign;
mod import;
mod learned;
mod login;
mod table;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};

pub use edit::{NewPassword, add, delete, list, rename, set_locked, set_password, set_quota};
pub use entry::{LINE_BYTES_MAX, Limit, NAME_BYTES_MAX, Quota, User, canonical};
pub use import::{Format, Hashing, Imported, import};
pub use learned::Learned;
pub use login::{Challenge, Login, ScramUse};

pub use crate::password::Fingerprint;

use table::{IndexError, Table};

use crate::lines::LinesError;

/// Why the directory can't be used or changed: one line that says where and what.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The file, or a line of it.
    #[error(transparent)]
    Lines(#[from] LinesError),
    /// The file is gone, or nobody is in it any more though nobody was deleted.
    #[error("{}: the users are gone: it {what}; delete users with msguser", file.display())]
    Emptied {
        /// The file.
        file: PathBuf,
        /// What became of it.
        what: &'static str,
    },
    /// The change makes no sense: the user exists or doesn't, or the name or password is refused.
    #[error("{0}")]
    Refused(String),
}

/// The directory as a server sees it. Lookups read one line of the file (it is in the page cache)
/// and look whether the file was replaced, so changes count at once.
pub struct Users {
    path: PathBuf,
    table: RwLock<Arc<Table>>,
    seen: Mutex<Seen>,
    /// What a lookup found wrong with the file.
    untold: Mutex<Option<UsersError>>,
    /// How often it was read and found in order.
    version: AtomicU64,
}

/// The file as it was last read.
struct Seen {
    /// What it looked like, in order or not.
    stamp: Stamp,
    /// Why it is not in force, if it is not.
    refused: Option<String>,
}

/// The directory as it was known at some time.
pub struct Edition(Arc<Table>);

/// Tells one state of the file from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// The file's; all zero if there is none.
    fn of(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(meta) => Ok(Self {
                inode: meta.ino(),
                size: meta.size(),
                changed: (meta.mtime(), meta.mtime_nsec()),
            }),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(cause) => Err(cause),
        }
    }
}

impl Users {
    /// Opens the directory. A file that doesn't exist holds no users.
    ///
    /// # Errors
    /// The first line that is not in order, or a file that can't be read.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, UsersError> {
        let path = path.into();
        let (table, stamp) = load(&path)?;
        Ok(Self {
            path,
            table: RwLock::new(Arc::new(table)),
            seen: Mutex::new(Seen {
                stamp,
                refused: None,
            }),
            untold: Mutex::default(),
            version: AtomicU64::new(0),
        })
    }

    /// How many users there are.
    pub fn count(&self) -> usize {
        self.table().count()
    }

    /// The name of the user whose account it is, or was: see [`User::account`].
    pub fn name_of(&self, account: &str) -> Box<str> {
        self.table().name_of(account)
    }

    /// Whether each user has what SCRAM is verified by: in the entry, or else by `has_other`, which
    /// is true of at most `others`. Looks at entries only if they are so few that it can be.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn is_all_scram(
        &self,
        others: usize,
        has_other: impl Fn(&User) -> bool,
    ) -> Result<bool, UsersError> {
        let all = self.table().is_all_scram(others, has_other);
        all.map_err(|cause| self.failed(cause))
    }

    /// The user of that name, in any case; none if there is none or the name can't be one.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn find(&self, name: &str) -> Result<Option<User>, UsersError> {
        let Ok(name) = canonical(name) else {
            return Ok(None);
        };
        // A directory that is out of order at the moment is used as it was; whoever calls
        // `reload_if_changed` hears of it.
        if let Err(error) = self.read_if_changed() {
            *self.untold() = Some(error);
        }
        self.find_known(&name)
    }

    /// As [`Users::find`], in the directory as it is known, for the name as it is written there.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn find_known(&self, name: &str) -> Result<Option<User>, UsersError> {
        let found = self.table().find(name, |entry| entry.user());
        found.map_err(|cause| self.failed(cause))
    }

    /// Reads the file again if it was changed since. Tells whether it was.
    ///
    /// # Errors
    /// As [`Users::open`], once for each change; the directory as it was stays in force.
    pub fn reload_if_changed(&self) -> Result<bool, UsersError> {
        match self.untold().take() {
            Some(error) => Err(error),
            None => self.read_if_changed(),
        }
    }

    /// Why the file as it is now is not in force, however often that was told.
    pub fn refused(&self) -> Option<String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match self.read_unless_seen(&mut seen) {
            Ok(_) => seen.refused.clone(),
            Err(error) => Some(error.to_string()),
        }
    }

    fn untold(&self) -> MutexGuard<'_, Option<UsersError>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_if_changed(&self) -> Result<bool, UsersError> {
        // While one thread reads a large directory, the others go on with what is known.
        let mut seen = match self.seen.try_lock() {
            Ok(seen) => seen,
            Err(TryLockError::Poisoned(seen)) => seen.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(false),
        };
        self.read_unless_seen(&mut seen)
    }

    fn read_unless_seen(&self, seen: &mut Seen) -> Result<bool, UsersError> {
        let now = Stamp::of(&self.path).map_err(|cause| self.failed(cause))?;
        if seen.stamp == now {
            return Ok(false);
        }
        match self.put_in_force() {
            Ok(stamp) => {
                *seen = Seen {
                    stamp,
                    refused: None,
                };
                Ok(true)
            }
            Err(error) => {
                // What keeps the file from being read may be over at the next look.
                if !matches!(error, UsersError::Lines(LinesError::File { .. })) {
                    *seen = Seen {
                        stamp: now,
                        refused: Some(error.to_string()),
                    };
                }
                Err(error)
            }
        }
    }

    fn put_in_force(&self) -> Result<Stamp, UsersError> {
        let (table, stamp) = load(&self.path)?;
        // A file is replaced as a whole; only so may the last user go.
        if table.count() == 0 && self.count() > 0 {
            let what = match stamp.inode {
                0 => Some("is not there"),
                inode if inode == self.table().inode() => Some("was emptied in its place"),
                _ => None,
            };
            if let Some(what) = what {
                let file = self.path.clone();
                return Err(UsersError::Emptied { file, what });
            }
        }
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        self.version.fetch_add(1, Ordering::Release);
        Ok(stamp)
    }

    /// The directory as it is known now, to find out later what has changed.
    pub fn edition(&self) -> Edition {
        Edition(self.table())
    }

    /// The accounts of those whose entry is gone, locked, or has another password since an
    /// edition, which is then the present one.
    /// Reads both files from end to end; only if there is a new one.
    ///
    /// # Errors
    /// If a file can't be read, or one of more than 4 MiB was changed in its place and not
    /// replaced: what it held is not known any more.
    pub fn revoked_since(&self, edition: &mut Edition) -> Result<Vec<Box<str>>, UsersError> {
        let now = self.table();
        let before = std::mem::replace(&mut edition.0, now.clone());
        if Arc::ptr_eq(&before, &now) {
            return Ok(vec![]);
        }
        before.revoked_by(&now).map_err(|cause| self.failed(cause))
    }

    /// Another number whenever the directory was read again.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Some user, chosen by `name` in any case: what an unknown user's password is verified
    /// against, so that the answer takes as long as for a user who exists.
    fn decoy(&self, name: &str) -> Option<User> {
        let name = canonical(name).unwrap_or_else(|_| name.into());
        let other = self.table().some_other(&name, |entry| entry.user());
        other.ok().flatten()
    }

    fn table(&self) -> Arc<Table> {
        self.table
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn failed(&self, cause: io::Error) -> UsersError {
        LinesError::file(&self.path)(cause).into()
    }
}

/// Indexes the file; the stamp is the one from before, so a change meanwhile is seen later.
fn load(path: &Path) -> Result<(Table, Stamp), UsersError> {
    let failed = LinesError::file(path);
    let stamp = Stamp::of(path).map_err(failed)?;
    let table = match File::open(path) {
        Ok(file) => Table::index(file).map_err(|error| match error {
            IndexError::Io(cause) => failed(cause),
            IndexError::Line(bad) => LinesError::line(path, bad.line, bad.reason),
        })?,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            Table::empty(File::open("/dev/null").map_err(failed)?)
        }
        Err(cause) => return Err(failed(cause).into()),
    };
    Ok((table, stamp))
}

#[cfg(test)]
mod tests;
