//! What the writer's thread calls: with events, and with answers; and who the users are.

use std::sync::Arc;
use std::time::Duration;

use mail::{News, Reply};

/// Told what is to be announced of each commit, in commit order, before anyone is answered. Runs on
/// the writer's thread.
pub type Announcer = Box<dyn FnMut(Vec<News>) + Send>;

/// Told the answer to a write once it is durable. Runs on the writer's thread.
pub type Completion = Box<dyn FnOnce(Reply) + Send>;

/// Told of each operation what it was called and how long it took to apply, its commit not counted.
/// Runs on the writer's thread.
pub type Timekeeper = Arc<dyn Fn(&'static str, Duration) + Send + Sync>;

/// Who the users are. Asked by readers and by the writer's thread, so it must not take long.
pub trait Directory: Send + Sync {
    /// The account of the user who logs in with a name, in any case; none if there is no such user.
    fn account(&self, name: &str) -> Option<Box<str>>;
    /// The name by which an account's user logs in, or did.
    fn name(&self, account: &str) -> Box<str>;
}
