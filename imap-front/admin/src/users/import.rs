//! Adding many users at once. Passwords that are given in clear cost a fraction of a second each,
//! so they are hashed on all cores.

use std::collections::HashSet;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use ahash::RandomState;
use zeroize::Zeroizing;

use super::edit::{append, failed, open};
use super::entry::{self, Entry, Quota, canonical};
use super::table::Table;
use super::{UsersError, foreign};
use crate::lines;
use crate::password::scram::Verifier;
use crate::password::{self, Scheme};

/// Problems that are named; the rest is counted.
const PROBLEMS_MAX: usize = 20;
/// Lines hashed by a thread before they are written.
const LINES_AT_A_TIME: usize = 8;

/// Who wrote a file of users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Lines of the directory, or `name:password` in clear: such a password can't contain colons
    /// or begin with a brace.
    #[default]
    Own,
    /// Dovecot's passwd-file.
    Dovecot,
    /// `/etc/shadow`.
    Shadow,
}

/// How passwords in clear are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashing {
    /// The hash.
    pub scheme: Scheme,
    /// Whether entries get a verifier for SCRAM beside it.
    pub verifier: bool,
}

impl From<Scheme> for Hashing {
    /// With a verifier beside what new passwords get.
    fn from(scheme: Scheme) -> Self {
        let verifier = scheme == Scheme::Argon2id;
        Self { scheme, verifier }
    }
}

/// What an import did.
#[derive(Debug, PartialEq, Eq)]
pub struct Imported {
    /// How many users it added.
    pub added: usize,
    /// How many entries it left out: nobody can log in by them.
    pub left_out: usize,
}

/// Adds many users: all of them, or none. Passwords in clear are hashed as `hashing` says.
/// `progress` hears how many users of how many are ready.
///
/// # Errors
/// All that is wrong, line by line (the first 20), or a file that can't be read or written.
pub fn import(
    path: &Path,
    file: &Path,
    format: Format,
    hashing: impl Into<Hashing>,
    mut progress: impl FnMut(usize, usize),
) -> Result<Imported, UsersError> {
    let hashing = hashing.into();
    let text = Zeroizing::new(fs::read(file).map_err(failed(file))?);
    let (editor, there) = open(path)?;
    let mut problems = Problems::new(file);
    let (users, left_out) = checked(&text, format, &there, &mut problems);
    problems.verdict()?;
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    append(&editor, |to| {
        let mut ready = 0;
        for some in users.chunks(threads * LINES_AT_A_TIME) {
            for (line, hashed) in hashed(some, hashing, threads) {
                match hashed {
                    Ok(text) => to.write_all(text.as_bytes()).map_err(failed(path))?,
                    Err(reason) => problems.add(line, reason),
                }
            }
            ready += some.len();
            progress(ready, users.len());
        }
        problems.verdict()
    })?;
    let added = users.len();
    Ok(Imported { added, left_out })
}

/// A line of an import that is in order, as far as can be told without hashing.
struct User {
    line: usize,
    name: Box<str>,
    /// `{SCHEME}hash`, or a password in clear.
    stored: Zeroizing<String>,
    clear: bool,
    locked: bool,
    quota: Quota,
    id: String,
    first_name: Option<Box<str>>,
    verifier: Option<Zeroizing<String>>,
}

/// All lines that hold a user, and how many hold somebody who can't log in; what is wrong with
/// others goes to `problems`.
fn checked(
    text: &[u8],
    format: Format,
    there: &Table,
    problems: &mut Problems<'_>,
) -> (Vec<User>, usize) {
    let mut names: HashSet<Box<str>, RandomState> = HashSet::default();
    let (mut users, mut left_out) = (Vec::new(), 0);
    for (line, bytes) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        if lines::is_blank(bytes) {
            continue;
        }
        let user = parse(line, bytes, format).and_then(|user| {
            let Some(user) = user else { return Ok(None) };
            let name = &user.name;
            let found = there
                .find(name, |_| ())
                .map_err(|cause| cause.to_string())?;
            if found.is_some() {
                return Err(format!("the user {name} exists"));
            }
            if !names.insert(name.clone()) {
                return Err(format!("the user {name} is there twice"));
            }
            Ok(Some(user))
        });
        match user {
            Ok(Some(user)) => users.push(user),
            Ok(None) => left_out += 1,
            Err(reason) => problems.add(line, reason),
        }
    }
    (users, left_out)
}

