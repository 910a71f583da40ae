//! From the store's writer to the engine: each committed event goes to its mailbox's owner shard.

use std::sync::Arc;

use engine::event::Event;
use engine::topic::TopicId;

/// A mail event as the engine carries it.
pub fn as_engine_event(event: &Arc<mail::Event>) -> Event<Arc<mail::Event>> {
    Event {
        topic: TopicId(event.mailbox.0),
        prev: event.prev.0,
        seq: event.seq.0,
        fact: event.clone(),
    }
}
