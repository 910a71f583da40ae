//! From the store's writer to the engine: each committed event goes to its mailbox's owner shard.
#![expect(
    clippy::disallowed_methods,
    reason = "the announcer holds back deliveries while a shard is behind"
)]

use std::time::Duration;

use engine::event::Event;
use engine::topic::TopicId;
use mail::{News, UserId};
use rustix::time::{ClockId, clock_gettime};

use crate::control::MailHandle;

/// How long a commit's announcement waits for shards that don't keep up; then their sessions
/// resynchronise instead. Deliveries are held back meanwhile.
const PATIENCE: Duration = Duration::from_millis(50);
/// Between two looks.
const PAUSE: Duration = Duration::from_micros(100);

/// The topic of a user's names; of those that all have, for [`mail::NameChange::ANYONE`].
pub fn names_topic(user: UserId) -> TopicId {
    // Mailboxes are counted up from 1 and don't reach it.
    TopicId(NAMES | user.0)
}

/// Whether a topic is of names.
pub fn is_of_names(topic: TopicId) -> bool {
    topic.0 & NAMES != 0
}

const NAMES: u64 = 1 << 47;

/// Publishes what a commit has done.
pub fn announce(handle: &MailHandle, news: Vec<News>) {
    crate::planted::here("writer");
    let mut waited = Duration::ZERO;
    let born_ns = monotonic_ns();
    for news in news {
        let event = as_engine_event(news, born_ns);
        while !handle.keeps_up(event.topic) && waited < PATIENCE {
            std::thread::sleep(PAUSE);
            waited += PAUSE;
        }
        handle.publish(event);
    }
}

/// The clock of the data planes' reactors.
fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// News as the engine carries them, of a commit that became durable at that time. Those of names
/// have no numbers: who misses some asks again.
pub fn as_engine_event(news: News, born_ns: u64) -> Event<News> {
    let (topic, prev, seq) = match &news {
        News::Mailbox(event, _) => (TopicId(event.mailbox.0), event.prev.0, event.seq.0),
        News::Name(change) => (names_topic(change.user), 0, 0),
    };
    Event {
        topic,
        prev,
        seq,
        born_ns,
        fact: news,
    }
}
