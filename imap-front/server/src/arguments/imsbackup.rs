//! The command line of `imsbackup`.

use std::path::PathBuf;

use clap::Parser;

/// Writes a backup of the mail store into a file, as of one moment, while the server runs or not.
///
/// It holds users' mailboxes with their UIDVALIDITY, UIDs, flags, dates, mod-sequences,
/// subscriptions and access control lists. Each record and the whole file have a checksum.
/// Passwords and the configuration are not in it: copy the folder config/ as well.
///
/// With --since it holds only what came, changed and went since another backup; to restore, name
/// all of them in their order.
#[derive(Parser)]
#[command(name = "imsbackup", version, after_help = super::EXIT_CODES)]
pub struct Arguments {
    /// The file; it must not be there yet.
    pub file: PathBuf,
    /// Only this user's mail.
    #[arg(short, long, value_name = "NAME")]
    pub user: Option<String>,
    /// Only this mailbox of the user.
    #[arg(short, long, value_name = "FOLDER", requires = "user")]
    pub mailbox: Option<String>,
    /// Only what is new since the backup in this file.
    #[arg(short, long, value_name = "FILE")]
    pub since: Option<PathBuf>,
    /// Don't compress.
    #[arg(long)]
    pub no_compression: bool,
    /// A line of JSON at the end.
    #[arg(long)]
    pub json: bool,
}
