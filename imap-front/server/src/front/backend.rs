//! What the front asks.

use std::sync::Arc;

use mail::Request;

use super::Requester;

/// Where a session's requests go: the store and authentication. Answers come back through the
/// engine's handle as replies to the same session.
pub trait Backend {
    /// Takes a request; gives it back if too many are waiting.
    fn submit(&mut self, requester: &Arc<Requester>, request: Request) -> Result<(), Request>;

    /// Whether there is room for requests that can wait.
    fn has_room(&self) -> bool {
        true
    }
}
