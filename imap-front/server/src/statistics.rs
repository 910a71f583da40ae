//! What the shards have counted, written to a file when the administrator asks.

use std::fmt::{Debug, Write as _};
use std::io;
use std::path::Path;

use engine::event::ShardId;
use engine::stats::{Counter, Reason};

use crate::control::MailHandle;

/// Writes a line `shard name value` for each counter of each shard, the file whole or not at all.
/// `LongestTurnNs`, how long a shard looked at nothing new, is since the last time.
///
/// # Errors
/// If the file can't be written.
pub fn write(path: &Path, handle: &MailHandle) -> io::Result<()> {
    let mut text = String::new();
    for shard in 0..handle.shards() {
        let stats = handle.stats(ShardId(shard));
        let mut line = |name: &dyn Debug, value: u64| {
            writeln!(text, "{shard} {name:?} {value}").expect("a string takes everything");
        };
        for counter in Counter::ALL {
            line(&counter, stats.counter(counter));
        }
        for reason in Reason::ALL {
            line(&reason, stats.dropped(reason));
        }
        line(&format_args!("LongestTurnNs"), stats.take_longest_turn_ns());
    }
    admin::files::replace(path, 0o644, |file| file.write_all(text.as_bytes()))
}
