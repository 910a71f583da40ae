//! Standard output of commands.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::SIGPIPE;

/// What a shell calls the end by SIGPIPE.
const ENDED: i32 = 128 + SIGPIPE;

/// A command whose output nobody reads any more (`loadgen users | head`) ends without a word. Not
/// for servers, and not for who has to finish something.
pub fn end_when_nobody_reads() {
    // If it can't be had, the command ends with a message instead.
    let always = Arc::new(AtomicBool::new(true));
    let _ = signal_hook::flag::register_conditional_shutdown(SIGPIPE, ENDED, always);
}
