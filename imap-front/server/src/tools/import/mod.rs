//! `imsimport`: mail of elsewhere, into the store: from Maildirs, from mbox files, from another
//! IMAP server. Several users at a time; what is there already is not taken again.

mod files;
mod imap;
mod putting;
mod tls;

use std::error::Error;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use admin::Base;
use admin::command::{DONE, FAILED, complain};
use admin::tools::ask::AskError;
use archive::remote::RemoteError;
use crossbeam_channel::{Receiver, Sender};
use serde_json::json;

use super::{Connection, report};
use crate::arguments::imsimport::{Arguments, From};
use putting::Done;

/// Connections to the server, at most: it serves few tools at a time.
const WORKERS_MAX: usize = 6;
/// What workers have said and nobody has printed yet, at most.
const SAID_MAX: usize = 1024;

/// Imports.
///
/// # Errors
/// If the store can't be written, or nothing can be read at all.
pub fn run(base: &Base, arguments: &Arguments, out: &mut dyn Write) -> Result<u8, Box<dyn Error>> {
    let users = match &arguments.from {
        From::Maildir(from) => files::maildirs(base, from)?,
        From::Mbox(from) => files::mboxes(base, from)?,
        From::Imap(from) => imap::users(base, from)?,
    };
    let count = arguments
        .at_once
        .clamp(1, WORKERS_MAX)
        .min(users.len().max(1));
    let mut connections = vec![Connection::open(base)?];
    while connections.len() < count {
        connections.push(connections[0].another(base)?);
    }
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (sender, said) = crossbeam_channel::bounded(SAID_MAX);
        for connection in connections {
            let (sender, users, next) = (sender.clone(), &users, &next);
            scope.spawn(move || work(connection, users, next, &sender));
        }
        drop(sender);
        tell(&said, users.len(), arguments.json, out)
    })
}

/// Why something was not imported.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error(transparent)]
    Asked(#[from] AskError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error("{0}")]
    Other(String),
}

impl ImportError {
    /// Whether there is no point in going on with the user's other mailboxes: the store, or the
    /// other server, can't be asked any more.
    fn ends_all(&self) -> bool {
        match self {
            Self::Remote(error) => error.ends_all(),
            _ => self.is_of_store(),
        }
    }

    /// Whether it is the connection to the store.
    fn is_of_store(&self) -> bool {
        matches!(self, Self::Asked(error) if !matches!(error, AskError::Refused(_)))
    }
}

/// What was imported.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    added: u64,
    present: u64,
    failed: u64,
}

/// A user, and where their mail is.
struct User {
    name: String,
    account: String,
    source: Box<dyn Source>,
}

/// Where a user's mail is.
trait Source: Send + Sync {
    /// Puts all of it into the store, and tells of each mailbox.
    fn import(
        &self,
        account: &str,
        connection: &mut Connection,
        told: &mut dyn FnMut(Done),
    ) -> Result<(), ImportError>;
}

/// What a worker has to say.
enum Said {
    Mailbox(String, Done),
    User(String, Result<(), ImportError>),
}

/// Takes one user after the other.
fn work(mut connection: Connection, users: &[User], next: &AtomicUsize, said: &Sender<Said>) {
    while let Some(user) = users.get(next.fetch_add(1, Ordering::Relaxed)) {
        let question = json!({ "ask": "put-user", "account": user.account });
        let mut told = |done| drop(said.send(Said::Mailbox(user.name.clone(), done)));
        let known = connection.ask_line(&question, &[]);
        let done = known.map_err(ImportError::from).and_then(|_| {
            user.source
                .import(&user.account, &mut connection, &mut told)
        });
        let is_over = done.as_ref().is_err_and(ImportError::is_of_store);
        if said.send(Said::User(user.name.clone(), done)).is_err() || is_over {
            return;
        }
    }
}

/// Prints what workers say. Gives the exit code.
fn tell(
    said: &Receiver<Said>,
    users: usize,
    is_json: bool,
    out: &mut dyn Write,
) -> Result<u8, Box<dyn Error>> {
    let (mut sums, mut mailboxes, mut kept) = (Sums::default(), 0, 0);
    let (mut finished, mut failed) = (0, 0_u64);
    for said in said {
        match said {
            Said::Mailbox(user, done) => {
                for what in &done.complaints {
                    complain(format_args!("imsimport: {user}, {}: {what}", done.name));
                }
                mailboxes += 1;
                kept += u64::from(done.kept);
                sums.added += done.sums.added;
                sums.present += done.sums.present;
                sums.failed += done.sums.failed;
                if is_json {
                    let line = json!({
                        "user": user,
                        "mailbox": done.name,
                        "kept": done.kept,
                        "added": done.sums.added,
                        "present": done.sums.present,
                        "failed": done.sums.failed,
                    });
                    writeln!(out, "{line}")?;
                }
            }
            Said::User(user, done) => {
                finished += 1;
                if let Err(error) = done {
                    failed += 1;
                    complain(format_args!("imsimport: {user}: {error}"));
                }
                if !is_json {
                    writeln!(
                        out,
                        "{finished} of {users}: {user}; {} so far",
                        report::count(sums.added, "message"),
                    )?;
                    out.flush()?;
                }
            }
        }
    }
    let left = users.saturating_sub(finished);
    if left > 0 {
        failed += left as u64;
        let left = report::count(left as u64, "user");
        complain(format_args!(
            "imsimport: {left} not begun, as the store is lost"
        ));
    }
    let finished = users as u64;
    if is_json {
        let line = json!({
            "users": finished - failed,
            "mailboxes": mailboxes,
            "kept": kept,
            "added": sums.added,
            "present": sums.present,
            "failed": sums.failed + failed,
        });
        writeln!(out, "{line}")?;
    } else {
        writeln!(
            out,
            "{}, {}, {kept} of them with their UIDs: {} added, {} there already, {} not imported",
            report::count(finished - failed, "user"),
            report::count(mailboxes, "mailbox"),
            report::count(sums.added, "message"),
            sums.present,
            sums.failed,
        )?;
    }
    Ok(match failed + sums.failed {
        0 => DONE,
        _ => FAILED,
    })
}
