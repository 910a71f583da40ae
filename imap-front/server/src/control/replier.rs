//! The way back: answers go into the lane of the session's shard.

use std::sync::Arc;
use std::time::Duration;

use engine::Handle;
use engine::event::SessionId;
use mail::Reply;

/// How long a thread waits before it tries a full lane again. The shard is awake then and works.
const PAUSE: Duration = Duration::from_micros(50);

/// The engine as the mail server uses it.
pub type MailHandle = Handle<Arc<mail::Event>, Reply>;

/// Answers sessions.
#[derive(Clone)]
pub struct Replier {
    handle: MailHandle,
}

impl Replier {
    /// Answers through this handle.
    pub fn new(handle: MailHandle) -> Self {
        Self { handle }
    }

    /// Gives a session its answer. A full lane holds the caller back: that is the backpressure of a
    /// shard that has more answers than it can take.
    pub fn reply(&self, id: SessionId, reply: Reply) {
        let mut reply = reply;
        while let Err(back) = self.handle.reply(id, reply) {
            reply = back;
            std::thread::sleep(PAUSE);
        }
    }
}
