//! What the shards and the store have counted, written to a file when the administrator asks.

use std::fmt::{Debug, Write as _};
use std::io;
use std::path::Path;

use engine::event::ShardId;
use engine::stats::{Counter, Reason};
use store::Stats;

use crate::bounds::Bounds;
use crate::control::MailHandle;
use crate::stalls::Stalls;

/// Everybody who counts.
pub struct Counted<'a> {
    /// The shards.
    pub handle: &'a MailHandle,
    /// The store.
    pub store: &'a Stats,
    /// What was refused and dropped.
    pub bounds: &'a Bounds,
    /// What took too long.
    pub stalls: &'a Stalls,
    /// Costly passwords computed.
    pub passwords: u64,
    /// Lines of the log that found no room.
    pub lines_dropped: u64,
}

/// Writes a line `shard name value` for each counter of each shard, the file whole or not at all.
/// `LongestTurnNs`, how long a shard looked at nothing new, is since the last time. Then lines
/// `store name value`: commits and the operations in them, in all and by step of size
/// (`CommitsOf4`: of 3 or 4 operations), how often it synced, and how long the writer was busy, and
/// committed. Then lines `server name value`: how often each bound was met, how often each plane
/// was held up, passwords computed, lines of the log that were dropped.
///
/// # Errors
/// If the file can't be written.
pub fn write(path: &Path, counted: &Counted<'_>) -> io::Result<()> {
    let mut text = String::new();
    let handle = counted.handle;
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
    of_store(&mut text, counted.store).expect("a string takes everything");
    of_server(&mut text, counted).expect("a string takes everything");
    admin::files::replace(path, 0o600, |file| file.write_all(text.as_bytes()))
}

fn of_server(text: &mut String, counted: &Counted<'_>) -> std::fmt::Result {
    for (bound, met) in counted.bounds.all() {
        writeln!(text, "server {bound:?} {met}")?;
    }
    for (plane, count) in counted.stalls.counts() {
        writeln!(text, "server {plane:?}Stalls {count}")?;
    }
    writeln!(text, "server PasswordsComputed {}", counted.passwords)?;
    writeln!(text, "server LinesDropped {}", counted.lines_dropped)
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
    writeln!(text, "store Syncs {}", stats.syncs())?;
    writeln!(text, "store BusyNs {}", stats.busy_ns())?;
    writeln!(text, "store CommitNs {}", stats.commit_ns())
}
