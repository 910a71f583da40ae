//! The command line of `imsrestore`.

use std::path::PathBuf;

use clap::Parser;

/// Restores what backups hold, while the server runs or not. Nothing is restored of a backup that
/// is not whole.
///
/// A mailbox that is not there, or never had a message, becomes what it was, with its UIDVALIDITY,
/// UIDs, mod-sequences and access control list, all at once. To one that is there messages are
/// added that it lacks, with new UIDs; which are there already is told by their bytes. Quotas
/// refuse nothing. What is refused is named, and the rest is restored.
///
/// In the store that was backed up mail may have come since: UIDNEXT and HIGHESTMODSEQ of mailboxes
/// that are made again go up by 1,048,576, so that none is given twice. Elsewhere they are as they
/// were, unless --after-loss is given.
///
/// Users themselves, with their passwords, are in config/users: restore that first.
#[derive(Parser)]
#[command(name = "imsrestore", version, after_help = super::EXIT_CODES)]
pub struct Arguments {
    /// A backup, and those that add to it, in their order.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Only check that they are whole.
    #[arg(short = 'n', long)]
    pub verify: bool,
    /// Only this user's mail.
    #[arg(short, long, value_name = "NAME")]
    pub user: Option<String>,
    /// Only this mailbox of the user.
    #[arg(short, long, value_name = "FOLDER", requires = "user")]
    pub mailbox: Option<String>,
    /// Into the mail of this user instead.
    #[arg(long, value_name = "NAME", requires = "user")]
    pub to: Option<String>,
    /// Mail came after the backup, and was lost with its store: UIDs and mod-sequences that clients
    /// may have seen are not given again.
    #[arg(long)]
    pub after_loss: bool,
    /// A line of JSON for each mailbox, and one for all.
    #[arg(long)]
    pub json: bool,
}
