//! Changing the user directory: locked, and the file is replaced as a whole.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use ahash::RandomState;
use zeroize::Zeroizing;

use super::entry::{self, Quota, canonical};
use super::table::Table;
use super::{UsersError, load};
use crate::lines::{self, Editor, LineEdit, LinesError};
use crate::password::{self, Scheme};

/// The directory's mode: hashes are for the server and the administrator only.
const MODE: u32 = 0o600;
/// The first line of a new directory.
const HEADING: &str = "# name:{SCHEME}hash[:quota in bytes[:quota in messages]]; see msguser -h\n";
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
    let (editor, there) = open(path)?;
    if there.find(&name, |_| ()).map_err(failed(path))?.is_some() {
        return Err(UsersError::Refused(format!("the user {name} exists")));
    }
    append(&editor, |to| {
        to.write_all(entry::format(&name, &stored, quota).as_bytes())
            .map_err(failed(path))
    })
}

/// Removes a user from the directory; mail in the store stays.
///
/// # Errors
/// If there is no such user, or the file can't be read or written.
pub fn delete(path: &Path, name: &str) -> Result<(), UsersError> {
    edit_line(path, name, |_| LineEdit::Drop)
}

/// Gives a user another password.
///
/// # Errors
/// If the password is refused, there is no such user, or the file can't be read or written.
pub fn set_password(path: &Path, name: &str, password: &[u8]) -> Result<(), UsersError> {
    let stored = hashed(Scheme::Argon2id, password)?;
    edit_line(path, name, |old| {
        LineEdit::Replace(entry::format(old.name, &stored, old.quota))
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
    load(path)?;
    lines::each(path, |_, line| {
        let text = std::str::from_utf8(line).ok();
        let text = text.filter(|_| !lines::is_blank(line));
        match text.and_then(|text| entry::split(text).ok()) {
            Some(entry) => tell(entry.name, entry.quota).map_err(failed(path)),
            None => Ok(()),
        }
    })
}

/// Adds many users: all of them, or none. A line is `name:{SCHEME}hash[:bytes[:messages]]`, or
/// `name:password` in clear, which is hashed with `scheme`; a clear password can't contain colons
/// or begin with a brace.
///
/// # Errors
/// All that is wrong, line by line (the first 20), or a file that can't be read or written.
pub fn import(path: &Path, file: &Path, scheme: Scheme) -> Result<Imported, UsersError> {
    let source = File::open(file).map_err(failed(file))?;
    let mut problems = Problems {
        file,
        first: Vec::new(),
        count: 0,
    };
    let mut names: HashSet<Box<str>, RandomState> = HashSet::default();
    let mut added = 0;
    let (editor, there) = open(path)?;
    append(&editor, |to| {
        for (at, line) in BufReader::new(&source).split(b'\n').enumerate() {
            let line = Zeroizing::new(line.map_err(failed(file))?);
            if lines::is_blank(&line) {
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
                    to.write_all(text.as_bytes()).map_err(failed(path))?;
                }
                Err(reason) => problems.add(at + 1, reason),
            }
        }
        problems.verdict()
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

/// The directory, held against others' changes, and what is in it.
fn open(path: &Path) -> Result<(Editor<'_>, Table), UsersError> {
    let editor = Editor::wait(path, MODE)?;
    let (there, _) = load(path)?;
    Ok((editor, there))
}

/// Rewrites the file with one user's line changed.
fn edit_line(
    path: &Path,
    name: &str,
    decide: impl Fn(&entry::Entry<'_>) -> LineEdit,
) -> Result<(), UsersError> {
    let missing = || UsersError::Refused(format!("there is no user {name}"));
    let canonical = canonical(name).map_err(|_| missing())?;
    let (editor, there) = open(path)?;
    if there
        .find(&canonical, |_| ())
        .map_err(failed(path))?
        .is_none()
    {
        return Err(missing());
    }
    editor.rewrite(
        HEADING,
        |line| match entry::split(line) {
            Ok(entry) if entry.name == &*canonical => decide(&entry),
            _ => LineEdit::Keep,
        },
        |_| Ok(()),
    )
}

/// Rewrites the file with what `add` writes at its end.
fn append(
    editor: &Editor<'_>,
    add: impl FnOnce(&mut dyn Write) -> Result<(), UsersError>,
) -> Result<(), UsersError> {
    editor.rewrite(HEADING, |_| LineEdit::Keep, add)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> UsersError + Copy {
    move |cause| LinesError::file(path)(cause).into()
}
