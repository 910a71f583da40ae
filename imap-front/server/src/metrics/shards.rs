//! What shards have counted.

use engine::stats::{Counter, Reason};
use monitor::sample::Sample;
use monitor::table::{self, Metric};

use super::Measured;

impl Measured {
    pub(super) fn of_shards(&self, all: &mut Vec<Sample>) {
        let (mut output, mut input, mut windows) = (0, 0, 0);
        for (number, shard) in self.shards().enumerate() {
            let stats = self.handle.stats(shard);
            let name = number.to_string();
            let name = name.as_str();
            for counter in Counter::ALL {
                if let Some(metric) = of_counter(counter) {
                    all.push(Sample::with(metric, [name], stats.counter(counter)));
                }
            }
            for reason in Reason::ALL {
                let dropped = stats.dropped(reason);
                all.push(match of_reason(reason) {
                    (metric, Some(reason)) => Sample::with(metric, [name, reason], dropped),
                    (metric, None) => Sample::with(metric, [name], dropped),
                });
            }
            let of = |counter| stats.counter(counter);
            let (tls12, tls13) = (of(Counter::Tls12), of(Counter::Tls13));
            let plain = of(Counter::Open).saturating_sub(tls12 + tls13);
            for (version, count) in [("none", plain), ("1.2", tls12), ("1.3", tls13)] {
                let labels = [name, version];
                all.push(Sample::with(&table::TLS_CONNECTIONS, labels, count));
            }
            all.push(Sample::with(&table::TOLD, [name], stats.told().read()));
            output += of(Counter::Owed);
            input += of(Counter::Held);
            windows += of(Counter::Windows);
            let Some(sessions) = self.sessions.get(number) else {
                continue;
            };
            let parked = of(Counter::Parked);
            let active = sessions.logged_in().saturating_sub(parked);
            for (state, count) in [
                ("login", sessions.strangers()),
                ("active", active),
                ("parked", parked),
            ] {
                all.push(Sample::with(&table::SESSIONS, [name, state], count));
            }
            let idling = sessions.idling();
            all.push(Sample::with(&table::IDLING, [name], idling));
        }
        for (kind, bytes) in [("output", output), ("input", input), ("windows", windows)] {
            all.push(Sample::with(&table::MEMORY, [kind], bytes));
        }
    }
}

/// Which metric a counter is; none if it is a part of others.
fn of_counter(counter: Counter) -> Option<&'static Metric> {
    Some(match counter {
        Counter::Accepted => &table::ACCEPTED,
        Counter::Open => &table::CONNECTIONS,
        Counter::Topics => &table::TOPICS,
        Counter::Parks => &table::PARKS,
        Counter::Unparks => &table::UNPARKS,
        Counter::Turns => &table::TURNS,
        Counter::Events => &table::EVENTS,
        Counter::Forwarded => &table::FORWARDED,
        Counter::Announced => &table::ANNOUNCED,
        Counter::Rendered => &table::RENDERED,
        Counter::CaughtUp => &table::CAUGHT_UP,
        Counter::Stale => &table::RESYNCS,
        Counter::Unsent => &table::UNSENT,
        Counter::SentBytes => &table::SENT_BYTES,
        Counter::ReceivedBytes => &table::RECEIVED_BYTES,
        Counter::Replies => &table::REPLIES,
        Counter::Deadlines => &table::DEADLINES,
        Counter::Posted => &table::POSTS,
        Counter::Handshakes => &table::HANDSHAKES,
        Counter::FurtherWatches => &table::FURTHER_WATCHES,
        Counter::Places => &table::CONNECTIONS_MAX,
        Counter::Compressed => &table::COMPRESSED,
        Counter::Parked
        | Counter::Owed
        | Counter::Held
        | Counter::Windows
        | Counter::Tls12
        | Counter::Tls13 => return None,
    })
}

/// Which metric tells of a reason, and what it calls it.
fn of_reason(reason: Reason) -> (&'static Metric, Option<&'static str>) {
    let (drops, ended) = (&table::SHARD_DROPS, &table::ENDED);
    let (metric, name) = match reason {
        Reason::TooManyConnections => return (&table::TURNED_AWAY, None),
        Reason::EventsQueueFull => (drops, "events_queue_full"),
        Reason::ShardQueueFull => (drops, "shard_queue_full"),
        Reason::NobodyWatches => (drops, "nobody_watches"),
        Reason::LateReply => (drops, "late_reply"),
        Reason::RepliesQueueFull => (drops, "replies_queue_full"),
        Reason::PostsFull => (drops, "posts_full"),
        Reason::Hangup => (ended, "hangup"),
        Reason::Broken => (ended, "broken"),
        Reason::Closed => (ended, "closed"),
        Reason::WriteTimeout => (ended, "write_timeout"),
        Reason::OutboxFull => (ended, "outbox_full"),
        Reason::ShutdownForced => (ended, "shutdown_forced"),
        Reason::OutputFull => (ended, "output_full"),
        Reason::HandshakeFailed => (ended, "handshake_failed"),
        Reason::TlsFault => (ended, "tls_fault"),
        Reason::Truncated => (ended, "truncated"),
        Reason::DeflateFault => (ended, "deflate_fault"),
        Reason::WindowsFull => (ended, "windows_full"),
    };
    (metric, Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_explained_in_the_table() {
        for reason in Reason::ALL {
            let (metric, Some(name)) = of_reason(reason) else {
                continue;
            };
            let mut values = metric.values.iter();
            assert!(values.any(|(value, _)| *value == name), "{reason:?}");
        }
    }
}
