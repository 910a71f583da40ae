//! The command line of `imexpire`.

use std::path::PathBuf;

use clap::Parser;

/// Removes messages that are old, or large, by rules; while the server runs or not.
///
/// A rule is a line: a pattern of folders as LIST has it (* any text, % any text without a slash;
/// in quotes if it has blanks), and then what a message must be: older=DAYS, larger=BYTES (K, M,
/// G), flag=FLAG, user=NAME. All of it has to apply, and older or larger is needed. Messages with
/// \Flagged stay unless the line has flagged-too. Lines that begin with # are comments.
///
/// How old a message is counts from when it came into its mailbox; if that is not known, from its
/// internal date, which is told. Messages go by their UIDs, as if a client had removed them:
/// sessions are told, and quotas are right.
#[derive(Parser)]
#[command(name = "imexpire", version, after_help = super::EXIT_CODES)]
pub struct Arguments {
    /// The file of rules; config/expire without it.
    pub rules: Option<PathBuf>,
    /// Only this user's mail.
    #[arg(short, long, value_name = "NAME")]
    pub user: Option<String>,
    /// Only tell what would be removed.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// A line of JSON for each mailbox, and one for all.
    #[arg(long)]
    pub json: bool,
}
