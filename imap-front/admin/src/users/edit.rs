//! Changing the user directory: locked, and the file is replaced as a whole.

use std::io::{self, Write};
use std::path::Path;

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
        to.write_all(entry::format(&name, &stored, quota, &entry::new_id()).as_bytes())
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

/// Gives a user another password.
///
/// # Errors
/// If the password is refused, there is no such user, or the file can't be read or written.
pub fn set_password(path: &Path, name: &str, password: &[u8]) -> Result<(), UsersError> {
    let stored = hashed(Scheme::Argon2id, password)?;
    edit_line(path, name, |old| {
        LineEdit::Replace(entry::format(old.name, &stored, old.quota, old.id))
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
pub(super) fn append(
    editor: &Editor<'_>,
    add: impl FnOnce(&mut dyn Write) -> Result<(), UsersError>,
) -> Result<(), UsersError> {
    editor.rewrite(HEADING, |_| LineEdit::Keep, add)
}

pub(super) fn failed(path: &Path) -> impl Fn(io::Error) -> UsersError + Copy {
    move |cause| LinesError::file(path)(cause).into()
}
