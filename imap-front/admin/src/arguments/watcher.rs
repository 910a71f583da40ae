//! The command line of `watcher`.

use clap::Parser;

/// Starts services of this base directory again when they die.
#[derive(Parser)]
#[command(name = "watcher", version)]
pub struct Arguments {
    /// Give up at the first death instead: another host takes over.
    #[arg(long)]
    pub ha: bool,
}
