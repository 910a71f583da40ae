//! The command line of `reconstruct`.

use std::path::PathBuf;

use clap::Parser;

/// Checks the mail store, and repairs what can be repaired.
///
/// Every user, mailbox and message is read: rows have their form, bodies are there, whole and
/// undamaged, figures and quotas agree with what is there, names belong to mailboxes, UIDs and
/// mod-sequences are within their bounds, and indexes agree. A line is printed for each thing that
/// is not as it should be, with user and mailbox; lines that begin with LOST name mail that is
/// gone.
///
/// Without -n it is repaired. Messages that can't be read are dropped, their mailbox gets a new
/// UIDVALIDITY; figures are counted again; indexes are written anew; bodies that no message uses
/// are released; a mailbox without a name becomes Recovered/NUMBER of its owner. What the files
/// have lost is accepted, as by start-msg --accept-loss; copies of damaged files are kept in
/// data/damaged-DATE. What is gone can only come back from a backup.
///
/// The server must not run. Memory grows by some 100 bytes a message.
///
/// Exit codes: 0 nothing is wrong, 1 something was found or could not be read, 2 wrong usage.
#[derive(Parser)]
#[command(name = "reconstruct", version, verbatim_doc_comment)]
pub struct Cli {
    /// Only check: nothing is repaired, and a store that has lost something is not opened.
    #[arg(short = 'n', long = "no-repair")]
    pub check: bool,
    /// Base directory; by default the one this program lies in.
    #[arg(long)]
    pub base: Option<PathBuf>,
}