fn parse(number: usize, line: &[u8], format: Format) -> Result<Option<User>, String> {
    let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    let line = line.strip_suffix('\r').unwrap_or(line);
    let found = match format {
        Format::Own => return own(number, line).map(Some),
        Format::Dovecot => foreign::dovecot(line)?,
        Format::Shadow => foreign::shadow(line)?,
    };
    let Some(found) = found else { return Ok(None) };
    let of = |reason: &dyn std::fmt::Display| format!("user {}: {reason}", found.name);
    if !found.clear {
        password::check_stored(&found.stored).map_err(|reason| of(&reason))?;
    }
    Ok(Some(User {
        line: number,
        name: canonical(&found.name).map_err(|reason| of(&reason))?,
        stored: found.stored,
        clear: found.clear,
        locked: found.locked,
        quota: found.quota,
        id: String::new(),
        first_name: None,
        verifier: None,
    }))
}

fn own(number: usize, line: &str) -> Result<User, String> {
    let entry = entry::split(line)?;
    let clear = !entry.stored.starts_with('{');
    let name = canonical(entry.name)?;
    if !clear {
        let checked = Entry {
            name: &name,
            ..entry
        };
        entry::parse(checked.to_line().trim_end())?;
    }
    Ok(User {
        line: number,
        name,
        stored: Zeroizing::new(entry.stored.to_owned()),
        clear,
        locked: entry.locked,
        quota: entry.quota,
        id: entry.id.to_owned(),
        first_name: entry.first_name.map(Box::from),
        verifier: entry.verifier.map(|it| Zeroizing::new(it.to_owned())),
    })
}

/// The directory's line of a user.
type Line = Result<Zeroizing<String>, String>;

/// The directory's lines for some users, with the lines they come from, in order.
fn hashed(users: &[User], hashing: Hashing, threads: usize) -> Vec<(usize, Line)> {
    let share = users.len().div_ceil(threads).max(1);
    let line = |user: &User| (user.line, directory_line(user, hashing));
    thread::scope(|scope| {
        let shares = users.chunks(share);
        let workers: Vec<_> = shares
            .map(|share| scope.spawn(move || share.iter().map(line).collect::<Vec<_>>()))
            .collect();
        let done = workers.into_iter().map(|worker| worker.join());
        done.flat_map(|lines| lines.expect("hashing doesn't panic"))
            .collect()
    })
}

fn directory_line(user: &User, hashing: Hashing) -> Line {
    let mut verifier = user.verifier.clone();
    let stored = if user.clear {
        let password = user.stored.as_bytes();
        let stored = Zeroizing::new(password::hash(hashing.scheme, password)?);
        // One that came along is of another password.
        verifier = hashing
            .verifier
            .then(|| Verifier::new(password).to_text_beside(&stored));
        stored
    } else {
        user.stored.clone()
    };
    let new_id;
    let id = if user.id.is_empty() {
        new_id = entry::new_id();
        &new_id
    } else {
        &user.id
    };
    let entry = Entry {
        name: &user.name,
        stored: &stored,
        locked: user.locked,
        quota: user.quota,
        id,
        first_name: user.first_name.as_deref(),
        verifier: verifier.as_ref().map(|it| it.as_str()),
    };
    let text = entry.to_line();
    if text.len() > entry::LINE_BYTES_MAX {
        return Err("name, hash and quota make too long a line".into());
    }
    Ok(text)
}

/// What is wrong with an import.
struct Problems<'a> {
    file: &'a Path,
    first: Vec<String>,
    count: usize,
}

impl<'a> Problems<'a> {
    fn new(file: &'a Path) -> Self {
        Self {
            file,
            first: Vec::new(),
            count: 0,
        }
    }

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
