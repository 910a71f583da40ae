//! The command line of `imapd`.

use std::path::PathBuf;

use clap::Parser;

/// The IMAP and LMTP server; start it with start-msg.
#[derive(Parser)]
#[command(name = "imapd", version)]
pub struct Cli {
    /// Base directory; by default the one this program lies in.
    #[arg(long)]
    pub base: Option<PathBuf>,
    /// Recover and check the store, and end.
    #[arg(long)]
    pub recover: bool,
    /// Start although the store has lost mail, or files of it are damaged: what can be read is
    /// served, the damaged files are kept in data/damaged-DATE, and every mailbox gets a new
    /// UIDVALIDITY. Without it such a store is not served.
    #[arg(long)]
    pub accept_loss: bool,
    /// Take over all connections of the server that runs, which ends then; if that fails, it goes
    /// on. This is what start-msg upgrade does.
    #[arg(long)]
    pub take_over: bool,
    /// Say which of the conditions are met under which IDLE is offered, and end.
    #[arg(long)]
    pub check: bool,
    /// Load a notification plug-in, by its place in the list, and end.
    #[arg(long, hide = true)]
    pub try_plugin: Option<usize>,
}
