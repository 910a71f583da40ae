//! Changing the user directory: locked, and the file is replaced as a whole.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use ahash::RandomState;
use zeroize::Zeroizing;

use super::entry::{self, Quota, canonical};
use super::table::Lines;
use super::{UsersError, load};
use crate::files::{self, Lock};
use crate::password::{self, Scheme};

/// The directory's mode: hashes are for the server and the administrator only.
const MODE: u32 = 0o600;
/// Problems of an import that are named; the rest is counted.
const PROBLEMS_MAX: usize = 20;

/// What an import did.
#[derive(Debug, PartialEq, Eq)]
pub struct Imported {
    /// How many users it added.
    pub added: usize,
}

/// Adds a user.
///
/// # Errors
/// If the name or password is refused, the user exists, or the file can't be read or written.
pub fn add(path: &Path, name: &str, password: &[u8], quota: Quota) -> Result<(), UsersError> {
    let name = canonical(name).map_err(|reason| UsersError::Refused(reason.into()))?;
    let stored = hashed(Scheme::Argon2id, password)?;
    change(path, |there, to| {
        if there.find(&name, |_| ())?.is_some() {
            return Ok(Err(UsersError::Refused(format!("the user {name} exists"))));
        }
        copy(path, to, |_| Keep::Line)?;
        to.write_all(entry::format(&name, &stored, quota).as_bytes())?;
        Ok(Ok(()))
    })
}

/// Removes a user from the directory; mail in the store stays.
///
/// # Errors
/// If there is no such user, or the file can't be read or written.
pub fn delete(path: &Path, name: &str) -> Result<(), UsersError> {
    edit_line(path, name, |_| Keep::Drop)
}

/// Gives a user another password.
///
/// # Errors
/// If the password is refused, there is no such user, or the file can't be read or written.
pub fn set_password(path: &Path, name: &str, password: &[u8]) -> Result<(), UsersError> {
    let stored = hashed(Scheme::Argon2id, password)?;
    edit_line(path, name, |old| {
        Keep::Other(entry::format(old.name, &stored, old.quota))
    })
}

/// Calls `tell` with each user's name and quota, in the file's order.
///
/// # Errors
/// If the file can't be read or `tell` fails.
pub fn list(
    path: &Path,
    mut tell: impl FnMut(&str, Quota) -> io::Result<()>,
) -> Result<(), UsersError> {
    let failed = |cause| UsersError::File {
        file: path.to_owned(),
        cause,
    };
    load(path)?;
    each(path, |line| {
        match line.and_then(|line| entry::split(line).ok()) {
            Some(entry) => tell(entry.name, entry.quota),
            None => Ok(()),
        }
    })
    .map_err(failed)
}

/// Adds many users: all of them, or none. A line is `name:{SCHEME}hash[:bytes[:messages]]`, or
/// `name:password` in clear, which is hashed with `scheme`; a clear password can't contain colons
/// or begin with a brace.
///
/// # Errors
/// All that is wrong, line by line (the first 20), or a file that can't be read or written.
pub fn import(path: &Path, file: &Path, scheme: Scheme) -> Result<Imported, UsersError> {
    let failed = |cause| UsersError::File {
        file: file.to_owned(),
        cause,
    };
    let source = File::open(file).map_err(failed)?;
    let mut problems = Problems {
        file,
        first: Vec::new(),
        count: 0,
    };
    let mut names: HashSet<Box<str>, RandomState> = HashSet::default();
    let mut added = 0;
    change(path, |there, to| {
        copy(path, to, |_| Keep::Line)?;
        for (at, line) in BufReader::new(&source).split(b'\n').enumerate() {
            let line = Zeroizing::new(line?);
            if entry::is_blank(&line) {
                continue;
            }
            let taken =
                imported_line(&line, scheme, problems.count == 0).and_then(|(name, text)| {
                    if there
                        .find(&name, |_| ())
                        .map_err(|cause| cause.to_string())?
                        .is_some()
                    {
                        return Err(format!("the user {name} exists"));
                    }
                    if !names.insert(name.clone()) {
                        return Err(format!("the user {name} is there twice"));
                    }
                    Ok(text)
                });
            match taken {
                Ok(text) => {
                    added += 1;
                    to.write_all(text.as_bytes())?;
                }
                Err(reason) => problems.add(at + 1, reason),
            }
        }
        Ok(problems.verdict())
    })?;
    Ok(Imported { added })
}

