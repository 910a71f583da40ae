//! What the writer's thread calls: with events, and with answers.

use std::sync::Arc;
use std::time::Duration;

use mail::{Event, Reply};

/// Told each commit's events, in commit order, before anyone is answered. Runs on the writer's
/// thread.
pub type Announcer = Box<dyn FnMut(&[Arc<Event>]) + Send>;

/// Told the answer to a write once it is durable. Runs on the writer's thread.
pub type Completion = Box<dyn FnOnce(Reply) + Send>;

/// Told of each operation what it was called and how long it took to apply, its commit not counted.
/// Runs on the writer's thread.
pub type Timekeeper = Arc<dyn Fn(&'static str, Duration) + Send + Sync>;
