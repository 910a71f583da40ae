//! The command line of `start-msg`.

use std::ffi::OsString;

use clap::Parser;

/// Starts the services of this base directory and waits until they serve.
#[derive(Parser)]
#[command(
    name = "start-msg",
    version,
    override_usage = "start-msg [COMPONENTS...]"
)]
pub struct Arguments {
    /// Services to start: watcher, ens, store, imap. Without any, all that are enabled. With ha
    /// as well, the watcher gives up when one dies, so that another host takes over. With upgrade
    /// instead, the program of the imap server in lib/ takes over from the one that runs, or with
    /// ens behind it that of the broker: clients stay connected.
    pub services: Vec<OsString>,
    /// Seconds a service may take until it serves.
    #[arg(long, default_value_t = 300)]
    pub timeout: u64,
    /// Start although the store has lost mail, or files of it are damaged: what can be read is
    /// served, the damaged files are kept in data/damaged-DATE, and every mailbox gets a new
    /// UIDVALIDITY. Without it such a store is not served; what is lost is said either way.
    #[arg(long)]
    pub accept_loss: bool,
    /// With upgrade: if the program in lib/ is the one that runs, have it read its configuration
    /// again instead.
    #[arg(long)]
    pub or_refresh: bool,
    /// Become this service instead, for a supervisor such as systemd.
    #[arg(long, value_name = "SERVICE", conflicts_with = "services")]
    pub exec: Option<OsString>,
}
