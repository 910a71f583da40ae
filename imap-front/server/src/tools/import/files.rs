//! From files: Maildirs and mbox.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use admin::Base;
use archive::elsewhere::is_keyword;
use archive::elsewhere::maildir::{self, Folder, Layout, Root};
use archive::elsewhere::mbox::Messages;
use mail::Uid;

use super::putting::{Done, Putting, Theirs};
use super::{Connection, ImportError, Source, User};
use crate::arguments::imsimport::{FromMaildir, FromMbox, LayoutName};
use crate::tools::known_account;

/// The Maildirs that are meant: of one user, or of all whose have one.
pub(super) fn maildirs(base: &Base, from: &FromMaildir) -> Result<Vec<User>, Box<dyn Error>> {
    let of = |name: &str| -> Result<(PathBuf, User), Box<dyn Error>> {
        let path = expanded(&from.path, name);
        let source = Maildir {
            path: path.clone(),
            layout: from.layout,
        };
        let user = User {
            name: name.to_owned(),
            account: known_account(base, name)?,
            source: Box::new(source),
        };
        Ok((path, user))
    };
    if let Some(name) = &from.user {
        return Ok(vec![of(name)?.1]);
    }
    if !from.path.contains('%') {
        return Err("whose it is is missing: --user NAME, or %u, %n and %d in the path".into());
    }
    let mut names = vec![];
    admin::users::list(&base.users(), |name, _, _| {
        names.push(name.to_owned());
        Ok(())
    })?;
    let mut users = vec![];
    for name in names {
        let (path, user) = of(&name)?;
        if path.is_dir() {
            users.push(user);
        }
    }
    match users.is_empty() {
        true => Err(format!("no user has a Maildir at {}", from.path).into()),
        false => Ok(users),
    }
}

/// A path with a user's name in it: `%u` whole, `%n` before the `@`, `%d` behind it.
fn expanded(path: &str, user: &str) -> PathBuf {
    let (local, domain) = user.split_once('@').unwrap_or((user, ""));
    let path = path.replace("%u", user).replace("%n", local);
    PathBuf::from(path.replace("%d", domain))
}

struct Maildir {
    path: PathBuf,
    layout: LayoutName,
}

impl Source for Maildir {
    fn import(
        &self,
        account: &str,
        connection: &mut Connection,
        told: &mut dyn FnMut(Done),
    ) -> Result<(), ImportError> {
        let at =
            |error: std::io::Error| ImportError::Other(format!("{}: {error}", self.path.display()));
        let root = Root::open(&self.path).map_err(at)?;
        let layout = match self.layout {
            LayoutName::Auto => maildir::layout(&root).map_err(at)?,
            LayoutName::Maildirpp => Layout::PlusPlus,
            LayoutName::Fs => Layout::Fs,
        };
        let subscribed = maildir::subscriptions(&root, layout).map_err(at)?;
        let folders = maildir::folders(&root, layout).map_err(at)?;
        if folders.is_empty() {
            let what = format!("{} is no Maildir: it has no cur", self.path.display());
            return Err(ImportError::Other(what));
        }
        for folder in folders {
            let is_subscribed = subscribed.contains(&folder.name);
            let done = take(&root, (account, &folder), connection, is_subscribed);
            told(Done::or_not(&folder.name, done)?);
        }
        Ok(())
    }
}

