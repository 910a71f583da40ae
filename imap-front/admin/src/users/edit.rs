//! Changing the user directory: locked, and the file is replaced as a whole.

use std::io::{self, Write};
use std::path::Path;

use zeroize::Zeroizing;

use super::entry::{self, Entry, Quota, canonical};
use super::table::Table;
use super::{UsersError, load};
use crate::lines::{self, Editor, LineEdit, LinesError};
use crate::password::scram::Verifier;
use crate::password::{self, Scheme};

/// The directory's mode: hashes are for the server and the administrator only.
const MODE: u32 = 0o600;
/// The first line of a new directory.
const HEADING: &str = "# name:{SCHEME}hash[:quota in bytes[:quota in messages]]; see msguser -h\n";

/// A password for a user's entry, and whether the entry gets a verifier for SCRAM too: who steals
/// the directory guesses against that at a fraction of the price of the hash.
#[derive(Clone, Copy)]
pub struct NewPassword<'a> {
    /// The password.
    pub password: &'a [u8],
    /// Whether to make a verifier.
    pub verifier: bool,
}

impl<'a, T: AsRef<[u8]> + ?Sized> From<&'a T> for NewPassword<'a> {
    /// With a verifier.
    fn from(password: &'a T) -> Self {
        Self {
            password: password.as_ref(),
            verifier: true,
        }
    }
}

impl NewPassword<'_> {
    /// The hash, and the verifier if there is to be one.
    fn hashed(self) -> Result<(Zeroizing<String>, Option<Zeroizing<String>>), UsersError> {
        let stored = hashed(Scheme::Argon2id, self.password)?;
        let verifier = self
            .verifier
            .then(|| Verifier::new(self.password).to_text_beside(&stored));
        Ok((stored, verifier))
    }
}

/// Adds a user.
///
/// # Errors
/// If the name or password is refused, the user exists, or the file can't be read or written.
pub fn add<'a>(
    path: &Path,
    name: &str,
    password: impl Into<NewPassword<'a>>,
    quota: Quota,
) -> Result<(), UsersError> {
    let name = canonical(name).map_err(|reason| UsersError::Refused(reason.into()))?;
    let (stored, verifier) = password.into().hashed()?;
    let (editor, there) = open(path)?;
    if there.find(&name, |_| ()).map_err(failed(path))?.is_some() {
        return Err(UsersError::Refused(format!("the user {name} exists")));
    }
    append(&editor, |to| {
        let entry = Entry {
            name: &name,
            stored: &stored,
            locked: false,
            quota,
            id: &entry::new_id(),
            first_name: None,
            verifier: verifier.as_ref().map(|it| it.as_str()),
        };
        to.write_all(entry.to_line().as_bytes())
            .map_err(failed(path))
    })
}

/// Removes a user from the directory. Mail in the store stays, and is nobody's: see
/// [`super::User::account`].
///
/// # Errors
/// If there is no such user, or the file can't be read or written.
pub fn delete(path: &Path, name: &str) -> Result<(), UsersError> {
    edit_line(path, name, |_| LineEdit::Drop)
}

/// Gives a user another password. A user who is locked stays so.
///
/// # Errors
/// If the password is refused, there is no such user, or the file can't be read or written.
pub fn set_password<'a>(
    path: &Path,
    name: &str,
    password: impl Into<NewPassword<'a>>,
) -> Result<(), UsersError> {
    let (stored, verifier) = password.into().hashed()?;
    change(path, name, |old| {
        let verifier = verifier.as_ref().map(|it| it.as_str());
        let stored = &stored;
        Entry {
            stored,
            verifier,
            ..*old
        }
        .to_line()
    })
}

/// Locks a user: nobody can log in by that name, and a running server ends the user's sessions.
/// Mail is still delivered. Or unlocks it.
///
/// # Errors
/// If there is no such user, it is so already, or the file can't be read or written.
pub fn set_locked(path: &Path, name: &str, locked: bool) -> Result<(), UsersError> {
    if the_user(path, name)?.locked == locked {
        let state = if locked { "locked" } else { "not locked" };
        return Err(UsersError::Refused(format!("the user {name} is {state}")));
    }
    change(path, name, |old| Entry { locked, ..*old }.to_line())
}

/// Gives a user another quota; what is not given becomes the server's default.
///
/// # Errors
/// If there is no such user, or the file can't be read or written.
pub fn set_quota(path: &Path, name: &str, quota: Quota) -> Result<(), UsersError> {
    change(path, name, |old| Entry { quota, ..*old }.to_line())
}

