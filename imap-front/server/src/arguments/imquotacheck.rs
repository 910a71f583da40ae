//! The command line of `imquotacheck`.

use std::path::PathBuf;

use clap::Parser;

/// Tells how much of their quotas users have used, and warns those who have used much.
///
/// The text of a warning is a whole message: header, empty line, body. In it %USER%, %PERCENT%,
/// %USED% and %QUOTA% stand for the user's name and figures. It is delivered each time; a user who
/// is over the quota gets none, which is told.
#[derive(Parser)]
#[command(name = "imquotacheck", version, after_help = super::EXIT_CODES)]
pub struct Arguments {
    /// Only this user.
    #[arg(short, long, value_name = "NAME")]
    pub user: Option<String>,
    /// Only users who have used so many percent of a quota, or more.
    #[arg(short, long, value_name = "PERCENT")]
    pub over: Option<u64>,
    /// Deliver this message to them.
    #[arg(short, long, value_name = "FILE", requires = "over")]
    pub warn: Option<PathBuf>,
    /// A line of JSON for each user.
    #[arg(long)]
    pub json: bool,
}