/// The user's name and the directory's line for a line of an import. Once the import has failed,
/// clear passwords are not hashed any more.
fn imported_line(
    line: &[u8],
    scheme: Scheme,
    hash: bool,
) -> Result<(Box<str>, Zeroizing<String>), String> {
    let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    let entry = entry::split(line.strip_suffix('\r').unwrap_or(line))?;
    let name = canonical(entry.name)?;
    let stored = if entry.stored.starts_with('{') {
        password::check_stored(entry.stored)?;
        Zeroizing::new(entry.stored.to_owned())
    } else if hash {
        Zeroizing::new(password::hash(scheme, entry.stored.as_bytes())?)
    } else {
        Zeroizing::default()
    };
    let text = Zeroizing::new(entry::format(&name, &stored, entry.quota));
    if text.len() > entry::LINE_BYTES_MAX {
        return Err("name, hash and quota make too long a line".into());
    }
    Ok((name, text))
}

/// What is wrong with an import.
struct Problems<'a> {
    file: &'a Path,
    first: Vec<String>,
    count: usize,
}

impl Problems<'_> {
    fn add(&mut self, line: usize, reason: String) {
        self.count += 1;
        if self.first.len() < PROBLEMS_MAX {
            self.first
                .push(format!("{}, line {line}: {reason}", self.file.display()));
        }
    }

    fn verdict(&self) -> Result<(), UsersError> {
        if self.count == 0 {
            return Ok(());
        }
        let mut text = self.first.join("\n");
        if self.count > self.first.len() {
            text.push_str(&format!("\nand {} more", self.count - self.first.len()));
        }
        text.push_str("\nnobody was added");
        Err(UsersError::Refused(text))
    }
}

fn hashed(scheme: Scheme, password: &[u8]) -> Result<Zeroizing<String>, UsersError> {
    password::hash(scheme, password)
        .map(Zeroizing::new)
        .map_err(UsersError::Refused)
}

/// What becomes of a line.
enum Keep {
    Line,
    Drop,
    Other(String),
}

/// Rewrites the file with one user's line changed.
fn edit_line(
    path: &Path,
    name: &str,
    decide: impl Fn(&entry::Entry<'_>) -> Keep,
) -> Result<(), UsersError> {
    let missing = || UsersError::Refused(format!("there is no user {name}"));
    let canonical = canonical(name).map_err(|_| missing())?;
    change(path, |there, to| {
        if there.find(&canonical, |_| ())?.is_none() {
            return Ok(Err(missing()));
        }
        copy(path, to, |line| match entry::split(line) {
            Ok(entry) if entry.name == &*canonical => decide(&entry),
            _ => Keep::Line,
        })?;
        Ok(Ok(()))
    })
}

/// Replaces the directory by what `write` makes of it, under the lock. If `write` gives an error
/// of its own, nothing is changed.
fn change(
    path: &Path,
    write: impl FnOnce(&super::Table, &mut dyn Write) -> io::Result<Result<(), UsersError>>,
) -> Result<(), UsersError> {
    let failed = |cause| UsersError::File {
        file: path.to_owned(),
        cause,
    };
    let _lock = Lock::wait(path).map_err(failed)?;
    let (there, _) = load(path)?;
    let mut refused = None;
    let replaced = files::replace(path, MODE, |to| {
        write(&there, to)?.map_err(|error| {
            refused = Some(error);
            io::Error::other("refused")
        })
    });
    match refused {
        Some(error) => Err(error),
        None => replaced.map_err(failed),
    }
}

/// Copies the directory's lines as `decide` says; a new directory gets its heading.
fn copy(path: &Path, to: &mut dyn Write, decide: impl Fn(&str) -> Keep) -> io::Result<()> {
    if !path.exists() {
        let heading = "# name:{SCHEME}hash[:quota in bytes[:quota in messages]]; see msguser -h\n";
        return to.write_all(heading.as_bytes());
    }
    each_raw(path, |line| {
        let keep = match std::str::from_utf8(line) {
            Ok(text) if !entry::is_blank(line) => decide(text),
            _ => Keep::Line,
        };
        match keep {
            Keep::Line => {
                to.write_all(line)?;
                to.write_all(b"\n")
            }
            Keep::Drop => Ok(()),
            Keep::Other(text) => to.write_all(text.as_bytes()),
        }
    })
}

fn each(path: &Path, mut take: impl FnMut(Option<&str>) -> io::Result<()>) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    each_raw(path, |line| match std::str::from_utf8(line) {
        Ok(text) if !entry::is_blank(line) => take(Some(text)),
        _ => take(None),
    })
}

fn each_raw(path: &Path, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let file = File::open(path)?;
    let mut lines = Lines::new(&file)?;
    while let Some((_, _, line)) = lines.next()? {
        take(line)?;
    }
    Ok(())
}