/// Takes what is in a folder.
fn take(
    root: &Root,
    (account, folder): (&str, &Folder),
    connection: &mut Connection,
    is_subscribed: bool,
) -> Result<Done, ImportError> {
    let contents = maildir::contents(root, &folder.path)?;
    let mut next = contents.uid_next.max(Uid(1));
    let theirs = Theirs {
        name: folder.name.clone(),
        uid_validity: contents.uid_validity,
        uid_next: next,
        keywords: contents
            .keywords
            .iter()
            .filter(|it| is_keyword(it))
            .cloned()
            .collect(),
    };
    let mut putting = Putting::begin(connection, account, &theirs)?;
    let mut filled = Ok(());
    for entry in &contents.messages {
        match maildir::read(root, entry) {
            Ok(Some(mut message)) => {
                // Those that Dovecot has not seen get the next UIDs, as it would give them.
                let uid = message.uid.unwrap_or(next);
                next = next.max(Uid(uid.0.saturating_add(1)));
                message.uid = Some(uid);
                filled = putting.message(message);
            }
            Ok(None) => {}
            Err(error) => {
                putting.failed(1, format!("{}: {error}", root.shown(&entry.path).display()))
            }
        }
        if filled.is_err() {
            break;
        }
    }
    putting.finish(filled, is_subscribed, None)
}

/// The mbox files that are meant.
pub(super) fn mboxes(base: &Base, from: &FromMbox) -> Result<Vec<User>, Box<dyn Error>> {
    let source = Mboxes {
        files: from.files.clone(),
        mailbox: from.mailbox.clone(),
    };
    Ok(vec![User {
        name: from.user.clone(),
        account: known_account(base, &from.user)?,
        source: Box::new(source),
    }])
}

struct Mboxes {
    files: Vec<PathBuf>,
    /// The mailbox; named as the file if none.
    mailbox: Option<String>,
}

impl Source for Mboxes {
    fn import(
        &self,
        account: &str,
        connection: &mut Connection,
        told: &mut dyn FnMut(Done),
    ) -> Result<(), ImportError> {
        for path in &self.files {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let name = self.mailbox.clone().unwrap_or_else(|| stem.into_owned());
            let done = file(path, name.clone(), account, connection);
            told(Done::or_not(&name, done)?);
        }
        Ok(())
    }
}

/// Counts the messages of a file; gives the UIDVALIDITY that it says, and whether UIDs ascend.
fn count(path: &Path) -> Result<(u64, Option<mail::UidValidity>), ImportError> {
    let mut messages = Messages::new(BufReader::new(File::open(path)?));
    let (mut last, mut ascend) = (Uid(0), true);
    while let Some(message) = messages.next()? {
        let uid = message.uid.unwrap_or_default();
        ascend &= uid > last;
        last = uid;
    }
    let validity = messages.uid_validity().filter(|_| ascend);
    Ok((messages.separators(), validity))
}

fn file(
    path: &Path,
    name: String,
    account: &str,
    connection: &mut Connection,
) -> Result<Done, ImportError> {
    let at = |error: ImportError| ImportError::Other(format!("{}: {error}", path.display()));
    let (before, uid_validity) = count(path).map_err(at)?;
    let theirs = Theirs {
        name,
        uid_validity,
        uid_next: Uid(1),
        keywords: vec![],
    };
    let mut messages = Messages::new(BufReader::new(File::open(path)?));
    let mut putting = Putting::begin(connection, account, &theirs)?;
    let filled = fill(&mut putting, &mut messages, uid_validity.is_some());
    let mut done = putting.finish(filled, false, None)?;
    let after = done.sums.added + done.sums.present + done.sums.failed;
    if before != after || before != messages.separators() {
        done.sums.failed += 1;
        let what = format!(
            "{} had {before} messages, and {after} were taken",
            path.display()
        );
        done.complaints.push(what);
    }
    Ok(done)
}

fn fill(
    putting: &mut Putting<'_>,
    messages: &mut Messages<BufReader<File>>,
    has_uids: bool,
) -> Result<(), ImportError> {
    while let Some(mut message) = messages.next()? {
        message.uid = message.uid.filter(|_| has_uids);
        putting.message(message)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_users_in_them() {
        let path = |user| expanded("/mail/%d/%n/Maildir", user).display().to_string();
        assert_eq!(path("ann@example.org"), "/mail/example.org/ann/Maildir");
        assert_eq!(
            expanded("/home/%u/Maildir", "ann").display().to_string(),
            "/home/ann/Maildir"
        );
    }
}
