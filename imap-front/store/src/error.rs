//! What can go wrong, by whose fault.

use std::path::PathBuf;

use crate::loss::Loss;

/// A failure of the store while it serves: of the disk, or of what is on it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database below failed.
    #[error("the database failed: {0}")]
    Database(#[from] fjall::Error),
    /// The database is closed after a failure, until it can be opened again.
    #[error("the database is closed after a failure")]
    Closed,
    /// The index of a mailbox is not in memory and has to be built before.
    #[error("the index of mailbox {0} is not in memory")]
    Cold(mail::MailboxId),
    /// What is read is older than the mailbox's index in memory.
    #[error("the mailbox has changed meanwhile")]
    Moved,
    /// It takes longer than others can wait for the thread that was asked.
    #[error("it takes longer than others can wait for")]
    Long,
    /// It has to wait until a large COPY into the mailbox, or a RENAME of the user's, is done.
    #[error("a large COPY or RENAME is under way")]
    Waits,
    /// A request ran into a mistake in this program; it was undone.
    #[error("a request panicked and was undone")]
    Panicked,
    /// The disk has lost what it had confirmed; the database stays closed.
    #[error("{0}; the store stays closed")]
    Lost(Box<Loss>),
    /// The folder can't be read.
    #[error("the database's folder can't be read: {0}")]
    Folder(#[from] std::io::Error),
    /// A row does not have the form that this version writes.
    #[error("a damaged row in {space}: {what}")]
    Damaged {
        /// The keyspace.
        space: &'static str,
        /// What is wrong.
        what: &'static str,
    },
}

/// Why the store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The options contradict each other.
    #[error("the store can't be opened with such options: {0}")]
    Options(String),
    /// Another program has it open.
    #[error(
        "the store in {} is in use: an imapd or reconstruct is running; stop it first",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder can't be used.
    #[error("can't use the store's folder {}: {cause}; may this user write there?", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Something that was durable is gone.
    #[error(
        "{0}; nothing was changed: restore a backup, or go on without what is lost: \
         start-msg --accept-loss"
    )]
    Lost(Box<Loss>),
    /// Something is gone without which the database would remove what is left.
    #[error("{0}; nothing was changed, and only a backup helps: restore one")]
    Beyond(Box<Loss>),
    /// A file that the database can't do without is damaged.
    #[error(
        "the database in {} can't be opened, a file of it is damaged ({cause}); restore a backup",
        path.display()
    )]
    Database {
        /// The folder.
        path: PathBuf,
        /// Why.
        cause: fjall::Error,
    },
    /// What is there is not of this version or damaged.
    #[error(
        "can't read the store in {}: {cause}; restore a backup",
        path.display()
    )]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// Why.
        cause: Error,
    },
}
