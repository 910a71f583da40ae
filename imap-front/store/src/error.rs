//! What can go wrong, by whose fault.

use std::path::PathBuf;

/// A failure of the store while it serves: of the disk, or of what is on it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database below failed.
    #[error("the database failed: {0}")]
    Database(#[from] fjall::Error),
    /// The database is closed after a failure, until it can be opened again.
    #[error("the database is closed after a failure")]
    Closed,
    /// A request ran into a mistake in this program; it was undone.
    #[error("a request panicked and was undone")]
    Panicked,
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
    /// The folder can't be used.
    #[error(
        "can't open the store in {path}: {cause}; is another imapd running, \
         may this one write there?"
    )]
    Database {
        /// The folder.
        path: PathBuf,
        /// Why.
        cause: fjall::Error,
    },
    /// What is there is not of this version or damaged.
    #[error("can't read the store in {path}: {cause}")]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// Why.
        cause: Error,
    },
}
