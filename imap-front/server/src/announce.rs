//! From the store's writer to the engine: each committed event goes to its mailbox's owner shard.
#![expect(
    clippy::disallowed_methods,
    reason = "the announcer holds back deliveries while a shard is behind"
)]

use std::sync::Arc;
use std::time::Duration;

use engine::event::Event;
use engine::topic::TopicId;

use crate::control::MailHandle;

/// How long a commit's announcement waits for shards that don't keep up; then their sessions
/// resynchronise instead. Deliveries are held back meanwhile.
const PATIENCE: Duration = Duration::from_millis(50);
/// Between two looks.
const PAUSE: Duration = Duration::from_micros(100);

/// Publishes a commit's events.
pub fn announce(handle: &MailHandle, events: &[Arc<mail::Event>]) {
    crate::planted::here("writer");
    let mut waited = Duration::ZERO;
    for event in events {
        let event = as_engine_event(event);
        while !handle.keeps_up(event.topic) && waited < PATIENCE {
            std::thread::sleep(PAUSE);
            waited += PAUSE;
        }
        handle.publish(event);
    }
}

/// A mail event as the engine carries it.
pub fn as_engine_event(event: &Arc<mail::Event>) -> Event<Arc<mail::Event>> {
    Event {
        topic: TopicId(event.mailbox.0),
        prev: event.prev.0,
        seq: event.seq.0,
        fact: event.clone(),
    }
}
