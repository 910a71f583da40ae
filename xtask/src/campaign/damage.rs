//! `cargo xtask campaign damage`: files of a store are flipped, cut and removed, each time followed
//! by a start and a full read. The tests of the store and of the server do it; here more often.

use anyhow::Result;
use clap::Args;

use crate::shell;

/// How often, for the tests that ask.
const ROUNDS: &str = "ENSIGN_DAMAGE_ROUNDS";

/// `cargo xtask campaign damage`
#[derive(Args)]
pub struct Options {
    /// Damages of the store, and as many of a whole server's
    #[arg(long, default_value_t = 300)]
    rounds: u64,
}

/// Runs the campaign; tells whether each damage was refused, or said and contained.
pub fn run(options: &Options) -> Result<bool> {
    let mut holds = true;
    for (package, test) in [("store", "damage"), ("server", "sockets")] {
        let mut command = shell::cargo(&["test", "-p", package, "--test", test]);
        command.args(["--", "damage_anywhere", "--nocapture"]);
        command.env(ROUNDS, options.rounds.to_string());
        holds &= command.status()?.success();
    }
    Ok(holds)
}