/// Gives a user another name. The mail, which belongs to the entry's id, stays the user's; a
/// running server ends the sessions of the old name.
///
/// # Errors
/// If there is no such user, the new name is taken or refused, the entry has no id, or the file
/// can't be read or written.
pub fn rename(path: &Path, name: &str, new: &str) -> Result<(), UsersError> {
    let refused = |reason: String| Err(UsersError::Refused(reason));
    let new = canonical(new).map_err(|reason| UsersError::Refused(reason.into()))?;
    let (editor, there) = open(path)?;
    if there.find(&new, |_| ()).map_err(failed(path))?.is_some() {
        return refused(format!("the user {new} exists"));
    }
    let Ok(name) = canonical(name) else {
        return Err(missing(name));
    };
    match there.find(&name, |entry| entry.id.is_empty()) {
        Ok(Some(false)) => {}
        Ok(Some(true)) => {
            return refused(format!(
                "the entry of {name} has no id, so the mail is tied to the name; give it one as \
                 its fifth part (small letters and digits) before it has mail"
            ));
        }
        Ok(None) => return Err(missing(&name)),
        Err(cause) => return Err(failed(path)(cause)),
    }
    rewrite(&editor, &name, |old| {
        let first = old.first_name.unwrap_or(old.name);
        LineEdit::Replace(String::clone(
            &Entry {
                name: &new,
                first_name: (*first != *new).then_some(first),
                ..old
            }
            .to_line(),
        ))
    })
}

/// The user of that name.
fn the_user(path: &Path, name: &str) -> Result<super::User, UsersError> {
    let (there, _) = load(path)?;
    let found = canonical(name).map(|name| there.find(&name, |entry| entry.user()));
    match found {
        Ok(found) => found.map_err(failed(path))?.ok_or_else(|| missing(name)),
        Err(_) => Err(missing(name)),
    }
}

/// Changes one user's entry to the line that `decide` makes of it.
fn change(
    path: &Path,
    name: &str,
    decide: impl Fn(&Entry<'_>) -> Zeroizing<String>,
) -> Result<(), UsersError> {
    edit_line(path, name, |old| {
        LineEdit::Replace(String::clone(&decide(&old)))
    })
}

fn missing(name: &str) -> UsersError {
    UsersError::Refused(format!("there is no user {name}"))
}

/// Calls `tell` with each user's name and quota, and whether it is locked, in the file's order.
///
/// # Errors
/// If the file can't be read or `tell` fails.
pub fn list(
    path: &Path,
    mut tell: impl FnMut(&str, Quota, bool) -> io::Result<()>,
) -> Result<(), UsersError> {
    load(path)?;
    lines::each(path, |_, line| {
        let text = std::str::from_utf8(line).ok();
        let text = text.filter(|_| !lines::is_blank(line));
        match text.and_then(|text| entry::split(text).ok()) {
            Some(entry) => tell(entry.name, entry.quota, entry.locked).map_err(failed(path)),
            None => Ok(()),
        }
    })
}

fn hashed(scheme: Scheme, password: &[u8]) -> Result<Zeroizing<String>, UsersError> {
    password::hash(scheme, password)
        .map(Zeroizing::new)
        .map_err(UsersError::Refused)
}

/// The directory, held against others' changes, and what is in it.
pub(super) fn open(path: &Path) -> Result<(Editor<'_>, Table), UsersError> {
    let editor = Editor::wait(path, MODE)?;
    let (there, _) = load(path)?;
    Ok((editor, there))
}

/// Rewrites the file with one user's line changed.
fn edit_line(
    path: &Path,
    name: &str,
    decide: impl Fn(Entry<'_>) -> LineEdit,
) -> Result<(), UsersError> {
    let canonical = canonical(name).map_err(|_| missing(name))?;
    let (editor, there) = open(path)?;
    let found = there.find(&canonical, |_| ()).map_err(failed(path))?;
    if found.is_none() {
        return Err(missing(name));
    }
    rewrite(&editor, &canonical, decide)
}

fn rewrite(
    editor: &Editor<'_>,
    name: &str,
    decide: impl Fn(Entry<'_>) -> LineEdit,
) -> Result<(), UsersError> {
    editor.rewrite(
        HEADING,
        |line| match entry::split(line) {
            Ok(entry) if entry.name == name => decide(entry),
            _ => LineEdit::Keep,
        },
        |_| Ok(()),
    )
}

/// Rewrites the file with what `add` writes at its end.
pub(super) fn append(
    editor: &Editor<'_>,
    add: impl FnOnce(&mut dyn Write) -> Result<(), UsersError>,
) -> Result<(), UsersError> {
    editor.rewrite(HEADING, |_| LineEdit::Keep, add)
}

pub(super) fn failed(path: &Path) -> impl Fn(io::Error) -> UsersError + Copy {
    move |cause| LinesError::file(path)(cause).into()
}
