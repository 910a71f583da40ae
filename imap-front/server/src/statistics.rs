//! What the shards and the store have counted, written to a file when the administrator asks.

use std::fmt::{Debug, Write as _};
use std::io;
use std::path::Path;

use engine::event::ShardId;
use engine::stats::{Counter, Reason};
use store::Stats;

use crate::control::MailHandle;

/// Writes a line `shard name value` for each counter of each shard, the file whole or not at all.
/// `LongestTurnNs`, how long a shard looked at nothing new, is since the last time. Then lines
/// `store name value`: commits and the operations in them, in all and by step of size
/// (`CommitsOf4`: of 3 or 4 operations), and how long the writer was busy, and committed.
///
/// # Errors
/// If the file can't be written.
pub fn write(path: &Path, handle: &MailHandle, store: &Stats) -> io::Result<()> {
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
    of_store(&mut text, store).expect("a string takes everything");
    admin::files::replace(path, 0o644, |file| file.write_all(text.as_bytes()))
}

fn of_store(text: &mut String, stats: &Stats) -> std::fmt::Result {
    let sizes = stats.sizes();
    let commits: u64 = sizes.iter().map(|size| size.commits).sum();
    let operations: u64 = sizes.iter().map(|size| size.operations).sum();
    writeln!(
        text,
        "store Commits {commits}\nstore Operations {operations}"
    )?;
    for size in sizes {
        let max = size.operations_max;
        writeln!(text, "store CommitsOf{max} {}", size.commits)?;
        writeln!(text, "store OperationsOf{max} {}", size.operations)?;
    }
    writeln!(text, "store BusyNs {}", stats.busy_ns())?;
    writeln!(text, "store CommitNs {}", stats.commit_ns())
}
