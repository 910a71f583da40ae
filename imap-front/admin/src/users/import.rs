//! Adding many users at once. Passwords that are given in clear cost a fraction of a second each,
//! so they are hashed on all cores.

use std::collections::HashSet;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use ahash::RandomState;
use zeroize::Zeroizing;

use super::UsersError;
use super::edit::{append, failed, open};
use super::entry::{self, canonical};
use super::table::Table;
use crate::lines;
use crate::password::{self, Scheme};

/// Problems that are named; the rest is counted.
const PROBLEMS_MAX: usize = 20;
/// Lines hashed by a thread before they are written.
const LINES_AT_A_TIME: usize = 8;

/// What an import did.
#[derive(Debug, PartialEq, Eq)]
pub struct Imported {
    /// How many users it added.
    pub added: usize,
}

/// Adds many users: all of them, or none. A line is `name:{SCHEME}hash[:bytes[:messages]]`, or
/// `name:password` in clear, which is hashed with `scheme`; a clear password can't contain colons
/// or begin with a brace. `progress` hears how many users of how many are ready.
///
/// # Errors
/// All that is wrong, line by line (the first 20), or a file that can't be read or written.
pub fn import(
    path: &Path,
    file: &Path,
    scheme: Scheme,
    mut progress: impl FnMut(usize, usize),
) -> Result<Imported, UsersError> {
    let text = Zeroizing::new(fs::read(file).map_err(failed(file))?);
    let (editor, there) = open(path)?;
    let mut problems = Problems::new(file);
    let users = checked(&text, &there, &mut problems);
    problems.verdict()?;
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    append(&editor, |to| {
        let mut ready = 0;
        for some in users.chunks(threads * LINES_AT_A_TIME) {
            for (line, hashed) in hashed(some, scheme, threads) {
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
    Ok(Imported { added: users.len() })
}

/// A line of an import that is in order, as far as can be told without hashing.
struct User<'a> {
    line: usize,
    name: Box<str>,
    entry: entry::Entry<'a>,
}

/// All lines that hold a user; what is wrong with others goes to `problems`.
fn checked<'a>(text: &'a [u8], there: &Table, problems: &mut Problems<'_>) -> Vec<User<'a>> {
    let mut names: HashSet<Box<str>, RandomState> = HashSet::default();
    let mut users = Vec::new();
    for (line, bytes) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        if lines::is_blank(bytes) {
            continue;
        }
        let user = parse(bytes).and_then(|(name, entry)| {
            let found = there
                .find(&name, |_| ())
                .map_err(|cause| cause.to_string())?;
            if found.is_some() {
                return Err(format!("the user {name} exists"));
            }
            if !names.insert(name.clone()) {
                return Err(format!("the user {name} is there twice"));
            }
            Ok(User { line, name, entry })
        });
        match user {
            Ok(user) => users.push(user),
            Err(reason) => problems.add(line, reason),
        }
    }
    users
}

fn parse(line: &[u8]) -> Result<(Box<str>, entry::Entry<'_>), String> {
    let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    let entry = entry::split(line.strip_suffix('\r').unwrap_or(line))?;
    if entry.stored.starts_with('{') {
        password::check_stored(entry.stored)?;
    }
    Ok((canonical(entry.name)?, entry))
}

/// The directory's line of a user.
type Line = Result<Zeroizing<String>, String>;

/// The directory's lines for some users, with the lines they come from, in order.
fn hashed(users: &[User<'_>], scheme: Scheme, threads: usize) -> Vec<(usize, Line)> {
    let share = users.len().div_ceil(threads).max(1);
    let line = |user: &User<'_>| (user.line, directory_line(user, scheme));
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

fn directory_line(user: &User<'_>, scheme: Scheme) -> Line {
    let stored = user.entry.stored;
    let stored = match stored.starts_with('{') {
        true => Zeroizing::new(stored.to_owned()),
        false => Zeroizing::new(password::hash(scheme, stored.as_bytes())?),
    };
    let id = match user.entry.id {
        "" => entry::new_id(),
        id => id.to_owned(),
    };
    let text = Zeroizing::new(entry::format(&user.name, &stored, user.entry.quota, &id));
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
