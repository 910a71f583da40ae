//! Every counter, with what it counts.

use engine::event::ShardId;
use engine::stats::{Counter, Reason};
use serde_json::json;

use super::{Asking, Failed, Tool};

impl Asking {
    /// Tells every counter.
    pub(super) fn counters(&self, tool: &mut Tool) -> Result<u64, Failed> {
        let mut count = 0;
        let mut say = |of: &str, name: String, value: u64, help: &str| {
            count += 1;
            tool.say(&json!({ "of": of, "name": name, "value": value, "help": help }))
        };
        for shard in (0..self.handle.shards()).map(ShardId) {
            let stats = self.handle.stats(shard);
            let of = format!("shard {}", shard.0);
            for counter in Counter::ALL {
                let value = stats.counter(counter);
                say(&of, format!("{counter:?}"), value, of_counter(counter))?;
            }
            for reason in Reason::ALL {
                let value = stats.dropped(reason);
                say(&of, format!("{reason:?}"), value, of_reason(reason))?;
            }
        }
        let stats = self.store.stats();
        let sizes = stats.sizes();
        let commits = sizes.iter().map(|size| size.commits).sum();
        let operations = sizes.iter().map(|size| size.operations).sum();
        for (name, value, help) in [
            (
                "Commits",
                commits,
                "groups of operations that were made durable",
            ),
            ("Operations", operations, "operations in them"),
            ("Syncs", stats.syncs(), "times the disk was synced"),
            (
                "SortKeysLeft",
                stats.dropped_keys(),
                "times that sort keys of new messages were left to the first sort",
            ),
            (
                "BusyNs",
                stats.busy_ns(),
                "nanoseconds for which the writer was busy",
            ),
            (
                "CommitNs",
                stats.commit_ns(),
                "nanoseconds that commits took",
            ),
        ] {
            say("store", name.into(), value, help)?;
        }
        for (bound, value, help) in self.bounds.all_with_help() {
            say("server", format!("{bound:?}"), value, help)?;
        }
        for (plane, value) in self.stalls.counts() {
            let help = "calls that held it up for longer than service.stallms";
            say("server", format!("{plane:?}Stalls"), value, help)?;
        }
        let passwords = self.authenticator.computed();
        say(
            "server",
            "PasswordsComputed".into(),
            passwords,
            "costly passwords that were computed",
        )?;
        let dropped = self.lines.dropped();
        say(
            "server",
            "LinesDropped".into(),
            dropped,
            "lines of the log that found no room",
        )?;
        Ok(count)
    }
}

fn of_counter(counter: Counter) -> &'static str {
    match counter {
        Counter::Accepted => "connections that came",
        Counter::Open => "connections that are open now",
        Counter::Parked => "of these, packed away now",
        Counter::Topics => "mailboxes that are watched now",
        Counter::Parks => "times a session was packed away",
        Counter::Unparks => "times a session was inflated again",
        Counter::Turns => "turns of the loop",
        Counter::Events => "events of mailboxes that this shard owns",
        Counter::Forwarded => "events given to shards, this one included",
        Counter::Announced => "announcements to sessions that are packed away",
        Counter::Rendered => "texts made for them",
        Counter::CaughtUp => "slow readers that were told several events at once",
        Counter::Stale => "sessions that had to catch up from the store",
        Counter::Unsent => "sends that the kernel refused or cut short",
        Counter::SentBytes => "bytes given to the kernel",
        Counter::ReceivedBytes => "bytes received",
        Counter::Replies => "answers given to sessions",
        Counter::Deadlines => "deadlines of sessions that came",
        Counter::Posted => "messages between sessions",
        Counter::Owed => "bytes that wait for clients now, with what keeping them costs",
        Counter::Handshakes => "TLS handshakes that were finished",
        Counter::FurtherWatches => "watches beyond their session's first (NOTIFY) now",
    }
}

fn of_reason(reason: Reason) -> &'static str {
    match reason {
        Reason::EventsQueueFull => "events beyond the queue: their mailboxes' sessions caught up",
        Reason::ShardQueueFull => "events beyond the queue between shards: sessions caught up",
        Reason::NobodyWatches => "events of mailboxes that nobody watches",
        Reason::LateReply => "answers to sessions that had left",
        Reason::RepliesQueueFull => "answers that waited beside the full queue",
        Reason::TooManyConnections => {
            "connections refused: there are enough (service.imap.maxsessions)"
        }
        Reason::Hangup => "connections that their clients ended",
        Reason::Broken => "connections that broke",
        Reason::Closed => "connections that the server closed after a last word",
        Reason::WriteTimeout => "clients cut: they took nothing for service.imap.writetimeout",
        Reason::OutboxFull => "sessions cut: too much waited for them",
        Reason::ShutdownForced => "connections cut at the end of a stop",
        Reason::PostsFull => "messages to sessions for which too much waited",
        Reason::OutputFull => {
            "clients cut: they took nothing while all was full (service.imap.maxoutput)"
        }
        Reason::HandshakeFailed => "TLS handshakes that failed or took too long",
        Reason::TlsFault => "TLS connections whose clients broke the rules or told of a fault",
        Reason::Truncated => "TLS connections that ended without a last word",
    }
}
